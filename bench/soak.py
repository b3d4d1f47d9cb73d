"""The memory of the dashboard's server over a long random walk over all pages.

    python -m bench.soak --run runs/quick [--clicks 9000] [--minutes 60]

Several readers take turns without a pause; every so often one closes his window and a new one comes. What is sampled
is the memory that only the process holds (anonymous); what it maps from the run's files is listed beside it and
belongs to the page cache. The slope is that of the walk's second half, when the caches have been filled: of the means
of `BLOCKS` stretches of it, since neighbouring samples say the same. A walk is long enough when that half is flat or
when a longer one grows as well.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from bench import sessions
from bench.server import Server, dashboard
from bench.walk import Walk
from store import Run, open_run

READERS = 4
CLICKS_PER_WINDOW = 50  # until the next reader closes his window
SAMPLE_EVERY = 20
BLOCKS = 10  # of the second half


@dataclass(frozen=True)
class Sample:
    """Memory in MB after some clicks and seconds."""

    clicks: int
    seconds: float
    own: float
    files: float


def main() -> None:
    """Walk and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, type=Path, help="a run; its folder is what the dashboard shows")
    parser.add_argument("--clicks", type=int, default=9000)
    parser.add_argument("--minutes", type=float, default=60, help="the walk ends here at the latest")
    options = parser.parse_args()
    run = open_run(options.run)
    if not run.epochs:
        parser.error(f"the run '{options.run}' has no finished epoch; wait for one or name another run.")
    with dashboard(options.run.parent) as server:
        samples, failures = asyncio.run(walk(server, run, clicks=options.clicks, seconds=60 * options.minutes))
    print("\n".join(table(samples)))
    for failure, count in failures.items():
        print(f"**{count} reruns failed:** {failure}\n")


async def walk(server: Server, run: Run, *, clicks: int, seconds: float) -> tuple[list[Sample], Counter[str]]:
    """Samples of the memory along a walk, and the errors met on it with how often."""
    began, samples, failures = time.perf_counter(), [], Counter[str]()
    windows: list[AsyncExitStack] = []
    readers: list[tuple[sessions.Session, Walk]] = []
    try:
        for click in range(clicks + 1):
            spent = time.perf_counter() - began
            if click % SAMPLE_EVERY == 0:
                samples.append(Sample(click, spent, **server.memory()))
            if click % 200 == 0:
                print(f"{click} clicks, {samples[-1].own:.0f} MB, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
            if spent > seconds:
                break
            if click % CLICKS_PER_WINDOW == 0:
                windows.append(AsyncExitStack())
                session = await windows[-1].enter_async_context(sessions.opened(server.address))
                readers.append((session, Walk(run, click)))
            if len(readers) > READERS:
                readers.pop(0)
                await windows.pop(0).aclose()
            session, path = readers[click % len(readers)]
            prediction = await session.visit(path.next())
            failures.update([prediction.failure] if prediction.failure else [])
    finally:
        for window in windows:
            await window.aclose()
    return samples, failures


def slope(samples: list[Sample]) -> tuple[float, float, float]:
    """Growth of the process's own memory over the second half, MB per 1,000 clicks, and its 95 % interval.

    A line through the means of `BLOCKS` equal stretches, with Student's interval; NaN for a walk too short for it.
    """
    half = [sample for sample in samples if sample.clicks >= samples[-1].clicks / 2]
    if len(half) < 2 * BLOCKS:
        return float("nan"), float("nan"), float("nan")
    points = np.array([[sample.clicks / 1000, sample.own] for sample in half])
    clicks, own = np.array([block.mean(axis=0) for block in np.array_split(points, BLOCKS)]).T
    line = stats.linregress(clicks, own)
    reach = stats.t.ppf(0.975, BLOCKS - 2) * line.stderr
    return float(line.slope), float(line.slope - reach), float(line.slope + reach)


def table(samples: list[Sample]) -> list[str]:
    """Lines of a table of about ten samples, and what became of the memory."""
    lines = ["| clicks | minutes | own memory, MB | mapped from files, MB |", "|---:|---:|---:|---:|"]
    for position in sorted(set(np.linspace(0, len(samples) - 1, 11).astype(int))):
        sample = samples[position]
        lines.append(f"| {sample.clicks:,} | {sample.seconds / 60:.1f} | {sample.own:.0f} | {sample.files:.0f} |")
    growth, low, high = slope(samples)
    flat = "not different from none" if low <= 0 <= high else "different from none"
    middle, last = samples[len(samples) // 2], samples[-1]
    reported = f"{growth:+.1f} MB per 1,000 clicks (95 % interval {low:+.1f} to {high:+.1f}: {flat})"
    lines += [
        "",
        f"Second half: {reported}, from {middle.own:.0f} to {last.own:.0f} MB. {READERS} readers at once, "
        f"{last.clicks // CLICKS_PER_WINDOW} windows closed on the way.",
        "",
    ]
    return lines


if __name__ == "__main__":
    main()
