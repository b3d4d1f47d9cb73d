"""Epochs that several ranks write, each its own images: the joined epoch is the one that a single process writes."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from store import NotInRun, open_run, resume_run
from store.check.verify import verify_run
from store.synthetic import create_synthetic_run, record_synthetic_epoch, synthetic_description, write_synthetic_run

RANKS = (range(0, 7), range(7, 8), range(8, 20))


@pytest.fixture
def writer(tmp_path):
    """The writer of a run with its images and no epochs."""
    return create_synthetic_run(tmp_path / "parts", synthetic_description("parts", 5, 4, epochs=1))


@pytest.fixture
def joined(writer):
    """Folder of the same with an epoch in three parts."""
    for rank in (2, 0, 1):
        assert open_run(writer.path).epochs == ()
        record_synthetic_epoch(writer, 1, part=(rank, len(RANKS)), images=RANKS[rank])
    return writer.path


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
        assert parts.maps(images=[], **at).shape == (0, 5, 8, 8)
        assert parts.true_class_maps(images=[], **at).shape == (0, 8, 8)
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
    first, second = (joined / "epochs" / f"0001.part{rank}of3.h5" for rank in (0, 1))
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


def test_resuming_removes_the_parts_of_an_epoch_that_lost_a_rank(writer):
    record_synthetic_epoch(writer, 1, part=(0, 2), images=range(0, 4))
    assert (writer.path / "epochs" / "0001.part0of2.h5").exists() and open_run(writer.path).epochs == ()
    resume_run(writer.path)
    assert not list((writer.path / "epochs").glob("*.h5"))


def test_parts_must_say_which_images_they_hold(writer):
    with pytest.raises(NotInRun, match="A single part must contain all 20 images"):
        writer.epoch(1, images=range(3))
    with pytest.raises(NotInRun, match="are not a part of the run's 20 images"):
        writer.epoch(1, part=(0, 2), images=range(15, 25))
