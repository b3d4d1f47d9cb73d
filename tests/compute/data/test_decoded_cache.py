"""Decoded images come from the cache while it is valid, and are decoded again where it is not."""

from __future__ import annotations

import os

import numpy as np
import pytest

from compute.errors import BadImage, BadLayout
from tests.compute.data.conftest import write_image


def test_the_second_load_comes_from_the_cache_with_the_same_checksum(fruit, load, monkeypatch):
    first = load(fruit)
    monkeypatch.setattr("compute.data.decoded_cache.read_images", None)  # Decoding again would now fail.
    second = load(fruit)
    assert second.checksum == first.checksum
    assert np.array_equal(second.train.images, first.train.images)
    second.train.images[0] = 0  # Writable, but the file does not change.
    assert load(fruit).checksum == first.checksum


def test_boxes_come_from_the_cache_too(tiny, load):
    first, second = load(tiny, size=16), load(tiny, size=16)
    assert isinstance(second.train.images, np.memmap)
    assert np.array_equal(first.validation.boxes, second.validation.boxes)


def test_a_changed_source_is_decoded_again_and_replaces_the_old_entry(fruit, load, tmp_path):
    first = load(fruit)
    write_image(fruit / "train" / "plum" / "2.png", 250)
    second = load(fruit)
    assert second.checksum != first.checksum
    assert second.train.images[10, 0, 0, 0] == 250
    assert len(list((tmp_path / "cache" / "images").glob("fruit-*"))) == 1


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "not JSON of ours", "pickle"])
def test_a_damaged_cache_is_decoded_again(fruit, load, tmp_path, damage):
    first = load(fruit)
    (stored,) = (tmp_path / "cache").rglob("train/images.npy")
    content = bytearray(stored.read_bytes())
    if damage == "flipped bit":
        content[-1] ^= 1
        stored.write_bytes(content)
    elif damage == "cut short":
        stored.write_bytes(content[:-100])
    elif damage == "pickle":
        np.save(stored, np.array([{"a": 1}], object), allow_pickle=True)
    else:
        (stored.parent.parent / "entry.json").write_text("[]")
    again = load(fruit)
    assert again.checksum == first.checksum
    assert again.train.images.shape == first.train.images.shape
    assert isinstance(load(fruit).train.images, np.memmap)


def test_a_cache_that_cannot_be_written_is_only_a_warning(fruit, load, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"can't be cached in .* The next run decodes again"):
        assert len(load(fruit).train) == 12


def test_an_unreadable_image_is_named_and_nothing_is_cached(fruit, load, tmp_path):
    (fruit / "train" / "plum" / "2.png").write_bytes(b"not an image")
    with pytest.raises(BadImage, match=r"plum/2\.png' is not an image"):
        load(fruit)
    assert not list((tmp_path / "cache").rglob("*.npy"))


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (os.mkfifo, r"9\.png' is not a file"),
        (lambda path: path.symlink_to("/dev/zero"), r"9\.png' is not a file"),
        (lambda path: path.mkdir(), r"9\.png' is not a file"),
        (lambda path: path.symlink_to("nowhere.png"), r"9\.png' can't be read: No such file"),
        (lambda path: path.symlink_to(path), r"9\.png' can't be read: Too many levels"),
    ],
)
def test_a_path_that_is_not_a_file_is_refused_before_it_is_opened(fruit, load, create, message):
    create(fruit / "train" / "apple" / "9.png")
    with pytest.raises(BadLayout, match=message):
        load(fruit)
