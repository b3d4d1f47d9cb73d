"""Epochs that several ranks write, each its own images: the joined epoch is the one that a single process writes."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from store import NotInRun, create_run, open_run, resume_run
from store.check.verify import verify_run
from store.synthetic import (
    synthetic_description,
    synthetic_images,
    synthetic_layers,
    synthetic_maps,
    synthetic_metrics,
    write_synthetic_run,
)

RANKS = (range(0, 7), range(7, 8), range(8, 20))


@pytest.fixture
def path(tmp_path):
    """A run with its images and no epochs."""
    description = synthetic_description("parts", 5, 4, epochs=1)
    with create_run(tmp_path / "parts", description) as new:
        for variant in description.variant_names:
            new.write_images(variant, 0, synthetic_images(description, variant))
    return tmp_path / "parts"


def write_part(path, rank):
    description, images = open_run(path).description, RANKS[rank]
    rows = slice(images.start, images.stop)
    layers, stages = synthetic_layers(description, 1)
    with resume_run(path).epoch(1, synthetic_metrics(1), part=(rank, len(RANKS)), images=images) as recording:
        for variant in description.variant_names:
            recording.write(variant, images.start, synthetic_maps(description, 1, variant)[rows])
        recording.write_layers(
            images.start, *({name: array[rows] for name, array in kind.items()} for kind in (layers, stages))
        )


@pytest.fixture
def joined(path, monkeypatch):
    """The same with an epoch in three parts."""
    writer = resume_run(path)
    monkeypatch.setitem(globals(), "resume_run", lambda _: writer)  # ranks resume together, before any of them records
    for rank in (2, 0, 1):
        assert open_run(path).epochs == ()
        write_part(path, rank)
    monkeypatch.undo()
    return path


def test_an_epoch_in_parts_answers_like_one_in_a_single_file(joined, tmp_path):
    parts, whole = open_run(joined), open_run(write_synthetic_run(tmp_path / "whole", epochs=1))
    assert parts.epochs == (1,) and parts.damaged == {}
    images = [9, 3, 3, 19, 7]
    for variant in parts.variants:
        at = {"epoch": 1, "variant": variant}
        assert parts.predictions(**at).equals(whole.predictions(**at))
        assert parts.class_table(**at).equals(whole.class_table(**at))
        for query in ("confusion", "patterns", "true_class_maps", "predicted_class_maps", "probabilities"):
            assert np.array_equal(getattr(parts, query)(**at), getattr(whole, query)(**at)), query
        assert np.array_equal(parts.true_class_maps(images=images, **at), whole.true_class_maps(images=images, **at))
        assert np.array_equal(parts.maps(images=images, **at), whole.maps(images=images, **at))
        assert parts.maps(images=[], **at).shape == (0, 5, 8, 8) and parts.true_class_maps(images=[], **at).shape == (
            0,
            8,
            8,
        )
    for query in ("layers", "stages"):
        mine, other = getattr(parts, query)(epoch=1, images=images), getattr(whole, query)(epoch=1, images=images)
        assert list(mine) == list(other) and all(np.array_equal(mine[name], other[name]) for name in mine)
    assert parts.metrics().equals(whole.metrics())
    assert parts.variant_metrics(epoch=1).equals(whole.variant_metrics(epoch=1))
    assert verify_run(joined) == []


def test_the_joining_file_shows_everything_to_any_tool_also_after_a_move(joined, tmp_path):
    whole = write_synthetic_run(tmp_path / "whole", epochs=1)
    moved = joined.rename(tmp_path / "elsewhere")
    code = f"""
import h5py, hdf5plugin, numpy as np
with h5py.File({str(moved / "epochs" / "0001.h5")!r}) as one, h5py.File({str(whole / "epochs" / "0001.h5")!r}) as other:
    def look(name, item):
        if isinstance(item, h5py.Dataset) and not name.endswith("_crc32"):
            assert np.array_equal(item[...], one[name][...], equal_nan=item.dtype.kind == "f"), name
    other.visititems(look)
    print(one["maps"].is_virtual, one["confusion"].is_virtual)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"


@pytest.mark.parametrize("harm", ["delete", "swap", "flip"])
def test_a_damaged_part_damages_the_epoch(joined, harm):
    first, second = (
        joined / "epochs" / "0001.part0of3.h5",
        joined / "epochs" / "0001.part1of3.h5",
    )
    if harm == "delete":
        first.unlink()
    elif harm == "swap":
        shutil.copyfile(first, second)
    else:
        data = bytearray(first.read_bytes())
        data[1] ^= 1
        first.write_bytes(data)
    run = open_run(joined)
    assert run.epochs == () and "part" in run.damaged[1]
    assert verify_run(joined) != []


def test_resuming_removes_the_parts_of_an_epoch_that_lost_a_rank(path):
    writer = resume_run(path)
    description = open_run(path).description
    recording = writer.epoch(1, part=(0, 2), images=range(0, 4))
    for variant in description.variant_names:
        recording.write(variant, 0, synthetic_maps(description, 1, variant)[:4])
    layers, stages = synthetic_layers(description, 1)
    recording.write_layers(0, *({name: array[:4] for name, array in kind.items()} for kind in (layers, stages)))
    recording.finish()
    assert (path / "epochs" / "0001.part0of2.h5").exists() and open_run(path).epochs == ()
    resume_run(path)
    assert not list((path / "epochs").glob("*.h5"))


def test_parts_must_say_which_images_they_hold(path):
    with pytest.raises(NotInRun, match="A single part must hold all 20 images"):
        resume_run(path).epoch(1, images=range(3))
    with pytest.raises(NotInRun, match="are not a part of the run's 20 images"):
        resume_run(path).epoch(1, part=(0, 2), images=range(15, 25))
