import numpy as np
import pytest

from store import NotInRun, queries
from tests.store.crafted_run import craft


def test_confused_pairs_are_those_of_the_synthetic_run(run):
    table = queries.confused_pairs(run, epoch=3)
    assert table[["true_class_index", "predicted_class_index", "count"]].to_numpy().tolist() == [[1, 2, 1], [3, 4, 1]]
    assert table["true_class"].tolist() == ["school bus", "goldfish"]
    assert table["share"].tolist() == [0.25, 0.25]
    assert table["similarity"].between(-1, 1).all()
    assert len(queries.confused_pairs(run, epoch=3, variant="gray", k=3)) == 3


def test_the_history_of_a_pair_counts_both_directions_at_every_epoch(run):
    table = queries.pair_history(run, true_class=1, predicted_class=2)
    assert table[["epoch", "count", "reverse"]].to_numpy().tolist() == [[1, 2, 0], [2, 1, 0], [3, 1, 0]]
    assert table["share"].tolist() == [0.5, 0.25, 0.25]
    assert queries.pair_history(run, true_class=2, predicted_class=1)["reverse"].tolist() == [2, 1, 1]


def test_the_history_of_groups_ends_with_the_last_confusion(run):
    table = queries.group_history(run)
    assert (len(table), table.groupby("epoch")["count"].sum().tolist()) == (27, [20, 20, 20])
    last = table[table["epoch"] == 3].set_index(["true_group", "predicted_group"])
    assert last["count"]["vehicles", "food"] == 1  # school bus -> guacamole
    assert last["count"]["animals", "vehicles"] == 1  # goldfish -> police van
    assert last["share"]["animals", "animals"] == 7 / 8


def test_similarity_is_listed_with_the_rate_of_confusion(run):
    table = queries.similarity_against_confusion(run, epoch=3)
    assert (len(table), table.attrs["pairs"]) == (10, 10)
    assert table["count"].tolist()[:2] == [1, 1]
    assert table["rate"].iloc[0] == 1 / 8
    assert -1 <= table.attrs["spearman"] <= 1


def test_only_classes_with_images_have_a_similarity_to_others(tmp_path):
    labels = np.array([0, 0, 2, 2, 3])
    run = craft(tmp_path / "run", np.array([[[0, 1, 2, 2, 3]]]), labels=labels.tolist())
    table = queries.similarity_against_confusion(run, epoch=1)
    assert table.attrs["pairs"] == len(table) == 3
    assert 1 not in set(table["first_index"]) | set(table["second_index"])


def test_classes_can_be_ordered(run):
    assert queries.class_order(run, "index", epoch=3).tolist() == [0, 1, 2, 3, 4]
    assert queries.class_order(run, "name", epoch=3).tolist() == [0, 3, 2, 4, 1]
    by_group = queries.class_order(run, "group", epoch=3).tolist()
    assert (sorted(by_group[:2]), sorted(by_group[2:4]), by_group[4]) == ([0, 3], [1, 4], 2)
    assert by_group[0] == 0  # bears are more accurate than goldfish
    by_accuracy = queries.class_order(run, "accuracy", epoch=3).tolist()
    assert sorted(by_accuracy[-2:]) == [1, 3]
    assert sorted(queries.class_order(run, "similarity", epoch=3)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (
            lambda run: queries.class_order(run, "formation", epoch=3),
            ValueError,
            r"Run .tiny. has no formation epochs yet: run .*compute analyse",
        ),
        (lambda run: queries.class_order(run, "luck", epoch=3), ValueError, "cannot be ordered by 'luck'"),
        (lambda run: queries.confused_pairs(run, epoch=9), NotInRun, "Epoch 9 is not in the run"),
    ],
)
def test_what_is_not_known_is_refused(run, query, error, message):
    with pytest.raises(error, match=message):
        query(run)


def test_classes_can_be_ordered_by_formation(learned):
    assert queries.class_order(learned, "formation", epoch=4).tolist() == [0, 2, 1]  # image 3 is late


@pytest.mark.parametrize("k", [1, 3, 7, 10, 99])
def test_the_most_confused_pairs_are_those_of_sorting_all(run, k):
    every = queries.similarity_against_confusion(run, epoch=1, variant="gray")
    table = queries.similarity_against_confusion(run, epoch=1, variant="gray", k=k)
    by_hand = every.sort_values(["rate", "similarity"], ascending=False, kind="stable").head(k)
    assert table.equals(by_hand.reset_index(drop=True)) and len(table) == min(k, 10)
    assert 0 < (every["rate"] > 0).sum() < 10
    assert table.attrs["spearman"] == pytest.approx(every["similarity"].corr(every["rate"], method="spearman"))
