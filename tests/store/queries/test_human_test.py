import numpy as np
import pytest

from store import open_run
from store.metrics.intervals import wilson
from store.queries.human_test import CHOICES, people_and_network, question
from store.synthetic import write_synthetic_run
from store.tools.human_answers import Answer


def test_a_sitting_shows_every_image_once_with_its_true_class_and_prediction_among_the_names(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=1, classes=14, images_per_class=3))
    asked = [question(run, seed=5, number=number, epoch=1) for number in range(43)]
    assert asked[42] is None
    assert sorted(each.image for each in asked[:42]) == list(range(42))
    assert len({each.variant for each in asked[:42]}) > 4
    for each in asked[:42]:
        prediction = int(run.column("prediction", epoch=1, variant=each.variant)[each.image])
        assert {int(run.labels[each.image]), prediction} <= set(each.choices)
        assert len(each.choices) == len(set(each.choices)) == CHOICES
    again = question(run, seed=5, number=7, epoch=1)
    assert again == asked[7] != question(run, seed=6, number=7, epoch=1)


def test_a_run_of_few_classes_offers_them_all(run):
    assert sorted(question(run, seed=0, number=0, epoch=3).choices) == [0, 1, 2, 3, 4]


def test_people_and_the_network_are_compared_on_the_same_images(run):
    network = run.column("prediction", epoch=3, variant="gray")
    wrong = int(np.flatnonzero(network != run.labels)[0])
    right = np.flatnonzero(network == run.labels)[:2].tolist()
    answers = [Answer(run.id, "a", wrong, "gray", int(run.labels[wrong]))]  # only the person is right
    answers += [Answer(run.id, "b", image, "gray", -1) for image in right]  # only the network is
    table = people_and_network(run, answers, epoch=3)
    row = table.iloc[0]
    assert table["variant"].tolist() == ["gray"] and row["answers"] == 3
    assert (row["people"], row["network"]) == pytest.approx((1 / 3, 2 / 3))
    assert (row["only_people"], row["only_network"]) == pytest.approx((1 / 3, 2 / 3))
    assert (row["people_low"], row["people_high"]) == pytest.approx(tuple(float(end) for end in wilson(1, 3)))
    assert people_and_network(run, [], epoch=3).empty
