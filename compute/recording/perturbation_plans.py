"""What each perturbation does to an image, as small numpy plans of integers.

A plan holds everything that is decided before a pixel is touched: channel order, kernel taps, noise positions, sampling
table. Applying it needs integer arithmetic only, so `apply` here and its torch twin in `compute.recording.perturbations_device` agree
bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# ITU-R BT.601 luma 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point; the weights sum to 65536, so white stays 255.
LUMA = (19595, 38470, 7471)
LUMA_BITS = 16
# Blur: 15-bit taps, and an 8.8 fixed-point image between the passes: 255 * 2^8 * 2^15 still fits 31 bits.
TAP_BITS = 15
BETWEEN_BITS = 8
WEIGHT_BITS = 12  # Bilinear weights of the geometric plans.
BLOCK = 32  # Images worked on at a time: the 32-bit intermediates of 32 small images stay in the processor's cache.
NOISE_STREAM = 0x5A17  # Keeps the noise apart from other random numbers drawn from the same run seed.


@dataclass(frozen=True)
class Reorder:
    """Output channel i is input channel `channels[i]`."""

    channels: tuple[int, int, int]

    def apply(self, images: np.ndarray) -> np.ndarray:
        """The images with their channels reordered: a copy, uint8 (N,h,w,3)."""
        return np.stack([images[..., channel] for channel in self.channels], axis=-1)


@dataclass(frozen=True)
class Gray:
    """Luma on all three channels."""

    def apply(self, images: np.ndarray) -> np.ndarray:
        """The luma of every pixel, rounded to nearest, on three channels: uint8 (N,h,w,3)."""
        out = np.empty_like(images)
        for block in _blocks(images):
            red, green, blue = (block.source[..., c].astype(np.int32) * LUMA[c] for c in range(3))
            luma = (red + green + blue + (1 << LUMA_BITS - 1)) >> LUMA_BITS
            out[block.rows] = luma[..., None]
        return out


@dataclass(frozen=True)
class Blur:
    """A separable symmetric filter: `taps[d]` weighs the pixels at distance d; centre + 2 * the rest = 2^15."""

    taps: tuple[int, ...]

    def apply(self, images: np.ndarray) -> np.ndarray:
        """The filtered images, rounded to nearest, borders reflected without repeating the edge: uint8 (N,h,w,3)."""
        out = np.empty_like(images)
        for block in _blocks(images):
            rows = _round_shift(self._pass(block.source.astype(np.int32), axis=1), TAP_BITS - BETWEEN_BITS)
            out[block.rows] = _round_shift(self._pass(rows, axis=2), TAP_BITS + BETWEEN_BITS)
        return out

    def _pass(self, values: np.ndarray, axis: int) -> np.ndarray:
        reach, length = len(self.taps) - 1, values.shape[axis]
        padded = values.take(reflected(length, reach), axis=axis)
        total = self.taps[0] * values
        for distance in range(1, reach + 1):
            before = padded[(slice(None),) * axis + (slice(reach - distance, reach - distance + length),)]
            after = padded[(slice(None),) * axis + (slice(reach + distance, reach + distance + length),)]
            total += self.taps[distance] * (before + after)
        return total


@dataclass(frozen=True)
class Noise:
    """Salt and pepper: `positions` (N,M) int64 into each flattened image; even columns become 0, odd columns 255."""

    positions: np.ndarray

    def apply(self, images: np.ndarray) -> np.ndarray:
        """A copy of the images with the noise in it: uint8 (N,h,w,3)."""
        out = images.copy()
        flat = out.reshape(len(out), math.prod(out.shape[1:]))
        np.put_along_axis(flat, self.positions[:, 0::2], 0, axis=1)
        np.put_along_axis(flat, self.positions[:, 1::2], 255, axis=1)
        return out


@dataclass(frozen=True)
class Resample:
    """Every output pixel is a weighted mean of four others: `pixels`, `weights` (h*w,4) int64, weights sum to 2^12."""

    pixels: np.ndarray
    weights: np.ndarray

    def apply(self, images: np.ndarray) -> np.ndarray:
        """The moved images, rounded to nearest: uint8 (N,h,w,3)."""
        out = np.empty_like(images)
        weights = self.weights.astype(np.int32)
        for block in _blocks(images):
            flat = block.source.reshape(len(block.source), len(self.pixels), 3)
            total = np.zeros(flat.shape, np.int32)
            for k in range(4):
                total += flat[:, self.pixels[:, k]] * weights[None, :, k, None]
            out[block.rows] = _round_shift(total, WEIGHT_BITS).reshape(block.source.shape)
        return out


Plan = Reorder | Gray | Blur | Noise | Resample


@dataclass(frozen=True)
class _Block:
    rows: slice
    source: np.ndarray


def _blocks(images: np.ndarray) -> list[_Block]:
    starts = range(0, len(images), BLOCK)
    return [_Block(slice(start, start + BLOCK), images[start : start + BLOCK]) for start in starts]


def _round_shift(values: np.ndarray, bits: int) -> np.ndarray:
    return (values + (1 << bits - 1)) >> bits


def reflected(length: int, reach: int) -> np.ndarray:
    """Source index of each of `length + 2 * reach` padded places, int64."""
    return mirror(np.arange(-reach, length + reach), length)


def mirror(index: np.ndarray, length: int) -> np.ndarray:
    """Indices brought into 0..length-1 by mirroring about the edge pixels' centres.

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
    return ((1 << TAP_BITS) - 2 * sum(sides), *sides)


def noise_count(density: float, values: int) -> int:
    """M of the paper's Eq. 12: round(density * values), halves rounded up."""
    return math.floor(density * values + 0.5)


def noise_positions(density: float, values: int, *, images: Sequence[int], seed: int) -> np.ndarray:
    """Where each image's noise falls: (N,M) int64 positions in 0..values-1, without replacement.

    Row n depends on (seed, images[n]) alone, so every epoch sees the same image. A lower density takes the first
    columns of a higher one: raising a slider adds noise and moves none. Columns 0, 2, 4... are pepper (0), columns
    1, 3, 5... salt (255), so an odd M has one pepper more.
    """
    count = noise_count(density, values)
    positions = np.empty((len(images), count), np.int64)
    for start in range(0, len(images), 8 * BLOCK):
        part = images[start : start + 8 * BLOCK]
        draws = np.array([_uniform(seed, int(image), count) for image in part]).reshape(len(part), count)
        positions[start : start + len(part)] = _shuffled_prefix(draws, values)
    return positions


def _uniform(seed: int, image: int, count: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, image, NOISE_STREAM)))).random(count)


def _shuffled_prefix(draws: np.ndarray, values: int) -> np.ndarray:
    """The first columns of a Fisher-Yates shuffle of 0..values-1, one shuffle per row of `draws`."""
    rows = np.arange(len(draws))
    order = np.tile(np.arange(values, dtype=np.int64), (len(draws), 1))
    for column in range(draws.shape[1]):
        other = column + (draws[:, column] * (values - column)).astype(np.int64)
        chosen = order[rows, other]
        order[rows, other] = order[:, column]
        order[:, column] = chosen
    return order[:, : draws.shape[1]]


def resample(
    height: int, width: int, matrix: Sequence[Sequence[float]], *, offset: tuple[float, float] = (0, 0)
) -> Resample:
    """The plan that reads output pixel p = (y, x) at `matrix @ (p - centre) + centre - offset`.

    Bilinear, with borders reflected as in a blur; source places are rounded to 1/64 pixel.
    """
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1).reshape(-1, 2)
    source = (grid - centre) @ np.array(matrix, float).T + centre - np.array(offset, float)
    fixed = np.round(source * (1 << WEIGHT_BITS // 2)).astype(np.int64)
    whole, part = fixed >> WEIGHT_BITS // 2, fixed & ((1 << WEIGHT_BITS // 2) - 1)
    pixels, weights = [], []
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        y, x = mirror(whole[:, 0] + dy, height), mirror(whole[:, 1] + dx, width)
        pixels.append(y * width + x)
        weights.append(_side(part[:, 0], dy) * _side(part[:, 1], dx))
    return Resample(np.stack(pixels, 1), np.stack(weights, 1))


def _side(part: np.ndarray, far: int) -> np.ndarray:
    return part if far else (1 << WEIGHT_BITS // 2) - part
