from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from store import DamagedFile, NotInRun, open_run, queries
from store.analysis import read_analysis
from store.analysis.analyse import analyse
from store.analysis.localisation import deciding_quantity, localisation_of
from store.metrics.learning import NEVER
from store.synthetic import write_synthetic_run
from tests.store.crafted_run import CELLS, craft, one_cell

LABELS = [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Four epochs of nine images with chosen events; the map of image 3 has its final form from epoch 3 on."""
    predictions = np.tile(np.array(LABELS), (4, 2, 1))
    predictions[:2, 0, 1] = 1  # image 1 is learned at epoch 3
    predictions[3, 0, 2] = 1  # image 2 is forgotten at epoch 4
    predictions[:, 0, 4] = 2  # image 4 is never correct, ...
    predictions[3, 1, 4] = 2  # ... and the variant agrees at the end
    predictions[1, 0, 6:9] = 0  # all of class 2 is predicted as class 0 at epoch 2 alone
    predictions[:, 1, 0] = 2  # under gray, image 0 is always wrong

    def own(epoch, variant, image):
        pattern = one_cell(LABELS[image])
        if image == 3 and epoch < 2:
            pattern = np.roll(pattern, 1)
        return pattern * (0.5 if variant == 1 and LABELS[image] == 0 else 1) * (1 + 0.1 * (image % 3))

    path = tmp_path_factory.mktemp("runs") / "learned"
    run = craft(path, predictions, labels=LABELS, variants=("clean", "gray"), own=own)
    analyse(run)
    return run


@pytest.fixture(scope="module")
def analysis(learned):
    return read_analysis(learned)


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


def test_an_entrenched_mistake_counts_its_epochs_and_the_variants_that_agree(learned, analysis):
    images = analysis.table("images").set_index("image")
    confidence = np.mean([learned.column("confidence", epoch=epoch, variant="clean")[4] for epoch in range(1, 5)])
    assert images.loc[4, "error_run"] == 4
    assert images.loc[4, "agreement"] == 1
    assert images.loc[4, "persistence"] == pytest.approx(4 * confidence)
    assert images.loc[[0, 1], "persistence"].tolist() == [0, 0]
    assert images["label_issue"].to_numpy().nonzero()[0].tolist() == [4]


def test_class_events_sum_up_their_images(analysis):
    classes = analysis.table("classes")
    assert classes["formation"].tolist() == [1, 1, 1]  # a third of class 1's images cannot turn its mean pattern
    assert classes["half_correct"].tolist() == [1, 1, 1]
    assert classes["forgotten"].tolist() == [pytest.approx(1 / 3), 0, 0]
    assert classes["never_correct"].tolist() == [0, pytest.approx(1 / 3), 0]
    assert classes["within_class"].to_numpy() == pytest.approx([1, 1, 1], abs=1e-5)
    assert classes["between_classes"].to_numpy() == pytest.approx([0, 0, 0], abs=1e-5)


def test_a_confused_pair_is_born_peaks_and_dies(analysis):
    pairs, counts = analysis.table("pairs"), analysis.array("pair_counts")
    assert len(pairs) == 1
    row = pairs.iloc[0]
    assert (row["true_class"], row["predicted_class"], row["onset"], row["peak"], row["resolved"]) == (
        "class 2",
        "class 0",
        2,
        2,
        3,
    )
    assert (row["peak_count"], row["last_count"], row["reverse"], row["mutual"]) == (3, 0, 0, 0)
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


def test_the_cue_fingerprint_names_the_class_that_lost_its_score(analysis):
    cues = analysis.table("cues").set_index("class_index")
    assert cues["variant"].unique().tolist() == ["gray"]
    assert cues["drop"][0] > 3
    assert cues["drop"][[1, 2]].to_numpy() == pytest.approx([0, 0], abs=0.05)
    assert analysis.array("cue_drop").shape == (4, 2, 3)
    assert analysis.array("cue_order").tolist()[1] != 0  # classes 1 and 2 lose nothing and stand together


def test_the_league_holds_every_epoch_and_at_the_last_every_variant(analysis):
    states = analysis.table("league_epochs")[["epoch", "variant"]].drop_duplicates()
    assert states.to_numpy().tolist() == [[1, "clean"], [2, "clean"], [3, "clean"], [4, "clean"], [4, "gray"]]
    failure_ranking = analysis.table("failure_ranking").set_index("score")
    assert {"max_softmax", "cells_to_flip", "stability", "disagreement", "combination"} <= set(failure_ranking.index)
    assert failure_ranking["gain"]["max_softmax"] == 0


def test_the_best_epoch_for_accuracy_is_the_third(analysis):
    best = analysis.table("best_epochs").set_index("criterion")
    assert best["epoch"]["Accuracy"] == 3
    assert best["value"]["Accuracy"] == pytest.approx(8 / 9)
    assert best["last_value"]["Accuracy"] == pytest.approx(7 / 9)
    assert best["low"]["Accuracy"] < 8 / 9 < best["high"]["Accuracy"]
    assert 0.5 < best["selection_share"]["Accuracy"] < 1  # it leads by one image of nine
    assert np.isnan(best["selection_share"]["Robust accuracy"])


def test_ensembles_start_with_the_last_epoch_alone(learned, analysis):
    table = analysis.table("ensembles").set_index("name")
    assert table["gain"]["last"] == 0 and table["top1"]["last"] == pytest.approx(7 / 9)
    mean = sum(learned.probabilities(epoch=epoch, variant="clean") for epoch in (2, 3, 4)) / 3
    assert table["top1"]["epochs_3"] == pytest.approx((mean.argmax(1) == LABELS).mean())
    assert set(table.index) == {"last", "epochs_2", "epochs_3", "variants", "both"}


def test_queries_give_the_same_with_and_without_the_analysis(learned, tmp_path):
    with_it = queries.accuracy_by_variant(learned), queries.class_accuracy(learned, variant="gray")
    hidden = learned.path / "analysis.h5"
    hidden.rename(tmp_path / "analysis.h5")
    try:
        without = queries.accuracy_by_variant(learned), queries.class_accuracy(learned, variant="gray")
    finally:
        (tmp_path / "analysis.h5").rename(hidden)
    for first, second in zip(with_it, without, strict=True):
        assert first.columns.tolist() == second.columns.tolist()
        assert first.equals(second.astype(first.dtypes.to_dict()))


def test_failures_can_be_filtered_by_what_happened_over_the_epochs(learned):
    def listed(**where):
        return queries.failures(learned, epoch=4, where=queries.FailureFilter(**where))["image"].tolist()

    assert sorted(listed()) == [2, 4]
    assert listed(history="forgotten") == [2]
    assert listed(min_error_run=2) == [4]
    assert listed(label_issues=True) == [4]
    assert listed(sort="persistence") == [4, 2]


def test_classes_can_be_ordered_by_formation(learned):
    assert queries.class_order(learned, "formation", epoch=4).tolist() == [0, 1, 2]


def test_pair_events_come_from_the_analysis(learned, tiny_run):
    assert queries.pair_events(learned)["peak_count"].tolist() == [3]
    assert queries.pair_events(open_run(tiny_run)) is None


def test_an_analysis_is_stale_once_the_run_has_more_epochs(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "growing", epochs=3))
    analyse(run)
    (run.path / "epochs" / "0003.h5").rename(tmp_path / "0003.h5")
    (run.path / "epochs" / "0003.json").unlink(missing_ok=True)
    shorter = open_run(run.path)
    assert shorter.epochs == (1, 2)
    assert not read_analysis(run).stale(run)
    assert read_analysis(shorter).stale(shorter)
    assert set(queries.accuracy_by_variant(shorter)["epoch"]) == {1, 2}


def test_epochs_that_an_old_analysis_lacks_are_computed(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "growing", epochs=3))
    expected = queries.accuracy_by_variant(run)
    kept = tmp_path / "0003.h5"
    (run.path / "epochs" / "0003.h5").rename(kept)
    analyse(open_run(run.path))
    kept.rename(run.path / "epochs" / "0003.h5")
    whole = open_run(run.path)
    assert read_analysis(whole).epochs == (1, 2)
    assert queries.accuracy_by_variant(whole).equals(expected.astype(expected.dtypes.to_dict()))
    assert set(queries.class_accuracy(whole)["epoch"]) == {1, 2, 3}


def test_the_analysis_of_another_run_is_not_taken_for_ones_own(tmp_path):
    first, second = (open_run(write_synthetic_run(tmp_path / name, epochs=1)) for name in ("first", "second"))
    analyse(first)
    (first.path / "analysis.h5").rename(second.path / "analysis.h5")
    assert read_analysis(first) is None and read_analysis(second) is None


def test_a_damaged_analysis_says_so_and_what_to_do(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=1))
    analyse(run)
    path = run.path / "analysis.h5"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedFile, match=r"analysis\.h5' cannot be opened"):
        read_analysis(run)


def test_a_flipped_byte_in_the_analysis_is_noticed(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=2))
    analyse(run)
    path = run.path / "analysis.h5"
    whole = {name: read_analysis(run).table(name) for name in ("images", "epochs", "failure_ranking")}
    content = bytearray(path.read_bytes())
    noticed = 0
    for offset in np.linspace(2048, len(content) - 64, 16).astype(int):
        flipped = content.copy()
        flipped[offset] ^= 0x10
        path.write_bytes(flipped)
        try:
            found = {name: read_analysis(run).table(name) for name in whole}
        except DamagedFile:
            noticed += 1
        else:
            assert all(found[name].equals(whole[name]) for name in whole)  # it hit what these tables do not hold
    assert noticed > 0


def test_a_run_without_epochs_cannot_be_analysed(tmp_path):
    with pytest.raises(NotInRun, match="no epochs yet, so there is nothing to analyse"):
        analyse(open_run(write_synthetic_run(tmp_path / "empty", epochs=0)))


@pytest.mark.parametrize("options", [{"variants": ("clean",)}, {"signed": True}, {"masks": None, "boxes": None}])
def test_runs_of_every_kind_can_be_analysed(tmp_path, options):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=1, **options))
    analyse(run)
    found = read_analysis(run)
    assert len(found.table("images")) == 20
    assert np.isnan(found.table("images")["evidence_on_object"]).all() == ("masks" in options)
    assert ("object_following" in found.table("localisation")["quantity"].tolist()) == ("masks" not in options)


def object_run(path, follows):
    """A class of 16 images, the object in another cell each; the map follows it, or always lights the same cell."""
    labels = [0] * 16 + [1] * 2
    masks = np.zeros((18, 16, 16), bool)
    for image in range(18):
        row, column = divmod(image % 16, 4)
        masks[image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = True

    def own(epoch, variant, image):
        pattern = one_cell(image % 16) if follows else one_cell(5)
        return np.roll(pattern, (1, 1), (0, 1)) / 2 + pattern / 2 if variant == 1 and follows else pattern

    predictions = np.tile(np.array(labels), (1, 2, 1))
    run = craft(path, predictions, labels=labels, variants=("clean", "shift"), own=own, masks=masks)
    analyse(run)
    return read_analysis(run).table("localisation")


def test_maps_that_follow_the_object_are_places(tmp_path):
    table = object_run(tmp_path / "locates", follows=True).set_index("quantity")
    assert table["value"]["evidence_on_object"] == pytest.approx(1)
    assert table["value"]["object_area"] == pytest.approx(1 / 16)
    assert table["value"]["object_following"] == pytest.approx(1)
    assert localisation_of(table.reset_index()) == "locates"


def test_maps_that_ignore_the_object_are_codes(tmp_path):
    table = object_run(tmp_path / "encodes", follows=False)
    values = table.set_index("quantity")["value"]
    assert values["evidence_on_object"] < 0.2
    assert abs(values["object_following"]) < 0.1
    assert values["shift_following"] == pytest.approx(0)
    assert localisation_of(table[table["quantity"] == "shift_following"]) == "encodes"


@pytest.mark.parametrize(
    ("follow", "shift", "quantity", "expected"),
    [
        ((0.2, 0.3), (0.0, 0.05), "object_following", "locates"),
        ((0.0, 0.09), (0.5, 0.6), "object_following", "encodes"),
        ((0.1, 0.3), None, "object_following", "locates"),
        ((0.05, 0.1), None, "object_following", "unknown"),
        ((0.09, 0.11), (0.3, 0.4), "shift_following", "locates"),
        ((0.09, 0.11), (0.0, 0.2), "object_following", "unknown"),
        ((float("-inf"), float("inf")), (0.0, 0.05), "shift_following", "encodes"),
        (None, (0.0, 0.2), "shift_following", "unknown"),
        (None, None, None, "unknown"),
    ],
)
def test_objects_decide_on_places_and_shifted_images_where_objects_leave_it_open(follow, shift, quantity, expected):
    rows = [
        (name, sum(ends) / 2, *ends)
        for name, ends in (("shift_following", shift), ("object_following", follow))
        if ends
    ]
    table = pd.DataFrame(rows, columns=["quantity", "value", "low", "high"])
    assert (deciding_quantity(table), localisation_of(table)) == (quantity, expected)


def test_map_shapes_of_this_file_agree():
    assert one_cell(0).shape == CELLS
