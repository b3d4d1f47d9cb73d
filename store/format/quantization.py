"""Maps as bytes: eight bits per cell and one scale per map, `value = (byte - zero_point) * scale`.

The scale is the value of one quantisation step. The encoder chooses it:

- One for all maps of an image, the image's largest value / 255, halved for a weaker map until that map spans at least
  31 steps. Weak maps, most of all maps, then take few distinct bytes, and the scales of an image are powers of two
  apart, so that both compress well.
- Or every map's own largest value / 255: finer, and larger on disk. Cached maps are stored so.

Signed maps use the bytes 1..255 around the zero point 128, unsigned ones 0..255 with the zero point 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.errors import BadMaps
from store.format.schema import LEAST_SCALE

# Steps spanned at least by the largest value of an image, and by every other map with evidence.
# One scale for an image, because logits and softmax add its maps up; a scale for each map took 34 % more bytes.
_IMAGE_STEPS, _LEAST_STEPS = 255, 31
# Half a step is the distance to the nearest byte; the rest is float32 rounding of the division and of the product.
STATED_ERROR = np.float32(0.5001)
_INFINITY = np.float32(np.inf).view(np.uint32)

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]


def zero_point(signed: bool) -> int:
    """The byte that encodes 0: 128 where maps may be negative, else 0."""
    return 128 if signed else 0


@dataclass(frozen=True)
class Quantiser:
    """The quantisation of one run's maps; `per_map` gives every map the finest scale of its own."""

    signed: bool = False
    per_map: bool = False

    @property
    def levels(self) -> int:
        """Steps from 0 to the largest value that a byte can encode."""
        return 127 if self.signed else 255

    def encode(
        self, maps: Float32, *, scratch: Float32 | None = None, out: UInt8 | None = None
    ) -> tuple[UInt8, Float32]:
        """Quantised maps (n, C, H, W) uint8 and scales (n, C) float32 of maps (n, C, H, W) float32.

        Every decoded value lies within `error_bound(scale)` of the value given.

        Args:
            maps: C-contiguous; non-negative unless `signed`.
            scratch: a work array of the same shape. Allocating one costs more than the arithmetic here.
            out: an array of the same shape for the quantised maps.

        Raises:
            BadMaps: NaN, infinity, or a negative value in an unsigned run; names the image (its place
                in this block) and the class.
        """
        scales = self._scales(self.peaks(maps))
        scaled = np.empty(maps.shape, np.float32) if scratch is None else scratch
        # Spread first, multiplied then: numpy copies short rows faster than it multiplies them by a number each.
        np.copyto(scaled, (np.float32(1) / scales)[..., None, None])
        np.multiply(maps, scaled, out=scaled)
        np.rint(scaled, out=scaled)
        if self.signed:
            scaled += zero_point(self.signed)
        quantised = np.empty(maps.shape, np.uint8) if out is None else out
        np.copyto(quantised, scaled, casting="unsafe")
        return quantised, scales

    def _scales(self, peaks: Float32) -> Float32:
        if self.per_map:
            return np.maximum(peaks / np.float32(self.levels), LEAST_SCALE)
        largest = peaks.max(-1, keepdims=True).astype(np.float64)
        base = np.maximum(largest / min(_IMAGE_STEPS, self.levels), LEAST_SCALE)
        # Halve the scale while the map spans fewer than the least steps: for a ratio in [2^k, 2^(k + 1)) that takes
        # k + 1 halvings. Its exponent is read off its bits, and 2^-halvings put together as bits: frexp and ldexp
        # take five times as long. An empty map is left at `base`.
        ratio = np.divide(_LEAST_STEPS * base, peaks, out=np.zeros(peaks.shape), where=peaks > 0)
        halvings = np.maximum((ratio.view(np.int64) >> 52) - 1022, 0)
        scales = ((1023 - halvings) << 52).view(np.float64) * base
        return np.maximum(scales.astype(np.float32), LEAST_SCALE)

    def peaks(self, maps: Float32) -> Float32:
        """Largest absolute value of each map, (n, C); raises BadMaps for values that no byte can encode."""
        cells = maps.reshape(*maps.shape[:-2], -1)
        starts = np.arange(0, cells.size, cells.shape[-1])
        if self.signed:
            # reduceat takes a third of the time of a reduction over a short last axis
            peaks = np.maximum(np.maximum.reduceat(cells.ravel(), starts), -np.minimum.reduceat(cells.ravel(), starts))
            if np.isfinite(peaks).all():
                return peaks.reshape(maps.shape[:-2])
        else:
            # Non-negative floats order like their bit patterns, and as unsigned integers everything else is larger:
            # infinity, NaN, and, by the sign, whatever is negative. One pass finds the peak and the invalid values.
            bits = np.maximum.reduceat(cells.ravel().view(np.uint32), starts)
            if bits.max() >= _INFINITY and cells.min() >= 0:  # a negative zero, nothing else (NaN is not >= 0)
                bits = (np.maximum.reduceat(cells.ravel(), starts) + np.float32(0)).view(np.uint32)
            if bits.max() < _INFINITY:
                return bits.view(np.float32).reshape(maps.shape[:-2])
        raise _refusal(cells, signed=self.signed)


def decode(quantised: UInt8, scale: Float32, *, zero_point: int = 0) -> Float32:
    """Values (..., y, x) float32 of quantised maps (..., y, x) uint8 with scales (...) float32."""
    values = quantised.astype(np.float32)
    if zero_point:
        values -= np.float32(zero_point)
    values *= np.asarray(scale, np.float32)[..., None, None]
    return values


def error_bound(scale: Float32) -> Float32:
    """Largest distance of a decoded value from the recorded one, same shape: half a step, and float32 rounding."""
    return np.asarray(scale, np.float32) * STATED_ERROR


def _refusal(cells: Float32, *, signed: bool) -> BadMaps:
    wrong = ~np.isfinite(cells)
    if not signed:
        wrong |= cells < 0
    image, class_index, cell = (int(i) for i in np.argwhere(wrong)[0])
    value = cells[image, class_index, cell]
    rule = "every value must be finite" if signed else "every value must be finite and not negative"
    return BadMaps(
        f"The map of image {image}, class {class_index} has {value} in cell {cell}: {rule}.",
        (image, class_index),
        negative=bool(np.isfinite(value)),
    )
