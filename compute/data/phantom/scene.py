"""What is random about a phantom image: pose, colours, light, background; and which class it belongs to.

Every number of a class's n-th image comes from a generator seeded by (seed, split, class, n) alone, so an image does
not depend on how many others are made. No colour channel is treated differently from another: exchanging two channels
of a scene gives an equally likely scene of the exchanged hue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compute.data.phantom.shapes import SHAPES

HUES: tuple[str, ...] = ("red", "green", "blue", "gray")
TEXTURES: tuple[str, ...] = ("plain", "striped")
BACKGROUNDS = 4  # gradient, bokeh, bands, horizon
SPOTS = 4  # Soft discs of the bokeh background.
_DRAWS = 64  # Uniform numbers per image; a few are spare.
GRAY = HUES.index("gray")


@dataclass(frozen=True)
class Scene:
    """Parameters of n images, float32 unless said otherwise; lengths are fractions of the image's side."""

    shape: np.ndarray  # (n,) int, index into SHAPES
    striped: np.ndarray  # (n,) bool
    colour: np.ndarray  # (n,3) mean albedo of the object
    centre: np.ndarray  # (n,2) x, y
    radius: np.ndarray  # (n,)
    turn: np.ndarray  # (n,2) cosine and sine of the rotation
    mirrored: np.ndarray  # (n,) +1 or -1
    light: np.ndarray  # (n,2) unit vector towards the light
    bevel: np.ndarray  # (n,) strength of the shading of the rim
    gloss: np.ndarray  # (n,) strength of the highlight
    shadow: np.ndarray  # (n,)
    stripe: np.ndarray  # (n,4) direction x, y; period in pixels; phase
    contrast: np.ndarray  # (n,) of the stripes
    background: np.ndarray  # (n,) int, which kind
    near: np.ndarray  # (n,3) background colour
    far: np.ndarray  # (n,3) the colour it changes to
    slope: np.ndarray  # (n,2) unit vector along which it changes
    spots: np.ndarray  # (n,SPOTS,3) x, y, radius
    tints: np.ndarray  # (n,SPOTS,3) what each spot adds
    grain: np.ndarray  # (n,) amplitude of the noise
    noise: np.ndarray  # (n,) uint64, seed of the noise

    def with_channels(self, order: Sequence[int]) -> Scene:
        """The same scenes with their colour channels reordered: output channel i is input channel order[i]."""
        chosen = list(order)
        return replace(
            self,
            colour=self.colour[:, chosen],
            near=self.near[:, chosen],
            far=self.far[:, chosen],
            tints=self.tints[:, :, chosen],
        )


def draw_scenes(classes: np.ndarray, numbers: np.ndarray, *, seed: int, split: int) -> Scene:
    """The scenes of the images numbered `numbers` (n,) within their classes (n,), indices 0..199, in a split."""
    keys = zip(classes.tolist(), numbers.tolist(), strict=True)
    sequences = [np.random.SeedSequence((seed, split, class_index, number)) for class_index, number in keys]
    draws = np.array([np.random.Generator(np.random.PCG64(each)).random(_DRAWS) for each in sequences])
    dice = _Dice(draws.reshape(len(numbers), _DRAWS))
    shape, hue, texture = np.unravel_index(classes, (len(SHAPES), len(HUES), len(TEXTURES)))
    colour = _object_colour(dice, hue)
    near, far = _background_colours(dice, colour)
    radius = dice.uniform(0.26, 0.42)
    light = _unit(dice.uniform(-0.24, 0.06))  # From above, more often from the left, as in most images with a shadow.
    scene = Scene(
        shape=shape,
        striped=texture == TEXTURES.index("striped"),
        colour=colour,
        centre=np.stack([0.5 + (0.49 - radius) * dice.uniform(-1, 1) for _ in range(2)], 1),
        radius=radius,
        turn=_unit(dice.uniform(-0.06, 0.06))[:, ::-1] * (-1, 1),
        mirrored=np.where(dice.uniform(0, 1) < 0.5, -1.0, 1.0),
        light=light,
        bevel=dice.uniform(0.15, 0.45),
        gloss=dice.uniform(0.0, 0.4),
        shadow=dice.uniform(0.15, 0.5),
        stripe=np.column_stack([_unit(dice.uniform(0, 1)), dice.uniform(3.0, 3.5), dice.uniform(0, 1)]),
        contrast=0.12 + 0.46 * np.sqrt(dice.uniform(0, 1)),
        background=(dice.uniform(0, 1) * BACKGROUNDS).astype(np.int64),
        near=near,
        far=far,
        slope=_unit(dice.uniform(0, 1)),
        spots=np.stack([_spot(dice) for _ in range(SPOTS)], 1),
        tints=np.stack([_tint(dice, 0.16) for _ in range(SPOTS)], 1),
        grain=dice.uniform(0.008, 0.036),
        noise=(dice.uniform(0, 1) * 2**53).astype(np.uint64),
    )
    return _single_precision(scene)


class _Dice:
    """Hands out the columns of a table of uniform numbers, one column a call."""

    def __init__(self, draws: np.ndarray) -> None:
        self._draws, self._next = draws, 0

    def uniform(self, low: float, high: float) -> np.ndarray:
        column = self._draws[:, self._next]
        self._next += 1
        return low + (high - low) * column


def _unit(turn: np.ndarray) -> np.ndarray:
    """Unit vectors (x, y): turn 0 = up, growing clockwise to 1."""
    return np.stack([np.sin(2 * np.pi * turn), -np.cos(2 * np.pi * turn)], 1)


def _object_colour(dice: _Dice, hue: np.ndarray) -> np.ndarray:
    """One strong channel and two weak ones, unequal so that a red may lean to orange or pink; gray: all equal."""
    strong, level = dice.uniform(0.52, 0.86), dice.uniform(0.22, 0.8)
    weak = [strong * (0.08 + 0.58 * dice.uniform(0, 1) ** 2) for _ in range(2)]
    colour = np.empty((len(hue), 3))
    for channel in range(3):
        others = [other for other in range(3) if other != channel]
        rows = hue == channel
        colour[rows, channel] = strong[rows]
        for other, value in zip(others, weak, strict=True):
            colour[rows, other] = value[rows]
    colour[hue == GRAY] = level[hue == GRAY, None]
    return colour


def _background_colours(dice: _Dice, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two related tones, both lighter or both darker than the object; tinted in two images of three."""
    own, lighter, strength = colour.mean(1), dice.uniform(0, 1), dice.uniform(0, 1)
    above = own + 0.14 + (0.96 - own - 0.14) * strength
    below = 0.09 + (own - 0.14 - 0.09) * strength
    tone = np.where((lighter < 0.62) | (own < 0.26), above, below)
    chroma = np.where(dice.uniform(0, 1) < 0.34, 0.0, 1.0)[:, None]
    step = np.where(dice.uniform(0, 1) < 0.5, -1, 1) * dice.uniform(0.05, 0.18)
    near = tone[:, None] + chroma * _tint(dice, 0.14)
    far = (tone + step)[:, None] + chroma * _tint(dice, 0.14)
    return np.clip(near, 0.05, 1.0), np.clip(far, 0.05, 1.0)


def _tint(dice: _Dice, reach: float) -> np.ndarray:
    return np.stack([dice.uniform(-reach, reach) for _ in range(3)], 1)


def _spot(dice: _Dice) -> np.ndarray:
    return np.stack([dice.uniform(0, 1), dice.uniform(0, 1), dice.uniform(0.08, 0.26)], 1)


def _single_precision(scene: Scene) -> Scene:
    values = {name: value for name, value in vars(scene).items() if value.dtype == np.float64}
    return replace(scene, **{name: value.astype(np.float32) for name, value in values.items()})
