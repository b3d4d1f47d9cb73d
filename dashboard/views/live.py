"""Live: your own picture through any recorded epoch. The only page that runs the network, and so needs torch."""

from __future__ import annotations

import importlib.util

import numpy as np
import streamlit as st
from PIL import Image, UnidentifiedImageError

from dashboard import controls, data, galleries, state
from dashboard.components import Tile, TileSet, tile_grid
from dashboard.images import atlas, prepared, scale_maps
from dashboard.state import Selection
from dashboard.theme import NEUTRAL, PREDICTION, probability, variant_name


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    if importlib.util.find_spec("torch") is None:
        st.info(
            "This page runs the network itself and needs PyTorch, which is not installed here. `pip install -r "
            "requirements.txt` brings it; all other pages work without.",
            icon=":material/extension_off:",
        )
        return
    if not isinstance(selection.run.configuration.get("model"), dict):
        st.info(
            f"“{selection.name}” does not say which network made it, so no picture can be sent through it.",
            icon=":material/help:",
        )
        return
    picture = _chosen_picture(selection)
    if picture is not None:
        _answer(selection, picture)


def _chosen_picture(selection: Selection) -> np.ndarray | None:
    """A picture from a file, the camera or the record, at the size of the run; None until there is one."""
    source = controls.segmented("Picture from", "source", ["a file", "the camera", "the record"])
    height, width = selection.run.picture_shape
    if source == "the record":
        image = selection.image or 0
        controls.number("Picture", "image", 0, len(selection.run.labels) - 1, image)
        return selection.run.pictures([image], variant=selection.run.variants[0])[0]
    if source == "a file":
        file = st.file_uploader("A picture (JPEG, PNG, WebP)", type=["jpg", "jpeg", "png", "webp", "bmp", "gif"])
    else:
        file = st.camera_input("Take a picture")
    st.caption(f"It stays on this machine. It is cut to a square from the middle and resized to {width}×{height}.")
    if file is None:
        return None
    try:
        return prepared(file.getvalue(), (height, width))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        st.error(f"“{file.name}” cannot be read as a picture: {error}", icon=":material/broken_image:")
        return None


@st.cache_resource(max_entries=4, show_spinner="Loading the network of this epoch …")
def _predictor(path: str, run_id: str, epoch: int) -> object:
    from compute.live import load_predictor  # torch: loaded only here, and only when the page is opened

    return load_predictor(path, epoch)


def _answer(selection: Selection, picture: np.ndarray) -> None:
    from compute.errors import ComputeError

    run = selection.run
    try:
        predictor = _predictor(str(run.path), run.id, selection.epoch)
        perturbed = _perturb(predictor, picture)
        maps, chances = predictor.predict(np.stack([picture, perturbed]))  # type: ignore[attr-defined]
    except ComputeError as error:
        st.error(str(error), icon=":material/error:")
        return
    changed = not np.array_equal(picture, perturbed)
    for number in range(2 if changed else 1):
        st.markdown("**The perturbed picture**" if number else "**The picture as the network sees it**")
        _strongest(selection, (picture, perturbed)[number], maps[number], chances[number], key=f"live-{number}")
    _relatives(selection, maps[0], int(chances[0].argmax()))


def _perturb(predictor: object, picture: np.ndarray) -> np.ndarray:
    from compute.variants import VARIANTS

    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = controls.select("Perturbation", "perturbation", list(VARIANTS), default="clean", names=variant_name)
        strengths = {}
        for strength in VARIANTS[name].strengths:
            strengths[strength.name] = st.slider(
                f"{strength.name} ({strength.unit})" if strength.unit else strength.name,
                float(strength.minimum),
                float(strength.maximum),
                float(strength.default),
                key=f"strength-{name}-{strength.name}",
            )
    return predictor.variant(name, picture, **strengths)  # type: ignore[attr-defined]


def _strongest(selection: Selection, picture: np.ndarray, maps: np.ndarray, chances: np.ndarray, *, key: str) -> None:
    """The picture and the maps of its five strongest classes."""
    names, identifiers = data.class_names(selection.run), data.class_ids(selection.run)
    order = np.argsort(-chances, kind="stable")[:5]
    tiles = [Tile(id="picture", title="your picture", pictures=(0,))]
    tiles += [
        Tile(
            id=identifiers[number],
            title=names[number],
            lines=(f"P {probability(float(chances[number]))}",),
            maps=(place,),
            bar=float(chances[number]),
            role=NEUTRAL if place else PREDICTION,
            href=state.link("gallery", {"class": identifiers[number], "image": None}),
        )
        for place, number in enumerate(order.tolist())
    ]
    content = TileSet(
        tiles=tuple(tiles),
        pictures=atlas(picture[None], exact=True),
        maps=scale_maps(maps[order], kind=selection.scale, signed=selection.run.signed),
        peaks=np.abs(maps[order]).max((-1, -2), initial=0),
        colours=selection.colours,
        size=130,
    )
    tile_grid(content, key=key, on_open=state.open_class)


def _relatives(selection: Selection, maps: np.ndarray, prediction: int) -> None:
    st.markdown("**The recorded pictures whose answer's map is most like this one's**")
    found = data.search_pattern(selection.run, maps[prediction], selection.epoch, selection.run.variants[0])
    frame = data.predictions(selection.run, selection.epoch, selection.run.variants[0])
    galleries.picture_grid(
        selection, frame.iloc[found["image"].to_numpy()], key="live-relatives", size=84, overlay=None
    )


main()
