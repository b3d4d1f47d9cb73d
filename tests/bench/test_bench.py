"""The benchmarks' own arithmetic and their document; what they measure is measured elsewhere."""

from __future__ import annotations

from urllib.parse import parse_qs

import numpy as np
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
    filling = [Sample(clicks, 0.0, own=50.0 + clicks, files=0.0) for clicks in range(0, 1000, 20)]
    growing = [Sample(clicks, 0.0, own=1050 + 0.002 * clicks, files=0.0) for clicks in range(1000, 2001, 20)]
    assert slope(filling + growing) == pytest.approx((2.0, 2.0, 2.0), abs=1e-6)
    reported = "\n".join(table(filling + growing))
    assert "+2.0 MB per 1,000 clicks" in reported and ": different from none" in reported


def test_memory_that_goes_up_and_down_is_told_as_flat_and_a_short_walk_has_no_slope():
    wavy = [Sample(clicks, 0.0, own=300.0 + 5 * (-1) ** (clicks // 200), files=0.0) for clicks in range(0, 4001, 20)]
    growth, low, high = slope(wavy)
    assert low < growth < high and low < 0 < high
    assert "not different from none" in "\n".join(table(wavy))
    assert np.isnan(slope(wavy[:20])).all()


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
    assert all("class" in query for query in asked if "prediction" in query)
    again = Walk(run, seed=1)
    assert views == [again.next() for _ in views]
