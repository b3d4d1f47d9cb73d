"""Reading a run: selections, tables, growing runs, damaged ones, many threads."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from store import DamagedFile, NotInRun, Run, RunNotFound, SchemaMismatch, open_run, resume_run
from store.check.verify import verify_run
from store.read.source import LocalSource
from store.synthetic import is_wrong, synthetic_images, synthetic_layers, synthetic_maps, write_synthetic_run


def flip(path, position, bit=0):
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def chunk_position(path, dataset, number=0):
    with h5py.File(path, "r", locking=False) as file:
        info = file[dataset].id.get_chunk_info(number)
        return info.byte_offset + info.size // 2


def test_a_run_says_what_it_is(run):
    assert (run.name, run.epochs, run.damaged, run.planned_epochs, run.complete) == ("tiny", (1, 2, 3), {}, 3, True)
    assert run.classes.loc[1].tolist() == ["n00000001", "school bus", "vehicles"]
    assert run.labels.tolist() == sorted([0, 1, 2, 3, 4] * 4) and len(run.image_names) == 20
    assert (run.image_shape, run.map_shape, run.signed) == ((16, 16), (8, 8), False)
    assert run.layer_names == ("encoder", "decoder")
    assert run.stage_names == ("stem", "layer1", "layer2", "layer3", "layer4")
    assert run.configuration["model"] == "paper" and run.provenance["made_by"] == "store.synthetic"


@pytest.mark.parametrize("images", [[3], [19, 0, 7, 7], slice(2, 9, 3), np.arange(20)[::-1], [], None], ids=str)
def test_every_selection_keeps_its_order_and_repeats(run, images):
    rows = np.arange(20) if images is None else np.arange(20)[images] if isinstance(images, slice) else images
    rows = np.asarray(rows, int)
    whole = {"epoch": 2, "variant": "bgr", "images": None}
    part = {**whole, "images": images}
    assert np.array_equal(run.maps(**part), run.maps(**whole)[rows])
    assert np.array_equal(run.maps(classes=[4, 1], **part), run.maps(**whole)[rows][:, [4, 1]])
    assert np.array_equal(run.map_error(**part), run.map_error(**whole)[rows])
    assert np.array_equal(run.true_class_maps(**part), run.true_class_maps(**whole)[rows])
    assert np.array_equal(run.predicted_class_maps(**part), run.predicted_class_maps(**whole)[rows])
    assert np.array_equal(run.probabilities(**part), run.probabilities(epoch=2, variant="bgr")[rows])
    assert np.array_equal(run.pixels(images, "bgr"), synthetic_images(run.description, "bgr")[rows])
    assert np.array_equal(run.masks(images), run.masks()[rows]) and run.masks().dtype == bool
    assert np.array_equal(run.boxes(images), run.boxes()[rows])


def test_boxes_enclose_the_masks(run):
    for mask, (x0, y0, x1, y1) in zip(run.masks(), run.boxes(), strict=True):
        assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
        assert mask[y0].any() and mask[y1 - 1].any() and mask[:, x0].any() and mask[:, x1 - 1].any()


def test_layers_and_stages_come_back(run):
    layers, stages = synthetic_layers(run.description, 2)
    found = run.layers(epoch=2, images=[5, 2])
    assert list(found) == list(layers)
    for name, array in layers.items():
        assert np.abs(found[name] - array[[5, 2]]).max() <= array.max() / 500
    for name, array in run.stages(epoch=2, images=[5, 2]).items():
        np.testing.assert_allclose(array, stages[name][[5, 2]], rtol=1e-3)


def test_hot_maps_lie_within_a_510th_of_their_peak(run):
    own, given = run.true_class_maps(epoch=1, variant="gray"), synthetic_maps(run.description, 1, "gray")
    own_given = given[np.arange(20), run.labels]
    assert (np.abs(own - own_given) <= own_given.max((1, 2), keepdims=True) / 509).all()


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("variant", ["clean", "gray"])
def test_predictions_are_wrong_where_the_synthetic_run_says_so(run, epoch, variant):
    table = run.predictions(epoch=epoch, variant=variant)
    assert np.array_equal(~table["correct"], is_wrong(run.description, epoch, variant))
    assert (table["predicted_class"] == run.classes["name"].to_numpy()[table["prediction"]]).all()
    assert (table["top5_1"] == table["prediction"]).all()
    assert ((table["correction_cells"] > 0) == ~table["correct"]).all()
    assert table["prediction"].dtype == np.int64


def test_columns_and_timelines_run_over_the_epochs(run):
    confidences = run.columns("confidence", variant="blur3")
    assert confidences.shape == (3, 20) and run.columns("top5", variant="clean").shape == (3, 20, 5)
    assert np.array_equal(confidences[1], run.column("confidence", epoch=2, variant="blur3"))
    timeline = run.timeline(image=7, class_index=2, variant="clean")
    assert timeline.epochs.tolist() == [1, 2, 3] and timeline.predictions.tolist() == [2, 2, 2]
    for place, epoch in enumerate(run.epochs):
        at = {"epoch": epoch, "variant": "clean", "images": [7], "classes": [2]}
        assert np.array_equal(timeline.maps[place], run.maps(**at)[0, 0])
        assert timeline.probabilities[place] == run.probabilities(**at)[0, 0] == timeline.confidences[place]
    part = run.timeline(image=7, class_index=2, variant="clean", epochs=(1, 3))
    assert part.epochs.tolist() == [1, 3] and np.array_equal(part.maps, timeline.maps[[0, 2]])
    with pytest.raises(NotInRun):
        run.timeline(image=7, class_index=2, variant="clean", epochs=(4,))


def test_metrics_are_a_row_per_epoch(run):
    metrics = run.metrics()
    assert metrics["epoch"].tolist() == [1, 2, 3]
    assert metrics["learning_rate"].tolist() == pytest.approx([1e-3, 5e-4, 1e-3 / 3])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (lambda run: run.column("confidence", epoch=9, variant="clean"), r"Epoch 9 .* has 3 epochs, 1 to 3"),
        (
            lambda run: run.confusion(epoch=1, variant="sepia"),
            "Variant 'sepia' is not in the run: it has clean, gray",
        ),
        (lambda run: run.pixels([20]), "Image 20 is not in the run: it has 20, 0 to 19"),
        (lambda run: run.pixels([-1]), "Image -1 is not in the run"),
        (lambda run: run.maps(epoch=1, variant="clean", images=[0], classes=[5]), "Class 5 is not in the run"),
        (lambda run: run.column("beauty", epoch=1, variant="clean"), "Column 'beauty' is not in the run"),
    ],
)
def test_what_is_not_there_is_refused_in_words(run, query, message):
    with pytest.raises(NotInRun, match=message):
        query(run)


def test_words_are_no_selection_of_images(run):
    with pytest.raises(TypeError, match="Images are selected by whole numbers, a slice or a mask, got 'three'"):
        run.pixels("three")
    with pytest.raises(RunNotFound, match='Record one with "make compute"'):
        open_run(run.path / "nowhere")


def test_new_epochs_appear_on_refresh(copy, tmp_path):
    (copy / "epochs" / "0003.h5").rename(tmp_path / "later.h5")
    (copy / "epochs" / "0003.json").unlink()
    run = open_run(copy)
    assert run.epochs == (1, 2) and not run.complete and run.refresh() is False
    (tmp_path / "later.h5").rename(copy / "epochs" / "0003.h5")
    assert run.epochs == (1, 2) and run.refresh() is True and run.epochs == (1, 2, 3)
    assert run.columns("confidence", variant="clean").shape == (3, 20)


def test_unfinished_and_foreign_files_are_not_epochs(copy):
    for name in ("0004.h5.part", "notes.txt", "4.h5", "0009.part0of2.h5"):
        (copy / "epochs" / name).write_bytes(b"x")
    run = open_run(copy)
    assert run.epochs == (1, 2, 3) and run.damaged == {}


def test_a_lost_epoch_is_reported_and_the_rest_is_usable(copy):
    (copy / "epochs" / "0003.h5").unlink()
    run = open_run(copy)
    assert run.epochs == (1, 2) and "its file is gone" in run.damaged[3]
    with pytest.raises(DamagedFile, match="its file is gone"):
        run.confusion(epoch=3, variant="clean")
    assert run.columns("confidence", variant="clean").shape == (2, 20)


@pytest.mark.parametrize("keep", [0, 100, 4096, -1])
def test_a_truncated_epoch_is_reported_and_the_rest_is_usable(copy, keep):
    path = copy / "epochs" / "0002.h5"
    path.write_bytes(path.read_bytes()[:keep])
    run = open_run(copy)
    assert run.epochs == (1, 3) and "0002.h5" in run.damaged[2]


def test_swapped_and_foreign_epochs_are_reported(copy, tmp_path):
    first, second = copy / "epochs" / "0001.h5", copy / "epochs" / "0002.h5"
    first.rename(tmp_path / "x")
    second.rename(first)
    (tmp_path / "x").rename(second)
    run = open_run(copy)
    assert run.epochs == (3,) and "it contains epoch 2, but its name says 1" in run.damaged[1]
    other = write_synthetic_run(tmp_path / "other", epochs=1)
    shutil.copy(other / "epochs" / "0001.h5", first)
    assert run.refresh() and "it belongs to run" in run.damaged[1]


@pytest.mark.parametrize(
    ("dataset", "query"),
    [
        ("maps", lambda run: run.maps(epoch=2, variant="clean", images=[0])),
        ("map_scale", lambda run: run.map_error(epoch=2, variant="clean", images=[0])),
        ("probabilities", lambda run: run.probabilities(epoch=2, variant="clean")),
        ("images/confidence", lambda run: run.predictions(epoch=2, variant="clean")),
        ("cached/true_class_crc32", lambda run: run.true_class_maps(epoch=2, variant="clean", images=[1])),
        ("cached/predicted_class_scale", lambda run: run.predicted_class_maps(epoch=2, variant="clean", images=[1])),
        ("classes/pattern", lambda run: run.patterns(epoch=2, variant="clean")),
        ("confusion", lambda run: run.confusion(epoch=2, variant="clean")),
        ("layers/encoder/quantised", lambda run: run.layers(epoch=2, images=[0])),
        ("stages/stem", lambda run: run.stages(epoch=2, images=[0])),
    ],
)
def test_one_altered_bit_is_never_returned(copy, dataset, query):
    path = copy / "epochs" / "0002.h5"
    flip(path, chunk_position(path, dataset), bit=3)
    run = open_run(copy)
    with pytest.raises(DamagedFile, match=r"0002.h5' is damaged"):
        query(run)
    assert list(run.damaged) == [2] and run.epochs == (1, 3)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda file: file.pop("images/peak"), "images/peak is missing"),
        (
            lambda file: (file.pop("images/peak"), file.create_dataset("images/peak", data=np.zeros(5, "f4"))),
            "its shape is",
        ),
    ],
)
def test_a_dataset_that_is_not_as_the_format_requires_is_noticed_when_it_is_first_used(copy, spoil, told):
    with h5py.File(copy / "epochs" / "0002.h5", "r+", locking=False) as file:
        spoil(file)
    run = open_run(copy)
    assert run.maps(epoch=2, variant="clean", images=[0]).shape[0] == 1  # opening compares no dataset that is not used
    with pytest.raises(DamagedFile, match=told):
        run.predictions(epoch=2, variant="clean")
    assert list(run.damaged) == [2] and told in run.damaged[2]
    assert any(told in str(problem) for problem in verify_run(copy))


@pytest.mark.parametrize("kind", ["true_class", "predicted_class"])
def test_one_altered_bit_in_a_cached_map_is_never_returned(copy, kind):
    path = copy / "epochs" / "0002.h5"
    with h5py.File(path, "r", locking=False) as file:
        offset = file[f"cached/{kind}_map"].id.get_offset()
    flip(path, offset + 5, bit=7)
    run = open_run(copy)
    with pytest.raises(DamagedFile, match="rows 0 to 19 of variant 0 fail their checksum"):
        getattr(run, f"{kind}_maps")(epoch=2, variant="clean", images=[1])
    assert run.damaged


def test_damage_while_the_file_is_open_is_noticed_too(copy):
    run = open_run(copy)
    path = copy / "epochs" / "0002.h5"
    run.maps(epoch=2, variant="clean", images=[0])
    state = path.stat()
    with path.open("r+b") as file:
        file.seek(chunk_position(path, "maps"))
        file.write(b"\xff\xff\xff")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(DamagedFile, match="maps"):
        run.maps(epoch=2, variant="clean", images=[0])


def test_a_damaged_image_is_never_returned(copy):
    flip(copy / "run.h5", chunk_position(copy / "run.h5", "pixels"))
    with pytest.raises(DamagedFile, match="pixels"):
        open_run(copy).pixels()


@pytest.mark.parametrize(("version", "advice"), [(2, "Update Classprint"), (0, "Record the run again")])
def test_another_format_version_is_named_with_what_to_do(copy, version, advice):
    with h5py.File(copy / "epochs" / "0001.h5", "r+") as file:
        file.attrs["format_version"] = version
    assert open_run(copy).epochs == (2, 3) and f"format version {version}" in open_run(copy).damaged[1]
    with h5py.File(copy / "run.h5", "r+") as file:
        file.attrs["format_version"] = version
    message = rf"has format version {version}, but this Classprint reads version 1\. {advice}"
    with pytest.raises(SchemaMismatch, match=message):
        open_run(copy)


def test_a_run_of_an_unreleased_version_and_a_foreign_file_are_refused(copy, tmp_path):
    with h5py.File(copy / "run.h5", "r+") as file:
        del file.attrs["format"], file.attrs["format_version"]
        file.attrs["schema_version"] = 1
    with pytest.raises(SchemaMismatch, match=r"was made by an unreleased version of Classprint\. Record the run again"):
        open_run(copy)
    with h5py.File(tmp_path / "run.h5", "w"):
        pass
    with pytest.raises(SchemaMismatch, match="is not a file of a Classprint run"):
        open_run(tmp_path)


def test_many_threads_read_the_same_as_one(run):
    def queries(number):
        epoch, variant = run.epochs[number % 3], run.variants[number % 8]
        at = {"epoch": epoch, "variant": variant}
        return [
            run.maps(images=[number % 20, 3], **at),
            run.true_class_maps(**at),
            run.predictions(**at)["confidence"].to_numpy(),
            run.pixels([number % 20], variant),
        ]

    alone = [queries(number) for number in range(48)]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(queries, range(48)))
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_few_files_stay_open_and_evicted_ones_can_still_be_read(tmp_path):
    options = {"epochs": 6, "classes": 2, "images_per_class": 1, "variants": ("clean",)}
    run = Run(LocalSource(write_synthetic_run(tmp_path / "run", **options), open_files=2))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        assert run.columns("confidence", variant="clean").shape == (6, 2)
        run.true_class_maps(epoch=4, variant="clean")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4


def test_any_h5py_reads_the_file_by_the_format_alone(tiny_run, run):
    code = f"""
import h5py, hdf5plugin, numpy as np
with h5py.File({str(tiny_run / "epochs" / "0002.h5")!r}) as file:
    maps, scale = file["maps"], file["map_scale"]
    values = (maps[3, 5] - float(maps.attrs["zero_point"])) * scale[3, 5][:, None, None]
    np.save({str(tiny_run.parent / "plain.npy")!r}, values)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    mine = run.maps(epoch=2, variant=run.variants[3], images=[5])[0]
    np.testing.assert_allclose(np.load(tiny_run.parent / "plain.npy"), mine, rtol=1e-6)


def test_a_run_can_be_read_while_it_is_written(copy):
    run = open_run(copy)
    recording = resume_run(copy).epoch(4)
    recording.write("clean", 0, synthetic_maps(run.description, 4, "clean"))
    assert run.refresh() is False and run.epochs == (1, 2, 3)
    for variant in run.variants[1:]:
        recording.write(variant, 0, synthetic_maps(run.description, 4, variant))
    recording.write_layers(0, *synthetic_layers(run.description, 4))
    recording.finish()
    assert run.refresh() is True and run.epochs == (1, 2, 3, 4)


def test_the_last_epoch_and_the_clean_variant_are_meant_where_none_is_named(run):
    assert np.array_equal(run.column("confidence"), run.column("confidence", epoch=3, variant="clean"))
    assert np.array_equal(run.maps(epoch=-2, images=4), run.maps(epoch=2, variant="clean", images=[4]))
    assert run.variant_metrics(epoch=-3)["epoch"].unique().tolist() == [1]
    assert run.timeline(image=0, class_index="guacamole", epochs=[-1]).epochs.tolist() == [3]
    with pytest.raises(NotInRun, match="Epoch -4 counts from the end"):
        run.predictions(epoch=-4)
    with pytest.raises(NotInRun, match="Epoch 'last' is not a number"):
        run.predictions(epoch="last")


def test_images_are_chosen_by_a_mask_and_classes_by_name(run):
    assert np.array_equal(run.pixels(run.labels == 2), run.pixels(slice(8, 12)))
    assert run.pixels(np.zeros(20, bool)).shape == (0, 16, 16, 3)
    both = run.maps(images=np.int64(3), classes=["guacamole", 0])
    assert np.array_equal(both, run.maps(images=[3], classes=[2, 0]))
    assert run.class_number(run.classes["id"][4]) == 4
    with pytest.raises(NotInRun, match=r"A mask of shape \(19,\) selects no image: it needs 20"):
        run.pixels(np.ones(19, bool))
    with pytest.raises(NotInRun, match=r"Class 'shool bus' is not in the run. Near it: school bus"):
        run.maps(images=0, classes="shool bus")


def test_accuracy_counts_the_most_probable_classes(run):
    table = run.variant_metrics(epoch=1).set_index("variant")
    for variant in run.variants:
        assert run.accuracy(epoch=1, variant=variant) == pytest.approx(table["top1"][variant])
        assert run.accuracy(epoch=1, variant=variant, top=5) == pytest.approx(table["top5"][variant])


def test_a_folder_of_runs_names_them_and_a_file_its_folder(run):
    with pytest.raises(RunNotFound, match=r"It is a folder of runs: name one, such as .*tiny"):
        open_run(run.path.parent)
    for file in ("run.h5", "epochs/0001.h5"):
        with pytest.raises(RunNotFound, match=f"It is a file of a run: name the run's folder, '{run.path}'"):
            open_run(run.path / file)
