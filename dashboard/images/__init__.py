"""Arrays to images: colour maps, scales, overlays, atlases and sheets. Pure: numpy and Pillow, no Streamlit."""

from __future__ import annotations

from dashboard.images.atlas import Atlas, atlas, png_bytes
from dashboard.images.colours import COLOUR_MAPS, DIVERGING, DIVERGING_LIGHT, colour_bar, colour_map
from dashboard.images.overlay import colourise, overlay, upsample
from dashboard.images.scale import COMMON, EQ10, RELIEF, SCALES, ScaledMaps, difference_kind, map_peaks, scale_maps
from dashboard.images.sheet import SheetTile, sheet
from dashboard.images.upload import prepared

__all__ = [
    "COLOUR_MAPS",
    "COMMON",
    "DIVERGING",
    "DIVERGING_LIGHT",
    "EQ10",
    "RELIEF",
    "SCALES",
    "Atlas",
    "ScaledMaps",
    "SheetTile",
    "atlas",
    "colour_bar",
    "colour_map",
    "colourise",
    "difference_kind",
    "map_peaks",
    "overlay",
    "png_bytes",
    "prepared",
    "scale_maps",
    "sheet",
    "upsample",
]
