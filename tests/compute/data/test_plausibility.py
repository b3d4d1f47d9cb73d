"""What is odd about images is said in the plan, and images as they should be get no note."""

import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compute.data.dataset import Selection
from compute.data.decode import Preparation


def write_set(root: Path, change, *, size=(24, 24), counts=(12, 12), suffix="png") -> Path:
    """Two classes in train and val; `change` makes an image of random intensities float (h, w, 3) from 0 to 1."""
    for split in ("train", "val"):
        for name, count in zip(("ant", "bee"), counts, strict=True):
            for n in range(count):
                path = root / split / name / f"{n}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                rng = np.random.default_rng(zlib.crc32(f"{split}{name}{n}".encode()))
                Image.fromarray(change(rng.random((size[1], size[0], 3)))).save(path)
    return root


def colours(values):
    return (255 * values).astype(np.uint8)


def levels(bits):
    return lambda values: (values[..., 0] * (2**bits - 1)).astype(np.uint16)


def test_ordinary_images_have_no_note(load, tmp_path):
    assert load(write_set(tmp_path / "set", colours), size=24).notes == ()


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda values: colours(values / 16), r"levels 0 to 15 of 0 to 255: they are nearly black"),
        (lambda values: colours(0.9 + values / 10), r"levels 229 to 254 of 0 to 255: they are nearly white"),
        (lambda values: colours(0.5 + values / 20), r"levels 127 to 140 of 0 to 255: they have hardly any contrast"),
        (lambda values: colours(np.linspace(0, 1, 24 * 24 * 3).reshape(24, 24, 3)), "All images look alike"),
        (lambda values: colours(values)[..., 0], "All images are gray: variants that change colours"),
    ],
)
def test_what_is_odd_about_the_pixels_is_said(load, tmp_path, change, note):
    notes = load(write_set(tmp_path / "set", change), size=24).notes
    assert re.search(note, " ".join(notes))


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_levels_of_a_camera_in_16_bit_files_are_read_as_they_were_meant(load, tmp_path, bits):
    dataset = load(write_set(tmp_path / "set", levels(bits)), size=24)
    white = 2**bits - 1
    assert dataset.preparation == Preparation((24, 24), white_level=white)
    assert dataset.train.images.max() >= 253
    assert "48 gray files have 16 bits, but no level above" in dataset.notes[0]
    assert f": {white:,} is taken as white. Choose another level with --set data.white_level=65535." in dataset.notes[0]
    dark = load(tmp_path / "set", preparation=Preparation((24, 24), white_level=65535))
    assert f"they become nearly black. Set data.white_level={white}." in dark.notes[0]
    assert dark.train.images.max() <= 255 * white // 65535 + 1


def test_files_without_a_common_white_are_counted(load, tmp_path):
    root = write_set(tmp_path / "set", lambda values: values[..., 0].astype(np.float32), suffix="tif")
    note = load(root, size=24).notes[0]
    assert note.startswith("48 of 48 files have levels that are floats, negative or above 65,535. Each is stretched")


def test_files_that_use_16_bits_and_single_ones_that_do_not_are_left_as_they_are(load, tmp_path):
    deep = load(write_set(tmp_path / "deep", levels(16)), size=24)
    assert deep.preparation.white_level == 65535
    assert deep.notes == ("All images are gray: variants that change colours change nothing.",)
    root = write_set(tmp_path / "mixed", colours)
    Image.fromarray(np.full((24, 24), 4000, np.uint16)).save(root / "train" / "ant" / "0.png")
    mixed = load(root, size=24)
    assert mixed.preparation.white_level == 65535
    assert mixed.notes == (
        "1 gray files have 16 bits, but no level above 4,000: they become nearly black. Set data.white_level=4095.",
    )


def test_levels_above_the_white_one_are_counted(load, tmp_path):
    root = write_set(tmp_path / "set", levels(12))
    Image.fromarray(np.full((24, 24), 60000, np.uint16)).save(root / "train" / "ant" / "5.png")
    preparation = Preparation((24, 24), white_level=4095)
    assert "1 of 48 gray files with 16 bits have levels above 4,095" in load(root, preparation=preparation).notes[0]


def test_how_much_the_crop_drops_is_said_where_it_is_much(load, tmp_path):
    root = write_set(tmp_path / "set", colours, size=(96, 32))
    (note,) = load(root, size=32).notes
    assert note.startswith("Cutting out the centre drops 67 % of an image on average (median 96×32 pixels).")
    assert load(root, preparation=Preparation((32, 96))).notes == ()
    assert load(root, preparation=Preparation((32, 32), crop=False)).notes == ()
    assert "enlarged more than twice, to 128×384" in load(root, preparation=Preparation((128, 384))).notes[0]


def test_images_of_both_splits_repetitions_and_contradictory_labels_are_said(load, tmp_path):
    root = write_set(tmp_path / "set", colours)
    for target in ("val/ant/0.png", "val/bee/3.png", "train/ant/7.png"):
        Image.open(root / "train" / "ant" / "0.png").save(root / target, optimize=True)  # other bytes, equal pixels
    assert load(root, size=24).notes == (
        "1 of 24 training images repeat another one, for instance 'train/ant/7.png'.",
        "1 of 24 validation images repeat another one, for instance 'val/bee/3.png'.",
        "2 of 24 validation images are also training images, for instance 'val/ant/0.png': the accuracy on them says "
        "nothing. Remove them from one of the two.",
        "Images that occur in more than one class, of whose labels at most one is right: 1.",
    )


def test_classes_with_few_images_are_said(load, tmp_path):
    root = write_set(tmp_path / "set", colours, counts=(20, 2))
    notes = load(root, size=24).notes
    assert notes[0] == "Some classes have few training images: 'bee' (2); 'ant' has 20. Read the balanced accuracy."
    assert notes[1].startswith("Some classes have few validation images: 'bee' (2)")


def test_validation_images_alone_are_looked_at_too(load, tmp_path):
    root = write_set(tmp_path / "set", lambda values: colours(values / 16))
    notes = load(root, size=24, selection=Selection(validation_only=True)).notes
    assert "nearly black" in notes[0]
