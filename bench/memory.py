"""The memory of the dashboard's server over a long random walk over all pages.

    python -m bench memory --run runs/quick [--clicks 9000]

Several readers at once visit pages without a pause; after each stretch they close their windows and new ones come.
The samples are of the process's own memory; what it maps from the run's files belongs to the page cache. The
slope is that of the second half, when the caches are full. A walk is long enough when that half is flat or when
a longer one grows as well.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from scipy import stats

from bench import document, sessions
from dashboard.browser import Server, serve_dashboard
from store import Run, open_run

READERS = 4
STRETCHES = 20  # of the walk; a sample after each


def main(arguments: Sequence[str] | None = None) -> None:
    """Walk, and print a table in Markdown."""
    parser = document.parser("memory", __doc__)
    parser.add_argument("--run", required=True, type=Path, help="a run; its folder is what the dashboard shows")
    parser.add_argument("--clicks", type=int, default=9000)
    options = parser.parse_args(arguments)
    with serve_dashboard(options.run.parent) as server:
        samples, failures = asyncio.run(walk(server, open_run(options.run), clicks=options.clicks))
    print(memory_table(samples) + document.failure_lines(failures))


async def walk(server: Server, run: Run, *, clicks: int) -> tuple[pd.DataFrame, list[str]]:
    """A row per stretch: clicks and minutes so far, own and files (MB); and the errors of reruns ('' = none)."""
    began, rows, failures = time.perf_counter(), [(0, 0.0, *sessions.memory(server.process_id))], []
    each = max(1, clicks // (STRETCHES * READERS))
    for stretch in range(STRETCHES):
        # New windows each time: memory that Streamlit keeps for closed ones would grow here, and nowhere else.
        walks = [sessions.Walk(run, READERS * stretch + reader) for reader in range(READERS)]
        reruns = await sessions.visit_at_once(server.url, walks, clicks=each, pauses=(0, 0), processor=float)
        failures += [rerun.failure for rerun in reruns]
        minutes = (time.perf_counter() - began) / 60
        rows.append(((stretch + 1) * each * READERS, minutes, *sessions.memory(server.process_id)))
        print(f"{rows[-1][0]} clicks, {rows[-1][2]:.0f} MB, load {document.load()}", file=sys.stderr)
    return pd.DataFrame(rows, columns=["clicks", "minutes", "own", "files"]), failures


def slope(samples: pd.DataFrame) -> tuple[float, float, float]:
    """Growth of the own memory over the second half, MB per 1,000 clicks, with its 95 % interval (Student's)."""
    half = samples[samples["clicks"] >= samples["clicks"].max() / 2]
    line = stats.linregress(half["clicks"] / 1000, half["own"])
    margin = stats.t.ppf(0.975, len(half) - 2) * line.stderr
    return float(line.slope), float(line.slope - margin), float(line.slope + margin)


def memory_table(samples: pd.DataFrame) -> str:
    """Every second sample, and the slope of the second half."""
    rows = [
        (f"{row.clicks:,}", f"{row.minutes:.1f}", f"{row.own:.0f}", f"{row.files:.0f}")
        for row in samples[::2].itertuples()
    ]
    growth, low, high = slope(samples)
    flat = "not different from none" if low <= 0 <= high else "different from none"
    middle, last = (samples["own"].iloc[at] for at in (len(samples) // 2, -1))
    headings = ("clicks", "minutes", "own memory, MB", "mapped from files, MB")
    return (
        f"{document.table(headings, rows, text_columns=0)}\n\nSecond half: {growth:+.1f} MB per 1,000 clicks (95 % "
        f"interval {low:+.1f} to {high:+.1f}: {flat}), from {middle:.0f} to {last:.0f} MB. {READERS} readers at once "
        f"close their windows after each of {STRETCHES} stretches."
    )


if __name__ == "__main__":
    main()
