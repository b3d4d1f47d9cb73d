import numpy as np
import pytest

from store import open_run, queries
from store.synthetic import write_synthetic_run


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


def test_all_pairs_of_epochs_agree_with_what_each_epoch_predicts(run):
    table = queries.epoch_pairs(run, variant="gray").set_index(["before", "after"])
    assert len(table) == len(run.epochs) ** 2
    for before, after in table.index:
        first, second = (run.column("prediction", epoch=epoch, variant="gray") for epoch in (before, after))
        row = table.loc[before, after]
        assert row["agreement"] == pytest.approx((first == second).mean())
        assert row["change"] == pytest.approx((second == run.labels).mean() - (first == run.labels).mean())
        one, two = (run.patterns(epoch=epoch, variant="gray").reshape(5, -1) for epoch in (before, after))
        cosines = (one * two).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
        assert row["similarity"] == pytest.approx(cosines.mean(), abs=1e-5)


def test_the_calibration_table_counts_every_image_once(run):
    table = queries.calibration_table(run, epoch=3, bins=5)
    assert (len(table), table["count"].sum()) == (5, 20)
    filled = table[table["count"] > 0]
    assert (filled["count"] * filled["accuracy"]).sum() == pytest.approx(18)
    assert 0 <= table.attrs["ece"] <= table.attrs["mce"] + 1e-12
    assert table.attrs["nll"] > 0


def test_the_risk_coverage_curve_ends_at_the_error_rate(run):
    table = queries.risk_coverage(run, epoch=3, variant="gray")
    assert table["coverage"].iloc[-1] == 1
    assert table["risk"].iloc[-1] == 5 / 20
    assert table["coverage"].is_monotonic_increasing and table["threshold"].is_monotonic_decreasing
    assert 0 <= table.attrs["auroc"] <= 1


def test_a_thinned_risk_coverage_curve_keeps_its_ends(run):
    whole, thin = (queries.risk_coverage(run, epoch=3, variant="gray", points=points) for points in (400, 5))
    assert len(thin) <= 5 < len(whole)
    assert thin.iloc[[0, -1]].to_numpy().tolist() == whole.iloc[[0, -1]].to_numpy().tolist()


def test_an_unknown_score_is_refused(run):
    with pytest.raises(
        ValueError, match="The summary columns give no confidence score 'luck': choose one of max_softmax"
    ):
        queries.risk_coverage(run, epoch=3, score="luck")
