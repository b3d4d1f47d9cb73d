"""Compare: two or three epochs, variants, runs or classes side by side, with signed maps of their differences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.tiles import tile_grid
from dashboard.shared import downloads, quick_look, seeds
from dashboard.shared.class_tiles import choose_class
from dashboard.shared.run_facts import accuracy_figures
from dashboard.shared.states import State, flip_tiles, state_names
from dashboard.shared.tables import in_percent, plain_table, share_column
from dashboard.shared.theme import count, escape_markdown, plural, signed_number
from dashboard.shared.tile_sheets import grid_with_sheet, sheet_button
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.compare.charts import accuracy_change
from dashboard.views.compare.epochs import all_epochs
from dashboard.views.compare.parts import (
    OUTCOMES,
    accuracy_difference,
    class_changes,
    flips,
    focus_tiles,
    pattern_tiles,
    same_classes,
    same_images,
)
from store import Run
from store.metrics.robustness import mean_corruption_error
from store.rates import percent

_MOST = 30
_PER_PAGE = 18
NO_THIRD = "none"
_RUN_LABELS = {NO_THIRD: "no third state"}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    states, classes = _chosen(selection)
    states, classes = _comparable(states, classes)
    if len(states) < 2:
        return
    for other in states[:-1]:
        _summary(other, states[-1], named=len(states) > 2)
        _difference(other, states[-1])
        _corruptions(other, states[-1])
    if all(state.run.has_maps for state in states):
        st.subheader("One class in each state", anchor=False)
        tile_grid(
            focus_tiles(selection, states, classes), key="focus", on_open=lambda place: _open(states, classes, place)
        )
    seeds.spread_table(list({state.run.path: state.run for state in states}.values()))
    before, after = _pair(states)
    table = class_changes(before, after)
    _classes(selection, before, after, table)
    all_epochs(selection, before, after)
    if all(state.run.has_maps and not data.is_degenerate(*state.key) for state in states):
        _patterns(selection, states, table)
    _changed_images(selection, before, after)


def _chosen(selection: Selection) -> tuple[list[State], list[int]]:
    """The states, the sidebar's last, and a class for each; draws a row of controls for each."""
    run, names = selection.run, data.run_names()
    here = State(*selection.key)
    pinned = selection.pinned or (run.epochs[0], run.variants[0])
    chosen, row = _row(selection, "with", names, default=selection.name, pinned=pinned)
    second = chosen or here  # only the third state can be absent
    # Without a chosen class the page opens on one with something to see.
    own = selection.class_index if selection.class_index is not None else _most_changed(second, here)
    with row:
        classes = [choose_class(selection, "with_class", default=own)]
    states = [second]
    default = selection.name if selection.third else NO_THIRD
    third, row = _row(
        selection, "third", [NO_THIRD, *names], default=default, pinned=selection.third or (run.epochs[-1], pinned[1])
    )
    if third is not None:
        states.append(third)
        with row:
            classes.append(choose_class(selection, "third_class", default=own))
    st.caption(
        f"{'Both are compared' if third else 'Compared'} with the state of the sidebar: "
        f"run **{escape_markdown(selection.name)}**, **epoch "
        f"{escape_markdown(data.epoch_name(here.run, here.epoch))}**, "
        f"**{escape_markdown(here.run.variant(here.variant).label)}**. "
        "States pinned there are preselected here."
    )
    return [*states, here], [*classes, own]


def _row(
    selection: Selection, name: str, runs: Sequence[str], *, default: str, pinned: tuple[int, str]
) -> tuple[State | None, st.delta_generator.DeltaGenerator]:
    """Draws a state's controls; returns the state and the column for its class."""
    one, two, three, four = st.columns([2, 1, 1.5, 2], vertical_alignment="bottom")
    label = "Compare with run" if name == "with" else "And with run"
    resets = (f"{name}_epoch", f"{name}_variant", f"{name}_class", "pair", "page")
    with one:
        labels = {run: _RUN_LABELS.get(run, run) for run in runs}
        chosen = controls.select(label, name, labels, default=default, resets=resets)
    if chosen == NO_THIRD and name == "third":
        return None, four
    run = _other_run(selection, chosen)
    if not run.epochs:
        return State(run, 0, run.variants[0]), four
    epoch, variant = pinned if run is selection.run else (run.epochs[-1], run.variants[0])
    with two:
        epochs = {str(number): data.epoch_name(run, number) for number in run.epochs}
        number = controls.select("Epoch", f"{name}_epoch", epochs, default=str(epoch))
    with three:
        under = controls.select("Variant", f"{name}_variant", data.variant_labels(run), default=variant)
    return State(run, int(number), under), four


def _other_run(selection: Selection, chosen: str) -> Run:
    """The chosen run; the sidebar's own where it cannot be read, which is said."""
    if chosen == selection.name:
        return selection.run
    run, problem = data.open_neighbour(chosen)
    if run is None:
        st.warning(f"{escape_markdown(chosen)} is left out: {escape_markdown(problem)}", icon=":material/broken_image:")
    return run or selection.run


def _most_changed(one: State, two: State) -> int:
    """The class whose accuracy differs most, shown until a class is chosen."""
    if not one.run.epochs or not same_classes(one.run, two.run):
        return 0
    change = data.class_table(*two.key)["accuracy"].to_numpy() - data.class_table(*one.key)["accuracy"].to_numpy()
    return int(np.argmax(np.abs(np.nan_to_num(change))))


def _comparable(states: list[State], classes: list[int]) -> tuple[list[State], list[int]]:
    """The states that can be compared with the sidebar's; a message explains why the others cannot."""
    comparable = []
    for place, each in enumerate(states):
        if not each.run.epochs:
            reason = f"“{data.run_name(each.run)}” has no complete epoch yet."
        elif not same_classes(each.run, states[-1].run):
            reason = f"“{data.run_name(each.run)}” and “{data.run_name(states[-1].run)}” do not have the same classes."
        else:
            comparable.append(place)
            continue
        st.warning(f"{escape_markdown(reason)} Choose another run to compare with.", icon=":material/compare_arrows:")
    return [states[place] for place in comparable], [classes[place] for place in comparable]


def _open(states: list[State], classes: list[int], place: str) -> None:
    if place.isdecimal():
        identifier = data.class_ids(states[-1].run)[classes[int(place)]]
        url_state.open_page("gallery", {**states[int(place)].parameters, "class": identifier, "image": None})


def _summary(before: State, after: State, *, named: bool) -> None:
    one, two = data.variant_row(*before.key), data.variant_row(*after.key)
    words = state_names([before, after])
    if named:
        st.markdown(f"**{escape_markdown(words[1])}** against **{escape_markdown(words[0])}**")
    with st.grid(4, min_column_width=150):
        for label, key in accuracy_figures(after.run):
            st.metric(
                label,
                percent(two[key]),
                f"{100 * (two[key] - one[key]):+.1f}",
                delta_description=f"from {percent(one[key])}",
                border=True,
                height="stretch",
            )
        paired = same_images(before.run, after.run)
        if paired is not None:
            share = len(flips(before, after)) / max(1, len(paired[1]))
            st.metric(
                "Predictions changed",
                percent(share),
                f"churn from {escape_markdown(words[0])}",
                delta_color="off",
                delta_arrow="off",
                border=True,
                height="stretch",
            )


def _difference(before: State, after: State) -> None:
    found = accuracy_difference(before, after)
    if found is None or not np.isfinite(found[2:]).all():
        return
    images, mean, low, high = found
    other = " What other trainings would give is not in it." if before.run.path != after.run.path else ""
    st.caption(
        f"On the {plural(images, 'image')} of both, top-1 differs by {signed_number(100 * mean, 1)} points (95 % "
        f"interval over images: {signed_number(100 * low, 1)} to {signed_number(100 * high, 1)}).{other}"
    )


def _corruptions(before: State, after: State) -> None:
    """The mean corruption error of one run relative to another of the same perturbations."""
    one, two = (data.corruption_errors(state.run, epoch=state.epoch) for state in (before, after))
    if not two or {kind: len(of) for kind, of in one.items()} != {kind: len(of) for kind, of in two.items()}:
        return
    relative = mean_corruption_error(two, one)
    if np.isfinite(relative) and (before.run.path, before.epoch) != (after.run.path, after.epoch):
        words = [escape_markdown(f"{state.run.name} (epoch {state.epoch})") for state in (before, after)]
        st.caption(
            f"Over the {plural(len(two), 'kind')} of perturbation that both recorded, {words[1]} has "
            f"{percent(relative)} of the errors of {words[0]}: its mCE with the other as the reference."
        )


def _pair(states: list[State]) -> tuple[State, State]:
    """The two states that the rest of the page compares; a control chooses them if there are three."""
    pairs = list(combinations(range(len(states)), 2))
    words = state_names(states)
    labels = {f"{one + 1}-{two + 1}": f"{words[one]} → {words[two]}" for one, two in pairs}
    # Pairs with the state of the sidebar come first.
    order = sorted(labels, key=lambda name: not name.endswith(str(len(states))))
    chosen = order[0]
    if len(pairs) > 1:
        chosen = controls.segmented("Change", "pair", {name: labels[name] for name in order}, resets=("page",))
    one, two = (int(number) - 1 for number in chosen.split("-"))
    return states[one], states[two]


def _classes(selection: Selection, before: State, after: State, table: pd.DataFrame) -> None:
    st.subheader("Which classes gained or lost accuracy?", anchor=False)
    left, right = st.columns([1, 1])
    names = state_names([before, after])
    with left:
        downloads.chart(
            accuracy_change,
            table,
            before=names[0],
            after=names[1],
            key="accuracy-change",
            alt="accuracy of every class in both states",
            on_point=lambda point: url_state.open_class(data.class_ids(selection.run)[int(point["class_index"])]),
        )
        st.caption(f"Click a point to open the class's gallery. {_images_of_a_class(after.run)}")
    with right:
        columns = dict(zip(("before", "after"), names, strict=True))
        order = table["change"].abs().sort_values(ascending=False, kind="stable").index
        plain_table(
            in_percent(table.loc[order], ("change", "before", "after")),
            column_order=["name", "change", "before", "after", "similarity"],
            height=360,
            column_config={
                "name": st.column_config.TextColumn("Class", width=150),
                "change": st.column_config.NumberColumn("Points", format="%+.0f", width=78, help="Points"),
                **{
                    name: share_column(table[name], label, digits=0, width=78, help=escape_markdown(label))
                    for name, label in columns.items()
                },
                "similarity": st.column_config.NumberColumn(
                    "Similarity", format="%.2f", width=70, help="cosine similarity of the two class patterns"
                ),
            },
            alt="accuracy of every class in both states",
        )


def _images_of_a_class(run: Run) -> str:
    """How far one image moves the accuracy of a class, in words."""
    counts = np.bincount(run.labels)
    fewest, most = int(counts[counts > 0].min()), int(counts.max())
    images = plural(most, "image") if fewest == most else f"{count(fewest)} to {plural(most, 'image')}"
    points = " to ".join(dict.fromkeys(f"{100 / number:.3g}" for number in (most, fewest)))
    return f"A class has {images}, so one image is {points} points of its accuracy."


def _patterns(selection: Selection, states: list[State], table: pd.DataFrame) -> None:
    st.subheader("Class patterns that changed most", anchor=False)
    rows = table.sort_values("similarity", kind="stable").head(_MOST)
    words = state_names(states)
    shown = [escape_markdown(name) for name in words]
    st.caption(
        f"Each tile: {', then '.join(shown)}, then what {shown[-1]} gained (warm) or lost (cold). Cosine similarity "
        "and change of accuracy are those of the chosen pair of states."
    )
    content = pattern_tiles(selection, states, rows)
    title = f"Class patterns: {', '.join(words)}"
    grid_with_sheet(selection, content, title=title, key="patterns", on_open=url_state.open_class)


def _changed_images(selection: Selection, before: State, after: State) -> None:
    st.subheader("Images whose prediction changed", anchor=False)
    paired = same_images(before.run, after.run)
    if paired is None:
        st.info("The two runs were recorded on different images, so predictions cannot be compared image by image.")
        return
    if len(paired[1]) < max(len(each.run.labels) for each in (before, after)):
        st.caption(f"Compared are the {plural(len(paired[1]), 'image')} that both runs have.")
    table = flips(before, after)
    counts = {name: int((table["outcome"] == name).sum()) for name in OUTCOMES}
    labels = {name: f"{name} ({count(images)})" for name, images in counts.items()}
    outcome = controls.segmented("Outcome", "outcome", labels, resets=("page",))
    rows = table[table["outcome"] == outcome]
    if rows.empty:
        st.info("No images match. Choose another outcome.", icon=":material/filter_alt_off:")
        return
    st.caption(
        f"{plural(len(table), 'image')} changed; the most confident new predictions come first. Each tile: the map of "
        "the prediction before and after, then what the map of the true class gained (warm) or lost (cold)."
    )
    part = rows.iloc[controls.page("page", len(rows), _PER_PAGE)]
    content = flip_tiles(selection, before, after, part[["image_before", "image"]].to_numpy())
    if after.run.path == selection.run.path:
        quick_look.image_set(content, key="flips", state=(after.epoch, after.variant))
    else:  # the quick look shows images of the run in the sidebar
        tile_grid(content, key="flips", on_open=partial(_open_image, after))
    with st.container(horizontal=True):
        downloads.csv_button("CSV of all changed predictions", table, "changed-predictions.csv")
        sheet_button(selection, content, title=f"Changed predictions, {outcome}", key="flips")


def _open_image(state: State, image: str) -> None:
    url_state.open_page("image", {**state.parameters, "image": image})


main()
