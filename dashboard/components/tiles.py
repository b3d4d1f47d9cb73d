"""A grid of tiles: image, class maps, caption. A tile is a link; arrow keys walk; the overlay needs no round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dashboard.components.assets import identity, on_trigger, register, to_base64, to_json
from dashboard.images.maps import DIVERGING, ScaledMaps, colour_map, map_colours
from dashboard.images.sheet import Atlas

_GRID = register("tiles", "marking")


@dataclass(frozen=True)
class Tile:
    """One tile of a grid.

    Attributes:
        id: handed to `on_open` when the tile is clicked.
        title: first line of the caption.
        lines: further lines.
        images: rows in the atlas, drawn from left to right before the maps.
        maps: rows in the scaled maps, drawn from left to right.
        differences: rows in the signed difference maps, drawn after the maps.
        role: correct, wrong, true_class, prediction, neutral or nothing: the colour of the line under the images.
        bar: 0..1, drawn as a bar (a probability), or None.
        href: where the tile leads; without one it does nothing unless `opens` is set.
        opens: a click calls `on_open` although the tile is not a link.
        chosen: framed as the current one.
        marks: what people said about the image, on a badge.
    """

    id: str
    title: str
    lines: tuple[str, ...] = ()
    images: tuple[int, ...] = ()
    maps: tuple[int, ...] = ()
    differences: tuple[int, ...] = ()
    role: str = ""
    bar: float | None = None
    href: str = ""
    opens: bool = False
    chosen: bool = False
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TileSet:
    """Tiles with the images and maps that they refer to.

    Attributes:
        tiles: in reading order.
        images: the atlas with the photographs, if any.
        maps: (n, H, W) display codes, if any.
        colours: name of the colour map; signed maps always use the diverging one.
        size: edge of one image or map in CSS pixels, at least.
        overlay: None offers none; else whether maps start over the images (True) or beside them (False).
        fixed: keep the tiles at `size` instead of filling the width.
        legend: what brightness means; by default the name of the scale.
        differences: (n, H, W) signed display codes of differences between maps, if any, with a legend of their own.
        difference_legend: what they are differences of.
        marking: the marks that are offered for the tiles; None where they cannot be marked.
    """

    tiles: tuple[Tile, ...]
    images: Atlas | None = None
    maps: ScaledMaps | None = None
    colours: str = "magma"
    size: int = 92
    overlay: bool | None = None
    fixed: bool = False
    legend: str = ""
    differences: ScaledMaps | None = None
    difference_legend: str = "difference of the maps"
    marking: tuple[str, ...] | None = None

    @property
    def parts(self) -> int:
        """Images and maps side by side in the tile that has most of them, at least 1."""
        return max([1, *(len(tile.images) + len(tile.maps) + len(tile.differences) for tile in self.tiles)])

    @property
    def aspect(self) -> float:
        """Width of an image by its height: a map covers the whole image, so that it has the same shape on the page."""
        if self.images is not None:
            return self.images.width / self.images.height
        return 1.0 if self.maps is None else self.maps.codes.shape[-1] / self.maps.codes.shape[-2]

    def with_lines(self, lines: Iterable[Sequence[str]]) -> TileSet:
        """The same tiles with other lines under their titles."""
        tiles = tuple(replace(tile, lines=tuple(own)) for tile, own in zip(self.tiles, lines, strict=True))
        return replace(self, tiles=tiles)


def payload(content: TileSet) -> dict[str, Any]:
    """What travels to the browser for a grid; JSON-able."""
    parts = content.parts
    data: dict[str, Any] = {
        "tiles": [vars(tile) for tile in content.tiles],
        "atlas": vars(content.images) if content.images else None,
        "maps": _maps(content.maps),
        "differences": _maps(content.differences),
        "difference_table": to_base64(colour_map(DIVERGING)) if content.differences is not None else None,
        "table": to_base64(colour_map(map_colours(content.maps, content.colours))),
        "parts": parts,
        "tile": parts * content.size + 3 * (parts - 1),
        "overlay": content.overlay,
        "fixed": content.fixed,
        "aspect": content.aspect,
        "marking": content.marking,
        "legend": None,
    }
    if content.maps is not None:
        data["legend"] = content.maps.legend(content.legend)
    if content.differences is not None:
        each = "each by its own largest value" if content.differences.maximum is None else "one common scale, logits"
        data["difference_legend"] = content.differences.legend(f"{content.difference_legend}; {each}")
    return data | {"identity": identity(data)}


def _maps(scaled: ScaledMaps | None) -> dict[str, Any] | None:
    if scaled is None:
        return None
    codes = scaled.codes
    kept = np.isfinite(scaled.peaks)
    marks = [
        "silent" if silent else "" if there else "not kept" for silent, there in zip(scaled.silent, kept, strict=True)
    ]
    return {
        "codes": to_base64(codes),
        "height": codes.shape[-2],
        "width": codes.shape[-1],
        # Rounded: five digits are enough for the readout, and fewer bytes.
        "peaks": [round(float(peak), 5) for peak in np.nan_to_num(scaled.peaks)],
        "marks": marks,
        "full": scaled.maximum,  # of the brightest code; None: each map's own peak
        "signed": scaled.signed,
        "ends": _ends(scaled),
    }


def _ends(scaled: ScaledMaps) -> list[list[float]] | None:
    """Each map's lowest and highest value where the codes run from one to the other; else None."""
    if scaled.lowest is None or scaled.highest is None:
        return None
    return np.stack([scaled.lowest, scaled.highest], -1).astype(np.float64).round(5).tolist()


def tile_grid(
    content: TileSet,
    *,
    key: str,
    on_open: Callable[[str], None] | None = None,
    on_mark: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Draw a grid of tiles.

    Args:
        content: tiles, images and maps.
        key: of the element; the same key with other content redraws in place.
        on_open: called with a tile's id when it is clicked, before the page runs again.
        on_mark: called when selected tiles are marked, with images (their ids), mark, note and remove.
    """
    _GRID(
        key=key,
        data=to_json(payload(content)),
        on_open_change=on_trigger(key, "open", on_open),
        on_mark_change=on_trigger(key, "mark", on_mark),
    )
