"""Map: all images as points, those with similar maps side by side; a line drawn around some opens them as tiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.points import Area, Plane, points_canvas
from dashboard.marks.marked_images import MarkedImages
from dashboard.shared import downloads, image_tiles, marking, quick_look
from dashboard.shared.image_grid import image_grid
from dashboard.shared.notices import needs_analysis
from dashboard.shared.theme import count, escape_markdown, frequencies, plural
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.map import parts
from store.rates import percent

_PER_PAGE = 12
_PARAMETERS = ("layout", "colour", "area", "mark", "maps", "page")
_CHOSEN = "classprint.map.chosen"
_COLOURS = {
    "class": "true class",
    "prediction": "predicted class",
    "group": "group",
    "correct": "correct or wrong",
    "confidence": "confidence",
    "cluster": "cluster of the class",
    "mark": "mark",
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    points = data.analysis_table(selection.run, "map_points")
    if points is None or points.empty:
        url_state.accept_unread(_PARAMETERS)
        _no_points(selection, points)
        return
    frame = data.predictions(*selection.key).iloc[points["image"].to_numpy()]
    left, right = st.columns(2)
    with left:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            layout = controls.segmented("Layout", "layout", parts.LAYOUTS, resets=("area", "page"))
            colour = controls.select("Colour", "colour", _colours(selection), default="class")
        where, area = parts.places(points, layout), url_state.area("area")
        _plane(selection, frame, where, colour, area)
        _explain(selection, points, frame)
    with right:
        _chosen(selection, frame[parts.inside(where, area)], bool(area))


def _no_points(selection: Selection, points: pd.DataFrame | None) -> None:
    if points is None:
        needs_analysis(selection)
    else:
        st.info(
            "This run has too few images for a map, or maps that are all alike: at least 12 images are needed, and "
            "maps of two cells or more that differ.",
            icon=":material/scatter_plot:",
        )


def _colours(selection: Selection) -> dict[str, str]:
    """What the points can be coloured by: clusters are those of one class, groups are there if there are several."""
    unknown = set() if selection.class_index is not None else {"cluster"}
    unknown |= set() if len(set(data.class_groups(selection.run))) > 1 else {"group"}
    return {name: words for name, words in _COLOURS.items() if name not in unknown}


def _colouring(selection: Selection, frame: pd.DataFrame, colour: str) -> parts.Colouring:
    """The colours of the points; of a chosen class only its images have any."""
    run, palette = selection.run, downloads.current_palette()
    chosen = np.ones(len(frame), bool)
    if selection.class_index is not None:
        chosen = (frame["label"] == selection.class_index).to_numpy()
    if colour == "confidence":
        return parts.by_value(frame["confidence"].to_numpy(), chosen, palette)
    order, colours = data.class_names(run), tuple[str, ...]()
    if colour == "correct":
        order, colours = ["correct", "wrong"], (palette.correct, palette.wrong)
        kinds = np.where(frame["correct"], *order)
    elif colour == "mark":
        kinds = np.array(MarkedImages(run).column(frame["image"]), object)
        order = sorted(set(kinds) - {""})
    elif colour == "cluster":
        table = data.analysis_table(run, "images")
        numbers = np.zeros(len(frame), int) if table is None else table["cluster"].to_numpy()[frame["image"]]
        kinds = np.array([f"cluster {number + 1}" if number >= 0 else "" for number in numbers], object)
        order = [f"cluster {number + 1}" for number in sorted({*numbers[chosen]} - {-1})]
    else:
        column = {"class": "true_class", "prediction": "predicted_class", "group": "group"}[colour]
        kinds = frame[column].to_numpy()
        order = list(dict.fromkeys(data.class_groups(run) if colour == "group" else order))
    return parts.by_kind(np.where(chosen, kinds, "").tolist(), order, palette, colours=colours)


@st.fragment
def _plane(selection: Selection, frame: pd.DataFrame, where: np.ndarray, colour: str, area: Area) -> None:
    # A fragment: a click on a point reruns the plane and the panel alone, another area the page.
    if st.session_state.pop(_CHOSEN, False):
        st.rerun()
    quick_look.draw_if_clicked()
    images, colouring = frame["image"].to_numpy(), _colouring(selection, frame, colour)

    def look(image: int) -> None:
        # In the panel one steps on to the nearest points.
        nearest = np.argsort(((where - where[images == image]) ** 2).sum(1), kind="stable")
        quick_look.open_on_click(images[nearest].tolist())(str(image))

    def choose(corners: Area) -> None:
        url_state.write({"area": url_state.area_text(corners) or None, "page": None})
        st.session_state[_CHOSEN] = True

    points_canvas(
        Plane(
            places=where,
            images=images,
            labels=frame["label"].to_numpy(),
            predictions=frame["prediction"].to_numpy(),
            confidences=frame["confidence"].to_numpy(),
            names=data.class_names(selection.run),
            codes=colouring.codes,
            colours=colouring.colours,
            legend=colouring.legend,
            area=area,
        ),
        title="images by the similarity of their maps",
        key="map-points",
        on_open=look,
        on_area=choose,
    )


def _explain(selection: Selection, points: pd.DataFrame, frame: pd.DataFrame) -> None:
    epoch = data.epoch_name(selection.run, data.analysis_epochs(selection.run)[-1])
    total = len(selection.run.labels)
    some = f" An even sample of {count(len(points))} of {count(total)} images." if len(points) < total else ""
    st.caption(
        f"Where a point is follows from the map of the predicted class at epoch {escape_markdown(epoch)}, clean; its "
        "colour from the epoch and variant chosen. Neighbours have similar maps (cosine similarity); how far groups "
        f"lie apart, and how wide they are, says nothing in the layout of neighbours.{some}"
    )
    table = frame[["image", "name", "true_class", "predicted_class", "confidence"]].reset_index(drop=True)
    downloads.csv_button("CSV of the points", table.join(points.drop(columns="image")), f"{selection.name}-map.csv")


def _chosen(selection: Selection, rows: pd.DataFrame, has_area: bool) -> None:
    """The images of the area, or all of them, as tiles: wrong predictions first, the most confident ones leading."""
    source = MarkedImages(selection.run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = image_tiles.choose_maps(selection, (image_tiles.PREDICTED, image_tiles.BOTH, image_tiles.OWN))
        rows = rows.sort_values(["correct", "confidence"], ascending=[True, False], kind="stable")
        rows = marking.choose_mark(source, rows)
        marking.menu(source, rows, key="map")
    if len(rows):
        where = "in the area" if has_area else "on the map; draw around some points to see these only"
        wrong = percent(float((~rows["correct"]).mean()), 0)
        most = f" · {frequencies(rows['true_class'].value_counts().head(4).items())}" if has_area else ""
        st.caption(f"**{plural(len(rows), 'image')}** {where} · {wrong} wrong{most}")
    image_grid(
        selection,
        rows,
        key="map",
        which=which,
        size=64,
        title="Images of an area of the map",
        page="page",
        per_page=_PER_PAGE,
    )


main()
