"""Sets of torchvision and Hugging Face: the files are made here in the libraries' own formats and read by them."""

import gzip
import hashlib
import pickle
import struct

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets as torchvision_datasets

from compute.data.dataset import Selection
from compute.data.decode import Preparation
from compute.data.library_sets import is_library_set
from compute.data.load import load_dataset
from compute.errors import BadLayout, BadOption, DataNotFound, DownloadFailed

RANDOM = np.random.default_rng(0)
SMALL = Preparation((32, 32))


@pytest.fixture
def downloads(tmp_path):
    """Where torchvision looks for the files of its sets, so that nothing is downloaded."""
    folder = tmp_path / "cache" / "downloads" / "torchvision"
    folder.mkdir(parents=True)
    return folder


def load(source, tmp_path, **selection):
    return load_dataset(source, preparation=SMALL, selection=Selection(**selection), cache=tmp_path / "cache")


def write_cifar10(folder, monkeypatch, names=tuple("zyxwvutsrq")):
    """Batches as the Python version of CIFAR-10 has them, with checksums of their own; images and labels of each."""
    folder, images, labels = folder / "cifar-10-batches-py", {}, {}
    folder.mkdir()
    contents = {"batches.meta": {"label_names": list(names)}}
    for name in ("data_batch_1", "test_batch"):
        labels[name] = RANDOM.permutation(np.repeat(np.arange(10), 2)).tolist()
        images[name] = RANDOM.integers(0, 256, (20, 32, 32, 3), np.uint8)
        contents[name] = {"data": images[name].transpose(0, 3, 1, 2).reshape(20, -1), "labels": labels[name]}
    checksums = {}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
        checksums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    cifar = torchvision_datasets.CIFAR10
    monkeypatch.setattr(cifar, "train_list", [["data_batch_1", checksums["data_batch_1"]]])
    monkeypatch.setattr(cifar, "test_list", [["test_batch", checksums["test_batch"]]])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": checksums["batches.meta"]})
    return images, labels


def test_a_set_of_torchvision_keeps_its_pixels_labels_and_names(tmp_path, downloads, monkeypatch):
    images, labels = write_cifar10(downloads, monkeypatch)
    found = load("torchvision:CIFAR10", tmp_path)
    assert found.name == "torchvision:CIFAR10" and [each.name for each in found.classes] == list("zyxwvutsrq")
    for split, own in ((found.train, "data_batch_1"), (found.validation, "test_batch")):
        order = np.argsort(labels[own], kind="stable")
        assert split is not None and split.labels.tolist() == sorted(labels[own])
        assert np.array_equal(split.images, images[own][order])
    again = load("torchvision:CIFAR10", tmp_path, class_order="text", validation_only=True)
    assert np.array_equal(again.validation.images, found.validation.images)
    train = load("torchvision:CIFAR10:train", tmp_path, validation_only=True)
    assert found.train is not None and np.array_equal(train.validation.images, found.train.images)


def test_only_the_split_that_is_recorded_is_unpacked(tmp_path, downloads, monkeypatch):
    write_cifar10(downloads, monkeypatch)
    assert load("torchvision:CIFAR10", tmp_path, validation_only=True).train is None
    assert [each.name for each in tmp_path.glob("cache/library_sets/*/*") if each.is_dir()] == ["test"]


def test_gray_images_of_torchvision(tmp_path, downloads):
    raw = downloads / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    pixels, labels = RANDOM.integers(0, 256, (20, 28, 28), np.uint8), np.tile(np.arange(10, dtype=np.uint8), 2)
    for split in ("train", "t10k"):
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (raw / f"{split}-{kind}-ubyte").write_bytes(header + array.tobytes())
            (raw / f"{split}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    found = load_dataset("torchvision:FashionMNIST", preparation=Preparation((28, 28)), cache=tmp_path / "cache")
    assert found.classes[9].name == "Ankle boot" and found.train is not None and len(found.train) == 20
    order = np.argsort(labels, kind="stable")
    assert np.array_equal(found.validation.images, np.repeat(pixels[order, :, :, None], 3, 3))
    assert any("gray" in note for note in found.notes)


def test_files_of_torchvision_are_linked_and_a_set_without_splits_gets_some(tmp_path, downloads):
    for name in ("Forest", "River"):
        folder = downloads / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for number in range(5):
            Image.fromarray(RANDOM.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{name}_{number}.jpg")
    found = load("torchvision:EuroSAT", tmp_path)
    assert [each.name for each in found.classes] == ["Forest", "River"]
    assert found.train is not None and (len(found.train), len(found.validation)) == (8, 2)
    first = min(tmp_path.glob("cache/library_sets/*/all/*/*.jpg"))
    assert first.samefile(downloads / "eurosat" / "2750" / "Forest" / "Forest_0.jpg")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("torchvision:CIFAR11", BadOption, "no set of images 'CIFAR11'.*CIFAR10, CIFAR100"),
        ("torchvision:CIFAR10:val", BadOption, "has the splits train and test, not 'val'"),
        ("torchvision:DTD:extra", BadOption, "no split 'extra'"),
        ("torchvision:Caltech256:", DownloadFailed, "could not provide Caltech256"),
        ("hf:nowhere", DataNotFound, "no folder 'nowhere'"),
        ("hf:nowhere:test", DataNotFound, "no folder 'nowhere:test'"),
    ],
)
def test_what_does_not_exist_is_named(source, error, message, tmp_path, monkeypatch):
    def incomplete(self):
        raise RuntimeError("Dataset not found or corrupted")

    monkeypatch.setattr(torchvision_datasets.Caltech256, "download", incomplete)
    with pytest.raises(error, match=message):
        load(source, tmp_path)
    assert not list(tmp_path.glob("cache/library_sets/*"))


def hugging_face_table(datasets, images, labels):
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["bee", "ant"])})
    return datasets.Dataset.from_dict({"img": images, "label": labels}, features=features)


def test_a_folder_of_hugging_face_keeps_its_files(tmp_path):
    datasets = pytest.importorskip("datasets")
    files = []
    for number in range(4):
        files.append(str(tmp_path / f"{number}.jpg"))
        Image.fromarray(RANDOM.integers(0, 256, (40, 50, 3), np.uint8)).save(files[-1])
    arrays = [Image.fromarray(RANDOM.integers(0, 256, (32, 32, 3), np.uint8)) for _ in range(4)]
    tables = {
        "train": hugging_face_table(datasets, files, [1, 0, 1, 0]),
        "validation": hugging_face_table(datasets, arrays, [0, 1, 1, 0]),
    }
    datasets.DatasetDict(tables).save_to_disk(tmp_path / "saved")
    found = load(f"hf:{tmp_path / 'saved'}", tmp_path)
    assert [each.name for each in found.classes] == ["bee", "ant"] and found.train is not None
    assert np.array_equal(found.validation.images, np.stack([np.asarray(arrays[row]) for row in (0, 3, 1, 2)]))
    first = min(tmp_path.glob("cache/library_sets/*/train/0/*"))
    assert first.read_bytes() == (tmp_path / "1.jpg").read_bytes()
    only = load(f"hf:{tmp_path / 'saved'}:train", tmp_path, validation_only=True)
    assert np.array_equal(only.validation.images, found.train.images)
    with pytest.raises(BadOption, match="no split 'test', but 'train', 'validation'"):
        load(f"hf:{tmp_path / 'saved'}:test", tmp_path)


def test_another_folder_is_no_data_set_of_hugging_face(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "photos").mkdir()
    with pytest.raises(BadLayout, match="save_to_disk"):
        load(f"hf:{tmp_path / 'photos'}", tmp_path)


def test_sources_of_libraries_are_told_from_paths():
    assert is_library_set("torchvision:CIFAR10") and is_library_set("hf:C:/x")
    assert not any(map(is_library_set, ("phantom", "photos", "torchvision", "/data/hf:x")))
