"""Questions to storage that answers late, or not at all: nobody waits for long, and the last answer stands."""

import threading
import time

import pytest

from store.errors import StoreError
from store.remote import patience
from store.remote.patience import PatientQuestion


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    for name in ("PATIENCE", "FRESH", "BACK_OFF"):
        monkeypatch.setattr(patience, name, 0.05)


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_late_answer_is_reported_and_stands_while_the_next_one_is_late():
    answers, count = threading.Event(), iter(range(100))

    def ask():
        assert answers.wait(30)
        return next(count)

    question = PatientQuestion(ask)
    answer, problem = question.latest()
    assert answer is None and "seconds and is still being asked. Check the network." in problem
    answers.set()
    until(lambda: question.latest() == (0, ""))
    answers.clear()
    until(lambda: "is still being asked" in question.latest()[1])
    late = question.latest()[0]
    assert late is not None
    answers.set()
    until(lambda: question.latest()[0] > late)


def test_an_error_is_reported_with_the_last_answer_and_the_question_is_put_again(monkeypatch):
    outcomes = [1, StoreError("unreachable"), 2]

    def ask():
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(patience, "PATIENCE", 30.0)
    question = PatientQuestion(ask)
    seen = [question.latest()]
    while seen[-1] != (2, ""):
        seen += [latest for latest in [question.latest()] if latest != seen[-1]]
        assert len(seen) < 4
    assert seen == [(1, ""), (1, "unreachable"), (2, "")]


def test_an_answer_is_not_asked_for_again_while_it_is_fresh(monkeypatch):
    monkeypatch.setattr(patience, "FRESH", 60.0)
    count = iter(range(100))
    question = PatientQuestion(lambda: next(count))
    monkeypatch.setattr(patience, "PATIENCE", 30.0)
    assert [question.latest() for _ in range(5)] == [(0, "")] * 5
    known = PatientQuestion(lambda: pytest.fail("asked although the answer is known"), answer=False)
    assert known.latest() == (False, "")
