"""The paper's perturbations (Fig. 9 to 12) and a few more: named, seeded, pure functions on uint8 images.

`VARIANTS[name].function(images, images=..., seed=...)` is the definition; `perturb_on_device` in
`compute.recording.perturbations_device` does the same on a GPU. This module imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from compute.errors import BadOption
from compute.recording import perturbation_plans as plans
from compute.recording.perturbation_plans import Plan


@dataclass(frozen=True)
class Strength:
    """One adjustable parameter of a variant: its default is what gets recorded, its range is what a slider offers."""

    name: str
    default: float
    minimum: float
    maximum: float
    unit: str


@dataclass(frozen=True)
class Batch:
    """What a plan may depend on: the images' shape, their absolute numbers and the run's seed."""

    height: int
    width: int
    images: Sequence[int]
    seed: int


@dataclass(frozen=True)
class Variant:
    """A named perturbation; `keeps_positions` is False where objects move and maps can't be compared cell by cell."""

    name: str
    label: str
    make_plan: Callable[..., Plan]
    strengths: tuple[Strength, ...] = ()
    keeps_positions: bool = True

    def plan(self, batch: Batch, **strength: float) -> Plan:
        """What to do to this batch, in integers; a strength that isn't given takes its default.

        Raises:
            BadOption: a strength that this variant does not have, or one outside its range.
        """
        known = {each.name: each for each in self.strengths}
        for name, value in strength.items():
            _check_strength(self.name, known, name, value)
        return self.make_plan(batch, **{name: each.default for name, each in known.items()} | strength)

    def function(self, pixels: np.ndarray, *, images: Sequence[int], seed: int, **strength: float) -> np.ndarray:
        """The perturbed images, a new array uint8 (N,h,w,3).

        Args:
            images: uint8 (N,h,w,3).
            images: the N absolute image numbers; with `seed` they decide the noise, so every epoch sees the same.
            seed: the run's seed.

        Raises:
            ValueError: images of another shape or type, or a strength outside its range.
        """
        batch = batch_of(pixels.shape, images, seed)
        if pixels.dtype != np.uint8:
            raise ValueError(f"Images must be uint8, got {pixels.dtype}. Convert them to 0..255 first.")
        return self.plan(batch, **strength).apply(pixels)


def batch_of(shape: Sequence[int], images: Sequence[int], seed: int) -> Batch:
    """The batch description of images of this shape.

    Raises:
        ValueError: the shape is not (N, h, w, 3), or there are not N image numbers.
    """
    if len(shape) != 4 or shape[3] != 3 or 0 in shape[1:]:
        raise ValueError(f"Images must be uint8 (N, h, w, 3), got the shape {tuple(shape)}.")
    if len(images) != shape[0]:
        raise ValueError(f"There are {shape[0]} images but {len(images)} image numbers. Give one for each image.")
    return Batch(shape[1], shape[2], images, seed)


def find_variant(name: str) -> Variant:
    """The variant of that name.

    Raises:
        BadOption: no variant is called so; the message lists those that exist.
    """
    if name not in VARIANTS:
        raise BadOption(f"No variant is called {name!r}. There are: {', '.join(VARIANTS)}.")
    return VARIANTS[name]


def check_variants(names: Sequence[str]) -> tuple[str, ...]:
    """The names of a run's variants, checked: all exist, none twice, "clean" first.

    Raises:
        BadOption: one of these does not hold.
    """
    for name in names:
        find_variant(name)
    if len(set(names)) != len(names):
        raise BadOption(f"A variant is named twice in {list(names)}. Name each one once.")
    if not names or names[0] != "clean":
        raise BadOption(
            f"The variants {list(names)} do not begin with 'clean', to which all are compared. Put it first."
        )
    return tuple(names)


def shift_offset(height: int, width: int, *, right: float = 0.125, down: float = 0.125) -> tuple[int, int]:
    """How far variant `shift` moves an image: (pixels down, pixels to the right)."""
    return math.floor(down * height + 0.5), math.floor(right * width + 0.5)


def _check_strength(variant: str, known: Mapping[str, Strength], name: str, value: float) -> None:
    if name not in known:
        takes = f"takes {', '.join(known)}" if known else "has no strength to set"
        raise BadOption(f"Variant {variant!r} has no strength {name!r}: it {takes}.")
    lowest, highest, unit = known[name].minimum, known[name].maximum, known[name].unit
    if not lowest <= value <= highest:
        raise BadOption(f"{name} = {value} is outside the range of variant {variant!r}: {lowest} to {highest} {unit}.")


def _reorder(*channels: int) -> Callable[[Batch], Plan]:
    return lambda batch: plans.Reorder((channels[0], channels[1], channels[2]))


def _blur(size: int) -> Callable[..., Plan]:
    return lambda batch, sigma: plans.Blur(plans.gaussian_taps(size, sigma))


def _salt_pepper(batch: Batch, density: float) -> Plan:
    values = batch.height * batch.width * 3
    return plans.Noise(plans.noise_positions(density, values, images=batch.images, seed=batch.seed))


def _rotate(batch: Batch, degrees: float) -> Plan:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Counter-clockwise as seen, y growing downwards: the output pixel reads from where it was before the turn.
    return plans.resample(batch.height, batch.width, ((cos, sin), (-sin, cos)))


def _shift(batch: Batch, right: float, down: float) -> Plan:
    offset = shift_offset(batch.height, batch.width, right=right, down=down)
    return plans.resample(batch.height, batch.width, ((1, 0), (0, 1)), offset=offset)


def _zoom(batch: Batch, factor: float) -> Plan:
    return plans.resample(batch.height, batch.width, ((1 / factor, 0), (0, 1 / factor)))


def _noise(density: float) -> Variant:
    strength = Strength("density", density, 0.0, 0.5, "of the channel values")
    label = f"salt and pepper {100 * density:g} %"
    return Variant(f"salt_pepper_{density:g}", label, _salt_pepper, (strength,))


def _gaussian(size: int, sigma: float) -> Variant:
    return Variant(f"blur{size}", f"blur {size}x{size}", _blur(size), (Strength("sigma", sigma, 0.1, 5.0, "pixels"),))


def _moving(name: str, label: str, make_plan: Callable[..., Plan], *strengths: Strength) -> Variant:
    return Variant(name, label, make_plan, strengths, keeps_positions=False)


_ALL = (
    Variant("clean", "clean", _reorder(0, 1, 2)),
    Variant("gray", "gray", lambda batch: plans.Gray()),  # Fig. 9
    _gaussian(3, 0.8),  # Fig. 10
    _gaussian(5, 1.1),
    Variant("bgr", "channels B, G, R", _reorder(2, 1, 0)),  # Fig. 11
    Variant("brg", "channels B, R, G", _reorder(2, 0, 1)),
    _noise(0.0005),  # Fig. 12, Eq. 12
    _noise(0.005),
    _noise(0.05),
    _moving("rotate", "rotated", _rotate, Strength("degrees", 20, -180, 180, "degrees")),
    _moving(
        "shift",
        "shifted",
        _shift,
        Strength("right", 0.125, -0.5, 0.5, "of the width"),
        Strength("down", 0.125, -0.5, 0.5, "of the height"),
    ),
    _moving("zoom", "zoomed", _zoom, Strength("factor", 1.25, 0.5, 4.0, "times")),
)
VARIANTS: Mapping[str, Variant] = MappingProxyType({variant.name: variant for variant in _ALL})
DEFAULT_VARIANTS: tuple[str, ...] = tuple(VARIANTS)[:8]
