"""Class maps to 8-bit display codes, on a scale that is always named.

Eq. 10 divides each map by its own maximum, which shows the pattern and hides the strength; the common scale divides
all maps shown together by one maximum, which shows both but leaves weak maps dark. The relief stretches each map from
its lowest to its highest cell: a class activation map carries a constant that would hide its pattern. A page says which
one is on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EQ10 = "eq10"
COMMON = "common"
RELIEF = "relief"
SCALES: dict[str, str] = {
    EQ10: "own maximum (Eq. 10)",
    COMMON: "one common maximum",
    RELIEF: "own lowest to highest",
}


@dataclass(frozen=True)
class ScaledMaps:
    """Maps ready to be looked up in a colour map.

    Attributes:
        codes: (..., H, W) uint8; 0 is the lowest value, or for signed maps 128 is zero.
        silent: (...) bool, True where a map is zero everywhere: it has nothing to say, which is not the same as weak.
        peaks: (...) float32, each map's largest magnitude in its unit.
        kind: a key of `SCALES`.
        signed: whether negative values occur, so that a diverging colour map belongs to the codes.
        maximum: the value of the brightest code on the common scale, in logits; None on the others.
        lowest, highest: (...) float32, each map's own ends in logits, on the scale `RELIEF`; None on the others.
    """

    codes: np.ndarray
    silent: np.ndarray
    peaks: np.ndarray
    kind: str
    signed: bool
    maximum: float | None
    lowest: np.ndarray | None = None
    highest: np.ndarray | None = None

    @property
    def low(self) -> str:
        """The legend's left end."""
        if self.kind == RELIEF:
            return "lowest"
        return "0" if not self.signed else ("−max" if self.maximum is None else f"−{self.maximum:.3g}")

    @property
    def high(self) -> str:
        """The legend's right end."""
        if self.kind == RELIEF:
            return "highest"
        return "max" if self.maximum is None else f"{self.maximum:.3g}"

    @property
    def label(self) -> str:
        """What the brightness means, in words."""
        if self.kind == RELIEF:
            return "each map from its own lowest to its highest cell"
        return "each map by its own maximum (Eq. 10)" if self.maximum is None else "all maps by one common maximum"


def scale_maps(maps: np.ndarray, *, kind: str = EQ10, signed: bool = False) -> ScaledMaps:
    """Class maps as display codes.

    Args:
        maps: (..., H, W) float, unit: logit.
        kind: `EQ10` (f_k / max f_k, the paper's Eq. 10), `COMMON` (f_k / the largest of all the maps given) or `RELIEF`
            ((f_k - min f_k) / (max f_k - min f_k), as Zhou's CAMs are usually drawn; zero has no colour of its own).
        signed: the model's maps may be negative; they are then divided by the largest magnitude.

    Raises:
        ValueError: `kind` is not a key of `SCALES`.
    """
    if kind not in SCALES:
        raise ValueError(f"Scale {kind!r} was asked for; there are {', '.join(SCALES)}.")
    maps = np.asarray(maps, np.float32)
    if kind == RELIEF and maps.size:
        return _relief(maps)
    peaks = map_peaks(maps)
    strength = np.abs(maps) if signed else np.maximum(maps, 0)
    own = strength.max((-1, -2), keepdims=True) if maps.size else np.zeros((*maps.shape[:-2], 1, 1), np.float32)
    largest = float(own.max(initial=0.0))
    divisor = own if kind == EQ10 else np.float32(largest)
    share = maps / np.where(divisor > 0, divisor, 1)
    codes = 128 + np.round(share * 127) if signed else np.round(np.clip(share, 0, 1) * 255)
    maximum = None if kind == EQ10 else largest
    return ScaledMaps(codes.astype(np.uint8), own[..., 0, 0] <= 0, peaks, kind, signed, maximum)


def map_peaks(maps: np.ndarray) -> np.ndarray:
    """The largest magnitude of each map, (..., H, W) -> (...)."""
    return np.abs(maps).max((-1, -2), initial=0)


def difference_kind(kind: str) -> str:
    """The scale for differences of maps that are drawn on scale `kind`: zero keeps its colour."""
    return EQ10 if kind == RELIEF else kind


def _relief(maps: np.ndarray) -> ScaledMaps:
    """Each map from its lowest to its highest cell; one that is the same everywhere is dark."""
    lowest, highest = maps.min((-1, -2)), maps.max((-1, -2))
    span = (highest - lowest)[..., None, None]
    share = (maps - lowest[..., None, None]) / np.where(span > 0, span, 1)
    peaks = np.maximum(np.abs(lowest), np.abs(highest))
    return ScaledMaps(np.round(share * 255).astype(np.uint8), peaks <= 0, peaks, RELIEF, False, None, lowest, highest)
