"""The benchmarks of the dashboard: where readers go, the slope of the memory, and both commands on a tiny run."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest

from bench import dashboard, memory
from bench.memory import memory_table, slope
from bench.sessions import PAGES, TITLES, Walk
from store import open_run


def samples(own) -> pd.DataFrame:
    clicks = np.arange(0, 2001, 100)
    return pd.DataFrame({"clicks": clicks, "minutes": 0.0, "own": own(clicks), "files": 0.0})


def test_slope_is_that_of_the_second_half_per_thousand_clicks():
    growing = samples(lambda clicks: np.where(clicks < 1000, 50.0 + clicks, 1050 + 0.002 * clicks))
    assert slope(growing) == pytest.approx((2.0, 2.0, 2.0), abs=1e-6)
    text = memory_table(growing)
    assert "+2.0 MB per 1,000 clicks" in text and ": different from none" in text
    assert "| 2,000 |" in text and "| 100 |" not in text


def test_memory_that_goes_up_and_down_counts_as_flat():
    wavy = samples(lambda clicks: 300.0 + 5 * (-1.0) ** (clicks // 100))
    growth, low, high = slope(wavy)
    assert low < growth < high and low < 0 < high
    assert "not different from none" in memory_table(wavy)


def test_a_walk_visits_every_page_once_a_round_and_asks_only_for_what_the_run_holds(tiny_run):
    run = open_run(tiny_run)
    walk, again = Walk(run, seed=1), Walk(run, seed=1)
    views = [walk.next() for _ in range(3 * len(PAGES))]
    for start in range(0, len(views), len(PAGES)):
        assert {view.page for view in views[start : start + len(PAGES)]} == set(PAGES)
    queries = [parse_qs(view.query) for view in views]
    assert {query["run"][0] for query in queries} == {run.path.name}
    assert {int(query["epoch"][0]) for query in queries if "epoch" in query} <= set(run.epochs)
    assert {query["variant"][0] for query in queries if "variant" in query} <= set(run.variants)
    assert all(int(query["image"][0]) < len(run.labels) for query in queries if "image" in query)
    assert all("class" in query for query in queries if "prediction" in query)
    assert views == [again.next() for _ in views]


def in_a_thread(command, arguments):
    """Run a command where no event loop runs: the browser tests of this process keep one in the main thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(command, arguments).result()


@pytest.mark.slow
def test_both_commands_measure_every_page_of_a_tiny_run(tiny_run, capsys, monkeypatch):
    for pauses in ("SHORT", "LONG"):
        monkeypatch.setattr(dashboard, pauses, (0.0, 0.01))
    server_only = ["--run", str(tiny_run), "--sessions", "2", "--clicks", str(len(PAGES) + 1), "--only", "server"]
    in_a_thread(dashboard.main, server_only)
    text = capsys.readouterr().out
    assert all(f"| {title} |" in text for title in TITLES.values())
    assert "PyTorch after every page but Live: not loaded" in text
    assert "reruns failed" not in text
    in_a_thread(memory.main, ["--run", str(tiny_run), "--clicks", "80"])
    text = capsys.readouterr().out
    assert "| 80 |" in text and "reruns failed" not in text
