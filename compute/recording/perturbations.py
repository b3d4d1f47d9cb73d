"""The paper's perturbations (Fig. 9 to 12) and a few more: named, seeded, pure functions on uint8 images.

All arithmetic on pixels is in integers, so the result is the same bit for bit on every device. What is drawn or rounded
beforehand (noise positions, kernel taps, sampling tables) is computed by numpy on the CPU.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from compute.errors import BadOption
from compute.runs.device import to_device
from store import Variant

# ITU-R BT.601 luma 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point; the weights sum to 65536, so white stays 255.
LUMA = (19595, 38470, 7471)
LUMA_BITS = 16
# Blur: 15-bit taps, and an 8.8 fixed-point image between the passes: 255 * 2^8 * 2^15 still fits 31 bits.
TAP_BITS = 15
BETWEEN_BITS = 8
PLACE_BITS = 6  # source positions of moved pixels are rounded to 1/64 pixel, so bilinear weights have 12 bits
NOISE_STREAM = 0x5A17  # keeps the noise apart from other random numbers drawn from the same run seed
IMAGES_AT_ONCE = 64  # the 32-bit intermediates of 64 small images stay in the processor's cache


@dataclass(frozen=True)
class Strength:
    """One strength of a perturbation: runs are recorded at its default, and sliders cover its range."""

    name: str
    default: float
    minimum: float
    maximum: float
    unit: str


@dataclass(frozen=True)
class Perturbation:
    """A named perturbation; `keeps_positions` is False where objects move, so that maps differ cell by cell."""

    name: str
    label: str
    function: Callable[..., Tensor]  # (images uint8 (n, h, w, 3), numbers, seed, **strengths) -> the same shape
    strengths: tuple[Strength, ...] = ()
    keeps_positions: bool = True

    def variant(self) -> Variant:
        """The variant as run.h5 describes it."""
        return Variant(
            self.name, self.label, {each.name: each.default for each in self.strengths}, self.keeps_positions
        )


def perturb(
    perturbation: Perturbation, images: Tensor, *, numbers: Sequence[int], seed: int, **strengths: float
) -> Tensor:
    """The perturbed images, a new tensor uint8 (N, h, w, 3) on the device of `images`.

    Args:
        perturbation: one of PERTURBATIONS, or of the user's own.
        images: uint8 (N, h, w, 3) on any device.
        numbers: the N absolute image numbers; with `seed` they decide the noise, so that every epoch sees the same.
        seed: the run's seed.
        strengths: by name; those not given take their defaults.

    Raises:
        BadOption: an unknown strength, or one outside its range.
        ValueError: images of another shape or type.
    """
    if images.dtype != torch.uint8:
        raise ValueError(f"Images must be uint8, got {images.dtype}. Convert them to 0..255 first.")
    if images.ndim != 4 or images.shape[3] != 3 or 0 in images.shape[1:]:
        raise ValueError(f"Images must be uint8 (N, h, w, 3), got the shape {tuple(images.shape)}.")
    if len(numbers) != len(images):
        raise ValueError(f"There are {len(images)} images but {len(numbers)} image numbers. Give one for each image.")
    _check_strengths(perturbation, strengths)
    values = {each.name: each.default for each in perturbation.strengths} | strengths
    if not len(images):
        return images.clone()
    starts = range(0, len(images), IMAGES_AT_ONCE)
    parts = (slice(start, start + IMAGES_AT_ONCE) for start in starts)
    return torch.cat([perturbation.function(images[part], numbers[part], seed, **values) for part in parts])


def perturb_array(
    name: str, images: np.ndarray, *, numbers: Sequence[int], seed: int, **strengths: float
) -> np.ndarray:
    """`perturb` with a perturbation's name and images as an array; raises BadOption for an unknown name, too."""
    return perturb(find_perturbation(name), torch.from_numpy(images), numbers=numbers, seed=seed, **strengths).numpy()


def find_perturbation(name: str) -> Perturbation:
    """The perturbation of that name; those of `WITH_STRENGTH` take any number at its end: "salt_pepper_0.02".

    Raises:
        BadOption: there is none, or its strength is outside its range; the message says what there is.
    """
    if name in PERTURBATIONS:
        return PERTURBATIONS[name]
    kind, _, number = name.rpartition("_")
    if kind not in WITH_STRENGTH or not _NUMBER.fullmatch(number):
        kinds = ", ".join(f"{each}_NUMBER" for each in WITH_STRENGTH)
        raise BadOption(f"There is no variant {name!r}. Available: {', '.join(PERTURBATIONS)}, and {kinds}.")
    perturbation = WITH_STRENGTH[kind](float(number))
    if perturbation.name != name:  # one name for one thing: a run that is recorded again finds its variants by name
        raise BadOption(f"Write the variant {name!r} as {perturbation.name!r}.")
    _check_strengths(perturbation, {each.name: each.default for each in perturbation.strengths})
    return perturbation


def check_variants(variants: Sequence[str | Perturbation | Callable[..., np.ndarray]]) -> tuple[Perturbation, ...]:
    """The variants of a run, checked: all exist, none twice, "clean" first.

    Args:
        variants: names of PERTURBATIONS, perturbations, and functions (see `own_perturbation`).

    Raises:
        BadOption: one of these is not the case.
    """
    found = tuple(_resolve(each) for each in variants)
    names = [each.name for each in found]
    if len(set(names)) != len(names):
        raise BadOption(f"A variant is listed twice in {names}. List each one once.")
    if not names or names[0] != "clean":
        raise BadOption(f"The variants {names} must begin with 'clean', to which the others are compared.")
    return found


def _resolve(variant: str | Perturbation | Callable[..., np.ndarray]) -> Perturbation:
    if isinstance(variant, Perturbation):
        return variant
    return find_perturbation(variant) if isinstance(variant, str) else own_perturbation(variant)


def own_perturbation(function: Callable[[np.ndarray], np.ndarray]) -> Perturbation:
    """A function of the user's own as a perturbation: uint8 images (n, h, w, 3) in, changed ones of that shape out.

    Its name becomes the variant's. Where it moves objects, give it the attribute `keeps_positions = False`, so that
    maps are not compared cell by cell.

    Raises:
        BadOption: something that cannot be called, or has no name of its own. The function itself, when it is used:
            it returns another shape or type.
    """
    name = getattr(function, "__name__", type(function).__name__)
    if not callable(function) or not name.isidentifier():
        raise BadOption(f"The variant {function!r} is neither a name nor a function with a name of its own.")

    def perturbed(images: Tensor, numbers: Sequence[int], seed: int) -> Tensor:
        result = np.asarray(function(images.numpy(force=True).copy()))
        if result.dtype != np.uint8 or result.shape != tuple(images.shape):
            raise BadOption(
                f"The variant {name!r} returned {result.dtype} {result.shape} for images uint8 {tuple(images.shape)}. "
                "Return images of the same type and shape."
            )
        return torch.from_numpy(np.ascontiguousarray(result))

    keeps_positions = bool(getattr(function, "keeps_positions", True))
    return Perturbation(name, name.replace("_", " "), perturbed, keeps_positions=keeps_positions)


def _check_strengths(perturbation: Perturbation, strengths: Mapping[str, float]) -> None:
    known = {each.name: each for each in perturbation.strengths}
    for name, value in strengths.items():
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "has no strength to set"
            raise BadOption(f"Variant {perturbation.name!r} has no strength {name!r}: it {takes}.")
        low, high, unit = known[name].minimum, known[name].maximum, known[name].unit
        if not low <= value <= high:
            raise BadOption(
                f"{name} = {value} is outside the range of variant {perturbation.name!r}: {low} to {high} {unit}."
            )


def _reorder(*channels: int) -> Callable[..., Tensor]:
    """Output channel i is input channel `channels[i]`."""
    return lambda images, numbers, seed: torch.stack([images[..., channel] for channel in channels], dim=-1)


def _gray(images: Tensor, numbers: Sequence[int], seed: int) -> Tensor:
    """Luma, rounded to nearest, on all three channels."""
    red, green, blue = (images[..., channel].to(torch.int32) * LUMA[channel] for channel in range(3))
    luma = _round_shift(red + green + blue, LUMA_BITS).to(torch.uint8)
    return luma[..., None].expand(images.shape).contiguous()


def _blur(size: int) -> Callable[..., Tensor]:
    """A Gaussian of `size` x `size` pixels, rows then columns, borders mirrored without repeating the edge."""

    def blur(images: Tensor, numbers: Sequence[int], seed: int, *, sigma: float) -> Tensor:
        taps = gaussian_taps(size, sigma)
        rows = _round_shift(_filter(images.to(torch.int32), taps, axis=1), TAP_BITS - BETWEEN_BITS)
        return _round_shift(_filter(rows, taps, axis=2), TAP_BITS + BETWEEN_BITS).to(torch.uint8)

    return blur


def _filter(values: Tensor, taps: Sequence[int], axis: int) -> Tensor:
    """The symmetric filter along one axis: `taps[d]` weighs the pixels at distance d."""
    reach, length = len(taps) - 1, values.shape[axis]
    source = mirrored(np.arange(-reach, length + reach), length)
    padded = values.index_select(axis, to_device(torch.from_numpy(source), values.device))
    total = taps[0] * values
    for distance in range(1, reach + 1):
        before = padded.narrow(axis, reach - distance, length)
        after = padded.narrow(axis, reach + distance, length)
        total.add_(before + after, alpha=taps[distance])
    return total


def _salt_pepper(images: Tensor, numbers: Sequence[int], seed: int, *, density: float) -> Tensor:
    """In every image, round(density * values) channel values become alternately 0 and 255 (paper, Eq. 12)."""
    flat = images.flatten(1).clone()
    positions = noise_positions(density, flat.shape[1], numbers=numbers, seed=seed)
    on_device = to_device(torch.from_numpy(positions), images.device)
    flat.scatter_(1, on_device[:, 0::2], 0)
    flat.scatter_(1, on_device[:, 1::2], 255)
    return flat.reshape(images.shape)


def _rotate(images: Tensor, numbers: Sequence[int], seed: int, *, degrees: float) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Counter-clockwise as seen, y growing downwards: the output pixel reads from where it was before the turn.
    return _resample(images, ((cos, sin), (-sin, cos)))


def _shift(images: Tensor, numbers: Sequence[int], seed: int, *, right: float, down: float) -> Tensor:
    offset = shift_offset(images.shape[1], images.shape[2], right=right, down=down)
    return _resample(images, ((1, 0), (0, 1)), offset=offset)


def _zoom(images: Tensor, numbers: Sequence[int], seed: int, *, factor: float) -> Tensor:
    return _resample(images, ((1 / factor, 0), (0, 1 / factor)))


def _resample(images: Tensor, matrix: Sequence[Sequence[float]], *, offset: tuple[float, float] = (0, 0)) -> Tensor:
    """Output pixel p = (y, x) is read at `matrix @ (p - centre) + centre - offset`.

    Bilinear, the weighted mean of four pixels, with borders mirrored as in a blur.
    """
    height, width = images.shape[1:3]
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1).reshape(-1, 2)
    source = (grid - centre) @ np.array(matrix, float).T + centre - np.array(offset, float)
    fixed = np.round(source * (1 << PLACE_BITS)).astype(np.int64)
    whole, part = fixed >> PLACE_BITS, fixed & ((1 << PLACE_BITS) - 1)
    shares = ((1 << PLACE_BITS) - part, part)  # of the nearer and of the farther row or column, of 64
    flat = images.flatten(1, 2)
    total = torch.zeros(flat.shape, dtype=torch.int32, device=images.device)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pixels = mirrored(whole[:, 0] + dy, height) * width + mirrored(whole[:, 1] + dx, width)
        weights = (shares[dy][:, 0] * shares[dx][:, 1]).astype(np.int32)
        indices, factors = (to_device(torch.from_numpy(each), images.device) for each in (pixels, weights))
        total += flat.index_select(1, indices).to(torch.int32) * factors[:, None]
    return _round_shift(total, 2 * PLACE_BITS).to(torch.uint8).reshape(images.shape)


def _round_shift(values: Tensor, bits: int) -> Tensor:
    return (values + (1 << bits - 1)) >> bits


def mirrored(index: np.ndarray, length: int) -> np.ndarray:
    """Indices brought into 0..length-1 by mirroring about the centres of the edge pixels.

    This is "reflect-101" (c b | a b c | b a): the border of torchvision's `gaussian_blur`, and OpenCV's default.
    """
    period = 2 * (length - 1)
    if period == 0:
        return np.zeros_like(index)
    folded = np.abs(index) % period
    return np.minimum(folded, period - folded)


def gaussian_taps(size: int, sigma: float) -> tuple[int, ...]:
    """Taps (centre first) of a Gaussian of `sigma` pixels cut to `size` pixels, such that centre + 2 * rest = 2^15."""
    weights = [math.exp(-(d**2) / (2 * sigma**2)) for d in range(size // 2 + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    sides = [round(weight / total * (1 << TAP_BITS)) for weight in weights[1:]]
    return ((1 << TAP_BITS) - 2 * sum(sides), *sides)  # the centre takes the rounding: a flat image stays as it is


def noise_positions(density: float, values: int, *, numbers: Sequence[int], seed: int) -> np.ndarray:
    """The positions of each image's noise: (N, M) int64 positions in 0..values-1, without replacement.

    M = round(density * values), halves rounded up (Eq. 12). Row n depends on (seed, numbers[n]) alone, so every epoch
    sees the same image. A lower density takes the first columns of a higher one: raising a slider adds noise and moves
    none. Columns 0, 2, 4... are pepper (0), columns 1, 3, 5... salt (255), so an odd M has one pepper more.
    """
    count = math.floor(density * values + 0.5)
    # one generator per image, so that its noise does not depend on the batch that it is in
    streams = (np.random.SeedSequence((seed, int(number), NOISE_STREAM)) for number in numbers)
    random = np.array([np.random.Generator(np.random.PCG64(stream)).random(count) for stream in streams])
    # the first columns of a Fisher-Yates shuffle of 0..values-1, one shuffle per row
    rows = np.arange(len(numbers))
    order = np.tile(np.arange(values, dtype=np.int64), (len(numbers), 1))
    for column in range(count):
        other = column + (random[:, column] * (values - column)).astype(np.int64)
        drawn = order[rows, other]
        order[rows, other] = order[:, column]
        order[:, column] = drawn
    return order[:, :count]


def shift_offset(height: int, width: int, *, right: float = 0.125, down: float = 0.125) -> tuple[int, int]:
    """How far variant `shift` moves an image: (pixels down, pixels to the right)."""
    return math.floor(down * height + 0.5), math.floor(right * width + 0.5)


def _gaussian(size: int, sigma: float) -> Perturbation:
    strength = Strength("sigma", sigma, 0.1, 5.0, "pixels")
    return Perturbation(f"blur{size}", f"blur {size}×{size}", _blur(size), (strength,))


def _noise(density: float) -> Perturbation:
    strength = Strength("density", density, 0.0, 0.5, "of the channel values")
    label = f"salt and pepper {100 * density:g} %"
    return Perturbation(f"salt_pepper_{density:g}", label, _salt_pepper, (strength,))


def _moving(name: str, label: str, function: Callable[..., Tensor], *strengths: Strength) -> Perturbation:
    return Perturbation(name, label, function, strengths, keeps_positions=False)


def _rotated(degrees: float) -> Perturbation:
    strength = Strength("degrees", degrees, -180, 180, "degrees")
    return _moving(f"rotate_{degrees:g}", f"rotated by {degrees:g}°", _rotate, strength)


_ALL = (
    Perturbation("clean", "clean", _reorder(0, 1, 2)),
    Perturbation("gray", "gray", _gray),  # Fig. 9
    _gaussian(3, 0.8),  # Fig. 10
    _gaussian(5, 1.1),
    Perturbation("bgr", "channels B, G, R", _reorder(2, 1, 0)),  # Fig. 11
    Perturbation("brg", "channels B, R, G", _reorder(2, 0, 1)),
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
PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType({each.name: each for each in _ALL})
# What a run can record at strengths of its own; recorded at three or more, Robustness draws their dose curve.
WITH_STRENGTH: Mapping[str, Callable[[float], Perturbation]] = MappingProxyType(
    {"salt_pepper": _noise, "rotate": _rotated}
)
_NUMBER = re.compile(r"\d+(\.\d+)?(e-\d+)?")
