"""One cache for everything that the pages ask of the store: shared by all sessions, bounded in bytes.

A result holds for the state of the files that it was read from (`Run.state`), for as long as there is room; what was
not used for longest goes first.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import signature
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from store import Run

BUDGET = 128_000_000  # bytes; the process itself takes about 170 MB
_OVERHEAD = 1000  # bytes of a key and its entry

P = ParamSpec("P")
T = TypeVar("T")


class QueryCache:
    """Results by key, the least recently used removed when there are more bytes than allowed."""

    # Streamlit's caches hash every argument: 57 us (cache_resource) and 163 us (cache_data, a table of 1,000 rows)
    # a hit, against 1 and 13 us here. That is up to 11 % of a rerun, and they are bounded by counts, not by bytes.

    def __init__(self, budget: int) -> None:
        self.budget, self.used = budget, 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._in_progress: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The cached result, or the one computed now; of several threads that need it, one computes it."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                return entry[0]
            in_progress = self._in_progress.setdefault(key, Lock())
        with in_progress:
            with self._lock:
                entry = self._entries.get(key)
            if entry is not None:
                return entry[0]
            try:
                result = compute()
                self._add(key, result)
            finally:
                with self._lock:
                    self._in_progress.pop(key, None)
        return result

    def _add(self, key: Hashable, result: Any) -> None:
        size = size_of(result) + _OVERHEAD
        with self._lock:
            self._entries[key] = result, size
            self.used += size
            while self.used > self.budget and len(self._entries) > 1:
                _, (_, freed) = self._entries.popitem(last=False)
                self.used -= freed

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()
            self.used = 0


def size_of(value: Any) -> int:
    """Bytes that a value holds: exact for arrays and texts, good enough for the rest."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, pd.DataFrame):
        # Eight bytes a cell: the rows share their words (see `data.predictions`), and pandas takes longer to count
        # than many a query takes.
        return 8 * value.size
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif is_dataclass(value):
        parts = (getattr(value, field.name) for field in fields(value))
    return sys.getsizeof(value) + sum(size_of(part) for part in parts)


QUERY_CACHE = QueryCache(BUDGET)


def cached_query(function: Callable[P, T]) -> Callable[P, T]:
    """The function with its results cached: for questions about one epoch, its parameter `epoch`, or about run.h5.

    Arguments must be hashable; a run counts by its state at that epoch. Results are shared by all readers: arrays
    become read-only, and a table is handed out as a shallow copy, which pandas copies on write.
    """
    names = list(signature(function).parameters)
    place = names.index("epoch") if "epoch" in names else None

    def run_key(run: Run, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Hashable:
        if place is None:
            return run.state()
        return run.state(args[place] if place < len(args) else kwargs["epoch"])

    return _cached(function, run_key)


def cached_run_query(function: Callable[P, T]) -> Callable[P, T]:
    """As `cached_query`, for questions about a whole run: asked again when any epoch or the analysis is another one."""
    return _cached(function, lambda run, *_: run.states)


def _cached(function: Callable[P, T], run_key: Callable[..., Hashable]) -> Callable[P, T]:
    @wraps(function)
    def cached_function(*args: P.args, **kwargs: P.kwargs) -> T:
        values = (*args, *kwargs.items())
        key = (function, *(run_key(value, args, kwargs) if isinstance(value, Run) else value for value in values))

        def compute() -> T:
            result = function(*args, **kwargs)
            if isinstance(result, np.ndarray):
                result.flags.writeable = False
            return result

        result = QUERY_CACHE.get(key, compute)
        return result.copy(deep=False) if isinstance(result, pd.DataFrame) else result  # type: ignore[return-value]

    return cached_function
