"""The benchmarks' own arithmetic and their document; what they measure is measured elsewhere."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from bench.__main__ import PARTS, read_sections, write_section
from bench.soak import Sample, slope, table
from bench.walk import PAGES, Walk
from store import open_run


def test_a_measured_part_replaces_its_section_and_leaves_the_others(tmp_path):
    document = tmp_path / "docs" / "benchmarks.md"
    store, dashboard = PARTS["store"][0], PARTS["dashboard"][0]
    write_section(document, dashboard, "| a | 1 |")
    write_section(document, store, "| b | 2 |")
    write_section(document, dashboard, "| a | 3 |")
    assert list(read_sections(document.read_text()).items()) == [(store, "| b | 2 |"), (dashboard, "| a | 3 |")]
    assert list(document.parent.iterdir()) == [document]


def test_slope_is_that_of_the_second_half_per_thousand_clicks():
    filling = [Sample(clicks, 0.0, own=50.0 + clicks, files=0.0) for clicks in range(0, 500, 100)]
    steady = [Sample(clicks, 0.0, own=400.0 + 0.002 * clicks, files=0.0) for clicks in range(500, 1001, 100)]
    growth, error = slope(filling + steady)
    assert growth == pytest.approx(2.0)
    assert error == pytest.approx(0, abs=1e-6)
    assert "+2.0 MB per 1,000 clicks" in "\n".join(table(filling + steady))


def test_a_walk_visits_every_page_once_a_round_and_asks_only_for_what_the_run_holds(tiny_run):
    run = open_run(tiny_run)
    walk = Walk(run, seed=1)
    views = [walk.next() for _ in range(3 * len(PAGES))]
    for start in range(0, len(views), len(PAGES)):
        assert {view.page for view in views[start : start + len(PAGES)]} == set(PAGES)
    asked = [parse_qs(view.query) for view in views]
    assert {query["run"][0] for query in asked} == {run.path.name}
    assert {int(query["epoch"][0]) for query in asked if "epoch" in query} <= set(run.epochs)
    assert {query["variant"][0] for query in asked if "variant" in query} <= set(run.variants)
    assert all(int(query["image"][0]) < len(run.labels) for query in asked if "image" in query)
    assert all("class" in query for query in asked if "answer" in query)
    again = Walk(run, seed=1)
    assert views == [again.next() for _ in views]
