"""A random order of a run's images that a seed fixes: pages and figures with the same seed show the same images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from store.read.run import Run


def random_places(run: Run, seed: int) -> NDArray[np.int64]:
    """The place of each image in a random order of all of them, (N,) int64.

    A draw is made of any subset by sorting it by these places, so that a filter does not change the order of the rest.

    Raises:
        ValueError: the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"A seed is a whole number from 0, got {seed}.")
    # Raw numbers of the generator, sorted: these are the same in every version of NumPy, a shuffle need not be.
    keys = np.random.PCG64(seed).random_raw(len(run.labels))
    places = np.empty(len(keys), np.int64)
    places[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    return places


def random_draw(run: Run, candidates: NDArray[np.int64], count: int, *, seed: int) -> list[int]:
    """At most `count` of the candidate images, in random order."""
    order = np.argsort(random_places(run, seed)[candidates], kind="stable")
    return [int(image) for image in np.asarray(candidates)[order[:count]]]
