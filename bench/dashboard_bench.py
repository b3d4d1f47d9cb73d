"""The dashboard as its readers meet it: start, server time per page, and from the click to the painted page.

    python -m bench.dashboard_bench --run runs/quick [--sessions 20] [--clicks 240] [--times 7] [--only server]

A real `streamlit run` on a free port of this machine, over the folder of the run. Server: sessions that speak
Streamlit's protocol visit the pages in random order with a new selection at each click; each rerun is timed from
sending the message to the end of the script. Between a prediction and the next click they think 0.5 to 1.5 s; a second
table has the many sessions with longer thought and with none, which measures what the server can do at most. Painted:
headless Chromium clicks through the pages. The budgets stand beside the figures; nothing is asserted. Markdown goes
to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench import painting, sessions
from bench.server import ROOT, Server, dashboard
from bench.walk import HOME, PAGES, TITLES, WITHOUT_TORCH, View, Walk
from store import Run, open_run

PARTS = ("start", "server", "painted")
THINK = {"hurried": (0.5, 1.5), "at ease": (2.0, 6.0), "not at all": (0.0, 0.0)}  # seconds between prediction and click
EMPTY = ROOT / "bench" / "empty_page.py"
BUDGETS = {1: 200, "many": 1000, "painted": 1000, "start": 5000}  # milliseconds


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.dashboard_bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", required=True, type=Path, help="a run; its folder is what the dashboard shows")
    parser.add_argument("--sessions", type=int, default=20, help="how many at once")
    parser.add_argument("--clicks", type=int, default=240, help="reruns of the single session; all others make 3 times")
    parser.add_argument("--times", type=int, default=7, help="how often a page is painted")
    parser.add_argument("--starts", type=int, default=3, help="how often the server is started")
    parser.add_argument("--only", choices=PARTS, action="append", help="leave out the other parts")
    options = parser.parse_args()
    run, parts = open_run(options.run), options.only or PARTS
    if not run.epochs:
        parser.error(f"the run '{options.run}' has no finished epoch; wait for one or name another run.")
    print(_heading(run))
    if "start" in parts:
        _print(start_table(options.run, times=options.starts))
    if "server" in parts:
        _print(floor(options.run.parent))
    with dashboard(options.run.parent) as server:
        warm_up(server, run)
        if "server" in parts:
            _print(server_table(server, run, many=options.sessions, clicks=options.clicks))
        if "painted" in parts:
            _print(painted_table(server, run, times=options.times))


def _print(lines: Iterable[str]) -> None:
    print("\n".join(lines), flush=True)


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)


def _heading(run: Run) -> str:
    size = f"{len(run.epochs)} epochs x {len(run.variants)} variants x {len(run.labels):,} images"
    return f"A run of {size} x {len(run.classes)} classes, maps of {run.map_shape[0]} x {run.map_shape[1]} cells.\n"


# -- start ------------------------------------------------------------------------------------------------------------


def start_table(run: Path, *, times: int) -> list[str]:
    """Lines of a table: from the start of the process to its prediction and to the first page."""
    executable = painting.chromium()
    taken: dict[str, list[float]] = defaultdict(list)
    failures = []
    for number in range(times):
        _tell(f"start {number + 1} of {times}")
        with dashboard(run.parent) as server:
            first = asyncio.run(sessions.visit_all(server.address, [View(HOME, f"run={run.name}")]))
            taken["the server predictions"].append(server.answered)
            taken["the first page's script has run"].append(time.perf_counter() - server.began)
            failures.append(first[0].failure)
        if executable:
            with painting.browser(executable) as opened, dashboard(run.parent) as server:
                shown = painting.first_page(opened, server.url) / 1000
            taken["the first page is painted in Chromium"].append(server.answered + shown)
    lines = [f"| from the start until (median of {times}) | seconds | budget |", "|---|---:|---:|"]
    for name, seconds in taken.items():
        lines.append(f"| {name} | {np.median(seconds):.1f} | {BUDGETS['start'] / 1000:.0f} |")
    return [*lines, "", *_wrong(failures)]


# -- server -----------------------------------------------------------------------------------------------------------


def warm_up(server: Server, run: Run) -> None:
    """Visit every page but Live, then Live: one line on whether torch was loaded before and after it."""
    walk = Walk(run, 0, pages=WITHOUT_TORCH)
    predictions = asyncio.run(sessions.visit_all(server.address, [walk.next() for _ in WITHOUT_TORCH]))
    before = server.maps_library("libtorch")
    views = [View("live", f"run={run.path.name}")]
    predictions += asyncio.run(sessions.visit_all(server.address, views))
    after = server.maps_library("libtorch")
    reported = {True: "loaded", False: "not loaded"}
    print(f"PyTorch after every page but Live: {reported[before]}; after Live was opened: {reported[after]}.\n")
    _print(_wrong(prediction.failure for prediction in predictions))


def floor(runs: Path) -> list[str]:
    """A line on what a rerun of an empty page costs under the dashboard's settings: nothing here can cost less."""
    _tell("the empty page")
    with dashboard(runs, script=EMPTY) as server:
        views = [View(HOME, "")] * 60
        asyncio.run(sessions.visit_all(server.address, views[:10]))
        before = server.processor_seconds()
        predictions = asyncio.run(sessions.visit_all(server.address, views))
        each = 1000 * (server.processor_seconds() - before) / len(predictions)
    middle = 1000 * np.median([prediction.seconds for prediction in predictions])
    return [f"The floor: an empty Streamlit page takes {middle:.0f} ms, {each:.0f} ms of processor time, a rerun.", ""]


def server_table(server: Server, run: Run, *, many: int, clicks: int) -> list[str]:
    """Lines of two tables: the server time of each page with one session and with many, and that of many by pace."""
    tables = {1: _loaded(server, run, 1, clicks, "hurried")}
    paces = {}
    for pace in THINK:
        paces[pace] = _loaded(server, run, many, -(-3 * clicks // many), pace)
    tables[many] = paces["hurried"]
    wrong = pd.concat([tables[1], *paces.values()])["failed"]
    return [*_server_rows(tables, many), "", *_pace_rows(tables[1], paces, many), "", *_wrong(wrong)]


def _loaded(server: Server, run: Run, count: int, clicks: int, pace: str) -> pd.DataFrame:
    """A row per rerun of `count` sessions at once; what all of it cost is in `attrs`."""
    _tell(f"{count} sessions of {clicks} clicks, thinking {pace}")
    before, began = server.processor_seconds(), time.perf_counter()
    walks = [Walk(run, 1000 * count + 100_000 * list(THINK).index(pace) + number) for number in range(count)]
    predictions = asyncio.run(
        sessions.load(server.address, walks, clicks=clicks, think=THINK[pace], processor=server.processor_seconds)
    )
    lasted = time.perf_counter() - began
    rows = [
        (
            prediction.view.page,
            1000 * prediction.seconds,
            prediction.size / 1000,
            prediction.failure,
            1000 * prediction.processor,
        )
        for prediction in predictions
    ]
    table = pd.DataFrame(rows, columns=["page", "ms", "kb", "failed", "processor"])
    table.attrs |= {
        "rate": len(predictions) / lasted,
        "each": 1000 * (server.processor_seconds() - before) / len(predictions),
        "load": os.getloadavg()[0],
    }
    return table


def _pace_rows(one: pd.DataFrame, paces: dict[str, pd.DataFrame], many: int) -> list[str]:
    lines = [
        "| all pages | between prediction and click | reruns | a second | p50, ms | p95 | processor, ms | load |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for count, pace, table in [(1, "hurried", one)] + [(many, pace, table) for pace, table in paces.items()]:
        middle, high = np.percentile(table["ms"], [50, 95])
        low, most = THINK[pace]
        thought = f"{low:g} to {most:g} s" if most else "nothing: as many as the server can do"
        over = " **over**" if high > BUDGETS["many" if count > 1 else 1] else ""
        lines.append(
            f"| {count} session{'s' * (count > 1)} | {thought} | {len(table)} | {table.attrs['rate']:.1f} "
            f"| {middle:.0f} | {high:.0f}{over} | {table.attrs['each']:.0f} | {table.attrs['load']:.1f} |"
        )
    return lines


def _server_rows(table: dict[int, pd.DataFrame], many: int) -> list[str]:
    lines = [
        f"| server time, ms | 1 session p50 | p95 | budget | {many} sessions p50 | p95 | budget | processor | kB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for page in (*PAGES, ""):
        cells = []
        for count, budget in ((1, BUDGETS[1]), (many, BUDGETS["many"])):
            rows = table[count] if not page else table[count][table[count]["page"] == page]
            middle, high = np.percentile(rows["ms"], [50, 95])
            cells += [f"{middle:.0f}", f"{high:.0f}{' **over**' if high > budget else ''}", str(budget)]
        alone = table[1] if not page else table[1][table[1]["page"] == page]
        cells += [f"{alone['processor'].mean():.0f}", f"{rows['kb'].median():.0f}"]
        lines.append(f"| {TITLES.get(page, '**all pages**')} | {' | '.join(cells)} |")
    return [*lines, "", "Processor: the server's time for a rerun of the single session, mean."]


# -- painted ----------------------------------------------------------------------------------------------------------


def painted_table(server: Server, run: Run, *, times: int) -> list[str]:
    """Lines of a table: median milliseconds from the click to the painted page, by link and by a step of the epoch."""
    executable = painting.chromium()
    if executable is None:
        return ["Click to painted: not measured, because no Chromium is installed.", ""]
    query = f"run={run.path.name}&epoch={run.epochs[-1]}"
    seen: list[painting.Painted] = []
    with painting.browser(executable) as opened:
        _tell(f"painting, {times} rounds over the links")
        seen += painting.clicks(opened, server.url, query, times=times)
        _tell(f"painting, {times} steps of the epoch on each page")
        if len(run.epochs) > 1:
            seen += painting.epoch_steps(opened, server.url, query, epochs=run.epochs, times=times)
    table = pd.DataFrame([vars(painted) for painted in seen])
    lines = [
        f"| click to painted, ms (median of {times}, slowest) | page link | slowest | next epoch | slowest | budget |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for page in PAGES:
        cells = [_painted_cells(table[(table["page"] == page) & (table["what"] == what)]) for what in ("link", "epoch")]
        lines.append(f"| {TITLES[page]} | {' | '.join(cells)} | {BUDGETS['painted']} |")
    return [*lines, "", f"Load average {os.getloadavg()[0]:.1f} at the end; Chromium paints on the same cores.", ""]


def _painted_cells(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "– | –"
    middle = rows["milliseconds"].median()
    return f"{middle:.0f}{' **over**' if middle > BUDGETS['painted'] else ''} | {rows['milliseconds'].max():.0f}"


def _wrong(failures: Iterable[str]) -> Sequence[str]:
    """Lines on reruns that ended in an error; none where none did."""
    reported = pd.Series([failure for failure in failures if failure], dtype=str).value_counts()
    return [f"**{count} reruns failed:** {failure}\n" for failure, count in reported.items()]


if __name__ == "__main__":
    main()
