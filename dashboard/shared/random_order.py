"""A random draw of images that a seed in the address fixes, and the paper's layout of it as a file (Fig. 6 and 7)."""

from __future__ import annotations

import pandas as pd

from dashboard.paper import layouts
from dashboard.shared.downloads import file_button
from dashboard.shared.tile_sheets import file_part
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from store.queries.random_draw import random_places

RANDOM = "random"  # the order's name in the address
PLACE = "random_place"  # its column
SORT = (PLACE, True, "random draw")
_LARGEST_SEED = 9999
_DRAWN = 9  # images of a figure: three rows of three


def with_places(selection: Selection, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, of some images, with the place of each in a random order of all of the run's images."""
    return rows.assign(**{PLACE: random_places(selection.run, _seed())[rows["image"].to_numpy()]})


def choose_seed(sort: str) -> None:
    """The seed of the draw, where a random draw is the order."""
    if sort == RANDOM:
        controls.number_input("Seed of the draw", "seed", 0, _LARGEST_SEED, _seed(), resets=("page",))


def figure_button(selection: Selection, rows: pd.DataFrame, *, sort: str, key: str) -> None:
    """A download of the first images drawn, each with its five most probable classes and their maps, as the paper
    shows them; only where a random draw is the order, so that nobody takes chosen examples for drawn ones.
    """
    run, images = selection.run, rows["image"].head(_DRAWN).tolist()
    if sort != RANDOM or not images or not run.has_maps:
        return
    file_button(
        "PDF in the paper's layout",
        lambda: layouts.examples(run, images, epoch=selection.epoch, variant=selection.variant).to_bytes("pdf"),
        f"{file_part(selection.name)}-epoch{selection.epoch}-{selection.variant}-{key}-seed{_seed()}.pdf",
        "application/pdf",
        icon=":material/grid_on:",
        key=f"figure-{key}",
        help=f"The first {_DRAWN} images drawn, as in Fig. 6 and 7: five classes each, with maps and P.",
    )


def _seed() -> int:
    return url_state.integer("seed", 0, _LARGEST_SEED, 0)
