"""A random draw: the seed in the address decides it, and the figure in the paper's layout is offered for it alone."""

import numpy as np
import pytest

from store import open_run
from store.queries.random_draw import random_draw
from store.synthetic import write_synthetic_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_synthetic_run(folder / "run", epochs=2, images_per_class=12)
    return folder


def downloads(app):
    return [each.proto.label for each in app.get("download_button")]


@pytest.mark.parametrize("seed", [0, 7])
def test_the_seed_draws_the_mistakes(opened, runs, seed):
    run = open_run(runs / "run")
    wrong = np.flatnonzero(run.column("prediction", epoch=2, variant="gray") != run.labels)
    app = opened(runs, "failures", sort="random", seed=str(seed), variant="gray")
    assert not app.exception and not app.error
    assert app.dataframe[0].value["image"].tolist() == random_draw(run, wrong, len(wrong), seed=seed)
    assert "PDF in the paper's layout" in downloads(app)
    assert [each.value for each in app.number_input if each.label == "Seed of the draw"] == [seed]


def test_the_gallery_draws_too_and_other_orders_offer_no_figure(opened, runs):
    assert "PDF in the paper's layout" in downloads(opened(runs, "gallery", sort="random", seed="3"))
    app = opened(runs, "gallery", sort="similarity")
    assert not app.exception and "PDF in the paper's layout" not in downloads(app)
    assert not any(each.label == "Seed of the draw" for each in app.number_input)
