"""The images that two runs share, so that their predictions can be compared one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from store.read.run import Run

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def shared_images(first: Run, second: Run) -> Pairs | None:
    """The numbers of the shared images in each run, two (n,) int64, ascending in the second; None where there are none.

    The same image has the same pixels and class. Where no pixels agree, because the runs prepared their images in
    different ways, it is the one of the same name and class. The classes are those of both runs, in one order.
    """
    left, right = first.image_sha256(), second.image_sha256()
    if left is not None and right is not None:
        keys = [[row.tobytes() for row in each] for each in (left, right)]
        found = _paired(keys[0], keys[1], first.labels, second.labels)
        if found is not None:
            return found
    return _paired(first.image_names, second.image_names, first.labels, second.labels)


def _paired(
    first: Sequence[Hashable], second: Sequence[Hashable], first_labels: NDArray, second_labels: NDArray
) -> Pairs | None:
    known: dict[Hashable, list[int]] = defaultdict(list)
    for number, key in enumerate(zip(first, first_labels.tolist(), strict=True)):
        known[key].append(number)
    pairs = []
    for number, key in enumerate(zip(second, second_labels.tolist(), strict=True)):
        if known.get(key):  # of equal images the first with the first, and so on
            pairs.append((known[key].pop(0), number))
    if not pairs:
        return None
    left, right = np.array(pairs, np.int64).T
    return left, right
