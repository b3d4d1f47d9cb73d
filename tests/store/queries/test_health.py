"""Networks that are not fit to be described: told what they are, with values, and nothing else is said of them."""

import numpy as np
import pytest

from store import open_run, queries
from store.analysis import read_analysis
from store.analysis.analyse import analyse
from store.analysis.localisation import localisation_of
from store.synthetic import (
    create_synthetic_run,
    synthetic_description,
    synthetic_maps,
    synthetic_metrics,
    write_synthetic_run,
)
from store.tools.info import describe
from tests.store.degenerate import DEGENERATE, write_degenerate_run

COARSE = {"layers": {}, "stages": {}, "variants": ("clean",)}
FAULTS = {
    "dead": {"dead": "maps of all 20 images are 0 in every cell", "one class": "predicted as “brown bear”"},
    "constant": {"constant": "one value in all of its 64 cells (of the predicted class: from"},
    "blind": {"blind": "have the same map of the predicted class", "one class": "to which 4 belong (20.0 %)"},
    "undecided": {"undecided": "for 20 of 20 images each class has the same probability (20.0 %)"},
    "exploded": {"exploded": "20 of 20 images are beyond 100,000"},
    "one class": {"one class": "all 20 images are predicted as “brown bear”, to which 4 belong (20.0 %)"},
}


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("fault", DEGENERATE)
def test_what_is_wrong_with_a_network_is_the_only_finding(tmp_path, fault, signed):
    run = open_run(write_degenerate_run(tmp_path / "run", fault, signed=signed))
    found = {problem.kind: problem.text for problem in queries.degeneracies(run, epoch=2)}
    assert found.keys() == FAULTS[fault].keys()
    assert all(text in found[kind] for kind, text in FAULTS[fault].items()), found
    assert queries.degeneracies(run, epoch=1) == []
    assert all(text in describe(run) for text in found.values())
    analyse(run)
    analysis = read_analysis(run)
    findings = analysis.table("findings")
    assert set(findings["kind"]) == {"degenerate"} and findings["text"].tolist() == list(found.values())
    assert localisation_of(analysis.table("localisation")) == "unknown"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"signed": True},
        {"classes": 1},
        {"map_shape": (1, 1)},
        {"kept_maps": 1},
        {"classes": 2, "images_per_class": 1},
    ],
    ids=["plain", "signed", "one class", "one cell", "few maps", "one image a class"],
)
def test_a_network_that_is_well_has_no_fault(tmp_path, options):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=2, layers={}, stages={}, **options))
    assert all(queries.degeneracies(run, epoch=epoch) == [] for epoch in run.epochs)


def test_an_accuracy_of_95_percent_for_knowing_one_class_is_told_for_what_it_is(tmp_path):
    labels = np.r_[np.zeros(95, int), np.ones(5, int)]
    run = open_run(write_degenerate_run(tmp_path / "run", "one class", labels=labels))
    [problem] = queries.degeneracies(run, epoch=2)
    assert "to which 95 belong (95.0 %)" in problem.text
    assert queries.balanced_accuracy(run, epoch=2) == pytest.approx(0.5) and queries.majority_share(run) == 0.95
    assert "top-1 95.0 %, balanced over classes 50.0 %, always predicting the largest class 95.0 %" in describe(run)


def test_half_of_the_images_without_a_decision_are_told(tmp_path):
    path, description = tmp_path / "run", synthetic_description("run", 5, 4, epochs=1, options=COARSE)
    maps = synthetic_maps(description, 1, "clean")
    maps[::2] = 0
    with create_synthetic_run(path, description).epoch(1, synthetic_metrics(1)) as recording:
        recording.write("clean", 0, maps)
    [problem] = queries.degeneracies(open_run(path), epoch=1)
    assert (problem.kind, problem.images) == ("undecided", 10)


@pytest.mark.parametrize("fault", ["dead", "one class", "undecided"])
def test_a_variant_under_which_a_network_is_unfit_is_said_to_be_so_and_nothing_is_concluded_from_it(tmp_path, fault):
    run = open_run(write_degenerate_run(tmp_path / "run", fault, faulty="gray"))
    assert queries.degeneracies(run, epoch=2) == []
    analyse(run)
    findings = read_analysis(run).table("findings")
    of_gray = findings[findings["text"].str.contains("gray")]
    assert "gray" not in " ".join(findings["text"][findings["kind"] != "accuracy"])
    told = "The network does not decide" if fault == "undecided" else "One class for everything"
    assert fault == "undecided" or of_gray["text"].str.contains(told).all()
