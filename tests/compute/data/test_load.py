"""From what a user names (a set, a folder, an archive) to a data set, with limits."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from compute.data.dataset import Selection
from compute.data.download import RemoteFile
from compute.data.load import list_source, load_dataset
from compute.errors import BadLayout, BadOption, DataNotFound, DownloadFailed


def write_tar(folder: Path, archive: Path, mode: str = "w", name: str = "set") -> Path:
    with tarfile.open(archive, mode) as out:
        out.add(folder, name)
    return archive


def test_tiny_imagenet_by_name_is_downloaded_into_the_cache(tmp_path, monkeypatch):
    requests: list[tuple[RemoteFile, Path]] = []

    def stop(remote: RemoteFile, path: Path) -> Path:
        requests.append((remote, path))
        raise DownloadFailed("no network in this test")

    monkeypatch.setattr("compute.data.load.download", stop)
    monkeypatch.setenv("CLASSPRINT_CACHE", str(tmp_path))
    with pytest.raises(DownloadFailed, match="no network in this test"):
        load_dataset("tiny-imagenet")
    ((remote, path),) = requests
    assert (remote.url, remote.size) == ("https://cs231n.stanford.edu/tiny-imagenet-200.zip", 248_100_043)
    assert path == tmp_path / "downloads" / "tiny-imagenet-200.zip"


def test_an_archive_is_unpacked_only_once(fruit, load, tmp_path, monkeypatch):
    archive = write_tar(fruit, tmp_path / "set.tar.gz", "w:gz")
    first = load(archive)
    assert first.train.images.shape == (12, 8, 8, 3)
    monkeypatch.setattr("compute.data.load.extract_archive", None)
    assert load(archive).checksum == first.checksum


@pytest.mark.parametrize(("name", "mode"), [("a.tbz2", "w:bz2"), ("noending", "w:gz"), ("a.b.tar", "w")])
def test_a_tar_archive_is_recognised_by_its_content(fruit, load, tmp_path, name, mode):
    assert len(load(write_tar(fruit, tmp_path / name, mode)).train) == 12


def test_a_data_set_from_an_archive_without_a_folder_has_the_archives_name(fruit, tmp_path):
    archive = write_tar(fruit, tmp_path / "fruit.tar", name="")
    first = list_source(str(archive), cache=tmp_path / "cache").name
    moved = archive.rename(fruit / "fruit.tar")
    assert first == list_source(str(moved), cache=tmp_path / "cache").name == "fruit"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fruits", "no data set 'fruits': not phantom, tiny-imagenet, torchvision:NAME, hf:FOLDER or an existing path"),
        ("", "no data set '': not phantom"),
        ("x" * 5000, r"^The data set .{205} can't be opened: (?i:.*name too long)"),
        ("a\0b", r"^The data set .* can't be opened: .*null"),
        ("~nobody9/x", r"^The data set .* can't be opened: "),
    ],
)
def test_a_source_that_does_not_exist_is_refused(source, message, tmp_path):
    with pytest.raises(DataNotFound, match=message):
        load_dataset(source, cache=tmp_path)


def test_a_file_that_is_not_an_archive_is_refused(load, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataNotFound, match=r"notes\.txt' is neither a folder nor a zip or tar archive"):
        load(tmp_path / "notes.txt")


def test_a_folder_of_something_else_is_refused_with_what_was_expected_and_found(load, tmp_path):
    (tmp_path / "docs").mkdir()
    with pytest.raises(BadLayout, match=r"Expected: a folder of images for each .* Found: nothing"):
        load(tmp_path / "docs")
    (tmp_path / "docs" / "train").mkdir()
    (tmp_path / "docs" / "notes.md").write_text("")
    with pytest.raises(BadLayout, match=r"Found: 'notes\.md', 'train/'"):
        load(tmp_path / "docs")


def test_limits_take_the_first_images_of_evenly_spread_classes(fruit, tiny, load):
    few = load(fruit, selection=Selection(train_per_class=2, validation_per_class=1))
    assert few.train.images[:, 0, 0, 0].tolist() == [0, 1, 10, 11, 20, 21]
    assert few.validation.images[:, 0, 0, 0].tolist() == [100, 110, 120]
    assert few.notes == (
        "data.train_per_class = 2 takes 6 of 12 images; 0 takes all.",
        "data.validation_per_class = 1 takes 3 of 6 images; 0 takes all.",
    )
    half = load(tiny, size=16, selection=Selection(classes=2))
    assert [info.id for info in half.classes] == ["n01443537", "n03126707"]
    assert half.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert half.validation.labels.tolist() == [0, 0, 1, 1]
    assert len(half.validation.boxes) == 4
    assert "per_class" not in " ".join(half.notes)  # all images of the requested classes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"selection": Selection(classes=4)}, r"4 classes were requested; '.*fruit' has 3"),
        ({"selection": Selection(classes=1)}, "limit classes = 1 is too small. Choose 2"),
        ({"selection": Selection(train_per_class=0)}, "limit train_per_class = 0 is too small"),
    ],
)
def test_impossible_limits_are_refused(fruit, load, options, message):
    with pytest.raises(BadOption, match=message):
        load(fruit, **options)


def test_no_module_of_image_sets_imports_torch():
    code = "import sys, compute.data.load; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
