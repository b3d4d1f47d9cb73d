"""Where a reader goes: pages in random order with random selections, as links."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np

from dashboard.shell.navigation import available
from dashboard.shell.url_state import HOME as HOME
from store import Run

PAGES: tuple[str, ...] = tuple(page.name for page in available())
TITLES: dict[str, str] = {page.name: page.title for page in available()}
WITHOUT_TORCH: tuple[str, ...] = tuple(page for page in PAGES if page != "live")


@dataclass(frozen=True)
class View:
    """A page and its query string."""

    page: str
    query: str


class Walk:
    """A reader of one run, from a seed: every page once, in random order, then every page again, and so on.

    At each click the epoch and the variant change with even chances, the class, the image and the pinned state
    are chosen anew, and now and then dropped. So caches are hit as by a reader who looks at something new each time.
    """

    def __init__(self, run: Run, seed: int, *, pages: tuple[str, ...] = PAGES) -> None:
        self._run, self._random, self._pages = run, np.random.default_rng(seed), pages
        self._coming: list[str] = []
        self._state = {"run": run.path.name}
        self._classes = [str(identifier) for identifier in run.classes["id"]]

    def next(self) -> View:
        """The next view."""
        if not self._coming:
            self._coming = [str(page) for page in self._random.permutation(self._pages)]
        page = self._coming.pop()
        self._move()
        cell = page == "confusion" and "class" in self._state
        own = {"prediction": str(self._random.choice(self._classes))} if cell else {}
        return View(page, urlencode(self._state | own))

    def _move(self) -> None:
        run, random = self._run, self._random
        if random.random() < 0.5:
            self._state["epoch"] = str(random.choice(run.epochs))
        if random.random() < 0.5:
            self._state["variant"] = str(random.choice(run.variants))
        chosen = {
            "class": str(random.choice(self._classes)),
            "image": str(random.integers(len(run.labels))),
            "pin": f"{random.choice(run.epochs)}.{random.choice(run.variants)}",
        }
        for name, value in chosen.items():
            if random.random() < 0.75:
                self._state[name] = value
            else:
                self._state.pop(name, None)
