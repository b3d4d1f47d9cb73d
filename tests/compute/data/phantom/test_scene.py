"""Scenes are closed under permutations of the colour channels."""

from dataclasses import replace

import numpy as np
import pytest

from compute.data.phantom.dataset import class_parts
from compute.data.phantom.render import render
from compute.data.phantom.scene import draw_scenes


@pytest.mark.parametrize("order", [[2, 1, 0], [2, 0, 1]])
def test_a_scene_with_permuted_channels_is_drawn_as_exactly_the_permuted_image(order):
    classes = np.arange(0, 200, 3)
    scenes = replace(draw_scenes(classes, np.zeros_like(classes), seed=2, split=0), grain=np.zeros(67, np.float32))
    colours = {name: getattr(scenes, name)[..., order] for name in ("colour", "near", "far", "tints")}
    permuted, permuted_mask = render(replace(scenes, **colours), 64)
    images, mask = render(scenes, 64)
    assert np.array_equal(permuted, images[..., order])
    assert np.array_equal(permuted_mask, mask)


def test_no_channel_is_favoured_by_background_or_hue(phantom):
    """Means over many images: background channels equal, each hue strongest in its own channel by the same amount."""
    images, masks = phantom.train.images.astype(float), phantom.train.masks
    background = np.array([images[..., channel][~masks].mean() for channel in range(3)])
    assert np.ptp(background) < 4
    hues = np.array([class_parts(label)[1] for label in phantom.train.labels])
    gains = []
    for channel, hue in enumerate(("red", "green", "blue")):
        means = images[hues == hue][masks[hues == hue]].mean(0)
        assert means.argmax() == channel
        gains.append(2 * means[channel] - means.sum() + means[channel])
    assert np.ptp(gains) < 0.15 * np.mean(gains)
    gray = images[hues == "gray"][masks[hues == "gray"]].mean(0)
    assert np.ptp(gray) < 1
