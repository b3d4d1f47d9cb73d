"""Compare: changed predictions and classes, the names of states, comparable runs, maps on a common grid."""

import numpy as np

from dashboard.shared.states import State, on_one_grid, state_names
from dashboard.views.compare.parts import class_changes, flips, same_classes, same_images
from store import open_run
from store.synthetic import write_synthetic_run
from tests.dashboard.app import texts


def test_flips_list_every_changed_prediction_once_with_its_outcome(run):
    before, after = State(run, 1, "clean"), State(run, 3, "clean")
    table = flips(before, after)
    first, second = (run.column("prediction", epoch=epoch, variant="clean") for epoch in (1, 3))
    assert sorted(table["image"]) == np.flatnonzero(first != second).tolist()
    assert set(table["outcome"]) == {"gained"}


def test_a_state_compared_with_itself_has_no_flips_and_no_changes(run):
    same = State(run, 2, "gray")
    assert flips(same, same).empty
    table = class_changes(same, same)
    assert (table["change"] == 0).all() and np.allclose(table["similarity"], 1)


def test_states_are_named_by_what_differs(run):
    first, last, other = State(run, 1, "clean"), State(run, 3, "clean"), State(run, 1, "bgr")
    assert state_names([first, last]) == ["epoch 1", "epoch 3"]
    assert state_names([first, other]) == ["clean", "[B,G,R]"]
    assert state_names([first, last, other]) == ["epoch 1, clean", "epoch 3, clean", "epoch 1, [B,G,R]"]
    assert state_names([first, first]) == ["epoch 1, clean"] * 2


def test_runs_of_other_classes_or_other_images_are_not_the_same(run, tmp_path):
    fewer = open_run(write_synthetic_run(tmp_path / "fewer", epochs=1, classes=4))
    longer = open_run(write_synthetic_run(tmp_path / "longer", epochs=1, images_per_class=5, image_shape=(12, 20)))
    assert same_classes(run, run) and same_images(run, run) is not None
    assert not same_classes(run, fewer) and same_images(run, fewer) is None
    assert same_classes(run, longer) and same_images(run, longer) is None


def test_maps_of_two_sizes_meet_on_one_grid_with_their_means_kept():
    coarse, fine = np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.arange(16.0).reshape(1, 4, 4)
    both = on_one_grid([coarse, fine])
    assert both.shape == (2, 1, 4, 4)
    assert both[0, 0, 0].tolist() == [1, 1, 2, 2] and both[0].mean() == coarse.mean()
    assert (both[1] == fine).all()


def test_all_pairs_of_epochs_are_drawn_once_the_reader_opens_them(opened, run):
    app = opened(run.path.parent, "compare")
    assert "to compare its epochs" not in texts(app)
    app.session_state["compare-epochs"] = True
    assert "to compare its epochs" in texts(app.run())
    pairs = app.dataframe[-1].value[["before", "after"]].to_numpy().tolist()
    assert pairs == [[1, 2], [1, 3], [2, 3]]
    app.segmented_control(key="control-values").set_value("change").run()
    assert not app.exception and app.query_params["values"] in ("change", ["change"])
