"""A grid of images on a page: its pages, its tiles, which open the quick look, and its sheet to download."""

from __future__ import annotations

import pandas as pd

from dashboard.shared import image_tiles, quick_look
from dashboard.shared.tile_sheets import sheet_button
from dashboard.shell import controls
from dashboard.shell.url_state import Selection


def image_grid(
    selection: Selection,
    rows: pd.DataFrame,
    *,
    key: str,
    which: str = image_tiles.PREDICTED,
    size: int = 92,
    overlay: bool = True,
    title: str = "",
    page: str = "",
    per_page: int = 20,
) -> None:
    """Draw some rows of the predictions as a grid; each tile opens its quick look.

    Args:
        selection: run, epoch, variant and scale.
        rows: of `data.predictions`, in the order of display.
        key: of the element.
        which: a key of `image_tiles.MAP_CHOICES`.
        size: edge of an image in CSS pixels.
        overlay: offer to lay the maps over the images; they start there where they were found to locate the object.
        title: of the sheet that can be downloaded; none is offered without one.
        page: the parameter of the URL with the number of the page; without one all rows are drawn.
        per_page: images on a page.
    """
    if page:
        rows = rows.iloc[controls.page(page, len(rows), per_page)]
    if rows.empty:
        image_tiles.no_images()
        return
    content = image_tiles.image_tiles(selection, rows, which=which, size=size, overlay=overlay)
    quick_look.image_set(content, key=key)
    if title:
        sheet_button(selection, content, title=title, key=key)
