"""The dashboard as users experience it: start, server time of each page, and time from the click to the painted page.

    python -m bench dashboard --run runs/quick [--sessions 20] [--clicks 240] [--times 7] [--only server]

A real `streamlit run` over the folder of the run. Server: sessions that speak Streamlit's protocol visit the pages in
random order with a new selection at each click; each rerun is timed from the message to the end of the script. They
pause 0.5 to 1.5 s between a response and the next click; further rows have the many sessions with longer pauses and
with none, which measures the most that the server can do. Painted: headless Chromium clicks through the pages. Sight:
images in sight without scrolling, and the time from a click until images are. The
budgets are given beside the figures; nothing is asserted.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench import document, painting, sessions, sight
from bench.document import failure_lines, table
from bench.sessions import HOME, PAGES, TITLES, View, Walk
from dashboard.browser import Server, chromium_path, open_chromium, serve_dashboard
from store import Run, open_run

PARTS = ("start", "server", "painted", "sight")
SHORT, LONG, NONE = (0.5, 1.5), (2.0, 6.0), (0.0, 0.0)  # seconds between a response and the next click
BUDGET_ONE, BUDGET_MANY, BUDGET_PAINTED, BUDGET_START = 200, 1000, 1000, 5  # milliseconds, but the last in seconds
EMPTY_PAGE = 'import streamlit as st\n\nst.set_page_config(layout="wide")\nst.write("Nothing else.")\n'


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print tables in Markdown."""
    parser = document.parser("dashboard", __doc__)
    parser.add_argument("--run", required=True, type=Path, help="a run; its folder is what the dashboard shows")
    parser.add_argument("--sessions", type=int, default=20, help="how many at once")
    parser.add_argument("--clicks", type=int, default=240, help="of the single session; the many make 3 times as many")
    parser.add_argument("--times", type=int, default=7, help="how often each page is painted")
    parser.add_argument("--starts", type=int, default=3, help="how often the server is started")
    parser.add_argument("--only", choices=PARTS, action="append", help="leave out the other parts")
    options = parser.parse_args(arguments)
    run, parts = open_run(options.run), options.only or PARTS
    size = f"{len(run.epochs)} epochs x {len(run.variants)} variants x {len(run.labels):,} images"
    print(f"A run of {size} x {len(run.classes)} classes, maps of {run.map_shape[0]} x {run.map_shape[1]} cells.\n")
    if "start" in parts:
        _print(start_table(options.run, times=options.starts))
    if "server" in parts:
        _print(empty_page(options.run.parent))
    with serve_dashboard(options.run.parent) as server:
        _print(warm_up(server, run))
        if "server" in parts:
            _print(server_tables(server, run, many=options.sessions, clicks=options.clicks))
        if "painted" in parts:
            _print(painted_table(server, run, times=options.times))
        if "sight" in parts and chromium_path():
            with open_chromium() as browser:
                _print(sight.sight_table(browser, server, run))
                _print(sight.journey_table(browser, server, run, times=5))


def _print(text: str) -> None:
    print(text, end="\n\n", flush=True)


def _progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)


def _over(value: float, budget: float) -> str:
    return f"{value:.0f}{' **over**' if value > budget else ''}"


def start_table(run: Path, *, times: int) -> str:
    """Seconds from the start of the process to its first response, the first page's script and the painted page."""
    seconds: dict[str, list[float]] = defaultdict(list)
    failures = []
    for number in range(times):
        _progress(f"start {number + 1} of {times}")
        with serve_dashboard(run.parent) as server:
            first = asyncio.run(sessions.visit_all(server.url, [View(HOME, f"run={run.name}")]))
            seconds["the server answers"].append(server.seconds_to_answer)
            seconds["the first page's script has run"].append(time.perf_counter() - server.started)
            failures.append(first[0].failure)
        if chromium_path():
            with open_chromium() as browser, serve_dashboard(run.parent) as server:
                painted = painting.first_page(browser, server.url) / 1000
            seconds["the first page is painted in Chromium"].append(server.seconds_to_answer + painted)
    rows = [(name, f"{np.median(values):.1f}", str(BUDGET_START)) for name, values in seconds.items()]
    return table((f"from the start until (median of {times})", "seconds", "budget"), rows) + failure_lines(failures)


def empty_page(runs: Path) -> str:
    """The cost of rerunning an empty page under the dashboard's settings: the lower bound for every page."""
    _progress("the empty page")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text(EMPTY_PAGE, "utf-8")
        with serve_dashboard(runs, script=script) as server:
            views = [View(HOME, "")] * 60
            asyncio.run(sessions.visit_all(server.url, views[:10]))
            before = sessions.processor_seconds(server.process_id)
            reruns = asyncio.run(sessions.visit_all(server.url, views))
            each = 1000 * (sessions.processor_seconds(server.process_id) - before) / len(reruns)
    middle = 1000 * np.median([rerun.seconds for rerun in reruns])
    return f"The floor: an empty Streamlit page takes {middle:.0f} ms, {each:.0f} ms of processor time, a rerun."


def warm_up(server: Server, run: Run) -> str:
    """Visit every page but Live, then Live, and say whether torch was loaded before and after it."""
    others = tuple(page for page in PAGES if page != "live")
    walk, state = Walk(run, 0, pages=others), {True: "loaded", False: "not loaded"}
    reruns = asyncio.run(sessions.visit_all(server.url, [walk.next() for _ in others]))
    before = state[sessions.has_library(server.process_id, "libtorch")]
    reruns += asyncio.run(sessions.visit_all(server.url, [View("live", f"run={run.path.name}")]))
    after = state[sessions.has_library(server.process_id, "libtorch")]
    text = f"PyTorch after every page but Live: {before}; after Live was opened: {after}."
    return text + failure_lines(rerun.failure for rerun in reruns)


def server_tables(server: Server, run: Run, *, many: int, clicks: int) -> str:
    """The server time of each page with one session and with many, and of all pages by the length of the pauses."""
    loads = [(1, SHORT), (many, SHORT), (many, LONG), (many, NONE)]
    reruns = [
        _visit(server, run, count, clicks if count == 1 else -(-3 * clicks // count), pauses) for count, pauses in loads
    ]
    paces = []
    for (count, (low, high)), frame in zip(loads, reruns, strict=True):
        middle, slow = frame["ms"].quantile([0.5, 0.95])
        pause = f"{low:g} to {high:g} s" if high else "none: as many as the server can do"
        slow_cell = _over(slow, BUDGET_ONE if count == 1 else BUDGET_MANY)
        figures = (f"{frame.attrs['rate']:.1f}", f"{middle:.0f}", slow_cell, f"{frame.attrs['processor']:.0f}")
        paces.append((f"{count} session{'s' * (count > 1)}", pause, str(len(frame)), *figures))
    headings = ("all pages", "pause between answer and click", "reruns", "a second", "p50, ms", "p95", "processor, ms")
    note = "Processor: the server's time for a rerun of the single session, mean."
    failures = failure_lines(pd.concat(reruns)["failure"])
    return f"{_page_table(reruns[0], reruns[1], many)}\n\n{note}\n\n{table(headings, paces, text_columns=2)}{failures}"


def _visit(server: Server, run: Run, count: int, clicks: int, pauses: tuple[float, float]) -> pd.DataFrame:
    """A row per rerun of `count` sessions at once: page, ms, kB, failure, processor (ms); totals in `attrs`."""
    _progress(f"{count} sessions of {clicks} clicks, pauses of {pauses[0]:g} to {pauses[1]:g} s")

    def processor() -> float:
        return sessions.processor_seconds(server.process_id)

    before, began = processor(), time.perf_counter()
    walks = [Walk(run, 1000 * count + round(10_000 * pauses[1]) + number) for number in range(count)]
    reruns = asyncio.run(sessions.visit_at_once(server.url, walks, clicks=clicks, pauses=pauses, processor=processor))
    rows = [
        (each.view.page, 1000 * each.seconds, each.size / 1000, each.failure, 1000 * each.processor) for each in reruns
    ]
    frame = pd.DataFrame(rows, columns=["page", "ms", "kB", "failure", "processor"])
    frame.attrs["rate"] = len(reruns) / (time.perf_counter() - began)
    frame.attrs["processor"] = 1000 * (processor() - before) / len(reruns)
    return frame


def _page_table(one: pd.DataFrame, several: pd.DataFrame, many: int) -> str:
    rows = []
    for page in (*PAGES, ""):
        cells = []
        for frame, budget in ((one, BUDGET_ONE), (several, BUDGET_MANY)):
            own = frame[frame["page"] == page] if page else frame
            middle, slow = own["ms"].quantile([0.5, 0.95])
            cells += [f"{middle:.0f}", _over(slow, budget), str(budget)]
        alone = one[one["page"] == page] if page else one
        cells += [f"{alone['processor'].mean():.0f}", f"{alone['kB'].median():.0f}"]
        rows.append((TITLES.get(page, "**all pages**"), *cells))
    headings = ("1 session p50", "p95", "budget", f"{many} sessions p50", "p95", "budget", "processor", "kB")
    return table(("server time, ms", *headings), rows)


def painted_table(server: Server, run: Run, *, times: int) -> str:
    """Median and slowest milliseconds from the click to the painted page, by link and by a step of the epoch."""
    if chromium_path() is None:
        return "Click to painted: not measured, because no Chromium is installed."
    query = f"run={run.path.name}&epoch={run.epochs[-1]}"
    with open_chromium() as browser:
        _progress(f"painting, {times} rounds over the links")
        painted = list(painting.click_links(browser, server.url, query, times=times))
        if len(run.epochs) > 1:
            _progress(f"painting, {times} steps of the epoch on each page")
            painted += painting.step_epochs(browser, server.url, query, epochs=run.epochs, times=times)
    frame = pd.DataFrame([vars(each) for each in painted])
    rows = []
    for page in PAGES:
        cells = []
        for kind in ("link", "epoch"):
            times_of = frame[(frame["page"] == page) & (frame["reached_by"] == kind)]["milliseconds"]
            cells += (
                [_over(times_of.median(), BUDGET_PAINTED), f"{times_of.max():.0f}"] if len(times_of) else ["–", "–"]
            )
        rows.append((TITLES[page], *cells, str(BUDGET_PAINTED)))
    headings = (f"click to painted, ms (median of {times}, slowest)", "page link", "slowest", "next epoch", "slowest")
    note = f"Load average {os.getloadavg()[0]:.1f} at the end; Chromium paints on the same cores."
    return f"{table((*headings, 'budget'), rows)}\n\n{note}"


if __name__ == "__main__":
    main()
