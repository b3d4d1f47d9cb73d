"""Decoded images come from the cache while it is valid, and are decoded again where it is not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from compute.data.dataset import Selection
from compute.data.decode import decode_image
from compute.errors import BadImage, BadLayout, DoesNotFit
from tests.compute.data.conftest import write_image


def test_the_second_load_comes_from_the_cache_with_the_same_checksum(fruit, load, monkeypatch):
    first = load(fruit)
    monkeypatch.setattr("compute.data.decoded_cache.decode_image", None)  # Decoding again would now fail.
    second = load(fruit)
    assert second.checksum == first.checksum
    assert np.array_equal(second.train.images, first.train.images)
    second.train.images[0] = 0  # Writable, but the file does not change.
    assert load(fruit).checksum == first.checksum


def test_boxes_come_from_the_cache_too(tiny, load):
    first, second = load(tiny, size=16), load(tiny, size=16)
    assert isinstance(second.train.images, np.memmap)
    assert np.array_equal(first.validation.boxes, second.validation.boxes)


def test_files_that_change_places_keep_their_labels(fruit, load, tmp_path):
    one, other = fruit / "train" / "apple" / "0.bmp", fruit / "train" / "plum" / "0.bmp"
    write_image(one, 50)
    write_image(other, 60)
    assert one.stat().st_size == other.stat().st_size
    for path in (one, other):
        os.utime(path, ns=(10**18, 10**18))
    first = load(fruit)
    for source, target in ((one, tmp_path / "x"), (other, one), (tmp_path / "x", other)):
        source.rename(target)
    changed = load(fruit)
    assert changed.train.images[[0, 9], 0, 0, 0].tolist() == [60, 50]
    assert changed.checksum != first.checksum


def test_only_new_images_are_decoded(fruit, load, monkeypatch):
    load(fruit)
    write_image(fruit / "train" / "apple" / "0.png", 99)
    write_image(fruit / "train" / "apple" / "9.png", 98)
    decoded: list[str] = []

    def spy(content, preparation, *, name):
        decoded.append(Path(name).name)
        return decode_image(content, preparation, name=name)

    monkeypatch.setattr("compute.data.decoded_cache.decode_image", spy)
    assert load(fruit).train.images[:5, 0, 0, 0].tolist() == [99, 1, 2, 3, 98]
    assert sorted(decoded) == ["0.png", "9.png"]


def test_a_changed_source_is_decoded_again_and_replaces_the_old_entry(fruit, load, tmp_path):
    first = load(fruit)
    write_image(fruit / "train" / "plum" / "2.png", 250)
    second = load(fruit)
    assert second.checksum != first.checksum
    assert second.train.images[10, 0, 0, 0] == 250
    assert len(list((tmp_path / "cache" / "images").glob("fruit-*"))) == 1


@pytest.mark.parametrize(
    "damage", ["flipped bit", "cut short", "pickle", "[]", "[1]", '{"a": 1}', '{"a": ["b"]}', "not JSON"]
)
def test_a_damaged_cache_is_decoded_again(fruit, load, tmp_path, damage):
    first = load(fruit)
    (stored,) = (tmp_path / "cache").rglob("pixels.bin")
    content = bytearray(stored.read_bytes())
    if damage == "flipped bit":
        content[-1] ^= 1
        stored.write_bytes(content)
    elif damage == "cut short":
        stored.write_bytes(content[:-100])
    elif damage == "pickle":
        np.savez(stored.with_name("rows.npz"), contents=np.array([{"a": 1}], object))
    else:
        stored.with_name("unreadable.json").write_text(damage)
    again = load(fruit)
    assert again.checksum == first.checksum
    assert again.train.images.shape == first.train.images.shape
    assert isinstance(load(fruit).train.images, np.memmap)


def test_a_cache_that_cannot_be_written_is_only_a_warning(fruit, load, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"can't be cached in .* The next run decodes again"):
        assert len(load(fruit).train) == 12


def break_images(root: Path) -> list[str]:
    """Five broken files in two splits, in the order in which they are listed."""
    broken = ["train/apple/1.png", "train/apple/3.png", "train/plum/0.png", "val/apple/1.png", "val/plum/0.png"]
    for number, name in enumerate(broken):
        (root / name).write_bytes(b"" if number % 2 else b"not an image")
    return broken


def test_all_unreadable_images_are_named_at_once_and_nothing_good_is_decoded_twice(fruit, load, tmp_path, monkeypatch):
    broken = break_images(fruit)
    with pytest.raises(
        BadImage, match=r"apple/1\.png' is not an image .* 5 of 18 images can't be read: 'train/a"
    ) as found:
        load(fruit)
    assert "leave them out with --set data.skip_unreadable=true" in str(found.value)
    (listed,) = (tmp_path / "cache").rglob("*.unreadable.txt")
    assert str(listed) in str(found.value)
    assert [line.split("'")[1] for line in listed.read_text().splitlines()] == [str(fruit / name) for name in broken]
    for number, name in enumerate(broken):
        write_image(fruit / name, 200 + number)
    decoded: list[str] = []

    def spy(content, preparation, *, name):
        decoded.append(name)
        return decode_image(content, preparation, name=name)

    monkeypatch.setattr("compute.data.decoded_cache.decode_image", spy)
    repaired = load(fruit)
    assert sorted(decoded) == sorted(str(fruit / name) for name in broken)
    assert repaired.train.images[:, 0, 0, 0].tolist() == [0, 200, 2, 201, 10, 11, 12, 13, 202, 21, 22, 23]
    assert repaired.validation.images[:, 0, 0, 0].tolist() == [100, 203, 110, 111, 204, 121]


def test_unreadable_images_can_be_left_out(fruit, load, monkeypatch):
    break_images(fruit)
    skipped = Selection(skip_unreadable=True)
    first = load(fruit, selection=skipped)
    assert first.train.images[:, 0, 0, 0].tolist() == [0, 2, 10, 11, 12, 13, 21, 22, 23]
    assert first.train.labels.tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert first.validation.names[:2] == ("val/apple/0.png", "val/pear_tree/0.png")
    assert "5 of 18 images can't be read and are left out: 'train/apple/1.png'" in first.notes[0]
    monkeypatch.setattr("compute.data.decoded_cache.decode_image", None)  # Decoding again would now fail.
    assert load(fruit, selection=skipped).checksum == first.checksum
    with pytest.raises(BadImage, match="5 of 18"):
        load(fruit)


def test_a_class_without_a_readable_image_is_refused(fruit, load):
    for number in range(2):
        (fruit / "val" / "plum" / f"{number}.png").write_bytes(b"")
    with pytest.raises(BadLayout, match="No validation image of the classes 'plum' can be read"):
        load(fruit, selection=Selection(skip_unreadable=True))


def test_images_that_fit_nowhere_are_refused_before_they_are_decoded(fruit, load, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("compute.data.decoded_cache.shutil.disk_usage", lambda path: usage._replace(free=10**8))
    with pytest.warns(UserWarning, match="There is no room for them"):  # a small set fits into memory
        assert len(load(fruit).train) == 12
    monkeypatch.setattr("compute.data.decoded_cache.free_memory", lambda: 1000)
    monkeypatch.setattr("compute.data.decoded_cache.decode_image", None)
    with pytest.raises(DoesNotFit, match=r"Set CLASSPRINT_CACHE to a folder with more room, or take smaller"):
        load(fruit)


def test_the_room_that_images_take_is_said_before_they_are_decoded(fruit, load, capfd):
    load(fruit, size=64)
    assert "Preparing 18 images of 'fruit': 0 MB in '" in capfd.readouterr().err
    load(fruit, size=64)
    assert "Preparing" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (os.mkfifo, r"9\.png' is not a file"),
        (lambda path: path.symlink_to("/dev/zero"), r"9\.png' is not a file"),
        (lambda path: path.mkdir(), r"9\.png' is not a file"),
        (lambda path: path.symlink_to("nowhere.png"), r"9\.png' is a broken or circular link"),
        (lambda path: path.symlink_to(path), r"9\.png' is a broken or circular link"),
    ],
)
def test_a_path_that_is_not_a_file_is_refused_before_it_is_opened(fruit, load, create, message):
    create(fruit / "train" / "apple" / "9.png")
    with pytest.raises(BadLayout, match=message):
        load(fruit)
