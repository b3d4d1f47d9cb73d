"""The memory of the dashboard's server over a long random walk over all pages.

    python -m bench memory --run runs/quick [--clicks 9000] [--minutes 60]

Several readers take turns without a pause; every so often one closes the window and a new one comes. Sampled is the
memory that only the process holds; what it maps from the run's files belongs to the page cache. The slope is that of
the second half of the walk, when the caches are full, through the means of `BLOCKS` stretches of it, since neighbouring
samples say the same. A walk is long enough when that half is flat or when a longer one grows as well.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from bench import document, sessions
from dashboard.browser import Server, serve_dashboard
from store import Run, open_run

READERS = 4
CLICKS_PER_WINDOW = 50  # until the next reader closes the window
SAMPLE_EVERY = 20
BLOCKS = 10  # of the second half


@dataclass(frozen=True)
class Sample:
    """Memory in MB after some clicks and seconds."""

    clicks: int
    seconds: float
    own: float
    files: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Walk, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m bench memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, type=Path, help="a run; its folder is what the dashboard shows")
    parser.add_argument("--clicks", type=int, default=9000)
    parser.add_argument("--minutes", type=float, default=60, help="the walk ends here at the latest")
    options = parser.parse_args(arguments)
    with serve_dashboard(options.run.parent) as server:
        samples, failures = asyncio.run(
            walk(server, open_run(options.run), clicks=options.clicks, seconds=60 * options.minutes)
        )
    print(memory_table(samples))
    for failure, count in failures.items():
        print(f"\n**{count} reruns failed:** {failure}")


async def walk(server: Server, run: Run, *, clicks: int, seconds: float) -> tuple[list[Sample], Counter[str]]:
    """Samples of the memory along a walk, and the errors met on it with how often."""
    began, samples, failures = time.perf_counter(), [], Counter[str]()
    async with AsyncExitStack() as all_windows:
        windows: list[AsyncExitStack] = []
        readers: list[tuple[sessions.Session, sessions.Walk]] = []
        for click in range(clicks + 1):
            spent = time.perf_counter() - began
            if click % SAMPLE_EVERY == 0:
                samples.append(Sample(click, spent, **sessions.memory(server.process_id)))
            if click % 200 == 0:
                print(f"{click} clicks, {samples[-1].own:.0f} MB, load {document.load()}", file=sys.stderr)
            if spent > seconds:
                break
            if click % CLICKS_PER_WINDOW == 0:
                windows.append(await all_windows.enter_async_context(AsyncExitStack()))
                session = await windows[-1].enter_async_context(sessions.open_session(server.url))
                readers.append((session, sessions.Walk(run, click)))
            if len(readers) > READERS:
                readers.pop(0)
                await windows.pop(0).aclose()
            session, views = readers[click % len(readers)]
            rerun = await session.visit(views.next())
            failures.update([rerun.failure] if rerun.failure else [])
    return samples, failures


def slope(samples: Sequence[Sample]) -> tuple[float, float, float]:
    """Growth of the own memory over the second half, MB per 1,000 clicks, with its 95 % interval (Student's).

    NaN for a walk that is too short.
    """
    half = [sample for sample in samples if sample.clicks >= samples[-1].clicks / 2]
    if len(half) < 2 * BLOCKS:
        return float("nan"), float("nan"), float("nan")
    points = np.array([[sample.clicks / 1000, sample.own] for sample in half])
    clicks, own = np.array([block.mean(axis=0) for block in np.array_split(points, BLOCKS)]).T
    line = stats.linregress(clicks, own)
    margin = stats.t.ppf(0.975, BLOCKS - 2) * line.stderr
    return float(line.slope), float(line.slope - margin), float(line.slope + margin)


def memory_table(samples: Sequence[Sample]) -> str:
    """About ten samples, and the slope of the second half."""
    rows = [
        (f"{sample.clicks:,}", f"{sample.seconds / 60:.1f}", f"{sample.own:.0f}", f"{sample.files:.0f}")
        for sample in (samples[at] for at in sorted(set(np.linspace(0, len(samples) - 1, 11).astype(int))))
    ]
    growth, low, high = slope(samples)
    flat = "not different from none" if low <= 0 <= high else "different from none"
    middle, last = samples[len(samples) // 2], samples[-1]
    note = (
        f"Second half: {growth:+.1f} MB per 1,000 clicks (95 % interval {low:+.1f} to {high:+.1f}: {flat}), from "
        f"{middle.own:.0f} to {last.own:.0f} MB. {READERS} readers at once, {last.clicks // CLICKS_PER_WINDOW} windows "
        "closed on the way."
    )
    headings = ("clicks", "minutes", "own memory, MB", "mapped from files, MB")
    return f"{document.table(headings, rows, text_columns=0)}\n\n{note}"


if __name__ == "__main__":
    main()
