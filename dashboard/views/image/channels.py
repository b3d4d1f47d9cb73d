"""Section of the Image page: one channel of a recorded layer, and the part of the image that a cell of it sees."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import data
from dashboard.components.tiles import Tile, TileSet
from dashboard.images.maps import scale_maps, upsample_colours
from dashboard.images.sheet import atlas
from dashboard.shared.theme import escape_markdown
from dashboard.shared.tile_sheets import grid_with_sheet
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from store.queries.receptive_field import MAPS, ReceptiveField, receptive_field

_ENLARGED = 256  # pixels that the image with its box is drawn with, at least
_COLOUR = (255, 140, 0)


def channel(selection: Selection, image: int) -> None:
    """Controls for layer, channel and cell, then the channel's output and the cell's receptive field."""
    run = selection.run
    layers = {name: values[0] for name, values in data.layers(run, selection.epoch, image).items()}
    if run.has_maps:
        layers[MAPS] = data.all_maps(run, selection.epoch, run.variants[0], image)
    if not layers:
        return
    names = ("layer", "channel", "cell")
    opened = st.expander(
        "A single channel, and what a cell of it sees",
        expanded=any(name in st.query_params for name in names),
        key="image-channel",
        on_change="rerun",
    )
    if not opened.open:
        url_state.accept_unread(names)
        return
    with opened:
        _opened(selection, image, layers)


def _opened(selection: Selection, image: int, layers: dict[str, np.ndarray]) -> None:
    run = selection.run
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = controls.segmented("Layer", "layer", list(layers), resets=("channel", "cell"))
        channels = layers[layer]
        frame = data.predictions(run, selection.epoch, run.variants[0])
        # An encoder also has a channel for each class, but the decoder mixes them: they belong to no class.
        of_classes = layer in ("decoder", MAPS) and len(channels) == len(run.classes)
        strongest = int(np.nanargmax(np.abs(channels).reshape(len(channels), -1).max(1)))
        default = int(frame["prediction"].iloc[image]) if of_classes else strongest
        chosen = url_state.integer("channel", 0, len(channels) - 1, default)
        controls.number_input("Channel", "channel", 0, len(channels) - 1, chosen, resets=("cell",))
        values = channels[chosen]
        if not np.isfinite(values).all():
            st.info("The map of this class is not kept for this image.", icon=":material/grid_off:")
            return
        cell = url_state.integer("cell", 0, values.size - 1, int(np.abs(values).argmax()))
        controls.number_input("Cell", "cell", 0, values.size - 1, cell)
    row, column = divmod(cell, values.shape[1])
    seen = receptive_field(run, layer, row, column)
    tiles = [
        Tile(
            id="channel",
            title=f"{layer}, channel {chosen}",
            lines=("×".join(map(str, values.shape)), f"largest {values.max():.3g}, mean {values.mean():.3g}"),
            maps=(0,),
        )
    ]
    pixels = None
    if seen is not None:
        pixels = _boxed(run.pixels([image], run.variants[0])[0], seen)
        size = f"{seen.bottom - seen.top}×{seen.right - seen.left} pixels"
        tiles.append(Tile(id="field", title=f"seen by cell ({row}, {column})", lines=(size,), images=(0,)))
    content = TileSet(
        tuple(tiles),
        maps=scale_maps(values[None].astype(np.float32), signed=run.signed),
        images=None if pixels is None else atlas(pixels[None], exact=True),
        size=150,
        colours=selection.colours,
    )
    caption = _words(selection, seen, chosen if of_classes else None)
    title = f"Image {image}, {layer}, channel {chosen}"
    grid_with_sheet(selection, content, title=title, key="channel", caption=caption)


def _words(selection: Selection, seen: ReceptiveField | None, class_index: int | None) -> str:
    name = "" if class_index is None else escape_markdown(data.class_names(selection.run)[class_index])
    whose = f"This channel leads to {name}. " if name else ""
    if seen is None:
        return f"{whose}Clean image. What a cell sees is not known for this network. Cells count in reading order."
    return (
        f"{whose}Clean image; cells count in reading order, and the strongest is preselected. The box is what it sees, "
        f"its receptive field (Eq. 7): {seen.side} pixels a side, cut at the edge of the image."
    )


def _boxed(pixels: np.ndarray, seen: ReceptiveField) -> np.ndarray:
    """The image (h, w, 3), enlarged, with a frame around the pixels that are seen."""
    factor = max(1, -(-_ENLARGED // min(pixels.shape[:2])))
    large = upsample_colours(pixels, factor)
    width = max(2, large.shape[0] // 100)
    rows, columns = slice(seen.top * factor, seen.bottom * factor), slice(seen.left * factor, seen.right * factor)
    inside = np.zeros(large.shape[:2], bool)
    inside[rows, columns] = True
    inside[rows, columns][width:-width, width:-width] = False
    large[inside] = _COLOUR
    return large
