"""Section of the Live page: a single channel, or a class, by the deconvnet and by the image that drives it most."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import data
from dashboard.components.tiles import Tile, TileSet, tile_grid
from dashboard.images.sheet import atlas
from dashboard.shared.theme import escape_markdown
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection


def channel(selection: Selection, predictor: object, image: np.ndarray, prediction: int) -> None:
    """Draw it once the reader opens it: maximisation takes about a hundred passes through the network."""
    opened = st.expander("A single channel of any layer", key="live-channel", on_change="rerun")
    if not opened.open:
        url_state.accept_unread(["layer", "channel"])
        return
    from compute.errors import ComputeError
    from compute.live.channels import CLASSES, channel_count, channel_deconvolution, channel_layers, maximise

    with opened:
        try:
            layers = list(channel_layers(predictor))  # type: ignore[arg-type]
            with st.container(horizontal=True, vertical_alignment="bottom"):
                layer = controls.select("Layer", "layer", layers, default=CLASSES, resets=("channel",))
                last = channel_count(predictor, layer) - 1  # type: ignore[arg-type]
                default = prediction if last + 1 == len(selection.run.classes) else 0
                chosen = url_state.integer("channel", 0, last, default)
                controls.number_input("Channel", "channel", 0, last, chosen)
            seen = channel_deconvolution(predictor, image, layer=layer, channel=chosen)  # type: ignore[arg-type]
            driven, before, after = maximise(predictor, layer=layer, channel=chosen)  # type: ignore[arg-type]
        except (ComputeError, ImportError) as error:
            st.info(escape_markdown(str(error)), icon=":material/help:")
            return
        strength = float(np.abs(seen).max()) or 1.0
        shown = np.stack([np.round(128 + 127 * seen / strength).astype(np.uint8), driven])
        name = f"{layer}, channel {chosen}"
        if last + 1 == len(selection.run.classes):
            name = data.class_names(selection.run)[chosen]
        tiles = (
            Tile(id="deconvnet", title="Deconvnet", lines=(name, "gray is zero"), images=(0,)),
            Tile(id="maximised", title="Drives it most", lines=(name, f"mean {before:.3g} → {after:.3g}"), images=(1,)),
        )
        tile_grid(TileSet(tiles, images=atlas(shown, exact=True), size=200, fixed=True), key="live-channel-tiles")
        st.caption(
            "Left: what in this image drives the channel (Zeiler and Fergus 2014). Right: an image found by gradient "
            "ascent from noise, with decay and blur (Yosinski et al. 2015); it does not depend on your image."
        )
