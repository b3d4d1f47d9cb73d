"""Maps as bytes: eight bits a cell and one step per map, `value = (code - zero) * step`.

The step is the free choice of the encoder. `precision` names the choice:

- "map": every map's own largest value / 255. The finest, and the largest on disk.
- "compact": as "image", with steps twice as long: the image's largest value / 127, at least 15 steps a map.
- "image": one step for all maps of an image, its largest value / 255, halved for a weaker map until that map spans
  at least 31 steps. Weak maps, most of all maps, then take few distinct codes, and the steps of an image are powers
  of two apart, so that both compress well.

Signed maps use codes 1..255 around zero = 128, unsigned ones 0..255 and zero = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.errors import BadMaps
from store.format.schema import PRECISIONS

# Precision -> steps that the largest value of an image, and every other map with evidence, spans at least.
_LEVELS = {"image": (255, 31), "compact": (127, 15)}
# The smallest normal float32: below it a step would lose its own digits (and its inverse would be infinite).
LEAST_STEP = np.float32(2.0**-126)
# Half a step is the distance to the nearest code; the rest is float32 rounding of the division and of the product.
STATED_ERROR = np.float32(0.5001)
_INFINITY = np.float32(np.inf).view(np.uint32)

Codes = NDArray[np.uint8]
Float32 = NDArray[np.float32]


def zero_point(signed: bool) -> int:
    """The byte that stands for 0: in the middle where maps may be negative, else 0."""
    return 128 if signed else 0


@dataclass(frozen=True)
class Quantiser:
    """How the maps of one run become codes."""

    signed: bool = False
    precision: str = "image"

    def __post_init__(self) -> None:
        """Refuse a precision that does not exist."""
        if self.precision not in PRECISIONS:
            raise ValueError(f"Precision {self.precision!r} is unknown: choose one of {', '.join(PRECISIONS)}.")

    @property
    def zero_point(self) -> int:
        """The byte that stands for 0."""
        return zero_point(self.signed)

    @property
    def levels(self) -> int:
        """Steps from 0 to the largest value that a code can stand for."""
        return 127 if self.signed else 255

    def encode(
        self, maps: Float32, *, scratch: Float32 | None = None, out: Codes | None = None
    ) -> tuple[Codes, Float32]:
        """Codes (n, C, H, W) uint8 and steps (n, C) float32 of maps (n, C, H, W) float32.

        Every decoded value lies within `error_bound(step)` of the value given.

        Args:
            maps: C-contiguous; non-negative unless `signed`.
            scratch: an array of the same shape to work in. Fresh memory costs more than the arithmetic here.
            out: an array of the same shape for the codes.

        Raises:
            BadMaps: NaN, infinity, or a negative value in an unsigned run; names the image (its place
                in this block) and the class.
        """
        steps = self._steps(_peaks(maps, signed=self.signed))
        scaled = np.empty(maps.shape, np.float32) if scratch is None else scratch
        # Spread first, multiplied then: numpy copies short rows faster than it multiplies them by a number each.
        np.copyto(scaled, (np.float32(1) / steps)[..., None, None])
        np.multiply(maps, scaled, out=scaled)
        np.rint(scaled, out=scaled)
        if self.signed:
            scaled += self.zero_point
        codes = np.empty(maps.shape, np.uint8) if out is None else out
        np.copyto(codes, scaled, casting="unsafe")
        return codes, steps

    def _steps(self, peaks: Float32) -> Float32:
        if self.precision == "map":
            return np.maximum(peaks / np.float32(self.levels), LEAST_STEP)
        largest = peaks.max(-1, keepdims=True).astype(np.float64)
        whole, least = (min(levels, self.levels) for levels in _LEVELS[self.precision])
        base = np.maximum(largest / whole, LEAST_STEP)
        # Halve the step while the map spans fewer than `least` of them: for a ratio in [2^k, 2^(k + 1)) that takes
        # k + 1 halvings. Its exponent is read off its bits, and 2^-halvings put together as bits: frexp and ldexp
        # take five times as long. An empty map is left at `base`.
        ratio = np.divide(least * base, peaks, out=np.zeros(peaks.shape), where=peaks > 0)
        halvings = np.maximum((ratio.view(np.int64) >> 52) - 1022, 0)
        steps = ((1023 - halvings) << 52).view(np.float64) * base
        return np.maximum(steps.astype(np.float32), LEAST_STEP)


def decode(codes: Codes, steps: Float32, *, zero_point: int = 0) -> Float32:
    """Values (..., y, x) float32 of codes (..., y, x) uint8 with steps (...) float32."""
    values = codes.astype(np.float32)
    if zero_point:
        values -= np.float32(zero_point)
    values *= np.asarray(steps, np.float32)[..., None, None]
    return values


def error_bound(steps: Float32) -> Float32:
    """Largest distance of a decoded value from the recorded one, same shape: half a step, and float32 rounding."""
    return np.asarray(steps, np.float32) * STATED_ERROR


def _peaks(maps: Float32, *, signed: bool) -> Float32:
    """Largest absolute value of each map, (n, C); refuses what has no code."""
    cells = maps.reshape(*maps.shape[:-2], -1)
    starts = np.arange(0, cells.size, cells.shape[-1])
    if signed:
        # reduceat takes a third of the time of a reduction over a short last axis
        peaks = np.maximum(np.maximum.reduceat(cells.ravel(), starts), -np.minimum.reduceat(cells.ravel(), starts))
        if np.isfinite(peaks).all():
            return peaks.reshape(maps.shape[:-2])
    else:
        # Non-negative floats order like their bit patterns, and as unsigned integers everything else is larger:
        # infinity, NaN, and, by the sign, whatever is negative. One pass finds the peak and what has no code.
        bits = np.maximum.reduceat(cells.ravel().view(np.uint32), starts)
        if bits.max() >= _INFINITY and cells.min() >= 0:  # a negative zero, nothing else (NaN is not >= 0)
            bits = (np.maximum.reduceat(cells.ravel(), starts) + np.float32(0)).view(np.uint32)
        if bits.max() < _INFINITY:
            return bits.view(np.float32).reshape(maps.shape[:-2])
    raise _refusal(cells, signed=signed)


def _refusal(cells: Float32, *, signed: bool) -> BadMaps:
    wrong = ~np.isfinite(cells)
    if not signed:
        wrong |= cells < 0
    image, class_index, cell = (int(i) for i in np.argwhere(wrong)[0])
    value = cells[image, class_index, cell]
    rule = "every value must be finite" if signed else "every value must be finite and not negative"
    return BadMaps(
        f"The map of image {image}, class {class_index} holds {value} in cell {cell}: {rule}.", image, class_index
    )
