"""Images with equal pixels: those that two runs share, so that they can be compared, and repeated ones in a run."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from store.read.run import Run


def shared_images(first: Run, second: Run) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The numbers of the shared images in each run, two (n,) int64, ascending in the second; None where there are none.

    The same image has the same pixels and class. Where no pixels agree, because the runs prepared their images in
    different ways, all names and classes have to. The classes are those of both runs, in one order.

    >>> first, second = queries.shared_images(run, run)
    >>> len(first), np.array_equal(first, second)
    (20, True)
    """
    left, right = _keys(first), _keys(second)
    known: dict[tuple[bytes, int], list[int]] = defaultdict(list)
    for number, key in enumerate(left):
        known[key].append(number)
    # Of equal images the first belongs to the first, and so on.
    pairs = [(known[key].pop(0), number) for number, key in enumerate(right) if known.get(key)]
    if pairs:
        one, two = np.array(pairs, np.int64).T
        return one, two
    if first.image_names == second.image_names and np.array_equal(first.labels, second.labels):
        return np.arange(len(first.labels)), np.arange(len(first.labels))
    return None


def repeated_images(run: Run) -> int:
    """How many images have the same pixels as an earlier one; 0 where the run has no SHA-256 of its images.

    >>> queries.repeated_images(run)
    0
    """
    found = run.image_sha256()
    return 0 if found is None else len(found) - len(np.unique(found, axis=0))


def _keys(run: Run) -> list[tuple[bytes, int]]:
    """Each image's SHA-256 and class; nothing where the run has no SHA-256."""
    found = run.image_sha256()
    return [] if found is None else [(row.tobytes(), int(label)) for row, label in zip(found, run.labels, strict=True)]
