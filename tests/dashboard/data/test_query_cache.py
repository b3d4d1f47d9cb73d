"""The dashboard's memory: bounded in bytes, one prediction for all who ask, nothing shared that could be changed."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pandas as pd
import pytest

from dashboard import data
from dashboard.data import memory
from dashboard.data.query_cache import QUERY_CACHE, QueryCache, cached_query, size_of
from store import open_run


def test_what_was_not_used_for_longest_goes_first_and_the_budget_holds():
    memory = QueryCache(budget=35_000)
    for name in "abc":
        memory.get(name, lambda: np.zeros(10_000, np.uint8))
    memory.get("a", lambda: pytest.fail("it is kept"))
    memory.get("d", lambda: np.zeros(10_000, np.uint8))
    assert len(memory) == 3 and memory.used <= 35_000
    memory.get("a", lambda: pytest.fail("it was used since"))
    asked = []
    memory.get("b", lambda: asked.append("b"))
    assert asked == ["b"]


def test_many_who_ask_at_once_wait_for_one_answer():
    memory, asked, go = QueryCache(budget=1_000_000), [], Event()

    def slow():
        asked.append(1)
        go.wait(5)
        return 7

    with ThreadPoolExecutor(8) as pool:
        predictions = [pool.submit(memory.get, "q", slow) for _ in range(8)]
        go.set()
    assert [prediction.result() for prediction in predictions] == [7] * 8 and asked == [1]


def test_a_question_that_fails_is_asked_again():
    memory = QueryCache(budget=1_000)
    with pytest.raises(ValueError, match="not yet"):
        memory.get("q", _fail)
    assert memory.get("q", lambda: None) is None and memory.get("q", _fail) is None


def _fail():
    raise ValueError("not yet")


def test_a_table_that_is_changed_by_one_reader_stays_as_it_was_for_the_next():
    @cached_query
    def table():
        return pd.DataFrame({"a": [1, 2]})

    mine = table()
    mine["b"] = 0
    mine.loc[0, "a"] = 9
    assert table().to_dict("list") == {"a": [1, 2]}


def test_sizes_follow_what_is_held():
    assert size_of(np.zeros((4, 5), np.float32)) == 80
    assert size_of([np.zeros(1000), np.zeros(1000)]) > 16_000
    assert size_of({"a": "x" * 5000}) > 5000


def test_a_run_that_is_opened_twice_is_one_to_the_memory_and_its_words_are_shared(tiny_run):
    run = open_run(tiny_run)
    frame = data.predictions(run, 1, "clean")
    before = len(QUERY_CACHE)
    assert data.predictions(open_run(tiny_run), 1, "clean").equals(frame) and len(QUERY_CACHE) == before
    assert frame["true_class"].tolist() == run.predictions(epoch=1, variant="clean")["true_class"].tolist()
    assert frame["true_class"].iloc[0] is frame["true_class"].iloc[1]


class Cycle:
    """Refers to itself, so only the collector can free it."""

    def __init__(self):
        self.itself = self


def test_a_sweep_frees_cycles_and_leaves_the_rest_out_of_the_collectors_reach():
    kept_one, lost = Cycle(), weakref.ref(Cycle())
    memory.sweep()
    assert lost() is None and gc.get_freeze_count() > 0
    assert not any(found is kept_one for found in gc.get_objects())
    gc.unfreeze()


def test_only_every_so_many_runs_are_followed_by_a_sweep(monkeypatch):
    swept = []
    monkeypatch.setattr(memory, "sweep", lambda: swept.append(1))
    for _ in range(3 * memory.EVERY):
        memory.run_ended()
    assert len(swept) == 3
