"""The query cache: bounded in bytes, one computation for all who need it, nothing shared that could be changed."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pandas as pd
import pytest

from dashboard import data
from dashboard.query_cache import QUERY_CACHE, QueryCache, cached_query, cached_run_query, size_of
from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run


def test_the_least_recently_used_result_goes_first_and_the_budget_holds():
    cache, computed = QueryCache(budget=35_000), []

    def compute(name):
        computed.append(name)
        return np.zeros(10_000, np.uint8)

    for name in "abcadab":
        cache.get(name, lambda name=name: compute(name))
    assert computed == ["a", "b", "c", "d", "b"]
    assert len(cache) == 3 and cache.used <= 35_000


def test_threads_that_need_the_same_result_wait_for_one_computation():
    cache, computed, ready = QueryCache(budget=1_000_000), [], Event()

    def compute():
        computed.append(1)
        ready.wait(5)
        return 7

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(cache.get, "key", compute) for _ in range(8)]
        ready.set()
    assert [result.result() for result in results] == [7] * 8 and computed == [1]


def test_a_query_that_fails_is_computed_again():
    cache = QueryCache(budget=1_000)

    def fail():
        raise ValueError("not yet")

    with pytest.raises(ValueError, match="not yet"):
        cache.get("key", fail)
    assert cache.get("key", lambda: None) is None and cache.get("key", fail) is None


def test_a_table_that_one_reader_changes_stays_as_it_was_for_the_next():
    @cached_query
    def table():
        return pd.DataFrame({"a": [1, 2]})

    mine = table()
    mine["b"] = 0
    mine.loc[0, "a"] = 9
    assert table().to_dict("list") == {"a": [1, 2]}


def test_arrays_are_read_only():
    @cached_query
    def array():
        return np.zeros(3)

    with pytest.raises(ValueError, match="read-only"):
        array()[0] = 1


@pytest.mark.parametrize(
    ("value", "least"),
    [(np.zeros((4, 5), np.float32), 80), ([np.zeros(1000), np.zeros(1000)], 16_001), ({"a": "x" * 5000}, 5001)],
    ids=["array", "list", "mapping"],
)
def test_sizes_count_what_a_value_holds(value, least):
    assert least <= size_of(value) < 1.1 * least + 200


def test_a_run_that_is_opened_twice_is_one_to_the_cache_and_its_words_are_shared(tiny_run):
    run = open_run(tiny_run)
    frame = data.predictions(run, 1, "clean")
    before = len(QUERY_CACHE)
    assert data.predictions(open_run(tiny_run), 1, "clean").equals(frame) and len(QUERY_CACHE) == before
    assert frame["true_class"].tolist() == run.predictions(epoch=1, variant="clean")["true_class"].tolist()
    assert frame["true_class"].iloc[0] is frame["true_class"].iloc[1]


def test_a_query_about_the_whole_run_is_computed_again_after_an_analysis(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=1))
    computed = []

    @cached_run_query
    def count(run):
        computed.append(1)
        return len(computed)

    assert [count(run), count(run)] == [1, 1]
    path = analyse(run)
    assert [count(run), count(run)] == [2, 2]
    os.utime(path, ns=(1, 1))
    assert count(run) == 3
