from __future__ import annotations

import numpy as np
import pytest

from store.analysis import read_analysis
from store.analysis.analyse import analyse
from store.metrics.earth_mover import earth_mover
from store.metrics.learning import NEVER
from tests.store.crafted_run import craft, one_cell


def test_two_kinds_of_maps_in_a_class_are_found_with_the_one_that_fails(tmp_path):
    labels = [0] * 12 + [1] * 4
    predictions = np.array(labels)[None, None].repeat(1, 0).copy()
    predictions[0, 0, 8:12] = 1

    def own(epoch, variant, image):
        return one_cell(7 if 8 <= image < 12 else labels[image])

    run = craft(tmp_path / "clusters", predictions, labels=labels, own=own)
    analyse(run)
    analysis = read_analysis(run)
    clusters = analysis.table("clusters").set_index(["class_index", "cluster"])
    assert clusters["count"].to_dict() == {(0, 0): 8, (0, 1): 4, (1, 0): 4}
    assert clusters["lift"][0, 1] == pytest.approx(3)
    assert clusters["error"][0, 0] == 0
    assert analysis.table("images")["cluster"].tolist() == [0] * 8 + [1] * 4 + [0] * 4
    assert analysis.array("mode_shares")[:, 0] == pytest.approx([2 / 3, 1 / 3, 1])


@pytest.fixture(scope="module")
def perturbed(tmp_path_factory):
    """Class 0 has two kinds of maps of six; gray turns two of the second kind into the first. Class 1 ends silent."""
    labels = [0] * 12 + [1] * 6
    predictions = np.tile(np.array(labels), (2, 2, 1))

    def own(epoch, variant, image):
        if image >= 12:
            return one_cell(1) * (epoch == 0)
        second = image >= 6 and not (variant == 1 and image >= 10)
        return one_cell(7 if second else 0) + np.float32(0.1 * (image % 3))

    run = craft(
        tmp_path_factory.mktemp("runs") / "kinds", predictions, labels=labels, variants=("clean", "gray"), own=own
    )
    analyse(run)
    return run


def test_the_survival_of_each_kind_under_a_variant_is_counted(perturbed):
    table = read_analysis(perturbed).table("cluster_survival")
    assert table["variant"].unique().tolist() == ["gray"]
    assert table["class_index"].tolist() == [0, 0]  # class 1 has a single kind
    assert table["count"].tolist() == [6, 6]
    assert sorted(table["share"]) == pytest.approx([4 / 6, 1])
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()


def test_images_whose_map_never_forms_count_as_the_last_ones_of_their_class(perturbed):
    classes = read_analysis(perturbed).table("classes")
    assert classes["image_formation"].tolist() == [1, NEVER]
    assert classes["map_lead"][0] == 0 and np.isnan(classes["map_lead"][1])
    assert classes["silent_share"].tolist() == [0, 1]


def test_following_is_told_class_by_class_where_the_objects_are_known(perturbed):
    assert read_analysis(perturbed).table("classes")["object_following"].isna().all()


def test_a_confused_pair_knows_how_far_apart_its_patterns_lie(tmp_path):
    labels = [0] * 4 + [3] * 4
    predictions = np.array([[[3, 3, 3, 0, 3, 3, 3, 3]]])
    run = craft(tmp_path / "pair", predictions, labels=labels)
    analyse(run)
    pairs = read_analysis(run).table("pairs")
    patterns = run.patterns(epoch=1, variant="clean")
    assert pairs["distance"].tolist() == [pytest.approx(float(earth_mover(patterns[0], patterns[3])))]
    assert pairs["distance"][0] == pytest.approx(3, abs=0.05)  # from the first cell of the row to its last
