"""Gallery: the images of a class with their maps, beside the class pattern; several classes below each other."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.tiles import tile_grid
from dashboard.marks.marked_images import MarkedImages
from dashboard.shared import image_tiles, marking, quick_look, random_order
from dashboard.shared.class_tiles import choose_class, class_tiles
from dashboard.shared.image_grid import image_grid
from dashboard.shared.run_facts import MAP_COLUMNS
from dashboard.shared.theme import escape_markdown, frequencies, plural
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.gallery.parts import cluster_tiles, portrait_tiles
from store.rates import percent, rate

_SORTS = {
    "confidence": ("confidence", False, "most confident first"),
    "least_confident": ("confidence", True, "least confident first"),
    "similarity": ("similarity", False, "most similar to the pattern first"),
    "least_similar": ("similarity", True, "least similar to the pattern first"),
    "sharpness": ("sharpness", False, "sharpest map first"),
    "number": ("image", True, "as recorded"),
    random_order.RANDOM: random_order.SORT,
}
_PER_PAGE = 50
_MOST_CLASSES = 7


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    frame = random_order.with_places(selection, data.predictions(*selection.key))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        class_index = _choose_class(selection)
        others = _other_classes(selection, class_index)
    own = frame[frame["label"] == class_index]
    if others:
        options = _options(selection)
        for number in (class_index, *others):
            _shelf(selection, number, frame[frame["label"] == number], *options)
        return
    _head(selection, class_index, own)
    cluster = None if data.ends_degenerate(selection.run) else _clusters(selection, class_index)
    if cluster is not None:
        own = own[own["image"].isin(cluster)]
    which, correctness, sort = _options(selection)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rows = marking.choose_mark(MarkedImages(selection.run), _ordered(own, correctness, sort))
        marking.menu(MarkedImages(selection.run), rows, key="gallery")
    st.caption(plural(len(rows), "image"))
    title = data.class_names(selection.run)[class_index]
    image_grid(selection, rows, key="gallery", which=which, title=title, page="page", per_page=_PER_PAGE)
    random_order.figure_button(selection, rows, sort=sort, key="gallery")


def _other_classes(selection: Selection, class_index: int) -> list[int]:
    """The classes that are compared with the chosen one."""
    identifiers = data.class_ids(selection.run)
    if len(identifiers) < 2:
        return []
    labels = {key: name for key, name in data.class_labels(selection.run).items() if key != identifiers[class_index]}
    chosen = controls.multiselect(
        "Compare with classes",
        "compare_with",
        labels,
        most=_MOST_CLASSES - 1,
        placeholder="add classes, a row for each",
    )
    return [identifiers.index(identifier) for identifier in chosen]


def _choose_class(selection: Selection) -> int:
    identifiers = data.class_ids(selection.run)
    class_index = choose_class(selection, resets=("page", "cluster"))
    _neighbour("Previous", ":material/chevron_left:", identifiers, class_index - 1, "j")
    _neighbour("Next", ":material/chevron_right:", identifiers, class_index + 1, "k")
    return class_index


def _neighbour(label: str, icon: str, identifiers: list[str], number: int, shortcut: str) -> None:
    exists = 0 <= number < len(identifiers)
    changes = {"class": identifiers[number], "page": None, "cluster": None} if exists else None
    controls.write_button(label, changes, icon=icon, shortcut=shortcut)


def _head(selection: Selection, class_index: int, own: pd.DataFrame) -> None:
    row = data.class_table(*selection.key).iloc[class_index]
    left, right = st.columns([1, 3])
    with left:
        tile_grid(portrait_tiles(selection, class_index, own["image"].tolist()), key="pattern")
    with right:
        figures = [
            ("Correct", rate(row.accuracy, len(own)), "images of the class that are predicted correctly"),
            ("Mean confidence", percent(row.mean_confidence, 0), "mean probability P of the prediction"),
            ("Spread of the maps", f"{row.spread:.3f}", "how much the maps vary: mean of 1 − cosine to the pattern"),
            ("Predictions", str(int(row.predicted_count)), f"images predicted as this class; {len(own)} belong to it"),
        ]
        if not selection.run.has_maps:
            figures.pop(2)
        with st.grid(4, min_column_width=140):
            for label, value, meaning in figures:
                st.metric(label, value, border=True, help=meaning, height="stretch")
        st.caption(_predicted_as(own))


def _predicted_as(own: pd.DataFrame) -> str:
    words = frequencies(own[~own["correct"]]["predicted_class"].value_counts().head(5).items())
    return f"Wrongly predicted as: {words}" if words else ""


def _clusters(selection: Selection, class_index: int) -> list[int] | None:
    """The clusters of a class that has more than one; the images of the chosen one."""
    table, images = (data.analysis_table(selection.run, name) for name in ("clusters", "images"))
    if table is None or images is None or not selection.run.has_maps:
        return None
    clusters = table[table["class_index"] == class_index]
    if len(clusters) < 2:
        return None
    st.subheader("Clusters of similar maps", anchor=False)
    numbers = [str(int(number)) for number in clusters["cluster"]]
    chosen = url_state.choice("cluster", numbers, "")

    def toggle(cluster: str) -> None:
        url_state.write({"cluster": None if cluster == chosen else cluster, "page": None})

    tile_grid(
        cluster_tiles(selection, clusters, chosen=int(chosen) if chosen else None), key="clusters", on_open=toggle
    )
    st.caption(
        "The class's images in clusters of similar maps (last epoch, clean), each shown by its most central image. The "
        "factor compares the cluster's error rate with that of the class, with a 95 % interval. Click a cluster to "
        "show only its images."
    )
    if not chosen:
        return None
    own = images[(selection.run.labels == class_index) & (images["cluster"] == int(chosen))]
    return own["image"].tolist()


def _options(selection: Selection) -> tuple[str, str, str]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = image_tiles.choose_maps(selection, (image_tiles.PREDICTED, image_tiles.OWN, image_tiles.BOTH))
        correctness = image_tiles.choose_correctness(resets=("page",))
        unknown = () if selection.run.has_maps else MAP_COLUMNS
        sorts = {name: words for name, (column, _, words) in _SORTS.items() if column not in unknown}
        sort = controls.select("Sort", "sort", sorts, default="confidence")
        random_order.choose_seed(sort)
    return which, correctness, sort


def _ordered(rows: pd.DataFrame, correctness: str, sort: str) -> pd.DataFrame:
    column, ascending, _ = _SORTS[sort]
    return image_tiles.with_correctness(rows, correctness).sort_values(column, ascending=ascending, kind="stable")


def _shelf(selection: Selection, class_index: int, own: pd.DataFrame, which: str, correctness: str, sort: str) -> None:
    """One of several classes: its pattern on the left, its images on the right."""
    row = data.class_table(*selection.key).iloc[class_index]
    rows = _ordered(own, correctness, sort)
    with st.container(border=True):
        st.markdown(
            f"**{escape_markdown(data.class_names(selection.run)[class_index])}** · "
            f"{rate(row.accuracy, len(own))} correct · mean confidence {percent(row.mean_confidence, 0)}"
            + (f" · spread {row.spread:.3f}" if selection.run.has_maps else "")
        )
        left, right = st.columns([1, 6])
        with left:
            pattern = class_tiles(selection, [class_index], size=110)
            tile_grid(pattern, key=f"shelf-{class_index}", on_open=_open_alone)
            st.caption(_predicted_as(own))
        with right:
            if rows.empty:
                st.caption("No images match.")
                return
            content = image_tiles.image_tiles(selection, rows.head(_PER_PAGE), which=which, size=42, overlay=False)
            quick_look.image_set(content, key=f"row-{class_index}")
            if len(rows) > _PER_PAGE:
                st.caption(f"{_PER_PAGE} of {len(rows)} images. Click the pattern on the left to see only this class.")


def _open_alone(identifier: str) -> None:
    url_state.write({"class": identifier, "compare_with": None, "page": None})


main()
