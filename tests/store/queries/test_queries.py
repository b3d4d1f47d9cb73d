from __future__ import annotations

import numpy as np
import pytest

from store import NotInRun, open_run, queries
from store.synthetic import synthetic_description, write_synthetic_run

# The synthetic run takes images 7 and 15 (last of classes 1 and 3) for the next class in every epoch, 4 and 12 in
# epoch 1 only, and 0, 8 and 16 (first of classes 0, 2 and 4) under gray, bgr and brg.


@pytest.fixture(scope="module")
def run(tiny_run):
    return open_run(tiny_run)


def test_accuracy_has_a_row_per_epoch_and_variant_with_known_values(run):
    table = queries.accuracy_by_variant(run).set_index(["epoch", "variant"])
    assert len(table) == 3 * 8
    assert table["top1"][1, "clean"] == 16 / 20
    assert table["top1"][3, "clean"] == 18 / 20
    assert table["top1"][3, "gray"] == 15 / 20
    assert table["top5"][3, "clean"] == 1
    assert table["flip_rate"][3, "clean"] == 0
    assert table["flip_rate"][3, "bgr"] == 3 / 20
    assert table["mean_confidence"][3, "clean"] == pytest.approx(
        run.column("confidence", epoch=3, variant="clean").mean(), abs=1e-6
    )
    assert np.isnan(table["responsiveness"][3, "clean"])


def test_accuracy_of_a_run_without_epochs_is_an_empty_table(tmp_path):
    empty = open_run(write_synthetic_run(tmp_path / "empty", epochs=0))
    assert queries.accuracy_by_variant(empty).empty
    assert queries.class_accuracy(empty).empty


def test_class_accuracy_follows_each_class_over_the_epochs(run):
    table = queries.class_accuracy(run).set_index(["epoch", "class_index"])
    assert len(table) == 3 * 5
    assert table["accuracy"][1, 1] == 0.5
    assert table["accuracy"][2, 1] == 0.75
    assert table["accuracy"][2, 0] == 1
    assert table["name"][1, 1] == "school bus" and table["group"][1, 1] == "vehicles"


def test_best_and_worst_classes_are_named_once_even_in_a_small_run(run):
    table = queries.best_worst_classes(run, epoch=3, k=10)
    assert sorted(table["class_index"]) == [0, 1, 2, 3, 4]
    assert set(table.loc[table["accuracy"] == 0.75, "class_index"]) == {1, 3}
    assert table["end"].tolist() == ["best"] * 3 + ["worst"] * 2
    assert ((table["low"] < table["accuracy"]) & (table["accuracy"] <= table["high"] + 1e-9)).all()


def test_the_calibration_table_counts_every_image_once(run):
    table = queries.calibration_table(run, epoch=3, bins=5)
    assert (len(table), table["count"].sum()) == (5, 20)
    held = table[table["count"] > 0]
    assert (held["count"] * held["accuracy"]).sum() == pytest.approx(18)
    assert 0 <= table.attrs["ece"] <= table.attrs["mce"] + 1e-12
    assert table.attrs["nll"] > 0


def test_the_risk_coverage_curve_ends_at_the_error_rate(run):
    table = queries.risk_coverage(run, epoch=3, variant="gray")
    assert table["coverage"].iloc[-1] == 1
    assert table["risk"].iloc[-1] == 5 / 20
    assert table["coverage"].is_monotonic_increasing and table["threshold"].is_monotonic_decreasing
    assert 0 <= table.attrs["auroc"] <= 1


def test_the_scores_of_any_state_are_ranked(run):
    table = queries.score_metrics(run, epoch=1, variant="gray")
    assert table["auroc"].is_monotonic_decreasing
    softmax = table.set_index("score").loc["max_softmax"]
    assert softmax["label"] == "Maximum softmax" and softmax["kind"] == "softmax"
    assert softmax["auroc"] == queries.risk_coverage(run, epoch=1, variant="gray").attrs["auroc"]


def test_cue_fingerprints_follow_the_severity_of_the_variants(run):
    table = queries.cue_profiles(run, epoch=3)
    assert len(table) == 7 * 5
    drops = table.groupby("variant")["drop"].mean()
    assert drops["brg"] > drops["bgr"] > drops["gray"] > drops["blur3"]
    assert sorted(table.loc[table["variant"] == "gray", "order"]) == [0, 1, 2, 3, 4]


def test_a_thinned_risk_coverage_curve_keeps_its_ends(run):
    whole, thin = (queries.risk_coverage(run, epoch=3, variant="gray", points=points) for points in (400, 5))
    assert len(thin) <= 5 < len(whole)
    assert thin.iloc[[0, -1]].to_numpy().tolist() == whole.iloc[[0, -1]].to_numpy().tolist()


def test_an_unknown_score_is_refused(run):
    with pytest.raises(ValueError, match="Score 'luck' does not come from the summary columns: there are max_softmax"):
        queries.risk_coverage(run, epoch=3, score="luck")


def test_confused_pairs_are_those_that_the_run_was_made_with(run):
    table = queries.confused_pairs(run, epoch=3)
    assert table[["true_class_index", "predicted_class_index", "count"]].to_numpy().tolist() == [[1, 2, 1], [3, 4, 1]]
    assert table["true_class"].tolist() == ["school bus", "goldfish"]
    assert table["share"].tolist() == [0.25, 0.25]
    assert table["mutual"].tolist() == [0, 0]
    assert table["similarity"].between(-1, 1).all()
    assert len(queries.confused_pairs(run, epoch=3, variant="gray", k=3)) == 3


def test_the_history_of_a_pair_counts_both_directions_at_every_epoch(run):
    table = queries.pair_history(run, true_class=1, predicted_class=2)
    assert table[["epoch", "count", "reverse"]].to_numpy().tolist() == [[1, 2, 0], [2, 1, 0], [3, 1, 0]]
    assert table["share"].tolist() == [0.5, 0.25, 0.25]
    assert queries.pair_history(run, true_class=2, predicted_class=1)["reverse"].tolist() == [2, 1, 1]


def test_group_confusion_keeps_every_image(run):
    table = queries.group_confusion(run, epoch=3).set_index(["true_group", "predicted_group"])
    assert table["count"].sum() == 20
    assert table["count"]["vehicles", "food"] == 1  # school bus -> guacamole
    assert table["count"]["animals", "vehicles"] == 1  # goldfish -> police van
    assert table["share"]["animals", "animals"] == 7 / 8


def test_the_history_of_groups_ends_with_the_last_confusion(run):
    table = queries.group_history(run)
    assert (len(table), table.groupby("epoch")["count"].sum().tolist()) == (27, [20, 20, 20])
    last = table[table["epoch"] == 3].drop(columns="epoch").reset_index(drop=True)
    assert last.equals(queries.group_confusion(run, epoch=3))


def test_evidence_tells_steady_images_from_flipped_ones(run):
    table = queries.evidence_under(run, epoch=3, variant="gray").set_index("image")
    assert table["outcome"][[1, 7]].tolist() == ["stable", "same mistake"]
    flipped = table[~table["held"]]
    assert sorted(flipped.index) == [0, 8, 16]
    assert set(flipped["outcome"]) <= {"responsive", "unresponsive"}
    assert (flipped["label_probability_drop"] > 0).all() and not flipped["perturbed_correct"].any()


def test_likeness_is_listed_with_the_rate_of_confusion(run):
    table = queries.similarity_against_confusion(run, epoch=3)
    assert (len(table), table.attrs["pairs"]) == (10, 10)
    assert table["count"].tolist()[:2] == [1, 1]
    assert table["rate"].iloc[0] == 1 / 8
    assert -1 <= table.attrs["spearman"] <= 1


def test_failures_are_the_wrong_answers_most_confident_first(run):
    table = queries.failures(run, epoch=3)
    assert sorted(table["image"]) == [7, 15]
    assert table["confidence"].is_monotonic_decreasing
    assert not table["correct"].any()


@pytest.mark.parametrize(
    ("where", "images"),
    [
        ({"true_class": 3}, [15]),
        ({"predicted_class": 1}, [0]),
        ({"group": "food"}, [8]),
        ({"confidence": (0.0, 0.0)}, []),
        ({"cells": (65, 99)}, []),
        ({"cells": (1, 64), "true_class": 1}, [7]),
    ],
)
def test_failures_can_be_filtered(run, where, images):
    table = queries.failures(run, epoch=3, variant="bgr", where=queries.FailureFilter(**where))
    assert sorted(table["image"]) == images


def test_failures_can_be_limited_to_a_few_of_each_pair(run):
    table = queries.failures(run, epoch=1, where=queries.FailureFilter(most_per_pair=1))
    assert sorted(table["label"]) == [1, 3]


def test_sorting_by_an_unknown_column_is_refused(run):
    with pytest.raises(ValueError, match="Cannot sort by 'beauty': the columns are image, name"):
        queries.failures(run, epoch=3, where=queries.FailureFilter(sort="beauty"))


def test_a_point_of_the_curve_opens_the_mistakes_that_it_accepts(run):
    curve = queries.risk_coverage(run, epoch=3, variant="gray")
    for coverage, risk in zip(curve["coverage"], curve["risk"], strict=True):
        table = queries.accepted_errors(run, epoch=3, variant="gray", coverage=coverage)
        assert len(table) == round(risk * coverage * 20)
        assert table["trust"].is_monotonic_decreasing and not table["correct"].any()
    with pytest.raises(ValueError, match=r"above 0 and up to 1, got 1\.5"):
        queries.accepted_errors(run, epoch=3, coverage=1.5)


def test_errors_are_set_against_those_of_a_reference_epoch(run):
    table = queries.corruption_errors(run, reference=1).set_index(["epoch", "variant"])
    assert table["ce"][1, "gray"] == 1
    assert table["ce"][3, "clean"] == pytest.approx(2 / 4)
    assert table["ce"][3, "gray"] == pytest.approx(5 / 7)
    with pytest.raises(NotInRun, match=r"Epoch 7 is not in the run 'tiny': take one of \[1, 2, 3\]"):
        queries.corruption_errors(run, reference=7)


def test_flips_between_two_states_tell_what_was_lost_and_gained(run):
    table = queries.flips(run, before=(1, "clean"), after=(3, "gray")).set_index("image")
    assert sorted(table.index) == [0, 4, 8, 12, 16]
    assert table["outcome"].to_dict() == {0: "lost", 8: "lost", 16: "lost", 4: "gained", 12: "gained"}
    assert table["after_name"][0] == "school bus"
    assert queries.flips(run, before=(2, "clean"), after=(3, "clean")).empty


def test_classes_can_be_ordered(run):
    assert queries.class_order(run, "index", epoch=3).tolist() == [0, 1, 2, 3, 4]
    assert queries.class_order(run, "name", epoch=3).tolist() == [0, 3, 2, 4, 1]
    by_group = queries.class_order(run, "group", epoch=3).tolist()
    assert (sorted(by_group[:2]), sorted(by_group[2:4]), by_group[4]) == ([0, 3], [1, 4], 2)
    assert by_group[0] == 0  # bears are told more often than goldfish
    by_accuracy = queries.class_order(run, "accuracy", epoch=3).tolist()
    assert sorted(by_accuracy[-2:]) == [1, 3]
    assert sorted(queries.class_order(run, "similarity", epoch=3)) == [0, 1, 2, 3, 4]


def test_ordering_by_formation_needs_an_analysis(run):
    with pytest.raises(ValueError, match=r"formation epochs of 'tiny' are not known yet: run .*compute analyse"):
        queries.class_order(run, "formation", epoch=3)


def test_an_unknown_order_is_refused(run):
    with pytest.raises(ValueError, match="cannot be ordered by 'luck'"):
        queries.class_order(run, "luck", epoch=3)


def test_the_nearest_images_share_the_class_of_a_clear_image(run):
    table = queries.nearest_images(run, 1, epoch=3, k=3)
    assert 1 not in table["image"].tolist()
    assert set(table["prediction"]) == {0}
    assert table["similarity"].is_monotonic_decreasing


def test_a_class_pattern_finds_the_images_taken_for_that_class(run):
    pattern = run.patterns(epoch=3, variant="clean")[2]
    table = queries.search_pattern(run, pattern, epoch=3, k=5)
    assert sorted(table["image"]) == [7, 8, 9, 10, 11]
    own = queries.search_pattern(run, pattern, epoch=3, k=4, kind="true_class")
    assert sorted(own["image"]) == [8, 9, 10, 11]


def test_a_pattern_of_another_shape_is_refused(run):
    with pytest.raises(ValueError, match=r"shape \(4, 4\), but the run's maps have \(8, 8\)"):
        queries.search_pattern(run, np.ones((4, 4)), epoch=3)


def test_an_epoch_outside_the_run_is_refused(run):
    with pytest.raises(NotInRun, match="Epoch 9 is not in the run"):
        queries.confused_pairs(run, epoch=9)


def test_queries_work_on_signed_maps(tmp_path):
    signed = open_run(write_synthetic_run(tmp_path / "signed", signed=True))
    assert sorted(queries.failures(signed, epoch=3)["image"]) == [7, 15]
    assert set(queries.nearest_images(signed, 0, epoch=3, k=3)["prediction"]) == {0}


def test_the_synthetic_description_matches_what_these_tests_assume():
    labels = synthetic_description("x", 5, 4, epochs=3).labels
    assert labels.tolist() == sorted([0, 1, 2, 3, 4] * 4)
