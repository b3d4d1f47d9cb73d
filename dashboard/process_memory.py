"""When the process collects garbage and gives memory back: after every 250th run of the script.

Streamlit collects after every run, which `dashboard/.streamlit/config.toml` switches off: with pandas and Altair loaded
it took a third of a rerun, and it held up every other reader. Python still collects young cycles by itself.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from itertools import count

import pyarrow as pa

RUNS_PER_COLLECTION = 250  # of the script, in all sessions
_ARENAS = 2
_M_ARENA_MAX = -8  # mallopt's name for the number of arenas (glibc, malloc.h)

_run_counter = count()
_collecting = threading.Lock()
_libc = ctypes.CDLL(None)


def limit_malloc_arenas() -> bool:
    """Keep the C library to two arenas from now on; whether it can (glibc can, other libraries need not)."""
    # Each run of the script is a new thread, and glibc gives threads up to eight arenas a core, each with holes of its
    # own. One thread runs Python at a time, so two arenas are enough.
    return hasattr(_libc, "mallopt") and bool(_libc.mallopt(_M_ARENA_MAX, _ARENAS))


def script_run_ended() -> None:
    """Count a run of the script; after the first and then each `RUNS_PER_COLLECTION`, memory is given back."""
    if next(_run_counter) % RUNS_PER_COLLECTION == 0 and _collecting.acquire(blocking=False):
        try:
            release_memory()
        finally:
            _collecting.release()


def release_memory() -> None:
    """Collect all garbage and give free pages back to the system."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # what survives is modules and cached tables: no later collection needs to look at them
    pa.default_memory_pool().release_unused()
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
