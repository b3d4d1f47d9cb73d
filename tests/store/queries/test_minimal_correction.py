import numpy as np
import pytest

from store import NotInRun, open_run, queries
from store.synthetic import write_synthetic_run
from tests.store.crafted_run import craft


@pytest.fixture(scope="module", params=[False, True], ids=["unsigned", "signed"])
def run(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    return open_run(write_synthetic_run(path, epochs=2, signed=request.param))


def test_the_minimal_correction_agrees_with_what_was_recorded_before_quantisation(run):
    recorded = run.column("correction_cells", epoch=2, variant="gray")
    wrong = np.flatnonzero(recorded)
    assert len(wrong) >= 2
    for image in wrong:
        found = queries.minimal_correction(run, image, epoch=2, variant="gray")
        assert found.exact
        assert found.low <= recorded[image] <= found.high
        assert found.low <= found.cells <= found.high
        assert found.against == found.true_class != found.prediction


def test_a_correct_prediction_is_compared_with_the_runner_up(run):
    found = queries.minimal_correction(run, 0, epoch=2)
    assert found.prediction == found.true_class == 0
    assert found.against == run.column("runner_up", epoch=2, variant="clean")[0]
    assert found.cells > 0


def test_removing_cells_moves_the_logits_until_the_other_class_wins(run):
    found = queries.minimal_correction(run, 7, epoch=2)
    gap = found.logits[:, found.prediction] - found.logits[:, found.against]
    assert gap[0] == pytest.approx(found.difference.mean(), abs=1e-5)
    assert gap[found.cells - 1] > 0 >= gap[found.cells] - 1e-6
    assert found.winners[0] == found.prediction
    assert found.winners[found.cells] != found.prediction
    assert found.logits[-1].tolist() == [0] * 5
    assert (np.diff(found.difference.flat[found.order]) <= 0).all()


def test_any_class_can_be_the_other_one(run):
    assert queries.minimal_correction(run, 0, epoch=2, against=3).against == 3
    with pytest.raises(NotInRun, match="9"):
        queries.minimal_correction(run, 0, epoch=2, against=9)


def test_k_is_the_hand_computed_one(tmp_path):
    def own(epoch, variant, image):
        return np.eye(4, dtype=np.float32)

    # The true class has four cells of 1, the prediction one of about 8: without that cell the true class wins at once.
    run = craft(tmp_path / "run", np.array([[[1]]]), labels=[0], own=own)
    found = queries.minimal_correction(run, 0, epoch=1)
    assert (found.cells, found.low, found.high) == (1, 1, 1)
    assert found.order[0] == 1
    assert found.logits[0] == pytest.approx([4 / 16, (8 + 1 / 64) / 16], abs=0.01)


def test_a_map_that_is_not_kept_is_no_winner_and_no_opponent(tmp_path):
    options = {"epochs": 1, "variants": ("clean",), "layers": {}, "stages": {}}
    few = open_run(write_synthetic_run(tmp_path / "few", kept_maps=1, **options))
    whole = open_run(write_synthetic_run(tmp_path / "all", **options))
    wrong = int(np.flatnonzero(few.column("prediction", epoch=1, variant="clean") != few.labels)[0])
    found, expected = (queries.minimal_correction(run, wrong, epoch=1) for run in (few, whole))
    assert found.cells == expected.cells and np.isnan(found.logits[0]).sum() == 3
    assert set(found.winners) <= {found.prediction, found.true_class}
    absent = int(np.flatnonzero(np.isnan(found.logits[0]))[0])
    with pytest.raises(NotInRun, match=f"The map of class {absent} is not kept for image {wrong}"):
        queries.minimal_correction(few, wrong, epoch=1, against=absent)
