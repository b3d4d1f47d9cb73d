"""Writing a run: what goes in, what is refused, and what is left behind when something fails."""

import json
import threading

import h5py
import numpy as np
import pytest

from store import BadMaps, NotInRun, RunExists, RunMismatch, RunNotFound, StoreError, create_run, open_run, resume_run
from store.check.verify import verify_run
from store.format.schema import IMAGE_COLUMNS
from store.synthetic import (
    create_synthetic_run,
    record_synthetic_epoch,
    synthetic_description,
    synthetic_layers,
    synthetic_maps,
)

PLAIN = {"variants": ("clean", "gray"), "layers": {}, "stages": {}, "masks": None, "boxes": None}
AT = {"epoch": 1, "variant": "clean"}


@pytest.fixture
def description():
    return synthetic_description("new", 5, 4, epochs=2, options=PLAIN)


@pytest.fixture
def empty_run(tmp_path, description):
    """Folder of a run with its images and no epochs."""
    return create_synthetic_run(tmp_path / "new", description).path


def leftovers(run):
    return [path.name for path in run.rglob("*.part")]


def test_maps_come_back_within_the_stated_error(empty_run, description):
    record_synthetic_epoch(resume_run(empty_run), 1)
    run = open_run(empty_run)
    for variant in description.variant_names:
        given = synthetic_maps(description, 1, variant)
        at = {"epoch": 1, "variant": variant, "images": None}
        assert (np.abs(run.maps(**at) - given) <= run.map_error(**at)[..., None, None]).all()
        logits = given.astype(np.float64).mean((2, 3))
        expected = np.exp(logits - logits.max(1, keepdims=True))
        expected /= expected.sum(1, keepdims=True)
        np.testing.assert_allclose(run.probabilities(epoch=1, variant=variant), expected, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 4])
def test_blocks_of_any_size_in_any_order_give_the_same_file(empty_run, description, threads):
    record_synthetic_epoch(resume_run(empty_run), 1)
    maps = {variant: synthetic_maps(description, 1, variant) for variant in description.variant_names}
    with resume_run(empty_run).epoch(2, threads=threads) as recording:
        for start, stop in ((7, 20), (0, 1), (1, 7)):
            for variant in description.variant_names:
                recording.write(variant, start, maps[variant][start:stop])
    run = open_run(empty_run)
    for variant in description.variant_names:
        first, second = (run.predictions(epoch=epoch, variant=variant) for epoch in (1, 2))
        assert first.equals(second)
        for read in (run.maps, run.map_error):
            at = {"variant": variant, "images": None}
            assert np.array_equal(read(epoch=1, **at), read(epoch=2, **at))


def test_every_summary_column_has_its_hand_worked_value(tmp_path):
    options = {**PLAIN, "variants": ("clean",), "map_shape": (1, 2), "labels": np.array([0, 0, 1])}
    description = synthetic_description("two", 2, 1, epochs=1, options={**options, "image_names": ("a", "b", "c")})
    writer = create_synthetic_run(tmp_path / "two", description)
    maps = np.array([[[[4, 0]], [[0, 2]]], [[[2, 0]], [[2, 2]]], [[[0, 0]], [[3, 3]]]], np.float32)
    with writer.epoch(1) as recording:
        recording.write("clean", 0, maps)
    table = open_run(tmp_path / "two").predictions(epoch=1, variant="clean")
    e = np.e
    assert table["prediction"].tolist() == [0, 1, 1]
    assert table["correct"].tolist() == [True, False, True]
    assert table["runner_up"].tolist() == [1, 0, 0]
    assert table["label_rank"].tolist() == [1, 2, 1]
    assert table["label_logit"].tolist() == [2, 1, 3]
    assert table["predicted_logit"].tolist() == [2, 2, 3]
    assert table["peak"].tolist() == [4, 2, 3]
    np.testing.assert_allclose(table["confidence"], [e / (e + 1), e / (e + 1), e**3 / (e**3 + 1)], rtol=1e-6)
    np.testing.assert_allclose(table["margin"], 2 * table["confidence"] - 1, rtol=1e-6)
    np.testing.assert_allclose(table["sharpness"], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(table["map_entropy"], [0, np.log(2), np.log(2)], atol=1e-6)
    np.testing.assert_allclose(table["peak_share"], [1, 0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(table["overlap"], [0, 0.5, 0], atol=1e-6)
    # b: D = (0, 2), so removing one cell leaves a tie, which counts as corrected.
    assert table["correction_cells"].tolist() == [0, 1, 0]
    assert table["corrected_prediction"].tolist() == [0, 0, 1]
    # Class 0's pattern is the mean of (4, 0) and (2, 0); b was predicted as class 1, whose pattern is (3, 3).
    np.testing.assert_allclose(table["similarity"], 1, atol=1e-6)
    np.testing.assert_allclose(table["predicted_similarity"], [1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(table["consistency"], 1)


def test_class_columns_and_confusion_have_their_hand_worked_values(tiny_run):
    run = open_run(tiny_run)
    at = {"epoch": 3, "variant": "gray"}
    table, confusion = run.class_table(**at), run.confusion(**at)
    predictions = run.predictions(**at)
    assert confusion.sum() == len(run.labels)
    assert confusion[1, 2] == 1 and confusion[3, 4] == 1  # the last image of each odd class
    assert table["count"].tolist() == [4] * 5
    assert table["accuracy"].tolist() == [0.75] * 5
    assert table["predicted_count"].tolist() == confusion.sum(0).tolist()
    for index in range(5):
        mine = predictions[predictions["label"] == index]
        np.testing.assert_allclose(table["mean_confidence"][index], mine["confidence"].mean(), rtol=1e-6)
        np.testing.assert_allclose(table["spread"][index], 1 - mine["similarity"].mean(), atol=1e-6)
    own = run.true_class_maps(**at)
    np.testing.assert_allclose(run.patterns(**at)[2], own[8:12].mean(0), rtol=1e-5)


def test_a_run_is_never_overwritten(empty_run, description):
    with pytest.raises(RunExists, match=r"There is a run at .* already. Resume it"):
        create_synthetic_run(empty_run, description)
    record_synthetic_epoch(resume_run(empty_run), 1)
    with pytest.raises(RunExists, match=r"Epoch 1 of .* is complete already"):
        resume_run(empty_run).epoch(1)
    (empty_run / "run.h5").unlink()
    with pytest.raises(RunExists, match=r"contains epochs but no run\.h5"):
        create_synthetic_run(empty_run, description)


def test_a_run_that_fails_to_start_leaves_nothing(tmp_path, description):
    with pytest.raises(KeyboardInterrupt), create_run(tmp_path / "new", description):
        raise KeyboardInterrupt
    with (
        pytest.raises(ValueError, match="40 of 40 images were not written, the first is image 0 of variant 'clean'"),
        create_run(tmp_path / "new", description),
    ):
        pass
    assert not list((tmp_path / "new").iterdir())


def test_an_epoch_that_fails_leaves_nothing_and_the_others_stay(empty_run, description):
    record_synthetic_epoch(resume_run(empty_run), 1)
    with pytest.raises(RuntimeError, match="the network"), resume_run(empty_run).epoch(2) as recording:
        recording.write("clean", 0, synthetic_maps(description, 2, "clean"))
        raise RuntimeError("the network broke")
    assert leftovers(empty_run) == [] and open_run(empty_run).epochs == (1,)


def test_maps_that_are_not_numbers_are_refused_with_image_and_class(empty_run, description):
    maps = synthetic_maps(description, 1, "clean")
    maps[13, 2, 4, 4] = np.nan
    message = r"Epoch 1, variant 'clean', image 13 \('val_13.png'\), class 2 \('guacamole'\): .* has nan"
    with pytest.raises(BadMaps, match=message) as caught, resume_run(empty_run).epoch(1) as recording:
        recording.write("clean", 0, maps)
        recording.write("gray", 0, synthetic_maps(description, 1, "gray"))
    assert "diverged" in str(caught.value) and "signed=True" not in str(caught.value)
    assert leftovers(empty_run) == [] and open_run(empty_run).epochs == ()


def test_negative_maps_of_an_unsigned_run_are_no_diverged_training(empty_run, description):
    maps = synthetic_maps(description, 1, "clean") - 1
    with pytest.raises(BadMaps, match="has signed=True") as caught, resume_run(empty_run).epoch(1) as recording:
        recording.write("clean", 0, maps)
    assert "diverged" not in str(caught.value)


def test_finite_cells_whose_sum_is_none_are_refused(empty_run, description):
    maps = np.full_like(synthetic_maps(description, 1, "clean"), 3e38)
    message = r"mean of its map is not finite, the largest cell is 3e\+38"
    with pytest.raises(BadMaps, match=message), resume_run(empty_run).epoch(1) as recording:
        recording.write("clean", 0, maps)
    assert leftovers(empty_run) == []


def test_a_stage_beyond_its_number_type_is_refused_with_its_value(tmp_path):
    run = create_synthetic_run(tmp_path / "run", synthetic_description("run", 2, 2, epochs=1))
    layers, stages = synthetic_layers(run.facts.description, 1)
    stages = {name: np.full_like(values, 1e6) for name, values in stages.items()}
    message = r"stages/stem, row 0: 1e\+06 cannot be recorded as a number from .* to 6\.55e\+04"
    with pytest.raises(BadMaps, match=message), run.epoch(1, threads=1) as recording:
        recording.write_layers(0, layers, stages)


def test_wrong_shapes_places_and_repeats_are_refused_at_once(empty_run, description):
    maps = synthetic_maps(description, 1, "clean")
    recording = resume_run(empty_run).epoch(1)
    with pytest.raises(BadMaps, match=r"must have the shape \(n, 5, 8, 8\), got \(20, 4, 8, 8\)"):
        recording.write("clean", 0, maps[:, :4])
    with pytest.raises(ValueError, match="images 15 to 34 are outside 0 to 19"):
        recording.write("clean", 15, maps)
    with pytest.raises(NotInRun, match="Variant 'sepia' is not in the run: it has clean, gray"):
        recording.write("sepia", 0, maps)
    with pytest.raises(ValueError, match="The clean maps of images 0 to 19 must be written before 'gray'"):
        recording.write("gray", 0, maps)
    recording.write("clean", 0, maps[:8])
    with pytest.raises(ValueError, match="some of images 4 to 9 were written before"):
        recording.write("clean", 4, maps[4:10])
    with pytest.raises(ValueError, match="Layers must be"):
        recording.write_layers(0, {"encoder": np.zeros((4, 6, 2, 2))})
    recording.abort()
    with pytest.raises(StoreError, match="given up"):
        recording.write("clean", 8, maps[8:])


def test_an_incomplete_epoch_cannot_be_finished_nor_one_without_the_layers_that_the_run_describes(
    empty_run, description, tmp_path
):
    recording = resume_run(empty_run).epoch(1)
    recording.write("clean", 0, synthetic_maps(description, 1, "clean"))
    with pytest.raises(StoreError, match="20 of 40 maps were not written, the first is image 0 of variant 'gray'"):
        recording.finish()
    assert leftovers(empty_run) == []
    layered = synthetic_description("layered", 2, 2, epochs=1, options={"variants": ("clean",)})
    recording = create_synthetic_run(tmp_path / "layered", layered).epoch(1)
    recording.write("clean", 0, synthetic_maps(layered, 1, "clean"))
    recording.write_layers(0, *({k: v[:3] for k, v in kind.items()} for kind in synthetic_layers(layered, 1)))
    with pytest.raises(StoreError, match="the layers of 1 images were not written"):
        recording.finish()


def test_finishing_can_go_on_while_the_next_epoch_is_written(empty_run, description):
    writer = resume_run(empty_run)
    futures = []
    for epoch in (1, 2, 3):
        recording = writer.epoch(epoch)
        for variant in description.variant_names:
            recording.write(variant, 0, synthetic_maps(description, epoch, variant))
        futures.append(recording.finish(wait=False))
    assert [future.result(timeout=60) for future in futures] == [None] * 3
    assert open_run(empty_run).epochs == (1, 2, 3)


def test_the_queue_is_bounded(empty_run, description, monkeypatch):
    gate = threading.Event()
    from store.format.quantization import Quantiser

    encode = Quantiser.encode
    monkeypatch.setattr(Quantiser, "encode", lambda self, maps, **more: (gate.wait(30), encode(self, maps, **more))[1])
    recording = resume_run(empty_run).epoch(1, threads=1)
    maps = synthetic_maps(description, 1, "clean")
    written = []

    def feed():
        for image in range(20):
            recording.write("clean", image, maps[image : image + 1])
            written.append(image)

    thread = threading.Thread(target=feed)
    thread.start()
    thread.join(timeout=0.5)
    assert thread.is_alive() and len(written) <= 3  # one at work, the others waiting in the queue
    gate.set()
    thread.join(timeout=30)
    assert len(written) == 20
    recording.abort()


def test_another_configuration_does_not_resume(empty_run, description):
    with pytest.raises(RunMismatch, match="epochs: 2 before, 9 now; model: 'paper' before, 'cam' now"):
        resume_run(empty_run, configuration={**description.configuration, "model": "cam", "epochs": 9})
    with pytest.raises(RunNotFound, match="There is no run at"):
        resume_run(empty_run.parent / "other")


def test_resuming_removes_what_a_killed_writer_left_but_nothing_in_use(empty_run, description):
    stale = empty_run / "epochs" / "0007.h5.part"
    stale.parent.mkdir()
    stale.write_bytes(b"half an epoch")
    recording = resume_run(empty_run).epoch(1)
    assert leftovers(empty_run) == ["0001.h5.part"]
    resume_run(empty_run)  # meanwhile, in another window
    assert leftovers(empty_run) == ["0001.h5.part"]
    with pytest.raises(StoreError, match="is being written by another process"):
        resume_run(empty_run).epoch(1)
    recording.abort()


def test_a_receipt_that_was_not_written_is_written_by_resuming(empty_run, description):
    record_synthetic_epoch(resume_run(empty_run), 1)
    receipt = empty_run / "epochs" / "0001.json"
    before = json.loads(receipt.read_text())
    receipt.unlink()
    resume_run(empty_run)
    assert json.loads(receipt.read_text()) == before


def recorded(path, epochs=(1,), **options):
    """A small run of the description's options at `path`, opened; an epoch may be (number, label)."""
    description = synthetic_description(path.name, 5, 4, epochs=2, options={**PLAIN, "variants": ("clean",), **options})
    writer = create_synthetic_run(path, description)
    for epoch in epochs:
        number, label = epoch if isinstance(epoch, tuple) else (epoch, "")
        record_synthetic_epoch(writer, number, label=label)
    return open_run(path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same run with all maps, and with the two strongest and the true class's."""
    folder = tmp_path_factory.mktemp("kept")
    return recorded(folder / "all"), recorded(folder / "few", kept_maps=2)


def test_kept_maps_are_those_of_the_highest_logits_and_of_the_true_class(pair):
    whole, few = pair
    logits = few.logits(**AT)
    np.testing.assert_allclose(logits, synthetic_maps(few.description, 1, "clean").mean((2, 3)), rtol=1e-5)
    expected = np.zeros(logits.shape, bool)
    for row, label in enumerate(few.labels):
        best = np.argsort(-logits[row], kind="stable")[:3]
        expected[row, best if label in best else [*best[:2], label]] = True
    assert np.array_equal(few.has_map(images=None, **AT), expected)
    assert whole.has_map(images=None, **AT).all() and whole.kept_maps == 0 and few.kept_maps == 2


def test_a_map_that_is_not_kept_is_nan_and_the_others_are_as_accurate_as_ever(pair):
    _, few = pair
    kept, given = few.has_map(images=None, **AT), synthetic_maps(few.description, 1, "clean")
    maps, error = few.maps(images=None, **AT), few.map_error(images=None, **AT)
    assert np.isnan(maps[~kept]).all() and np.isnan(error[~kept]).all()
    assert (np.abs(maps - given)[kept] <= error[kept][:, None, None]).all()
    chosen = few.maps(images=[9, 3], classes=[4, 0], **AT)
    assert np.array_equal(chosen, maps[[9, 3]][:, [4, 0]], equal_nan=True)
    image, absent = (int(number) for number in np.argwhere(~kept)[0])
    timeline = few.timeline(image=image, class_index=absent, variant="clean")
    assert np.isnan(timeline.maps).all() and timeline.probabilities[0] > 0


def test_everything_but_the_maps_is_the_same_whether_all_are_kept_or_few(pair):
    whole, few = pair
    assert few.predictions(**AT).equals(whole.predictions(**AT)) and verify_run(few.path) == []
    for query in ("probabilities", "true_class_maps", "predicted_class_maps", "patterns", "confusion"):
        assert np.array_equal(getattr(few, query)(**AT), getattr(whole, query)(**AT)), query
    with h5py.File(few.path / "epochs" / "0001.h5", locking=False) as file:
        assert file["maps"].shape == (1, 20, 3, 8, 8) and file["maps"].attrs["axes"] == b"variant image kept_map y x"
    with h5py.File(whole.path / "epochs" / "0001.h5", locking=False) as file:
        assert "logits" not in file and file["maps"].attrs["axes"] == b"variant image class y x"


SIGNED_COLUMNS = [field.name for field in IMAGE_COLUMNS if "logit" not in field.name]


@pytest.mark.parametrize("kept_maps", [0, 2])
def test_what_all_classes_share_changes_no_measure_of_a_signed_run(tmp_path, kept_maps):
    random = np.random.default_rng(3)
    shared = {"nothing": np.zeros((8, 8)), "a constant": np.full((8, 8), 64), "a map": random.integers(-9, 9, (8, 8))}
    options = {**PLAIN, "variants": ("clean", "gray"), "signed": True, "kept_maps": kept_maps}
    runs = {}
    for name, common in shared.items():
        description = synthetic_description("signed", 5, 4, epochs=1, options=options)
        writer = create_synthetic_run(tmp_path / name, description)
        with writer.epoch(1) as recording:
            for variant in description.variant_names:
                # Multiples of 1/8, so that sums are exact and only the shared map can make a difference.
                maps = np.round(synthetic_maps(description, 1, variant) * 8) / 8 + common
                recording.write(variant, 0, maps.astype(np.float32))
        assert verify_run(tmp_path / name) == []
        runs[name] = open_run(tmp_path / name)
    plain = runs.pop("nothing")
    for name, run in runs.items():
        for at in ({"epoch": 1, "variant": "clean"}, {"epoch": 1, "variant": "gray"}):
            for column in SIGNED_COLUMNS:
                expected = plain.column(column, **at)
                # Patterns and what follows from them come from quantised maps: half a step may go either way.
                np.testing.assert_allclose(run.column(column, **at), expected, atol=2e-3, err_msg=column)
            np.testing.assert_allclose(run.patterns(**at), plain.patterns(**at), atol=0.1)
            np.testing.assert_allclose(run.maps(images=None, **at), plain.maps(images=None, **at), atol=0.1)
            added = run.mean_maps(images=None, **at) - plain.mean_maps(images=None, **at)
            np.testing.assert_allclose(added, np.broadcast_to(shared[name], added.shape), atol=1e-4)
            np.testing.assert_allclose(
                run.logits(**at) - plain.logits(**at), np.full((20, 5), shared[name].mean()), atol=0.1
            )


def test_the_maps_of_an_unsigned_run_are_those_of_the_network(tmp_path):
    run = recorded(tmp_path / "run")
    assert not run.mean_maps(images=None, **AT).any()
    with h5py.File(run.path / "epochs" / "0001.h5", locking=False) as file:
        assert "mean_map" not in file


def test_epochs_may_start_at_0_leave_gaps_and_bear_a_label(tmp_path):
    run = recorded(tmp_path / "run", epochs=(0, (7, "step 12000"), (3, "best")))
    assert run.epochs == (0, 3, 7) and run.complete
    assert [run.epoch_label(epoch) for epoch in run.epochs] == ["", "best", "step 12000"]
    assert verify_run(run.path) == []
    assert not recorded(tmp_path / "one", epochs=(0, 1)).complete  # epoch 0 is none of the two that are planned
    with pytest.raises(NotInRun, match="Epochs count from 0, epoch -1 cannot be recorded"):
        resume_run(run.path).epoch(-1)
