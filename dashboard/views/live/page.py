"""Live: your own image, passed through the network of any recorded epoch. The only page that needs PyTorch."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard import data
from dashboard.components.clipboard import clipboard_box
from dashboard.components.tiles import Tile, TileSet, tile_grid
from dashboard.images.maps import scale_maps
from dashboard.images.sheet import atlas
from dashboard.shared import image_tiles
from dashboard.shared.image_grid import image_grid
from dashboard.shared.theme import NEUTRAL, PREDICTION, code_span, escape_markdown, probability
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from store import Run
from store.metrics.maps import cosine
from store.read.source import path_state

if TYPE_CHECKING:
    from compute.live.predictor import Predictor

_SOURCES = {"file": "file", "clipboard": "clipboard", "camera": "camera", "record": "recorded image"}
_REFERENCES = {"none": "none", "gradcam": "Grad-CAM", "deconvnet": "deconvnet"}
_WEIGHTS = "checkpoints"  # the folder inside a run
_PREPARED = "live_image"  # in the session: the last image, so that a control's change does not decode it again


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    reason = _why_not(selection)
    if reason is not None:
        url_state.accept_unread(["source"])  # a link to another run's image is no wrong link
        st.info(reason[0], icon=f":material/{reason[1]}:")
        return
    own = os.environ.get("CLASSPRINT_NETWORKS", "").strip()
    if own:
        st.caption(f"Besides Classprint's own networks, a run may use those named at start: {escape_markdown(own)}.")
    image = _chosen_image(selection)
    if image is not None:
        _predict(selection, image)


def _why_not(selection: Selection) -> tuple[str, str] | None:
    """Why this run's network cannot be tried here and what to do, with an icon's name; None where it can.

    What no installation would mend comes before the advice to install PyTorch.
    """
    run, name = selection.run, escape_markdown(selection.name)
    if not isinstance(run.configuration.get("model"), dict):
        return f"Run “{name}” does not say which network it recorded, so no image can be passed through it.", "help"
    if not run.source.is_local:
        command = code_span(f"python -m store copy {run.source.location} runs/{run.path.name}")
        return (
            "This run is at a URL, and its weights are not fetched. To try its network, copy it to this machine: "
            f"{command}.",
            "cloud_download",
        )
    epochs = [epoch for epoch in run.epochs if (run.path / _WEIGHTS / f"{epoch:04d}.pt").exists()]
    if not epochs:
        return (
            f"Run “{name}” came without the weights of its network, so no image can be passed through it. They are in "
            f"the folder {code_span(_WEIGHTS)} of the run where it was recorded: copy that folder, too. A run of your "
            "own has them: `make compute`.",
            "folder_off",
        )
    if selection.epoch not in epochs:
        return (
            f"The weights of epoch {selection.epoch} were not kept. Choose one of these epochs at the side: "
            f"{', '.join(map(str, epochs))}.",
            "folder_off",
        )
    if importlib.util.find_spec("torch") is None:
        return (
            "This page runs the network, and PyTorch is not installed here. Run `pip install -r requirements.txt` to "
            "install it. All other pages work without it.",
            "extension_off",
        )
    return None


def _chosen_image(selection: Selection) -> np.ndarray | None:
    """An image from a file, the clipboard, the camera or the run, prepared as the run's; None until there is one."""
    source = controls.segmented("Image from", "source", _SOURCES)
    height, width = selection.run.image_shape
    if source == "record":
        image = selection.image or 0
        controls.number_input("Image", "image", 0, len(selection.run.labels) - 1, image)
        return selection.run.pixels([image], variant=selection.run.variants[0])[0]
    try:
        content = _content(source)
    except ValueError as error:
        st.error(escape_markdown(f"This image cannot be read: {error}"), icon=":material/broken_image:")
        return None
    st.caption(f"The image stays on this machine. It becomes {width}×{height} pixels, as the images of this run did.")
    if content is None:
        _no_image_yet()
        return None
    prepared, message = _prepared_image(selection.run, content)
    if prepared is None:
        st.error(escape_markdown(message), icon=":material/broken_image:")
    elif message:
        st.caption(escape_markdown(message))
    return prepared


def _prepared_image(run: Run, content: bytes) -> tuple[np.ndarray | None, str]:
    """The image as the run's were prepared and what was changed, or None and why not; kept for the session."""
    key = (run.id, hashlib.sha256(content).digest())
    if st.session_state.get(_PREPARED, (None,))[0] != key:
        st.session_state[_PREPARED] = key, _prepare(run, content)
    return st.session_state[_PREPARED][1]


def _prepare(run: Run, content: bytes) -> tuple[np.ndarray | None, str]:
    from compute.data.decode import recorded_preparation
    from compute.errors import ComputeError
    from compute.live.upload import prepare_upload

    try:
        upload = prepare_upload(content, recorded_preparation(run.description.preparation, run.image_shape))
    except ComputeError as error:
        return None, str(error)
    return upload.image, " ".join(upload.notes)


def _no_image_yet() -> None:
    st.info(
        "No image yet. Once there is one, this page shows the network's prediction, the maps of the five most probable "
        "classes beside the class patterns, the effect of a perturbation, and the recorded images with the most "
        "similar maps.",
        icon=":material/add_photo_alternate:",
    )
    controls.write_button("Try it with a recorded image", {"source": "record"}, icon=":material/science:")


def _content(source: str) -> bytes | None:
    if source == "clipboard":
        return clipboard_box(key="pasted")
    if source == "camera":
        file = st.camera_input("Take an image")
    else:
        from compute.data.decode import SUFFIXES

        file = st.file_uploader("An image (JPEG, PNG, WebP and others)", type=sorted(SUFFIXES))
    return None if file is None else file.getvalue()


@st.cache_resource(max_entries=4, show_spinner="Loading the network of this epoch …")
def _predictor(path: str, state: Hashable, epoch: int) -> Predictor:
    from compute.live.predictor import load_predictor  # torch: loaded only here, and only when the page is opened

    return load_predictor(path, epoch)


def _network_state(run: Run, epoch: int) -> Hashable:
    """What a loaded network holds for: a checkpoint that was exchanged is loaded again."""
    return run.state(epoch), *(path_state(path) for path in sorted((run.path / _WEIGHTS).glob("*")))


def _predict(selection: Selection, image: np.ndarray) -> None:
    from compute.errors import ComputeError, NotBuilt

    run = selection.run
    try:
        predictor = _predictor(str(run.path), _network_state(run, selection.epoch), selection.epoch)
        perturbed = _perturb(predictor, image)
        maps, chances = predictor.predict(np.stack([image, perturbed]))
    except NotBuilt as error:
        st.info(escape_markdown(str(error)), icon=":material/block:")
        return
    except ComputeError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    if not np.isfinite(maps).all():
        st.error("The network returns maps with infinite or undefined values, so there is no prediction.")
        return
    changed = not np.array_equal(image, perturbed)
    for number, title in enumerate(("The image as the network sees it", "The perturbed image")[: 1 + changed]):
        _strongest(
            selection, (image, perturbed)[number], maps[number], chances[number], title=title, key=f"live-{number}"
        )
    _reference(selection, predictor, image, int(chances[0].argmax()))
    _channel(selection, predictor, image, int(chances[0].argmax()))
    _similar_images(selection, maps[0], int(chances[0].argmax()))


def _perturb(predictor: Predictor, image: np.ndarray) -> np.ndarray:
    from compute.recording.perturbations import PERTURBATIONS

    with st.container(horizontal=True, vertical_alignment="bottom"):
        every = sorted(
            {f"strength_{strength.name}" for variant in PERTURBATIONS.values() for strength in variant.strengths}
        )
        name = controls.select(
            "Perturbation",
            "perturbation",
            {name: variant.label for name, variant in PERTURBATIONS.items()},
            default="clean",
            resets=every,
        )
        url_state.accept_unread(every)
        strengths = {
            strength.name: controls.number_slider(
                f"{strength.name} ({strength.unit})" if strength.unit else strength.name,
                f"strength_{strength.name}",
                float(strength.minimum),
                float(strength.maximum),
                float(strength.default),
            )
            for strength in PERTURBATIONS[name].strengths
        }
    return predictor.perturb(name, image, **strengths)


def _strongest(
    selection: Selection, image: np.ndarray, maps: np.ndarray, chances: np.ndarray, *, title: str, key: str
) -> None:
    """The image, and for its five most probable classes and the chosen one the map beside the class pattern."""
    run = selection.run
    names, identifiers = data.class_names(run), data.class_ids(run)
    prediction = int(chances.argmax())
    st.markdown(f"**{title}**: {escape_markdown(names[prediction])}, P {probability(float(chances[prediction]))}")
    order = np.argsort(-chances, kind="stable")[:5]
    if selection.class_index is not None and selection.class_index not in order:
        order = np.append(order, selection.class_index)  # the sidebar's class is shown whatever its rank
    patterns = data.patterns(run, selection.epoch, run.variants[0])[order]
    similarity = cosine(maps[order], patterns)
    size = "×".join(map(str, run.image_shape))
    own = Tile(id="image", title=f"at {size} pixels", lines=(f"network of epoch {selection.epoch}",), images=(0,))
    tiles = [
        Tile(
            id=identifiers[number],
            title=names[number],
            lines=(
                f"P {probability(float(chances[number]))} · similarity {similarity[place]:.2f}",
                "map, class pattern",
            ),
            maps=(2 * place, 2 * place + 1),
            bar=float(chances[number]),
            role=NEUTRAL if place else PREDICTION,
            href=url_state.link("gallery", {"class": identifiers[number], "image": None}),
        )
        for place, number in enumerate(order.tolist())
    ]
    both = np.stack([maps[order], patterns], axis=1)
    content = image_tiles.tile_set(selection, tiles, both, size=74)
    left, right = st.columns([1, 5])
    with left:
        tile_grid(TileSet((own,), images=atlas(image[None], exact=True), size=150, fixed=True), key=f"{key}-image")
    with right:
        tile_grid(content, key=key, on_open=url_state.open_class)


def _reference(selection: Selection, predictor: Predictor, image: np.ndarray, prediction: int) -> None:
    """Grad-CAM or the deconvnet for the prediction, only when chosen: each costs a backward pass."""
    wanted = controls.segmented("Compare with", "reference", _REFERENCES)
    if wanted == "none":
        return
    try:
        from compute.errors import ComputeError
        from compute.live.channels import deconvolution
        from compute.live.explain import explainable_layers, grad_cam

        if wanted == "gradcam":
            found = grad_cam(predictor, image, class_index=prediction)
        else:
            found = deconvolution(predictor, image, channel=prediction)
    except (ComputeError, ImportError) as error:
        st.info(escape_markdown(str(error)), icon=":material/help:")
        return
    name = data.class_names(selection.run)[prediction]
    if wanted == "gradcam":
        size = "×".join(map(str, found.shape))
        layer = explainable_layers(predictor)[-1]
        tile = Tile(id="reference", title="Grad-CAM", lines=(name, f"{size} cells, {layer}"), maps=(0,))
        content = TileSet((tile,), maps=scale_maps(found[None]), size=150)
    else:
        strength = float(np.abs(found).max()) or 1.0
        shown = np.round(128 + 127 * found / strength).astype(np.uint8)[None]
        tile = Tile(id="reference", title="Deconvnet", lines=(name, "gray is zero"), images=(0,))
        content = TileSet((tile,), images=atlas(shown, exact=True), size=150)
    tile_grid(replace(content, fixed=True, colours=selection.colours), key="reference")


def _channel(selection: Selection, predictor: Predictor, image: np.ndarray, prediction: int) -> None:
    """Draw it once the reader opens it: maximisation takes about a hundred passes through the network."""
    opened = st.expander("A single channel of any layer", key="live-channel", on_change="rerun")
    if not opened.open:
        url_state.accept_unread(["layer", "channel"])
        return
    from compute.errors import ComputeError
    from compute.live.channels import CLASSES, Channels, channel_layers, deconvolution, maximise

    with opened:
        try:
            layers = list(channel_layers(predictor))
            with st.container(horizontal=True, vertical_alignment="bottom"):
                layer = controls.select("Layer", "layer", layers, default=CLASSES, resets=("channel",))
                last = Channels(predictor, layer).count - 1
                default = prediction if last + 1 == len(selection.run.classes) else 0
                chosen = url_state.integer("channel", 0, last, default)
                controls.number_input("Channel", "channel", 0, last, chosen)
            seen = deconvolution(predictor, image, layer=layer, channel=chosen)
            driven, before, after = maximise(predictor, layer=layer, channel=chosen)
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


def _similar_images(selection: Selection, maps: np.ndarray, prediction: int) -> None:
    st.markdown("**Recorded images with the most similar maps of their prediction**")
    found = data.search_pattern(selection.run, maps[prediction], selection.epoch, selection.run.variants[0])
    frame = data.predictions(selection.run, selection.epoch, selection.run.variants[0])
    image_grid(selection, frame.iloc[found["image"].to_numpy()], key="live-relatives", size=84, overlay=False)


main()
