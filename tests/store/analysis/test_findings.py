from __future__ import annotations

import numpy as np
import pytest

from store.analysis import from_table, read_analysis
from store.analysis.analyse import analyse
from store.analysis.findings import (
    PER_KIND,
    TESTED,
    Finding,
    adjusted,
    as_table,
    joint_level,
    percent,
    perturbed,
    select,
)
from tests.store.crafted_run import craft, one_cell


def finding(kind="cue", strength=0.5, p=float("nan"), **more):
    return Finding(kind, f"{kind} {strength}", 1.0, 0.5, 1.5, "share", "trust", strength, p=p, **more)


def found(run):
    analyse(run)
    return from_table(read_analysis(run).table("findings"))


def test_a_p_value_is_multiplied_by_the_number_of_things_compared():
    assert adjusted(0.001, 20) == pytest.approx(0.02)
    assert adjusted(0.4, 20) == 1
    assert joint_level(1) == pytest.approx(1 - 0.05 / 8)
    assert joint_level(50) == pytest.approx(1 - 0.05 / 400)


def test_statements_that_fail_the_test_are_not_told():
    kept = select([finding("cue", p=0.3), finding("cluster", p=0.001), finding("pair")])
    assert [entry.kind for entry in kept] == ["cluster", "pair"]


def test_the_error_rate_of_five_percent_is_shared_by_all_kinds_of_tested_statements():
    assert len(TESTED) == 8
    assert [entry.p for entry in select([finding("cue", p=0.0062), finding("cluster", p=0.0063)])] == [0.0062]


def test_every_tested_kind_of_a_telling_run_is_among_those_that_share_the_rate(telling):
    assert {entry.kind for entry in found(telling) if not np.isnan(entry.p)} <= set(TESTED)


def test_variants_are_called_what_they_do():
    names = ["gray", "brg", "blur5", "salt_pepper_0.005", "salt_pepper_mild", "my_own"]
    assert [perturbed(name) for name in names] == [
        "grayscale",
        "[B, R, G] channels",
        "a 5×5 blur",
        "0.5 % salt and pepper",
        "salt pepper mild",
        "my own",
    ]


def test_at_most_two_of_a_kind_are_told_and_ten_in_all():
    many = [finding(f"kind {i % 8}", strength=i / 100) for i in range(80)]
    kept = select(many)
    assert len(kept) == 10
    assert max(sum(entry.kind == kind for entry in kept) for kind in {entry.kind for entry in kept}) == PER_KIND
    assert [entry.strength for entry in kept] == sorted((entry.strength for entry in kept), reverse=True)


def test_two_statements_of_a_kind_are_about_different_classes():
    entries = [
        finding(strength=strength, query={"class": name}) for strength, name in ((0.9, "a"), (0.8, "a"), (0.7, "b"))
    ]
    assert [entry.strength for entry in select(entries)] == [0.9, 0.7]


def test_a_second_statement_of_a_kind_gives_way_to_a_kind_that_was_not_told_yet():
    many = [finding("cue", strength=0.9), finding("cue", strength=0.8), finding("pair", strength=0.5)]
    assert [entry.strength for entry in select(many, most=2)] == [0.9, 0.5]
    assert [entry.strength for entry in select(many, most=3)] == [0.9, 0.8, 0.5]


def test_the_standing_questions_are_answered_even_when_the_answer_is_weak():
    strong = [finding(f"kind {i}", strength=0.9) for i in range(12)]
    assert "failure_ranking" in [
        entry.kind for entry in select([*strong, finding("failure_ranking", strength=0.01, p=0.8)])
    ]


def test_findings_survive_being_written_as_a_table():
    entries = [finding(query={"epoch": 3, "class": "n01"}), finding("cluster", p=0.01)]
    kept = from_table(as_table(entries))
    assert kept[1] == entries[1]
    assert kept[0].query == entries[0].query and np.isnan(kept[0].p)
    assert from_table(as_table([])) == []


def test_shares_are_written_for_people():
    assert [percent(share) for share in (0.314, 0.004, 0, 1, -0.25)] == ["31 %", "0.4 %", "0 %", "100 %", "-25 %"]
    assert [percent(share) for share in (0.9918, 0.996)] == ["99 %", "99.6 %"]  # never 100 % unless all of them
    assert [percent(share) for share in (0.99961, 0.0004, -0.0004)] == ["99.96 %", "0.04 %", "-0.04 %"]


@pytest.fixture(scope="module")
def telling(tmp_path_factory):
    """40 images a class: under gray class 0 is called class 1; class 2 forms late; class 3 was class 0 at first."""
    labels = np.repeat(np.arange(4), 40)
    predictions = np.tile(labels, (4, 2, 1))
    predictions[:, 1, :36] = 1
    predictions[0, 0, labels == 3] = 0
    predictions[3, 0, [5, 6, 7]] = 2

    def own(epoch, variant, image):
        late = labels[image] == 2 and epoch < 3 - image % 2
        pattern = np.roll(one_cell(int(labels[image])), 4 if late else 0)
        return pattern * (1 + 0.02 * (image % 7)) * (0.4 if variant and labels[image] == 0 else 1)

    path = tmp_path_factory.mktemp("runs") / "telling"
    return craft(path, predictions, labels=labels.tolist(), variants=("clean", "gray"), own=own)


def test_the_findings_of_a_run_with_known_events_tell_these_events(telling):
    findings = {entry.kind: entry for entry in found(telling)}
    switch = findings["predicted as"]
    assert switch.text == (
        "Under grayscale, 36 of 40 images of “class 0” are predicted as “class 1” (90 %); clean, 0 are."
    )
    assert (switch.value, switch.unit) == (0.9, "share")
    assert 0.5 < switch.low < 0.9 < switch.high <= 1
    assert switch.query == {"epoch": 4, "variant": "gray", "class": "c0", "prediction": "c1"}
    assert findings["accuracy"].value == pytest.approx(33 / 160)
    assert findings["accuracy"].text == "Under grayscale the accuracy falls from 98 % to 78 %."
    assert findings["cue"].text.startswith("“class 0” loses ")
    assert findings["cue"].query["class"] == "c0"
    # Its even images form at epoch 4, its odd ones at epoch 3; all others at epoch 1.
    assert findings["formation"].text.endswith("of “class 2” from epoch 3.5 on (means).")
    assert (findings["formation"].value, findings["formation"].comparisons) == (2.5, 6)
    assert findings["formation"].low > 0
    pair = findings["pair"]
    assert pair.text == "At epoch 1, 40 of 40 images of “class 3” were predicted as “class 0”; at epoch 4 none is."
    assert findings["correction"].text == (
        "In 100 % of the 3 mistakes the true class catches up with the prediction when 1 of the 16 cells is taken out of the "
        "maps, in half of them when 1 is."
    )
    assert findings["correction"].query == {"epoch": 4, "sort": "fewest_cells"}
    assert findings["forgetting"].text.startswith("3 of the 3 images that end up wrong")


def test_every_finding_has_an_interval_around_its_figure_and_a_page(telling):
    for entry in found(telling):
        assert entry.low <= entry.value <= entry.high
        assert entry.page in {
            "confusion",
            "robustness",
            "trust",
            "learning",
            "image",
            "gallery",
            "failures",
            "patterns",
        }
        assert 0 <= entry.strength <= 1
        assert np.isnan(entry.p) or entry.p <= 0.05
        assert entry.text.endswith(".")


def test_a_run_of_chance_answers_yields_no_claim_about_its_classes(tmp_path):
    random = np.random.default_rng(5)
    labels = np.repeat(np.arange(5), 20)
    predictions = random.integers(5, size=(3, 3, 100))
    strengths = random.uniform(0.5, 2, size=(3, 3, 100))

    def own(epoch, variant, image):
        return one_cell(int(labels[image])) * strengths[epoch, variant, image]

    run = craft(tmp_path / "chance", predictions, labels=labels.tolist(), variants=("clean", "gray", "bgr"), own=own)
    kinds = {entry.kind for entry in found(run)}
    assert not kinds & {
        "predicted as",
        "group predicted as",
        "cue",
        "accuracy",
        "cluster",
        "pair",
        "formation",
        "ensemble",
    }


@pytest.mark.parametrize(("under", "reported"), [(0, True), (40, False)])
def test_maps_that_are_alike_in_all_classes_form_before_nothing(tmp_path, under, reported):
    """The predictions settle at epoch 3 under maps that never change; a constant under them makes all classes alike."""
    labels = np.repeat(np.arange(3), 8)
    predictions = np.tile(labels, (3, 1, 1))
    predictions[:2, 0, ::4] = (labels[::4] + 1) % 3
    run = craft(tmp_path / "run", predictions, labels=labels.tolist(), own=lambda *at: one_cell(labels[at[2]]) + under)
    assert ("formation before prediction" in {entry.kind for entry in found(run)}) == reported


def test_a_run_of_one_perfect_epoch_claims_nothing_about_mistakes(tmp_path):
    labels = np.repeat(np.arange(3), 4)
    run = craft(tmp_path / "perfect", np.tile(labels, (1, 1, 1)), labels=labels.tolist())
    kinds = {entry.kind for entry in found(run)}
    assert not kinds & {"failure_ranking", "forgetting", "persistence", "pair", "predicted as", "ensemble", "formation"}
