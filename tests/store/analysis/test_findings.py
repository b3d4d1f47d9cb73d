import numpy as np
import pytest

from store.analysis import from_table
from store.analysis.findings import PER_KIND, TESTED_KINDS, Finding, adjusted, as_table, joint_level, select


def finding(kind="cue", strength=0.5, p=float("nan"), **more):
    return Finding(kind, f"{kind} {strength}", 1.0, 0.5, 1.5, "share", "trust", strength, p=p, **more)


def test_a_p_value_is_multiplied_by_the_number_of_things_compared():
    assert adjusted(0.001, 20) == pytest.approx(0.02)
    assert adjusted(0.4, 20) == 1
    assert joint_level(1) == pytest.approx(1 - 0.05 / 13)
    assert joint_level(50) == pytest.approx(1 - 0.05 / 650)


def test_statements_that_fail_the_test_are_left_out_and_all_kinds_share_an_error_rate_of_five_percent():
    kept = select([finding("cue", p=0.3), finding("cluster", p=0.001), finding("pair")])
    assert [entry.kind for entry in kept] == ["cluster", "pair"]
    assert len(TESTED_KINDS) == 13
    assert [entry.p for entry in select([finding("cue", p=0.0038), finding("cluster", p=0.0039)])] == [0.0038]


def test_at_most_two_of_a_kind_are_chosen_and_twelve_in_all():
    many = [finding(f"kind {i % 8}", strength=i / 100) for i in range(80)]
    kept = select(many)
    assert len(kept) == 12
    assert max(sum(entry.kind == kind for entry in kept) for kind in {entry.kind for entry in kept}) == PER_KIND
    assert [entry.strength for entry in kept] == sorted((entry.strength for entry in kept), reverse=True)


def test_two_statements_of_a_kind_are_about_different_classes_and_give_way_to_other_kinds():
    about = [(0.9, "a"), (0.8, "a"), (0.7, "b")]
    entries = [finding(strength=strength, query={"class": name}) for strength, name in about]
    assert [entry.strength for entry in select(entries)] == [0.9, 0.7]
    many = [finding("cue", strength=0.9), finding("cue", strength=0.8), finding("pair", strength=0.5)]
    assert [entry.strength for entry in select(many, most=2)] == [0.9, 0.5]
    assert [entry.strength for entry in select(many, most=3)] == [0.9, 0.8, 0.5]


def test_the_kinds_that_are_always_reported_are_so_even_when_the_evidence_is_weak():
    strong = [finding(f"kind {i}", strength=0.9) for i in range(12)]
    kept = select([*strong, finding("failure_ranking", strength=0.01, p=0.8)])
    assert "failure_ranking" in [entry.kind for entry in kept]


def test_findings_survive_being_written_as_a_table():
    entries = [finding(query={"epoch": 3, "class": "n01"}), finding("cluster", p=0.01, no_effect=0.2)]
    kept = from_table(as_table(entries))
    assert kept[1] == entries[1]
    assert kept[0].query == entries[0].query and np.isnan(kept[0].p)
    assert from_table(as_table([])) == []
