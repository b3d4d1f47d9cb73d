"""Small image sets, on disk and drawn, and a way to load them."""

from pathlib import Path

import pytest
from PIL import Image

from compute.data.dataset import Dataset, Selection
from compute.data.decode import Preparation
from compute.data.load import load_dataset
from compute.data.phantom.dataset import load_phantom

WORDS = {
    "n01443537": "goldfish, Carassius auratus",
    "n02012849": "crane, wading bird",
    "n03126707": "crane, lifting machine",
    "n09999999": "gadget",
}


def write_image(path: Path, level: int = 7, size: int = 8) -> None:
    """A square image of one colour, whose red is `level`; a JPEG of one gray level, which it keeps exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (level, level, level) if path.suffix == ".JPEG" else (level, 255 - level, 90)).save(
        path
    )


@pytest.fixture
def fruit(tmp_path) -> Path:
    """train and val with the classes apple, pear_tree and plum; the gray level identifies class and image."""
    for label, name in enumerate(("apple", "pear_tree", "plum")):
        for n in range(4):
            write_image(tmp_path / "fruit" / "train" / name / f"{n}.png", 10 * label + n)
        for n in range(2):
            write_image(tmp_path / "fruit" / "val" / name / f"{n}.png", 100 + 10 * label + n)
    return tmp_path / "fruit"


@pytest.fixture
def tiny(tmp_path) -> Path:
    """Tiny ImageNet's layout: val_0..3 are of the classes 3, 2, 1, 0 and val_4..7 of the classes 0, 1, 2, 3."""
    root = tmp_path / "tiny-imagenet-200"
    for label, wordnet_id in enumerate(WORDS):
        for n in range(3):
            write_image(root / "train" / wordnet_id / "images" / f"{wordnet_id}_{n}.JPEG", 10 * label + n, 16)
        (root / "train" / wordnet_id / f"{wordnet_id}_boxes.txt").write_text("unused\n")
    lines = []
    for n, wordnet_id in enumerate([*reversed(WORDS), *WORDS]):
        write_image(root / "val" / "images" / f"val_{n}.JPEG", 100 + n, 16)
        lines.append(f"val_{n}.JPEG\t{wordnet_id}\t{n}\t1\t15\t7\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text(" \n".join(reversed(WORDS)) + "\n")
    (root / "words.txt").write_text("".join(f"{wordnet_id}\t{words}\n" for wordnet_id, words in WORDS.items()))
    return root


@pytest.fixture
def load(tmp_path):
    """Loads a source with the cache in `tmp_path / "cache"`."""

    def load(source, *, size: int = 8, preparation: Preparation | None = None, **options):
        preparation = preparation or Preparation((size, size))
        return load_dataset(str(source), preparation=preparation, cache=tmp_path / "cache", **options)

    return load


@pytest.fixture(scope="session")
def phantom() -> Dataset:
    """The phantom's 200 classes, three training and two validation images each; do not change it."""
    return load_phantom(selection=Selection(train_per_class=3, validation_per_class=2))
