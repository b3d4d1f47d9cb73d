"""What a phantom image shows: its class, and at random its pose, colours, light and background.

Every number of a class's n-th image comes from a generator seeded by (seed, split, class, n) alone, so an image does
not depend on how many others are drawn. All colour channels are treated alike: exchanging two channels of a scene gives
an equally likely scene of the exchanged hue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from compute.data.phantom.shapes import SHAPES, direction

HUES: tuple[str, ...] = ("red", "green", "blue", "gray")
TEXTURES: tuple[str, ...] = ("plain", "striped")
BACKGROUNDS = 4
SPOTS = 4  # Soft discs of the bokeh background.
_NUMBERS = 64  # Uniform random numbers per image; a few are spare.
GRAY = HUES.index("gray")


@dataclass(frozen=True)
class Scene:
    """What n images show, float32 unless said otherwise; lengths are fractions of the image's side."""

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
    background: np.ndarray  # (n,) int, 0..3: gradient, bokeh, bands, horizon
    near: np.ndarray  # (n,3) background colour
    far: np.ndarray  # (n,3) the colour it changes to
    slope: np.ndarray  # (n,2) unit vector along which it changes
    spots: np.ndarray  # (n,SPOTS,3) x, y, radius
    tints: np.ndarray  # (n,SPOTS,3) what each spot adds
    grain: np.ndarray  # (n,) amplitude of the noise
    noise: np.ndarray  # (n,) uint64, seed of the noise


def draw_scenes(classes: np.ndarray, numbers: np.ndarray, *, seed: int, split: int) -> Scene:
    """The scenes of the images with these numbers (n,) within these classes (n,), 0..199; split 1 is validation."""
    keys = zip(classes.tolist(), numbers.tolist(), strict=True)
    sequences = [np.random.SeedSequence((seed, split, class_index, number)) for class_index, number in keys]
    table = np.array([np.random.Generator(np.random.PCG64(each)).random(_NUMBERS) for each in sequences])
    random = _RandomNumbers(table.reshape(len(numbers), _NUMBERS))
    shape, hue, texture = np.unravel_index(classes, (len(SHAPES), len(HUES), len(TEXTURES)))
    colour = _object_colour(random, hue)
    near, far = _background_colours(random, colour)
    radius = random.uniform(0.26, 0.42)
    light = direction(random.uniform(-0.24, 0.06))  # From above, more often from the left, as drawings are usually lit.
    scene = Scene(
        shape=shape,
        striped=texture == TEXTURES.index("striped"),
        colour=colour,
        centre=np.stack([0.5 + (0.49 - radius) * random.uniform(-1, 1) for _ in range(2)], 1),
        radius=radius,
        turn=direction(random.uniform(-0.06, 0.06))[:, ::-1] * (-1, 1),
        mirrored=np.where(random.uniform(0, 1) < 0.5, -1.0, 1.0),
        light=light,
        bevel=random.uniform(0.15, 0.45),
        gloss=random.uniform(0.0, 0.4),
        shadow=random.uniform(0.15, 0.5),
        stripe=np.column_stack([direction(random.uniform(0, 1)), random.uniform(3.0, 3.5), random.uniform(0, 1)]),
        contrast=0.12 + 0.46 * np.sqrt(random.uniform(0, 1)),
        background=(random.uniform(0, 1) * BACKGROUNDS).astype(np.int64),
        near=near,
        far=far,
        slope=direction(random.uniform(0, 1)),
        spots=np.stack([_spot(random) for _ in range(SPOTS)], 1),
        tints=np.stack([_tint(random, 0.16) for _ in range(SPOTS)], 1),
        grain=random.uniform(0.008, 0.036),
        noise=(random.uniform(0, 1) * 2**53).astype(np.uint64),
    )
    return _single_precision(scene)


class _RandomNumbers:
    """Takes the columns of a table of uniform numbers (n,_NUMBERS) one after the other: the order of calls matters."""

    def __init__(self, table: np.ndarray) -> None:
        self._columns = iter(table.T)

    def uniform(self, low: float, high: float) -> np.ndarray:
        """The next number of each image, scaled from [0, 1) to [low, high)."""
        return low + (high - low) * next(self._columns)


def _object_colour(random: _RandomNumbers, hue: np.ndarray) -> np.ndarray:
    """One strong channel and two weak ones, unequal so that a red may tend to orange or pink; gray: all equal."""
    strong, level = random.uniform(0.52, 0.86), random.uniform(0.22, 0.8)
    weak = [strong * (0.08 + 0.58 * random.uniform(0, 1) ** 2) for _ in range(2)]
    colour = np.empty((len(hue), 3))
    for channel in range(3):
        others = [other for other in range(3) if other != channel]
        rows = hue == channel
        colour[rows, channel] = strong[rows]
        for other, value in zip(others, weak, strict=True):
            colour[rows, other] = value[rows]
    colour[hue == GRAY] = level[hue == GRAY, None]
    return colour


def _background_colours(random: _RandomNumbers, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two related tones, both lighter or both darker than the object; tinted in two images of three."""
    # At least 0.14 lighter or darker, so that the object stands out in gray, too.
    object_tone, lighter, strength = colour.mean(1), random.uniform(0, 1), random.uniform(0, 1)
    above = object_tone + 0.14 + (0.96 - object_tone - 0.14) * strength
    below = 0.09 + (object_tone - 0.14 - 0.09) * strength
    tone = np.where((lighter < 0.62) | (object_tone < 0.26), above, below)
    chroma = np.where(random.uniform(0, 1) < 0.34, 0.0, 1.0)[:, None]
    step = np.where(random.uniform(0, 1) < 0.5, -1, 1) * random.uniform(0.05, 0.18)
    near = tone[:, None] + chroma * _tint(random, 0.14)
    far = (tone + step)[:, None] + chroma * _tint(random, 0.14)
    return np.clip(near, 0.05, 1.0), np.clip(far, 0.05, 1.0)


def _tint(random: _RandomNumbers, reach: float) -> np.ndarray:
    return np.stack([random.uniform(-reach, reach) for _ in range(3)], 1)


def _spot(random: _RandomNumbers) -> np.ndarray:
    return np.stack([random.uniform(0, 1), random.uniform(0, 1), random.uniform(0.08, 0.26)], 1)


def _single_precision(scene: Scene) -> Scene:
    values = {name: value for name, value in vars(scene).items() if value.dtype == np.float64}
    return replace(scene, **{name: value.astype(np.float32) for name, value in values.items()})
