from xml.etree import ElementTree

import numpy as np
import pytest

from dashboard.paper import diagrams, layouts
from dashboard.paper.figures import PAPER_EPOCHS, paper_figures
from store import StoreError, open_run
from store.queries.random_draw import random_draw
from store.synthetic import write_synthetic_run


def words(canvas):
    return [element.text for element in ElementTree.fromstring(canvas.svg()).iter() if element.text]


def images(canvas):
    return len(list(ElementTree.fromstring(canvas.svg()).iter("{http://www.w3.org/2000/svg}image")))


def test_the_paper_has_sixteen_epochs_and_one_table_and_twelve_figures(run):
    assert len(PAPER_EPOCHS) == 16 and PAPER_EPOCHS[:4] == (1, 5, 15, 20) and PAPER_EPOCHS[-1] == 80
    names = [figure.name for figure in paper_figures(run)]
    assert names == ["table-1", *(f"figure-{number:02d}" for number in range(1, 13))]


def test_the_curves_are_those_of_the_paper(run):
    legend = {word for word in words(diagrams.training(run)) if word.startswith(("training", "validation"))}
    assert legend == {"training", "validation"}


def test_every_figure_draws_or_says_why_not(run):
    for figure in paper_figures(run, epoch=2, seed=3):
        assert (figure.canvas is None) == bool(figure.missing)
        if figure.canvas:
            assert figure.canvas().height > 20 and figure.caption


def test_formation_shows_two_maps_for_each_epoch_and_the_recorded_words(run):
    canvas = layouts.formation(run, 7, epochs=run.epochs)
    assert images(canvas) == 1 + 2 * len(run.epochs)
    shown = words(canvas)
    for epoch in run.epochs:
        row = run.predictions(epoch=epoch, variant="clean").iloc[7]
        assert f"epoch {epoch}" in shown and f"P {row.confidence:.2f}" in shown
        assert row.predicted_class in shown
    assert shown[0] == run.classes["name"][run.labels[7]]
    assert (canvas.width, layouts.formation(run, 7, epochs=run.epochs[:1] * 4).width) == (240, 504)


def test_examples_show_the_five_most_probable_classes_in_order(run):
    canvas = layouts.examples(run, [3, 11], epoch=2)
    names, rows = run.classes["name"], run.predictions(epoch=2, variant="clean")
    expected = []
    for image in (3, 11):
        expected.append(names[run.labels[image]])
        expected += [names[rows.loc[image, f"top5_{rank}"]] for rank in range(1, 6)]
    assert [word for word in words(canvas) if not word.startswith("P ")] == expected
    assert images(canvas) == 2 * 6


def test_the_right_and_the_wrong_examples_are_drawn_from_their_kind(run):
    figures = {figure.name: figure for figure in paper_figures(run, seed=5)}
    correct = run.predictions(epoch=run.epochs[-1], variant="clean")["correct"].to_numpy()
    for name, kind in (("figure-06", correct), ("figure-07", ~correct)):
        expected = random_draw(run, np.flatnonzero(kind), 9, seed=5)
        assert (
            f"Images {', '.join(map(str, expected))}, drawn with seed 5 from the {kind.sum()}" in figures[name].caption
        )


def test_perturbed_names_the_prediction_under_each_variant(run):
    canvas = layouts.perturbed(run, [0, 4], ["clean", "gray"], epoch=3)
    assert images(canvas) == 8 and canvas.width == 240
    for variant in ("clean", "gray"):
        for row in run.predictions(epoch=3, variant=variant).iloc[[0, 4]].itertuples():
            assert row.predicted_class in words(canvas)


def test_a_pair_says_how_similar_its_maps_are(run):
    a, b = run.true_class_maps(epoch=3, variant="clean", images=[0, 1]).reshape(2, -1)
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert f"cosine similarity of the maps {expected:.2f}" in words(layouts.pairs(run, [(0, 1)], epoch=3))


def test_a_run_without_some_variants_says_which_figures_it_lacks(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "few", variants=("clean", "gray")))
    missing = {figure.name: figure.missing for figure in paper_figures(run) if figure.canvas is None}
    assert set(missing) == {"figure-10", "figure-11", "figure-12"}
    assert "recorded without blur3 and blur5" in missing["figure-10"]


def test_an_epoch_that_is_not_there_and_a_negative_seed_are_refused(run):
    with pytest.raises(StoreError, match="Epoch 9 is not in the run"):
        paper_figures(run, epoch=9)
    with pytest.raises(ValueError, match="seed is a whole number from 0"):
        list(paper_figures(run, seed=-1))
