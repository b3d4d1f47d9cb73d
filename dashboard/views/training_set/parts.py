"""What the page Training set computes: the points of its map, its tiles, one image's history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.components.tiles import Tile, TileSet
from dashboard.images.sheet import atlas
from dashboard.shared.theme import decimal, probability
from dashboard.views.training_set.charts import KINDS
from store import Run
from store.errors import NotInRun
from store.queries.training_set import ORDERS, suspects

MOST_POINTS = 4000  # more slow a browser down and hide each other
SUSPECTS = 100  # as many as have a thumbnail

LABELS = {"aum": "lowest margin (AUM)", "confidence": "lowest probability of the label", "forgetting": "most forgotten"}


def points(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the map: every suspect and every exchanged label, and a fixed random choice of the others."""
    table = table[table["seen"] > 0]
    marked = exchanged(table)
    keep = set(table.index[marked])
    for order in ORDERS:
        keep.update(suspects(table, order, count=SUSPECTS).index)
    others = table.index.difference(sorted(keep))
    room = max(0, MOST_POINTS - len(keep))
    if len(others) > room:
        others = np.random.default_rng(0).choice(others, room, replace=False)
    rows = table.loc[sorted({*keep, *others})]
    kind = np.select([rows["first_learned"] == 0, rows["forgetting"] > 0], [KINDS[2], KINDS[1]], KINDS[0])
    mark = np.where(exchanged(rows), "label exchanged", "")
    columns = ["name", "true_class", "variability", "confidence", "forgetting"]
    return rows[columns].assign(kind=kind, mark=mark).reset_index()


def exchanged(table: pd.DataFrame) -> np.ndarray:
    """Which labels were exchanged on purpose, (M,) bool."""
    if "original_label" not in table:
        return np.zeros(len(table), bool)
    return (table["original_label"] != table["label"]).to_numpy()


def forgetting_counts(table: pd.DataFrame) -> pd.DataFrame:
    """How many images were never learned, never forgotten, forgotten once, twice, three times or more."""
    learned = table[table["first_learned"] > 0]
    times = learned["forgetting"].clip(upper=3).value_counts()
    words = {0: "learned, never forgotten", 1: "forgotten once", 2: "forgotten twice", 3: "three times or more"}
    rows = [("never learned", len(table) - len(learned))]
    rows += [(word, int(times.get(number, 0))) for number, word in words.items()]
    return pd.DataFrame(rows, columns=["times", "images"])


def thumbnails(run: Run) -> dict[int, np.ndarray]:
    """The pixels of the training images that were kept to be looked at, by number; empty before there are any."""
    try:
        numbers, pixels = data.training_thumbnails(run)
    except NotInRun:
        return {}
    return dict(zip(numbers.tolist(), pixels, strict=True))


def tiles(run: Run, rows: pd.DataFrame, kept: dict[int, np.ndarray], chosen: int | None) -> TileSet:
    """Tiles of training images with label, prediction and what the ledger says; those without thumbnail as text."""
    names = data.class_names(run)
    shown = [number for number in rows.index if number in kept]
    place = {number: position for position, number in enumerate(shown)}
    content = [
        Tile(
            id=str(row.Index),
            title=f"labelled {row.true_class}",
            lines=_lines(row, names, has_image=row.Index in place),
            images=(place[row.Index],) if row.Index in place else (),
            role="correct" if row.prediction == row.label else "wrong",
            opens=True,
            chosen=row.Index == chosen,
        )
        for row in rows.itertuples()
    ]
    return TileSet(
        tiles=tuple(content), images=atlas(np.stack([kept[number] for number in shown])) if shown else None, size=92
    )


def _lines(row: Any, names: Sequence[str], *, has_image: bool) -> tuple[str, ...]:
    """What is said under a training image."""
    lines = [
        f"predicted {row.predicted_class}",
        f"AUM {decimal(row.aum, 2)}, mean P {probability(row.confidence)}",
    ]
    original = getattr(row, "original_label", row.label)
    if original != row.label:
        lines.append(f"was {names[original]}, exchanged")
    if row.forgetting:
        lines.append(f"forgotten {row.forgetting}×")
    return tuple(lines) if has_image else (*lines, "no thumbnail was kept")


def history(run: Run, number: int) -> pd.DataFrame:
    """One training image over the epochs of the ledger: epoch, label_probability, predicted_class."""
    names, ledger = data.class_names(run), run.training_ledger
    rows = [(epoch, ledger.epoch(epoch).iloc[number]) for epoch in ledger.epochs]
    return pd.DataFrame(
        {
            "epoch": [epoch for epoch, _ in rows],
            "label_probability": [row["label_probability"] for _, row in rows],
            "predicted_class": [names[int(row["prediction"])] for _, row in rows],
        }
    ).dropna()
