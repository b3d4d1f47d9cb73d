"""When the process collects garbage: now and then, and never over what lives as long as the process.

Streamlit collects after every run of the script, which `.streamlit/config.toml` switches off: with pandas and Altair
loaded it was a third of a rerun, and it held up every other reader. Python still collects young cycles by itself. The
rest is done here, once in `EVERY` runs: everything is collected, and what is left, which is modules and cached
tables, is taken out of the collector's reach until the next time.
"""

from __future__ import annotations

import gc
import threading
from itertools import count

EVERY = 250  # runs of the script, of all sessions together

_runs = count()
_busy = threading.Lock()


def run_ended() -> None:
    """Count a run of the script; after the first and then each `EVERY` memory is swept."""
    if next(_runs) % EVERY == 0 and _busy.acquire(blocking=False):
        try:
            sweep()
        finally:
            _busy.release()


def sweep() -> None:
    """Collect all garbage, and let the collector leave alone what survives until the next sweep."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
