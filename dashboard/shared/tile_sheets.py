"""A grid of tiles as one PNG sheet to keep or print: images, maps, captions, and every scale with its name."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable

import numpy as np
from PIL import Image

from dashboard.components.tiles import TileSet, tile_grid
from dashboard.images.maps import DIVERGING, map_colours, map_images
from dashboard.images.sheet import Atlas, SheetTile, sheet
from dashboard.shared.downloads import captioned, file_button
from dashboard.shared.theme import LIGHT, rgb
from dashboard.shell.url_state import Selection

_WIDTH = 1500  # pixels that a sheet may be wide
_ROLE_COLOURS = {
    name: rgb(getattr(LIGHT, name)) for name in ("correct", "wrong", "true_class", "prediction", "neutral")
}


def sheet_button(selection: Selection, content: TileSet, *, title: str, key: str, caption: str = "") -> None:
    """A download of a grid as a PNG sheet, with the grid's caption beside it.

    Args:
        selection: run, epoch and variant, which the sheet's heading and file name carry.
        content: the grid.
        title: what is shown.
        key: of the element, and part of the file's name.
    """
    shown = f"run {selection.name}, epoch {selection.epoch}, {selection.variant_label}"
    with captioned(caption):
        file_button(
            "PNG sheet",
            lambda: tile_sheet(content, title=f"{title} — {shown}"),
            f"{file_part(selection.name)}-epoch{selection.epoch}-{selection.variant}-{key}.png",
            "image/png",
            icon=":material/grid_on:",
            key=f"sheet-{key}",
            disabled=not content.tiles,
        )


def grid_with_sheet(
    selection: Selection,
    content: TileSet,
    *,
    title: str,
    key: str,
    caption: str = "",
    on_open: Callable[[str], None] | None = None,
) -> None:
    """Draw a grid of tiles, and under it the download of it as a sheet; arguments as of `tile_grid`."""
    tile_grid(content, key=key, on_open=on_open)
    sheet_button(selection, content, title=title, key=key, caption=caption)


def file_part(name: str) -> str:
    """A name as part of a file's name: letters, digits, dots and dashes only."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"


def tile_sheet(content: TileSet, *, title: str, size: int = 96) -> bytes:
    """A grid as PNG bytes, with its title on top and every scale at its foot.

    Args:
        content: tiles, images and maps.
        title: set above the tiles.
        size: edge of one image or map in pixels.

    Raises:
        ValueError: there is no tile.
    """
    # Made from the tiles on the page, not from a second reading of the record: the sheet cannot differ from the page.
    photographs = split_atlas(content.images)
    colours = map_colours(content.maps, content.colours)
    maps, differences = map_images(content.maps, colours), map_images(content.differences, DIVERGING)
    tiles = []
    for tile in content.tiles:
        parts = ((photographs, tile.images), (maps, tile.maps), (differences, tile.differences))
        images = tuple(drawn[row] for drawn, rows in parts for row in rows)
        tiles.append(SheetTile(images, (tile.title, *tile.lines), _ROLE_COLOURS.get(tile.role)))
    legends = []
    if content.maps is not None:
        legends.append((colours, content.legend or content.maps.label))
    if content.differences is not None:
        legends.append((DIVERGING, content.difference_legend))
    if content.maps is not None and np.isnan(content.maps.peaks).any():
        legends[0] = (colours, f"{legends[0][1]}; gray: a map that the run does not keep")
    columns = max(1, _WIDTH // (content.parts * (size + 4) + 12))
    return sheet(tiles, title=title, size=size, columns=columns, legends=legends)


def split_atlas(atlas: Atlas | None) -> list[np.ndarray]:
    """The images of an atlas, each (height, width, 3) uint8, in their order; the empty places at its end too."""
    if atlas is None:
        return []
    content = base64.b64decode(atlas.uri.partition(",")[2])
    whole = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    rows = whole.shape[0] // atlas.height
    shape = (rows, atlas.height, atlas.columns, atlas.width, 3)
    return list(whole.reshape(shape).swapaxes(1, 2).reshape(-1, atlas.height, atlas.width, 3))
