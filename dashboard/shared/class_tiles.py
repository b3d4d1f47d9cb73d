"""Classes as tiles of their patterns that lead to the class's gallery, and the control that chooses one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashboard import data
from dashboard.components.tiles import Tile, TileSet, tile_grid
from dashboard.shared.image_tiles import tile_set
from dashboard.shared.theme import CORRECT
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from store import Run
from store.rates import rate

ORDERS = {
    "group": "by group",
    "similarity": "by similarity",
    "accuracy": "by accuracy",
    "formation": "by formation",
    "name": "by name",
    "index": "as recorded",
}


def choose_order(selection: Selection, orders: Sequence[str]) -> str:
    """In which order the classes stand: a key of `ORDERS`; by formation only where the run has an analysis, and by
    nothing of maps where it has none.
    """
    missing = set() if data.analysis_table(selection.run, "classes") is not None else {"formation"}
    missing |= set() if selection.run.has_maps else {"formation", "similarity"}
    return controls.segmented("Order", "order", {name: ORDERS[name] for name in orders if name not in missing})


def with_images(run: Run, classes: np.ndarray) -> np.ndarray:
    """Those of the class numbers (n,) that the run has images of: the others have neither accuracy nor pattern."""
    return classes[np.isin(classes, run.labels)]


def class_tiles(selection: Selection, classes: Sequence[int], *, size: int = 72) -> TileSet:
    """Tiles for some classes: class pattern, name and accuracy.

    Args:
        selection: run, epoch, variant and scale.
        classes: class numbers in the order of display.
        size: edge of a pattern in CSS pixels.
    """
    run = selection.run
    table = data.class_table(*selection.key)
    names, identifiers = data.class_names(run), data.class_ids(run)
    patterns = data.patterns(*selection.key)[list(classes)]
    address = url_state.linker("gallery", "class", {"image": None})
    shares, counts = table["accuracy"].to_numpy(float), table["count"].to_numpy()
    tiles = tuple(
        Tile(
            id=identifiers[number],
            title=names[number],
            lines=(f"{rate(shares[number], counts[number])} correct",),
            maps=(position,),
            href=address(identifiers[number]),
            # NaN, where the run has no image of the class, is not valid JSON.
            bar=float(np.nan_to_num(shares[number])),
            role=CORRECT,
        )
        for position, number in enumerate(classes)
    )
    return tile_set(selection, tiles, patterns, size=size)


def class_grid(selection: Selection, classes: Sequence[int], *, key: str, size: int = 72) -> None:
    """Draw some classes' patterns; each leads to the class's Gallery page."""
    tile_grid(class_tiles(selection, classes, size=size), key=f"classes-{key}", on_open=url_state.open_class)


def choose_class(selection: Selection, name: str = "class", *, default: int = 0, resets: Sequence[str] = ()) -> int:
    """A list of the classes; the number of the chosen one.

    Args:
        selection: the run.
        name: of the parameter in the URL.
        default: the number of the class that is chosen at first.
        resets: parameters that are invalid for another class.
    """
    identifiers, labels = data.class_ids(selection.run), data.class_labels(selection.run)
    return identifiers.index(controls.select("Class", name, labels, default=identifiers[default], resets=resets))
