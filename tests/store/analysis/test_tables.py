import numpy as np
import pytest

from store import queries
from store.metrics.learning import NEVER
from store.metrics.maps import earth_mover
from tests.store.crafted_run import analysed, craft, one_cell


def test_the_events_of_each_image_are_those_that_were_chosen(analysis):
    images = analysis.table("images").set_index("image")
    assert images["formation"].to_dict() == {0: 1, 1: 1, 2: 1, 3: 3, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1}
    assert images.loc[[0, 1, 2, 3], "stabilisation"].tolist() == [1, 3, 4, 1]
    assert images.loc[[0, 1, 2, 4, 6], "learned"].tolist() == [1, 3, NEVER, NEVER, 3]
    assert images.loc[[1, 4], "first_correct"].tolist() == [3, NEVER]
    assert images.loc[[1, 2, 3], "map_lead"].tolist() == [2, 3, -2]
    assert images.loc[[1, 2, 6], "forgetting_count"].tolist() == [0, 1, 1]
    assert images.loc[[1, 6, 0], "flips"].tolist() == [1, 2, 0]
    expected = {0: "always correct", 1: "learned", 2: "forgotten", 4: "never correct"}
    assert images.loc[list(expected), "history"].to_dict() == expected


def test_what_an_untrained_network_predicts_is_neither_learned_nor_forgotten(tmp_path):
    # Images 0 to 3 at epochs 0, 1 and 2; image 0 is right from the first epoch on, 1 by chance before it alone.
    predictions = np.array([[[1, 0, 0, 0]], [[0, 1, 0, 1]], [[0, 1, 1, 1]]])
    run = craft(tmp_path / "run", predictions, labels=[0, 0, 1, 1], first_epoch=0)
    images = analysed(run).table("images").set_index("image")
    assert images["history"].tolist() == ["always correct", "never correct", "learned", "always correct"]
    assert images["learned"].tolist() == [1, NEVER, 2, 1] and images["first_correct"].tolist() == [1, NEVER, 2, 1]
    assert images["forgetting_count"].tolist() == [0, 0, 0, 0] and images["flips"].tolist() == [0, 0, 1, 0]
    assert images["error_run"].tolist() == [0, 2, 0, 0]


def test_a_class_that_the_untrained_network_gives_every_image_is_not_learned_before_training(tmp_path):
    predictions = np.array([[[0, 0, 0, 0]], [[1, 1, 1, 1]], [[0, 0, 1, 1]]])
    run = craft(tmp_path / "run", predictions, labels=[0, 0, 1, 1], first_epoch=0)
    assert analysed(run).table("classes")["half_correct"].tolist() == [2, 1]


def test_pairs_that_only_the_untrained_network_confused_are_no_pairs(tmp_path):
    labels = np.repeat([0, 1], 4)
    predictions = np.stack([np.zeros(8, int), np.ones(8, int), labels])[:, None]  # before training all are class 0
    run = craft(tmp_path / "run", predictions, labels=labels.tolist(), first_epoch=0)
    found = analysed(run)
    row = found.table("pairs").squeeze()
    assert row[["true_class_index", "predicted_class_index", "onset", "peak", "resolved"]].tolist() == [0, 1, 1, 1, 2]
    assert found.array("pair_counts").tolist() == [[0, 4, 0]]  # of every recorded epoch


def test_a_persistent_error_counts_its_epochs_and_the_variants_that_agree(learned, analysis):
    images = analysis.table("images").set_index("image")
    confidence = np.mean([learned.column("confidence", epoch=epoch, variant="clean")[4] for epoch in range(1, 5)])
    assert images.loc[4, "error_run"] == 4
    assert images.loc[4, "agreement"] == 1
    assert images.loc[4, "persistence"] == pytest.approx(4 * confidence)
    assert images.loc[[0, 1], "persistence"].tolist() == [0, 0]
    assert images["label_issue"].to_numpy().nonzero()[0].tolist() == [4]


def test_class_events_sum_up_their_images(analysis):
    classes = analysis.table("classes")
    # Two maps of a class are equal here, so that forming means to equal the final map; one of class 1 changes last.
    assert classes["formation"].tolist() == [1, 3, 1]
    assert classes["half_correct"].tolist() == [1, 1, 1]
    assert classes["forgotten"].tolist() == [pytest.approx(1 / 3), 0, 0]
    assert classes["never_correct"].tolist() == [0, pytest.approx(1 / 3), 0]
    assert classes["within_class"].to_numpy() == pytest.approx([1, 1, 1], abs=1e-5)
    assert classes["between_classes"].to_numpy() == pytest.approx([0, 0, 0], abs=1e-5)


def test_a_confused_pair_has_an_onset_a_peak_and_an_end(analysis):
    pairs, counts = analysis.table("pairs"), analysis.array("pair_counts")
    assert len(pairs) == 1
    row = pairs.iloc[0]
    assert row[["true_class", "predicted_class"]].tolist() == ["class 2", "class 0"]
    assert row[["onset", "peak", "resolved"]].tolist() == [2, 2, 3]
    assert (row["peak_count"], row["last_count"], row["reverse"]) == (3, 0, 0)
    assert counts.tolist() == [[0, 3, 0, 0]]
    assert row["similarity"] == pytest.approx(0) and np.isnan(row["overlap"])


def test_the_history_of_a_pair_is_the_same_from_the_analysis_and_from_the_epochs(learned):
    table = queries.pair_history(learned, true_class=2, predicted_class=0)
    assert table[["epoch", "count", "reverse"]].to_numpy().tolist() == [[1, 0, 0], [2, 3, 0], [3, 0, 0], [4, 0, 0]]
    assert queries.pair_history(learned, true_class=0, predicted_class=2, variant="gray")["count"].tolist() == [
        1,
        1,
        1,
        1,
    ]


def test_the_cue_profile_names_the_class_that_lost_its_logit(analysis):
    cues = analysis.table("cues").set_index("class_index")
    assert cues["variant"].unique().tolist() == ["gray"]
    assert cues["drop"][0] > 3
    assert cues["drop"][[1, 2]].to_numpy() == pytest.approx([0, 0], abs=0.05)
    assert analysis.array("cue_drop").shape == (4, 2, 3)


def test_two_clusters_of_maps_in_a_class_are_found_with_the_one_that_fails(tmp_path):
    labels = [0] * 12 + [1] * 4
    predictions = np.array(labels)[None, None].repeat(1, 0).copy()
    predictions[0, 0, 8:12] = 1

    def own(epoch, variant, image):
        return one_cell(7 if 8 <= image < 12 else labels[image])

    analysis = analysed(craft(tmp_path / "clusters", predictions, labels=labels, own=own))
    clusters = analysis.table("clusters").set_index(["class_index", "cluster"])
    assert clusters["count"].to_dict() == {(0, 0): 8, (0, 1): 4, (1, 0): 4}
    assert clusters["lift"][0, 1] == pytest.approx(3)
    assert clusters["error"][0, 0] == 0
    assert analysis.table("images")["cluster"].tolist() == [0] * 8 + [1] * 4 + [0] * 4


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
    return analysed(run)


def test_the_survival_of_each_cluster_under_a_variant_is_counted(perturbed):
    table = perturbed.table("cluster_survival")
    assert table["variant"].unique().tolist() == ["gray"]
    assert table["class_index"].tolist() == [0, 0]  # class 1 has a single kind
    assert table["count"].tolist() == [6, 6]
    assert sorted(table["share"]) == pytest.approx([4 / 6, 1])
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()


def test_images_whose_map_never_forms_count_as_the_last_ones_of_their_class(perturbed):
    classes = perturbed.table("classes")
    assert classes["image_formation"].tolist() == [1, NEVER]
    assert classes["map_lead"][0] == 0 and np.isnan(classes["map_lead"][1])
    assert classes["silent_share"].tolist() == [0, 1]
    assert classes["object_following"].isna().all()  # where the objects are is not known


def test_a_confused_pair_knows_how_far_apart_its_patterns_lie(tmp_path):
    labels = [0] * 4 + [3] * 4
    predictions = np.array([[[3, 3, 3, 0, 3, 3, 3, 3]]])
    run = craft(tmp_path / "pair", predictions, labels=labels)
    pairs = analysed(run).table("pairs")
    patterns = run.patterns(epoch=1, variant="clean")
    assert pairs["distance"].tolist() == [pytest.approx(float(earth_mover(patterns[0], patterns[3])))]
    assert pairs["distance"][0] == pytest.approx(3, abs=0.05)  # from the first cell of the row to its last
