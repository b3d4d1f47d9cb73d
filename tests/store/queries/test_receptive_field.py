import pytest

from store import open_run
from store.queries.receptive_field import MAPS, ReceptiveField, receptive_field
from store.synthetic import write_synthetic_run


def run_of(tmp_path, model):
    options = {"image_shape": (64, 64), "configuration": {"model": model}}
    return open_run(write_synthetic_run(tmp_path / "run", epochs=0, **options))


def test_a_cell_of_the_papers_encoder_sees_the_whole_image(tmp_path):
    run = run_of(tmp_path, {"name": "paper", "options": {}})
    assert receptive_field(run, "encoder", 1, 0) == ReceptiveField(0, 64, 0, 64, side=435)
    assert receptive_field(run, "stem", 4, 0) == ReceptiveField(5, 12, 0, 4, side=7)


def test_with_a_fine_grid_a_cell_sees_a_part(tmp_path):
    run = run_of(tmp_path, {"name": "grid", "options": {"stem": "stride1"}})
    # the stem 3, then 8 in layer1: 11 pixels around the cell
    assert receptive_field(run, "layer1", 20, 30) == ReceptiveField(15, 26, 25, 36, side=11)
    assert receptive_field(run, MAPS, 4, 4).side > receptive_field(run, "layer4", 4, 4).side


@pytest.mark.parametrize(
    "model",
    ["paper", {"name": "own.module:Net"}, {"name": "paper", "options": {"stem": "wide"}, "layer": ""}, {}, None],
)
def test_nothing_is_claimed_of_other_networks(tmp_path, model):
    assert receptive_field(run_of(tmp_path, model), "layer4", 0, 0) is None
