"""Picture: everything the record holds about one picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, evidence, exports, galleries, state
from dashboard.anatomies import checked, fewest
from dashboard.charts.classes import class_place
from dashboard.charts.training import probability_curve
from dashboard.components import dissection, tile_grid
from dashboard.patterns import class_tiles
from dashboard.sheets import grid_with_sheet
from dashboard.state import Selection
from dashboard.theme import count, percent, plain
from store import Run
from store.queries import Anatomy

_PLACES = {
    "code": "The maps of this run are codes of the class, not places in the picture (Trust shows the measurement), so "
    "they stand beside it at first.",
    "place": "The maps of this run follow the object (Trust shows the measurement), so they lie over the picture at "
    "first.",
    "unknown": "Whether a network's maps are places in the picture or codes of the class is a question of its own; "
    "until it is measured they stand beside the picture at first.",
}
_BESIDE, _OVER = "beside", "over"
_LAYOUTS = {_BESIDE: "beside the picture", _OVER: "over the picture"}
_OF_THE_PICTURE = ("k", "against")  # what another picture starts anew
_ORDERS = {"probability": "probability", "peak": "strength of the map", "group": "group", "name": "name"}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    image = selection.image if selection.image is not None else _default_image(frame, selection.class_index)
    row = frame.iloc[image]
    _chooser(selection, frame, image)
    over = _answer(selection, image, row)
    if len(selection.run.classes) > 1:
        _anatomy(selection, image, row)
    _over_epochs(selection, image, row)
    _under_variants(selection, image)
    _through_layers(selection, image, over=over)
    _in_its_class(selection, image, frame)
    _relatives(selection, image, frame)
    _every_class(selection, image)


def _default_image(frame: pd.DataFrame, class_index: int | None) -> int:
    """The most confident mistake, of the chosen class if there is one with pictures; else the surest answer."""
    own = frame if class_index is None else frame[frame["label"] == class_index]
    among = own if len(own) else frame
    wrong = among[~among["correct"]]
    return int((wrong if len(wrong) else among)["confidence"].idxmax())


def _chooser(selection: Selection, frame: pd.DataFrame, image: int) -> None:
    last, row = len(frame) - 1, frame.iloc[image]
    siblings = np.flatnonzero(selection.run.labels == selection.run.labels[image])
    within = selection.class_index == row.label  # the sidebar's class: previous and next stay in it
    ring = siblings if within else np.arange(last + 1)
    here = int(np.searchsorted(ring, image))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _step("Previous", ":material/chevron_left:", "j", int(ring[here - 1]) if here else None)
        _step("Next", ":material/chevron_right:", "k", int(ring[here + 1]) if here + 1 < len(ring) else None)
        controls.number("Picture", "image", 0, last, image, resets=_OF_THE_PICTURE)
        st.page_link(
            "views/gallery.py",
            label=f"All of {plain(row.truth)}",
            icon=":material/photo_library:",
            query_params=state.carried({"class": data.class_ids(selection.run)[int(row.label)]}),
        )
    place = int(np.searchsorted(siblings, image)) + 1
    kind = f"{'answer' if row.correct else 'mistake'}{' of the class' if within else ''}"
    told = "" if selection.image is not None else f"No picture was chosen: this is the most confident {kind}. "
    st.caption(
        f"{told}`{row['name']}` · picture {count(image)} of 0 to {count(last)} · "
        f"number {place} of {len(siblings)} of its class" + (f", {plain(row.group)}" if row.group else "")
    )


def _step(label: str, icon: str, shortcut: str, image: int | None) -> None:
    st.button(
        label,
        icon=icon,
        shortcut=shortcut,
        disabled=image is None,
        on_click=state.write,
        args=({"image": image, **dict.fromkeys(_OF_THE_PICTURE)},),
        key=f"picture-{label}",
    )


def _answer(selection: Selection, image: int, row: pd.Series) -> bool:
    """The picture and its strongest maps; returns whether these lie over it."""
    verdict = data.place_verdict(selection.run)
    left, right = st.columns([2, 5])
    with left:
        tile_grid(evidence.input_tile(selection, image), key="input")
    with right:
        order = evidence.ranked_classes(selection, image)
        top = order[:5]
        shown = top if int(row.label) in top else np.append(top, int(row.label))
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            many = {1: "The only class", 2: "Both classes", 5: "The five strongest classes"}
            title = many.get(len(top), f"The {len(top)} classes")
            st.markdown(f"**{title}**" if len(shown) == len(top) else f"**{title}, and the truth**")
            layouts = [_OVER, _BESIDE] if verdict == "place" else [_BESIDE, _OVER]
            over = controls.segmented("Maps", "maps", layouts, names=_LAYOUTS.__getitem__) == _OVER
        content = evidence.class_tiles(selection, image, shown, size=112 if len(shown) < 6 else 92, over=over)
        grid_with_sheet(selection, content, title=f"Picture {image}", key="top5", on_open=state.open_class)
        st.caption(
            "S of a class is exactly the mean of its map (Eq. 8), P its softmax (Eq. 4): nothing else enters the "
            f"answer. {_PLACES[verdict]}"
        )
    return over


def _anatomy(selection: Selection, image: int, row: pd.Series) -> None:
    st.subheader("Why it failed" if not row.correct else "What would turn the answer", anchor=False)
    left, right = st.columns([2, 5], vertical_alignment="bottom")
    with left:
        anatomy = _held_against(selection, image, row)
    with right:
        st.markdown(fewest(anatomy, data.class_names(selection.run)))
    cells = len(anatomy.order)
    start = state.integer("k", 0, cells, anatomy.cells)
    dissection(
        evidence.dissected(selection, image, anatomy, start=start),
        key="dissection",
        on_rest=lambda out: state.write({"k": None if out == anatomy.cells else out}),
    )
    st.caption(checked(anatomy))


def _held_against(selection: Selection, image: int, row: pd.Series) -> Anatomy:
    """The answer against the truth, the runner-up where it is right, or a class that the reader chooses."""
    run = selection.run
    identifiers = data.class_ids(run)
    usual = int(row.runner_up) if row.correct else int(row.label)
    options = [identifier for number, identifier in enumerate(identifiers) if number != int(row.prediction)]
    labels = _labels(run, truth=row.label, **{"runner-up": row.runner_up})
    chosen = controls.select(
        f"{plain(row.predicted)} against",
        "against",
        options,
        default=identifiers[usual],
        names=labels.__getitem__,
        resets=("k",),
    )
    return data.anatomy(run, image, selection.epoch, selection.variant, identifiers.index(chosen))


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
        names=_labels(run, truth=row.label, answer=row.prediction).__getitem__,
    )
    class_index = identifiers.index(shown)
    epochs = _epochs_shown(selection)
    film = data.timeline(run, image, class_index, selection.variant, epochs)
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
    grid_with_sheet(
        selection,
        evidence.film_tiles(selection, image, class_index, epochs),
        title=f"Picture {image}, map of {names[class_index]} over the epochs",
        key="film",
        on_open=lambda epoch: state.write({"epoch": epoch}),
    )


def _epochs_shown(selection: Selection) -> tuple[int, ...]:
    """All epochs, or of a long run some, unless the reader asks for all: each epoch is a file to be read."""
    run = selection.run
    some = evidence.film_epochs(run.epochs, selection.epoch)
    if len(some) == len(run.epochs):
        return run.epochs
    told = {"some": f"{len(some)} of them", "all": f"all {len(run.epochs)}"}
    return run.epochs if controls.segmented("Epochs", "film", list(told), names=told.__getitem__) == "all" else some


def _labels(run: Run, **notes: int) -> dict[str, str]:
    """The classes' names by identifier, with the notes, each of a class number, behind those of the classes noted."""
    identifiers, labels = data.class_ids(run), dict(data.class_labels(run))
    for number in set(notes.values()):
        own = [note for note, noted in notes.items() if noted == number]
        labels[identifiers[number]] += f" ({', '.join(own)})"
    return labels


def _under_variants(selection: Selection, image: int) -> None:
    st.subheader("Under the perturbations", anchor=False)
    grid_with_sheet(
        selection,
        evidence.variant_tiles(selection, image),
        title=f"Picture {image} under the perturbations",
        key="variants",
        on_open=lambda variant: state.write(
            {"variant": None if variant == selection.run.variants[0] else variant, "image": image}
        ),
    )
    st.caption("Each: the perturbed picture as the network saw it, the map of its answer, the map of the truth.")


def _through_layers(selection: Selection, image: int, *, over: bool) -> None:
    if not (selection.run.stage_names or selection.run.layer_names):
        return
    st.subheader("Through the network", anchor=False)
    frame = data.predictions(selection.run, selection.epoch, selection.run.variants[0])
    answer = int(frame["prediction"].iloc[image])
    content = evidence.layer_tiles(selection, image, answer, over=over)
    grid_with_sheet(selection, content, title=f"Picture {image} through the network", key="layers")
    st.caption("The clean picture, stage by stage, towards the class that it is taken for.")


def _in_its_class(selection: Selection, image: int, frame: pd.DataFrame) -> None:
    label = int(selection.run.labels[image])
    own = frame[frame["label"] == label]
    name = data.class_names(selection.run)[label]
    st.subheader(f"Where it is in its class, {plain(name)}", anchor=False)
    left, right = st.columns([1, 4])
    with left:
        tile_grid(class_tiles(selection, [label], size=150), key="own-class", on_open=state.open_class)
    with right:
        exports.chart(
            class_place,
            own[["image", "similarity", "truth_probability", "predicted", "correct"]].assign(
                here=own["image"] == image
            ),
            palette=exports.current_palette(),
            key="class-place",
            alt="likeness to the class pattern and probability of the truth, of the class's pictures",
            on_select=_clicked_picture,
            selection_mode="picture",
        )
    ahead = int((own["similarity"] > frame["similarity"].iloc[image]).sum())
    st.caption(
        f"Its own map is {float(frame['similarity'].iloc[image]):.2f} like the class pattern at the left (cosine), "
        f"place {ahead + 1} of {len(own)}; {percent(float(own['correct'].mean()), 0)} of the class is right. "
        "A click on another point opens that picture."
    )


def _clicked_picture() -> None:
    chosen = st.session_state["chart-class-place"]["selection"].get("picture") or []
    if chosen:
        state.write({"image": int(chosen[0]["image"]), **dict.fromkeys(_OF_THE_PICTURE)})


def _relatives(selection: Selection, image: int, frame: pd.DataFrame) -> None:
    st.subheader("Nearest pictures by pattern", anchor=False)
    found = data.nearest_pictures(selection.run, image, selection.epoch, selection.variant)
    galleries.picture_grid(selection, frame.iloc[found["image"].to_numpy()], key="relatives", size=84, overlay=None)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("The other pictures whose answer's map is most like this one's, by cosine.", width="content")
        st.page_link(
            "views/search.py",
            label="Search the run by this map",
            icon=":material/pattern:",
            query_params=state.carried({"image": image, "from": "picture"}),
        )


def _every_class(selection: Selection, image: int) -> None:
    number = len(selection.run.classes)
    st.subheader(f"All {number} class maps" if number > 1 else "The class map", anchor=False)
    order = controls.segmented("Order by", "order", list(_ORDERS), names=_ORDERS.__getitem__)
    classes = evidence.ranked_classes(selection, image, order=order)
    tile_grid(evidence.class_tiles(selection, image, classes, size=62), key="all-maps", on_open=state.open_class)


main()
