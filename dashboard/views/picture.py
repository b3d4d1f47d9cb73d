"""Picture: everything the record holds about one picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, evidence, exports, galleries, state
from dashboard.charts.training import probability_curve
from dashboard.components import tile_grid
from dashboard.state import Selection
from dashboard.theme import count, plural

_PLACES = {
    "code": "The maps of this run are codes of the class, not places in the picture (Trust shows the measurement), so "
    "they stand beside it.",
    "place": "The maps of this run follow the object (Trust shows the measurement), so they can lie over the picture.",
    "unknown": "Whether a network's maps are places in the picture or codes of the class is a question of its own; "
    "until it is measured they stand beside the picture.",
}
_ORDERS = {"probability": "probability", "peak": "strength of the map", "group": "group", "name": "name"}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    image = selection.image if selection.image is not None else _default_image(frame)
    row = frame.iloc[image]
    _chooser(selection, frame, image)
    _answer(selection, image, row)
    _anatomy(selection, image, row)
    _over_epochs(selection, image, row)
    _under_variants(selection, image)
    _through_layers(selection, image)
    _relatives(selection, image, frame)
    _every_class(selection, image)


def _default_image(frame: pd.DataFrame) -> int:
    wrong = frame[~frame["correct"]]
    return int((wrong if len(wrong) else frame)["confidence"].idxmax())


def _chooser(selection: Selection, frame: pd.DataFrame, image: int) -> None:
    last, row = len(frame) - 1, frame.iloc[image]
    siblings = np.flatnonzero(selection.run.labels == selection.run.labels[image])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _step("Previous", ":material/chevron_left:", "j", image - 1 if image else None)
        _step("Next", ":material/chevron_right:", "k", image + 1 if image < last else None)
        controls.number("Picture", "image", 0, last, image)
        st.page_link(
            "views/gallery.py",
            label=f"All of {row.truth}",
            icon=":material/photo_library:",
            query_params=state.carried({"class": data.class_ids(selection.run)[int(row.label)]}),
        )
    place = int(np.searchsorted(siblings, image)) + 1
    told = "" if selection.image is not None else "No picture was chosen: this is the most confident mistake. "
    st.caption(
        f"{told}`{row['name']}` · picture {count(image)} of 0 to {count(last)} · "
        f"number {place} of {len(siblings)} of its class, {row.group}"
    )


def _step(label: str, icon: str, shortcut: str, image: int | None) -> None:
    st.button(
        label,
        icon=icon,
        shortcut=shortcut,
        disabled=image is None,
        on_click=state.write,
        args=({"image": image},),
        key=f"picture-{label}",
    )


def _answer(selection: Selection, image: int, row: pd.Series) -> None:
    left, right = st.columns([2, 4])
    with left:
        tile_grid(evidence.input_tile(selection, image), key="input")
    with right:
        order = evidence.ranked_classes(selection, image)
        top = order[:5]
        shown = top if int(row.label) in top else np.append(top, int(row.label))
        st.markdown("**The five strongest classes**" + ("" if len(shown) == 5 else ", and the truth"))
        tile_grid(evidence.class_tiles(selection, image, shown, size=118), key="top5", on_open=state.open_class)
        st.caption(
            "S of a class is exactly the mean of its map (Eq. 8), P its softmax (Eq. 4): nothing else enters the "
            f"answer. {_PLACES[data.place_verdict(selection.run)]}"
        )


def _anatomy(selection: Selection, image: int, row: pd.Series) -> None:
    if row.correct:
        return
    cells = selection.run.map_shape[0] * selection.run.map_shape[1]
    winner = data.class_names(selection.run)[int(row.fix_winner)]
    left, right = st.columns([2, 5])
    with left:
        tile_grid(
            evidence.difference_tiles(selection, image, int(row.prediction), int(row.label), size=150),
            key="difference",
        )
    with right:
        st.markdown("**Why it failed**")
        st.markdown(
            f"The two maps differ cell by cell as shown; the mean of the difference is the margin by which "
            f"**{row.predicted}** beat **{row.truth}**. Taking out the **{plural(int(row.cells_to_fix), 'cell')}** of "
            f"{cells} that speak most for the answer, in both maps, undoes the error between these two; "
            + ("the truth then wins." if int(row.fix_winner) == int(row.label) else f"then **{winner}** would win.")
        )
        st.caption(
            "Few cells: a local misreading. Many: the whole pattern was taken for the other class. Exact, without "
            "another pass, because S is the mean of the map."
        )


def _over_epochs(selection: Selection, image: int, row: pd.Series) -> None:
    run = selection.run
    if len(run.epochs) < 2:
        return
    st.subheader("Over the epochs", anchor=False)
    identifiers, names = data.class_ids(run), data.class_names(run)
    shown = controls.select(
        "Map of",
        "map",
        identifiers,
        default=identifiers[int(row.label)],
        names=lambda identifier: names[identifiers.index(identifier)] + _marks(identifiers.index(identifier), row),
    )
    class_index = identifiers.index(shown)
    film = data.timeline(run, image, class_index, selection.variant)
    table = pd.DataFrame(
        {
            "epoch": film.epochs,
            "probability": film.probabilities,
            "predicted": [names[int(number)] for number in film.predictions],
            "correct": np.asarray(film.predictions) == int(row.label),
        }
    )
    exports.chart(
        probability_curve,
        table,
        name=names[class_index],
        epoch=selection.epoch,
        palette=exports.current_palette(),
        key=f"picture-{image}-probability",
        alt=f"probability of {names[class_index]} over the epochs",
    )
    tile_grid(
        evidence.film_tiles(selection, image, class_index),
        key="film",
        on_open=lambda epoch: state.write({"epoch": epoch}),
    )


def _marks(number: int, row: pd.Series) -> str:
    notes = [name for name, own in (("truth", row.label), ("answer", row.prediction)) if int(own) == number]
    return f" ({', '.join(notes)})" if notes else ""


def _under_variants(selection: Selection, image: int) -> None:
    st.subheader("Under the perturbations", anchor=False)
    tile_grid(
        evidence.variant_tiles(selection, image),
        key="variants",
        on_open=lambda variant: state.write(
            {"variant": None if variant == selection.run.variants[0] else variant, "image": image}
        ),
    )
    st.caption("Each: the perturbed picture as the network saw it, the map of its answer, the map of the truth.")


def _through_layers(selection: Selection, image: int) -> None:
    if not (selection.run.stage_names or selection.run.layer_names):
        return
    st.subheader("Through the network", anchor=False)
    frame = data.predictions(selection.run, selection.epoch, selection.run.variants[0])
    tile_grid(evidence.layer_tiles(selection, image, int(frame["prediction"].iloc[image])), key="layers")
    st.caption("The clean picture, stage by stage, towards the class that it is taken for.")


def _relatives(selection: Selection, image: int, frame: pd.DataFrame) -> None:
    st.subheader("Nearest pictures by pattern", anchor=False)
    found = data.nearest_pictures(selection.run, image, selection.epoch, selection.variant)
    galleries.picture_grid(selection, frame.iloc[found["image"].to_numpy()], key="relatives", size=84, overlay=None)
    st.caption("The other pictures whose answer's map is most like this one's, by cosine.")


def _every_class(selection: Selection, image: int) -> None:
    st.subheader(f"All {len(selection.run.classes)} class maps", anchor=False)
    order = controls.segmented("Order by", "order", list(_ORDERS), names=_ORDERS.__getitem__)
    classes = evidence.ranked_classes(selection, image, order=order)
    tile_grid(evidence.class_tiles(selection, image, classes, size=62), key="all-maps", on_open=state.open_class)


main()
