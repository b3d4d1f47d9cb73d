"""When the process collects garbage and gives memory back: now and then, and never over what lives for ever.

Streamlit collects after every run of the script, which `.streamlit/config.toml` switches off: with pandas and Altair
loaded it was a third of a rerun, and it held up every other reader. Python still collects young cycles by itself. The
rest is done here, once in `EVERY` runs: everything is collected, what is left, which is modules and cached tables, is
taken out of the collector's reach until the next time, and pages that nothing lives on go back to the system.

Each run of a script is a new thread, and the C library keeps apart what different threads allocate: up to eight times
as many arenas as cores, each with holes of its own. One thread runs Python at a time, so two are enough.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from itertools import count

import pyarrow as pa

EVERY = 250  # runs of the script, of all sessions together
_ARENAS = 2
_M_ARENA_MAX = -8  # mallopt's name for the number of arenas (glibc, malloc.h)

_runs = count()
_busy = threading.Lock()
_libc = ctypes.CDLL(None)


def limit_malloc_arenas() -> bool:
    """Keep the C library to two arenas from now on; whether it can (glibc can, others do without)."""
    return hasattr(_libc, "mallopt") and bool(_libc.mallopt(_M_ARENA_MAX, _ARENAS))


def run_ended() -> None:
    """Count a run of the script; after the first and then each `EVERY` memory is swept."""
    if next(_runs) % EVERY == 0 and _busy.acquire(blocking=False):
        try:
            sweep()
        finally:
            _busy.release()


def sweep() -> None:
    """Collect all garbage, let the collector leave alone what survives until the next sweep, and give back the rest."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    pa.default_memory_pool().release_unused()
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


limit_malloc_arenas()
