"""Image: everything that was recorded about one image."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.correction import correction_panels
from dashboard.components.tiles import tile_grid
from dashboard.marks.marked_images import MarkedImages
from dashboard.shared import downloads, marking, one_image, run_facts
from dashboard.shared.class_tiles import class_tiles
from dashboard.shared.image_grid import image_grid
from dashboard.shared.theme import code_span, count, escape_markdown, plural
from dashboard.shared.tile_sheets import grid_with_sheet
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.image import parts
from dashboard.views.image.channels import channel
from dashboard.views.image.charts import class_place, probability_curve
from store import Run
from store.queries import MinimalCorrection
from store.rates import rate

_LOCALISATION = {
    "neither": "The maps of this run do not follow the object (see Trust), so they are shown beside the image.",
    "encodes": "The maps of this run encode the class and do not locate the object (see Trust), so they are shown "
    "beside the image.",
    "locates": "The maps of this run follow the object (see Trust), so they are shown over the image.",
    "unknown": "Whether the maps of this run locate the object was not measured, so they are shown beside the image.",
}
_BESIDE, _OVER = "beside", "over"
_LAYOUTS = {_BESIDE: "beside the image", _OVER: "over the image"}
_ESTIMATE = (
    "An estimate: this run's maps add up to the logits, but removing a cell would also change the rest of the head, "
    "which is held fixed here."
)
_OF_THE_IMAGE = ("cells", "against", "classes", "channel", "cell")  # reset when another image is chosen
_ORDERS = {"probability": "probability", "peak": "peak of the map", "group": "group", "name": "name"}
_CLASSES_PER_PAGE = 42  # three rows: a thousand tiles would make a page of 15,000 pixels


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    frame = data.predictions(*selection.key)
    image = selection.image if selection.image is not None else _default_image(frame, selection.class_index)
    row = frame.iloc[image]
    _chooser(selection, frame, image)
    marking.of_image(MarkedImages(selection.run), image, key="image")
    over = _strongest_classes(selection, image, row)
    has_maps = selection.run.has_maps
    describable = has_maps and not data.is_degenerate(*selection.key)
    if len(selection.run.classes) > 1 and describable:
        _correction(selection, image, row)
    _over_epochs(selection, image, row)
    if len(selection.run.variants) > 1:
        _under_perturbations(selection, image)
    _through_layers(selection, image, over=over)
    if describable:
        left, right = st.columns(2)
        with left:
            _within_class(selection, image, frame)
        with right:
            _similar_images(selection, image, frame)
    _all_classes(selection, image)


def _default_image(frame: pd.DataFrame, class_index: int | None) -> int:
    """The most confident mistake, of the chosen class if it has images; else the most confident prediction."""
    own = frame if class_index is None else frame[frame["label"] == class_index]
    among = own if len(own) else frame
    wrong = among[~among["correct"]]
    return int((wrong if len(wrong) else among)["confidence"].idxmax())


def _chooser(selection: Selection, frame: pd.DataFrame, image: int) -> None:
    last, row = len(frame) - 1, frame.iloc[image]
    same_class = np.flatnonzero(selection.run.labels == selection.run.labels[image])
    within = selection.class_index == row.label  # previous and next stay in the class of the sidebar
    browsed = same_class if within else np.arange(last + 1)
    here = int(np.searchsorted(browsed, image))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _step("Previous", ":material/chevron_left:", "j", int(browsed[here - 1]) if here else None)
        _step("Next", ":material/chevron_right:", "k", int(browsed[here + 1]) if here + 1 < len(browsed) else None)
        controls.number_input("Image", "image", 0, last, image, resets=_OF_THE_IMAGE)
        own_class = {"class": data.class_ids(selection.run)[int(row.label)]}
        controls.page_link("gallery", f"All images of {escape_markdown(row.true_class)}", own_class)
    place = int(np.searchsorted(same_class, image)) + 1
    kind = f"{'prediction' if row.correct else 'mistake'}{' of the class' if within else ''}"
    default = "" if selection.image is not None else f"No image is chosen; this is the most confident {kind}. "
    st.caption(
        f"{default}{code_span(row['name'])} · image {count(image)} of 0 to {count(last)} · "
        f"number {place} of {len(same_class)} in its class" + (f", {escape_markdown(row.group)}" if row.group else "")
    )


def _step(label: str, icon: str, shortcut: str, image: int | None) -> None:
    changes = None if image is None else {"image": image, **dict.fromkeys(_OF_THE_IMAGE)}
    controls.write_button(label, changes, icon=icon, shortcut=shortcut, key=f"image-{label}")


def _strongest_classes(selection: Selection, image: int, row: pd.Series) -> bool:
    """The image and the maps of its most probable classes; returns whether the maps lie over the image."""
    localisation = data.localisation(selection.run)
    left, right = st.columns([2, 5])
    with left:
        tile_grid(one_image.input_tile(selection, image), key="input")
    with right:
        order = one_image.ranked_classes(selection, image)
        top = order[:5]
        shown = top if int(row.label) in top else np.append(top, int(row.label))
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            titles = {1: "The only class", 2: "Both classes", 5: "The five most probable classes"}
            title = titles.get(len(top), f"The {len(top)} classes")
            st.markdown(f"**{title}**" if len(shown) == len(top) else f"**{title}, and the true class**")
            # A map over an image suggests that it locates the object: the default only if that was measured.
            first = _OVER if localisation == "locates" else _BESIDE
            layouts = {first: _LAYOUTS[first]} | _LAYOUTS
            over = selection.run.has_maps and controls.segmented("Maps", "maps", layouts) == _OVER
        content = one_image.class_tiles(selection, image, shown, size=112 if len(shown) < 6 else 92, over=over)
        explained = run_facts.evidence_text(selection.run)
        if selection.run.has_maps:
            explained = (
                f"{run_facts.logit_text(selection.run)} P is the softmax of the logits (Eq. 4): nothing else enters "
                f"the prediction. {_LOCALISATION[localisation]}"
            )
        title = f"Image {image}"
        grid_with_sheet(selection, content, title=title, key="top5", caption=explained, on_open=url_state.open_class)
    return over


def _correction(selection: Selection, image: int, row: pd.Series) -> None:
    st.subheader(
        "Which cells cause the mistake?" if not row.correct else "Which cells decide the prediction?", anchor=False
    )
    left, right = st.columns([2, 5], vertical_alignment="bottom")
    with left:
        correction = _compared_class(selection, image, row)
    with right:
        if not run_facts.is_exact(selection.run):
            st.info(_ESTIMATE, icon=":material/info:")
        st.markdown(parts.minimal_correction_text(correction, data.class_names(selection.run)))
    cells = len(correction.order)
    start = url_state.integer("cells", 0, cells, correction.cells)
    correction_panels(
        parts.correction_content(selection, image, correction, start=start),
        key="correction_panels",
        on_rest=lambda out: url_state.write({"cells": None if out == correction.cells else out}),
    )
    st.caption(parts.consistency_text(correction, exact=run_facts.is_exact(selection.run)))


def _compared_class(selection: Selection, image: int, row: pd.Series) -> MinimalCorrection:
    """The prediction compared with the true class, with the runner-up if it is correct, or with a chosen class."""
    run = selection.run
    identifiers = data.class_ids(run)
    default = int(row.runner_up) if row.correct else int(row.label)
    kept = set(one_image.ranked_classes(selection, image, kept=True).tolist()) - {int(row.prediction)}
    labels = _labels(run, {"true class": row.label, "runner-up": row.runner_up})
    chosen = controls.select(
        f"Compare {escape_markdown(row.predicted_class)} with",
        "against",
        {identifier: labels[identifier] for number, identifier in enumerate(identifiers) if number in kept},
        default=identifiers[default],
        resets=("cells",),
    )
    return data.minimal_correction(run, image, selection.epoch, selection.variant, identifiers.index(chosen))


def _over_epochs(selection: Selection, image: int, row: pd.Series) -> None:
    run = selection.run
    if len(run.epochs) < 2:
        return
    st.subheader("Over the epochs", anchor=False)
    identifiers, names = data.class_ids(run), data.class_names(run)
    shown = controls.select(
        "Map of" if run.has_maps else "Probability of",
        "map",
        _labels(run, {"true class": row.label, "prediction": row.prediction}),
        default=identifiers[int(row.label)],
    )
    class_index = identifiers.index(shown)
    epochs = _epochs_shown(selection)
    film = data.timeline(run, image, class_index, selection.variant, epochs)
    table = pd.DataFrame(
        {
            "epoch": film.epochs,
            "probability": film.probabilities,
            "predicted_class": [names[int(number)] for number in film.predictions],
            "correct": np.asarray(film.predictions) == int(row.label),
        }
    )
    left, right = st.columns([2, 3])
    with left:
        downloads.chart(
            probability_curve,
            table,
            name=names[class_index],
            epoch=selection.epoch,
            key=f"image-{image}-probability",
            alt=f"probability of {names[class_index]} over the epochs",
        )
    with right:
        grid_with_sheet(
            selection,
            one_image.film_tiles(selection, image, class_index, epochs),
            title=f"Image {image}, map of {names[class_index]} over the epochs",
            key="film",
            on_open=lambda epoch: url_state.write({"epoch": epoch}),
        )


def _epochs_shown(selection: Selection) -> tuple[int, ...]:
    """All epochs; of a long run only some, unless the reader asks for all: each epoch is one more file to read."""
    run = selection.run
    some = one_image.film_epochs(run.epochs, selection.epoch)
    if len(some) == len(run.epochs):
        return run.epochs
    labels = {"some": f"{len(some)} of {len(run.epochs)}", "all": f"all {len(run.epochs)}"}
    chosen = controls.segmented("Epochs", "epochs", labels)
    return run.epochs if chosen == "all" else some


def _labels(run: Run, notes: dict[str, int]) -> dict[str, str]:
    """The classes' names by identifier, with the notes on some class numbers in brackets."""
    identifiers, labels = data.class_ids(run), dict(data.class_labels(run))
    for number in set(notes.values()):
        own = [note for note, noted in notes.items() if noted == number]
        labels[identifiers[number]] += f" ({', '.join(own)})"
    return labels


def _under_perturbations(selection: Selection, image: int) -> None:
    st.subheader("Under the perturbations", anchor=False)
    order = "the perturbed image as the network saw it, the map of the prediction, the map of the true class"
    grid_with_sheet(
        selection,
        one_image.variant_tiles(selection, image),
        title=f"Image {image} under the perturbations",
        key="variants",
        caption=f"Each tile: {order}." if selection.run.has_maps else "",
        on_open=lambda variant: url_state.write(
            {"variant": None if variant == selection.run.variants[0] else variant, "image": image}
        ),
    )


def _through_layers(selection: Selection, image: int, *, over: bool) -> None:
    if not (selection.run.stage_names or selection.run.layer_names):
        return
    st.subheader("Through the network", anchor=False)
    frame = data.predictions(selection.run, selection.epoch, selection.run.variants[0])
    prediction = int(frame["prediction"].iloc[image])
    content = parts.layer_tiles(selection, image, prediction, over=over)
    title = f"Image {image} through the network"
    caption = "The clean image, layer by layer, up to the map of the predicted class."
    grid_with_sheet(selection, content, title=title, key="layers", caption=caption)
    channel(selection, image)


def _within_class(selection: Selection, image: int, frame: pd.DataFrame) -> None:
    label = int(selection.run.labels[image])
    own = frame[frame["label"] == label]
    name = data.class_names(selection.run)[label]
    st.subheader(f"Among the images of its class, {escape_markdown(name)}", anchor=False)
    left, right = st.columns([1, 3])
    others = data.similarity_to_others(*selection.key, label)
    without = float(others[own["image"].to_numpy() == image][0])
    ahead = int((own["similarity"] > frame["similarity"].iloc[image]).sum())
    alone = f"; to the mean of the other images {without:.2f}" if np.isfinite(without) else ""
    with left:
        tile_grid(class_tiles(selection, [label], size=100), key="class-pattern", on_open=url_state.open_class)
    with right:
        downloads.chart(
            class_place,
            own[["image", "similarity", "label_probability", "predicted_class", "correct"]].assign(
                here=own["image"] == image
            ),
            key="class-place",
            alt="similarity to the class pattern and probability of the true class for every image of the class",
            on_point=lambda point: url_state.write({"image": int(point["image"]), **dict.fromkeys(_OF_THE_IMAGE)}),
        )
    st.caption(
        f"The cosine similarity of its true-class map to the class pattern on the left, which contains it, is "
        f"{float(frame['similarity'].iloc[image]):.2f}, rank {ahead + 1} of {len(own)}{alone}. "
        f"{rate(own['correct'].mean(), len(own))} of the class's images are predicted correctly. Click a point to "
        "open its image."
    )


def _similar_images(selection: Selection, image: int, frame: pd.DataFrame) -> None:
    st.subheader("Images with the most similar maps", anchor=False)
    found = data.nearest_images(selection.run, image, selection.epoch, selection.variant)
    image_grid(selection, frame.iloc[found["image"].to_numpy()], key="similar-images", size=56, overlay=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Cosine similarity between the maps of the predicted classes.", width="content")
        controls.page_link("search", "Search with this map", {"image": image, "from": "image"})


def _all_classes(selection: Selection, image: int) -> None:
    run, number = selection.run, len(selection.run.classes)
    one, many = ("The class map", "class maps") if run.has_maps and not run.kept_maps else ("The class", "classes")
    st.subheader(f"All {count(number)} {many}" if number > 1 else one, anchor=False)
    orders = {name: words for name, words in _ORDERS.items() if run.has_maps or name != "peak"}
    order = controls.segmented("Order by", "order", orders, resets=("classes",))
    classes = one_image.ranked_classes(selection, image, order=order)
    classes = classes[controls.page("classes", number, _CLASSES_PER_PAGE)]
    tile_grid(one_image.class_tiles(selection, image, classes, size=62), key="all-maps", on_open=url_state.open_class)
    if run.kept_maps:
        st.caption(
            f"The run keeps the maps of each image's {plural(run.kept_maps, 'strongest class', 'strongest classes')} "
            "and of its true class. Logits and probabilities are those of all classes."
        )


main()
