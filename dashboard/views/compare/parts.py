"""What the Compare page computes: which states are comparable, what differs between them, their patterns as tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.components.tiles import Tile, TileSet
from dashboard.shared.states import State, difference_tiles, on_one_grid, state_names
from dashboard.shared.theme import probability, signed_number
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection
from store import Run
from store.metrics.intervals import mean_interval
from store.metrics.maps import cosine
from store.rates import rate

OUTCOMES = ("gained", "lost", "still wrong")


def same_classes(first: Run, second: Run) -> bool:
    """Whether two runs have the same classes in the same order."""
    return first.path == second.path or data.class_ids(first) == data.class_ids(second)


def same_images(first: Run, second: Run) -> tuple[np.ndarray, np.ndarray] | None:
    """The numbers of the images that two runs share, in the first and in the second, ascending in the second; or None.

    Images are the same that have the same pixels and class: see `store.queries.shared_images`.
    """
    if first.path == second.path:
        every = np.arange(len(second.labels))
        return every, every
    if not same_classes(first, second):
        return None
    return data.shared_images(first, second)


def flips(before: State, after: State) -> pd.DataFrame:
    """A row per image whose prediction differs: image (its number in the second state), image_before (in the first),
    true class, both predictions and confidences, outcome; empty where the runs share no images.

    outcome is lost (correct, then wrong), gained (wrong, then correct) or still wrong. The most confident new
    predictions come first.
    """
    paired = same_images(before.run, after.run) or (np.zeros(0, int), np.zeros(0, int))
    states = zip((before, after), paired, strict=True)
    first, second = (data.predictions(*state.key).iloc[rows] for state, rows in states)
    rows = np.flatnonzero(first["prediction"].to_numpy() != second["prediction"].to_numpy())
    was, now = first["correct"].to_numpy()[rows], second["correct"].to_numpy()[rows]
    table = pd.DataFrame(
        {
            "image": paired[1][rows],
            "image_before": paired[0][rows],
            "true_class": first["true_class"].to_numpy()[rows],
            "before": first["predicted_class"].to_numpy()[rows],
            "before_confidence": first["confidence"].to_numpy()[rows],
            "after": second["predicted_class"].to_numpy()[rows],
            "after_confidence": second["confidence"].to_numpy()[rows],
            "outcome": np.where(was, "lost", np.where(now, "gained", "still wrong")),
        }
    )
    return table.sort_values("after_confidence", ascending=False, kind="stable", ignore_index=True)


def accuracy_difference(before: State, after: State) -> tuple[int, float, float, float] | None:
    """Top-1 of the second state minus that of the first on the images that both have: their number, the mean and its
    95 % interval; None where they share none. Each image is compared with itself, so the interval is of images alone.
    """
    paired = same_images(before.run, after.run)
    if paired is None or not len(paired[0]):
        return None
    was, now = (
        data.predictions(*state.key)["correct"].to_numpy(float)[rows]
        for state, rows in zip((before, after), paired, strict=True)
    )
    return len(was), *mean_interval(now - was)


def class_changes(before: State, after: State) -> pd.DataFrame:
    """A row per class with images: class_index, name, group, before, after (accuracy), change, pattern similarity."""
    first, second = data.class_table(*before.key), data.class_table(*after.key)
    # Runs of different networks may have maps of different sizes.
    one, two = on_one_grid([data.patterns(*before.key), data.patterns(*after.key)])
    changes = pd.DataFrame(
        {
            "class_index": np.arange(len(first)),
            "name": second["name"].to_numpy(),
            "group": second["group"].to_numpy(),
            "before": first["accuracy"].to_numpy(),
            "after": second["accuracy"].to_numpy(),
            "change": second["accuracy"].to_numpy() - first["accuracy"].to_numpy(),
            "similarity": cosine(one, two),
        }
    )
    return changes[changes["change"].notna()].reset_index(drop=True)


PATTERN_LEGEND = "later minus earlier pattern: warm is gained, cold is lost"


def focus_tiles(selection: Selection, states: Sequence[State], classes: Sequence[int]) -> TileSet:
    """One class of each state: its pattern, then the last state's pattern minus each of the others.

    Args:
        selection: scale and colours.
        states: the compared ones first, the sidebar's last.
        classes: a class number for each state.
    """
    names, identifiers = data.class_names(selection.run), data.class_ids(selection.run)
    patterns = on_one_grid([data.patterns(*each.key)[number] for each, number in zip(states, classes, strict=True)])
    tiles = []
    for place, (each, number, words) in enumerate(zip(states, classes, state_names(states), strict=True)):
        row = data.class_table(*each.key).iloc[number]
        lines = (
            words,
            f"{rate(row.accuracy, row['count'])} correct",
            f"mean confidence {probability(row.mean_confidence)}",
        )
        link = url_state.link("gallery", {**each.parameters, "class": identifiers[number], "image": None})
        tiles.append(Tile(id=str(place), title=names[number], lines=lines, maps=(place,), href=link))
    differences = patterns[-1] - patterns[:-1]
    for place, change in enumerate(differences):
        before, after = state_names([states[place], states[-1]])
        title = "difference" if classes[place] == classes[-1] else f"{names[classes[-1]]} − {names[classes[place]]}"
        change_lines = (f"{after} − {before}", f"mean S {signed_number(float(change.mean()), 2)}")
        tiles.append(Tile(id=f"difference-{place}", title=title, lines=change_lines, differences=(place,)))
    options: dict[str, Any] = {"difference_legend": PATTERN_LEGEND, "size": 168, "fixed": True}
    return difference_tiles(selection, states, tiles, patterns, differences, **options)


def pattern_tiles(selection: Selection, states: Sequence[State], table: pd.DataFrame) -> TileSet:
    """The patterns of some classes in every state, with the differences of the last state from the others.

    Args:
        selection: scale and colours.
        states: the compared ones first, the sidebar's last.
        table: rows of `class_changes`, in the order of display.
    """
    identifiers = data.class_ids(selection.run)
    order = table["class_index"].to_numpy()
    patterns = on_one_grid([data.patterns(*each.key)[order] for each in states]).swapaxes(0, 1)
    differences = patterns[:, -1:] - patterns[:, :-1]
    many, fewer = patterns.shape[1], differences.shape[1]
    tiles = [
        Tile(
            id=identifiers[row.class_index],
            title=row.title,
            lines=(f"similarity {row.similarity:.2f}, {100 * row.change:+.0f} points",),
            maps=tuple(range(place * many, (place + 1) * many)),
            differences=tuple(range(place * fewer, (place + 1) * fewer)),
            href=url_state.link("gallery", {"class": identifiers[row.class_index], "image": None}),
        )
        for place, row in enumerate(table.rename(columns={"name": "title"}).itertuples(index=False))
    ]
    options: dict[str, Any] = {"difference_legend": PATTERN_LEGEND, "size": 58}
    return difference_tiles(selection, states, tiles, patterns, differences, **options)
