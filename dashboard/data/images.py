"""Images, maps and layers of single images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from dashboard.data.query_cache import cached_query
from dashboard.data.runs import frozen
from dashboard.images import Atlas, atlas
from store import Run, Timeline


@cached_query
def image_atlas(run: Run, images: tuple[int, ...], variants: tuple[str, ...], exact: bool = False) -> Atlas:
    """The images as one image file, in the order asked for; `variants` is one for all or one for each."""
    if len(set(variants)) == 1:
        return atlas(run.pixels(list(images), variant=variants[0]), exact=exact)
    pixels = np.empty((len(images), *run.image_shape, 3), np.uint8)
    for variant in dict.fromkeys(variants):  # one look at each variant, not one at each image
        rows = [row for row, own in enumerate(variants) if own == variant]
        pixels[rows] = run.pixels([images[row] for row in rows], variant=variant)
    return atlas(pixels, exact=exact)


@cached_query
def all_maps(run: Run, epoch: int, variant: str, image: int) -> np.ndarray:
    """Every class's map for one image, (C, H, W) float32."""
    return frozen(run.maps(epoch=epoch, variant=variant, images=[image])[0])


@cached_query
def probabilities(run: Run, epoch: int, variant: str, image: int) -> np.ndarray:
    """Every class's probability for one image, (C,) float32."""
    return frozen(run.probabilities(epoch=epoch, variant=variant, images=[image])[0])


@cached_query
def true_class_maps(run: Run, epoch: int, variant: str, images: tuple[int, ...]) -> np.ndarray:
    """The map of each image's true class, (n, H, W) float32."""
    return frozen(run.true_class_maps(epoch=epoch, variant=variant, images=list(images)))


@cached_query
def predicted_class_maps(run: Run, epoch: int, variant: str, images: tuple[int, ...]) -> np.ndarray:
    """The map of each image's predicted class, (n, H, W) float32."""
    return frozen(run.predicted_class_maps(epoch=epoch, variant=variant, images=list(images)))


@cached_query
def _moment(run: Run, image: int, class_index: int, variant: str, epoch: int) -> Timeline:
    return run.timeline(image=image, class_index=class_index, variant=variant, epochs=(epoch,))


def timeline(run: Run, image: int, class_index: int, variant: str, epochs: Sequence[int]) -> Timeline:
    """One class's map and probability of one image at some epochs, one or more, and what was answered."""
    moments = [_moment(run, image, class_index, variant, epoch) for epoch in epochs]
    return Timeline(*(np.concatenate([getattr(moment, part.name) for moment in moments]) for part in fields(Timeline)))


@cached_query
def stages(run: Run, epoch: int, image: int) -> dict[str, np.ndarray]:
    """Each encoder stage's energy for one clean image, name -> (1, h, w)."""
    return dict(run.stages(epoch=epoch, images=[image]))


@cached_query
def layers(run: Run, epoch: int, image: int) -> dict[str, np.ndarray]:
    """The layers before the class maps for one clean image, name -> (1, K, h, w)."""
    return dict(run.layers(epoch=epoch, images=[image]))
