"""One memory for everything that the pages ask of the store: shared by all sessions, bounded in bytes.

A sealed epoch never changes, so what was read or computed once holds for as long as there is room; what was not used
for longest goes first. Streamlit's own caches hash every argument, which for thirty questions a page took as long as
the predictions, and they are bounded by counts, so the memory of a server would depend on the size of its runs.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from store import Run

BUDGET = 128_000_000  # bytes; the process itself takes about 170 MB

P = ParamSpec("P")
T = TypeVar("T")


class QueryCache:
    """Predictions by question, the least recently used dropped when there are more bytes than allowed."""

    def __init__(self, budget: int) -> None:
        self.budget, self.used = budget, 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, question: Hashable, prediction: Callable[[], Any]) -> Any:
        """The prediction kept, or the one made now; several who ask at once wait for one of them to make it."""
        with self._lock:
            found = self._kept.get(question)
            if found is not None:
                self._kept.move_to_end(question)
                return found[0]
            making = self._making.setdefault(question, Lock())
        with making:
            with self._lock:
                found = self._kept.get(question)
            if found is not None:
                return found[0]
            try:
                made = prediction()
                self._keep(question, made)
            finally:
                with self._lock:
                    self._making.pop(question, None)
        return made

    def _keep(self, question: Hashable, made: Any) -> None:
        size = size_of(made) + 1000  # the question itself and its place
        with self._lock:
            self._kept[question] = made, size
            self.used += size
            while self.used > self.budget and len(self._kept) > 1:
                _, (_, freed) = self._kept.popitem(last=False)
                self.used -= freed

    def forget(self) -> None:
        """Drop everything."""
        with self._lock:
            self._kept.clear()
            self.used = 0


def size_of(value: Any) -> int:
    """Bytes that a value holds: exact for arrays and texts, good enough for the rest.

    A cell of a table counts as eight: asking pandas takes longer than many a prediction.
    """
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, pd.DataFrame):
        return 8 * value.size  # words are shared by the rows: see `predictions`
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif is_dataclass(value):
        parts = (getattr(value, part.name) for part in fields(value))
    return sys.getsizeof(value) + sum(size_of(part) for part in parts)


QUERY_CACHE = QueryCache(BUDGET)


def cached_query(function: Callable[P, T]) -> Callable[P, T]:
    """The function with its predictions kept.

    Arguments must be hashable; a run counts by what and where it is. A table is handed out as a shallow copy, which
    pandas copies on write; an array should be made read-only by the function.
    """

    @wraps(function)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        named = tuple(kwargs.items())
        question = (function, *map(_identity, args), *named) if named else (function, *map(_identity, args))
        prediction = QUERY_CACHE.get(question, lambda: function(*args, **kwargs))
        return prediction.copy(deep=False) if isinstance(prediction, pd.DataFrame) else prediction  # type: ignore[return-value]

    return asked


def _identity(argument: Any) -> Hashable:
    return (str(argument.path), argument.id) if isinstance(argument, Run) else argument
