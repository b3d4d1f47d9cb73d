"""Class maps to 8-bit codes on a scale that is always named, and codes to colours. Pure: numpy and Pillow.

Eq. 10 divides each map by its own maximum, which shows the pattern and hides the strength; the common scale divides
all maps shown together by one maximum, which shows both but leaves weak maps dark. The relief stretches each map from
its lowest to its highest cell: a class activation map carries a constant that would hide its pattern. A page says which
scale it uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

# Rows of colourmaps.png: magma (van der Walt and Smith 2015), cividis (Nunez, Anderton and Renslow 2018), gray,
# berlin (Crameri 2018), the diverging one: dark at zero, as the others are dark at their lowest value; and RdBu
# reversed (Brewer 2003), light at zero, for tables on a light page.
_ROWS = ("magma", "cividis", "gray", "berlin", "RdBu")
COLOUR_MAPS: tuple[str, ...] = ("magma", "cividis", "gray")
DIVERGING = "berlin"
DIVERGING_LIGHT = "RdBu"
_NOT_KEPT = 228  # gray, as no colour map has it: not a map of zeros
EQ10 = "eq10"
COMMON = "common"
RELIEF = "relief"
SCALES: dict[str, str] = {
    EQ10: "own maximum (Eq. 10)",
    COMMON: "one common maximum",
    RELIEF: "own lowest to highest",
}


@cache
def colour_map(name: str) -> np.ndarray:
    """The table of a perceptually uniform colour map.

    Args:
        name: one of `COLOUR_MAPS`, or `DIVERGING` for signed values.

    Returns:
        (256, 3) uint8, read-only; entry 0 is the lowest value (for `DIVERGING`, 128 is zero).

    Raises:
        ValueError: the name is not a colour map.
    """
    if name not in _ROWS:
        raise ValueError(f"There is no colour map {name!r}; there are {', '.join(_ROWS)}.")
    with Image.open(Path(__file__).with_name("colourmaps.png")) as image:
        table = np.array(image.convert("RGB"), np.uint8)[_ROWS.index(name)]
    table.flags.writeable = False
    return table


def visible_colours(number: int, *, dark: bool) -> np.ndarray:
    """Colours (number, 3) uint8 from weak to strong, the weakest of which stands out from a dark or a light page."""
    # Magma ends in the colour of one background or the other.
    return colour_map("magma")[np.linspace(*((70, 255) if dark else (212, 0)), number).round().astype(np.intp)]


def colour_bar(name: str, *, width: int) -> np.ndarray:
    """A horizontal bar of 12 pixels from lowest to highest value, (12, width, 3) uint8."""
    positions = np.linspace(0, 255, width).round().astype(np.intp)
    return np.broadcast_to(colour_map(name)[positions], (12, width, 3)).copy()


def upsample(codes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Map codes (H, W) uint8 enlarged to (height, width) by repeating each cell, which shows what was computed."""
    return np.asarray(Image.fromarray(codes).resize((size[1], size[0]), Image.Resampling.NEAREST), np.uint8)


def upsample_colours(pixels: np.ndarray, factor: int) -> np.ndarray:
    """An image (h, w, 3) enlarged by a whole number, each pixel repeated."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def colourise(codes: np.ndarray, name: str) -> np.ndarray:
    """Codes looked up in a colour map: (..., H, W) uint8 to (..., H, W, 3) uint8."""
    return colour_map(name)[codes]


@dataclass(frozen=True)
class ScaledMaps:
    """Maps ready to be looked up in a colour map.

    Attributes:
        codes: (..., H, W) uint8; 0 is the lowest value, or for signed maps 128 is zero.
        silent: (...) bool, True where a map is zero everywhere: which is not the same as weak.
        peaks: (...) float32, each map's largest magnitude in its unit; NaN where the run does not keep the map.
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
        text = "each map by its own maximum (Eq. 10)" if self.maximum is None else "all maps by one common maximum"
        return f"{text}; dark: the mean of all classes" if self.signed else text

    def legend(self, label: str = "") -> dict[str, str]:
        """Both ends of the legend and its label, by default the name of the scale: what a component shows."""
        return {"low": self.low, "high": self.high, "label": label or self.label}


def map_colours(maps: ScaledMaps | None, colours: str) -> str:
    """The colour map that maps are drawn in: the chosen one, but signed maps always in the diverging one."""
    return DIVERGING if maps is not None and maps.signed else colours


def scale_maps(maps: np.ndarray, *, kind: str = EQ10, signed: bool = False) -> ScaledMaps:
    """Class maps as display codes.

    Args:
        maps: (..., H, W) float, unit: logit; NaN where the run does not keep a map.
        kind: `EQ10` (f_k / max f_k, the paper's Eq. 10), `COMMON` (f_k / the largest of all the maps given) or `RELIEF`
            ((f_k - min f_k) / (max f_k - min f_k), as Zhou's CAMs are usually drawn; zero has no colour of its own).
        signed: the model's maps may be negative; they are then divided by the largest magnitude.

    Raises:
        ValueError: `kind` is not a key of `SCALES`.
    """
    if kind not in SCALES:
        raise ValueError(f"There is no scale {kind!r}; there are {', '.join(SCALES)}.")
    maps = np.asarray(maps, np.float32)
    peaks = map_peaks(maps)
    maps = np.nan_to_num(maps)  # drawn as zero, and marked as not kept by its peak
    if kind == RELIEF and maps.size:
        return _relief(maps, peaks)
    strength = np.abs(maps) if signed else np.maximum(maps, 0)
    own = strength.max((-1, -2), keepdims=True) if maps.size else np.zeros((*maps.shape[:-2], 1, 1), np.float32)
    largest = float(own.max(initial=0.0))
    divisor = own if kind == EQ10 else np.float32(largest)
    share = maps / np.where(divisor > 0, divisor, 1)
    codes = 128 + np.round(share * 127) if signed else np.round(np.clip(share, 0, 1) * 255)
    maximum = None if kind == EQ10 else largest
    silent = (own[..., 0, 0] <= 0) & ~np.isnan(peaks)
    return ScaledMaps(codes.astype(np.uint8), silent, peaks, kind, signed, maximum)


def map_images(maps: ScaledMaps | None, colours: str) -> list[np.ndarray]:
    """Maps (n, H, W) in their colours, each (H, W, 3) uint8; one that the run does not keep is gray."""
    if maps is None:
        return []
    absent = np.full((*maps.codes.shape[-2:], 3), _NOT_KEPT, np.uint8)
    known = np.isfinite(maps.peaks)
    return [colourise(code, colours) if kept else absent for code, kept in zip(maps.codes, known, strict=True)]


def map_peaks(maps: np.ndarray) -> np.ndarray:
    """The largest magnitude of each map, (..., H, W) -> (...)."""
    return np.abs(maps).max((-1, -2), initial=0)


def difference_kind(kind: str) -> str:
    """The scale for differences of maps that are drawn on scale `kind`: zero keeps its colour."""
    return EQ10 if kind == RELIEF else kind


def _relief(maps: np.ndarray, peaks: np.ndarray) -> ScaledMaps:
    """Each map from its lowest to its highest cell; one that is the same everywhere is dark."""
    lowest, highest = maps.min((-1, -2)), maps.max((-1, -2))
    span = (highest - lowest)[..., None, None]
    share = (maps - lowest[..., None, None]) / np.where(span > 0, span, 1)
    return ScaledMaps(np.round(share * 255).astype(np.uint8), peaks <= 0, peaks, RELIEF, False, None, lowest, highest)
