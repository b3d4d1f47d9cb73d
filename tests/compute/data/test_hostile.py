"""Folders and archives as strangers have them: read as they are meant, or refused by name; nothing is left out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compute.data import load_dataset
from compute.data.archive import extract_archive
from compute.data.atomic_folder import unfinished_folder
from compute.data.errors import BadArchive, BadLayout, CacheUnusable, DataNotFound
from compute.data.load import list_source

WNIDS = ("n01443537", "n02012849")


def image(path: Path, level: int = 7, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)


@pytest.fixture
def tree(tmp_path) -> Path:
    for split in ("train", "val"):
        for name in ("apple", "plum"):
            image(tmp_path / "fruit" / split / name / "0.png")
    return tmp_path / "fruit"


@pytest.fixture
def tiny(tmp_path) -> Path:
    root = tmp_path / "tiny"
    for wnid in WNIDS:
        image(root / "train" / wnid / "images" / "0.JPEG")
        image(root / "val" / "images" / f"{wnid}.JPEG")
    (root / "wnids.txt").write_text("".join(f"{wnid} \n" for wnid in WNIDS))
    (root / "words.txt").write_text("".join(f"{wnid}\tname of {wnid}\n" for wnid in WNIDS))
    annotate(root, (0, 0, 3, 3))
    return root


def annotate(root: Path, box: tuple[int, ...]) -> None:
    edges = "\t".join(map(str, box))
    lines = [f"{wnid}.JPEG\t{wnid}\t{edges}\n" for wnid in WNIDS]
    (root / "val" / "val_annotations.txt").write_text("".join(lines))


def tarred(folder: Path, archive: Path, mode: str) -> Path:
    with tarfile.open(archive, mode) as out:
        out.add(folder, "set")
    return archive


def load(source: Path, tmp_path: Path):
    return load_dataset(str(source), size=8, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    "name", ["ünï 日本語", "-rf", "<b>bold", "q\"uo'te", "a,b;c", "x" * 200, "$HOME", "{x}", "nan", "C:", "a\\b"]
)
def test_any_printable_class_name_is_kept_as_it_is(tree, tmp_path, name):
    for split in ("train", "val"):
        (tree / split / "plum").rename(tree / split / name)
    assert name in [info.id for info in load(tree, tmp_path).classes]


@pytest.mark.parametrize("name", [b"bad\xff", b"tab\tx", b"new\nline", b"bell\x07"])
@pytest.mark.parametrize("where", ["train", "train/apple"])
def test_names_that_no_file_could_carry_on_are_refused(tree, tmp_path, name, where):
    image(tree / "x.png")
    (tree / "x.png").rename(tree / where / os.fsdecode(name + b".png"))
    with pytest.raises(BadLayout, match=r"which is not UTF-8 or holds control characters. Rename it"):
        load(tree, tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, r"9\.png' is not a file"),
        (lambda path: path.symlink_to("/dev/zero"), r"9\.png' is not a file"),
        (lambda path: path.mkdir(), r"9\.png' is not a file"),
        (lambda path: path.symlink_to("nowhere.png"), r"9\.png' can't be read: No such file"),
        (lambda path: path.symlink_to(path), r"9\.png' can't be read: Too many levels"),
    ],
)
def test_what_is_no_file_is_refused_before_it_is_opened(tree, tmp_path, make, message):
    make(tree / "train" / "apple" / "9.png")
    with pytest.raises(BadLayout, match=message):
        load(tree, tmp_path)


def test_images_beside_a_folder_of_images_are_not_left_out_silently(tree, tmp_path):
    image(tree / "train" / "apple" / "images" / "1.png")
    with pytest.raises(BadLayout, match=r"holds '0\.png' beside its folder 'images'"):
        load(tree, tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,name,group\napple,Äpfel,f\nplum,p,f\n".encode("latin-1"), "not a text in UTF-8: byte 20 is wrong"),
        (b"id,name,group\napple,a\0b,f\nplum,p,f\n", "holds zero bytes"),
        (b"id,name,group\napple," + b"y" * 200_000 + b",f\nplum,p,f\n", "is not a CSV file: field larger"),
        (b"id,name,group\napple,  ,f\nplum,p,f\n", "has no name for the classes 'apple'"),
    ],
)
def test_a_class_table_that_cannot_be_meant_is_refused(tree, tmp_path, table, message):
    (tree / "classes.csv").write_bytes(table)
    with pytest.raises(BadLayout, match=message):
        load(tree, tmp_path)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: (root / "wnids.txt").unlink(), r"wnids\.txt' is missing: the folder is not a complete"),
        (lambda root: (root / "val/val_annotations.txt").unlink(), r"val_annotations\.txt' is missing"),
        (lambda root: (root / "words.txt").write_bytes(b"n01443537\tcaf\xe9\n"), "byte 13 is wrong"),
        (lambda root: (root / "wnids.txt").write_text("n01443537\n" * 2), "names 'n01443537' more than once"),
        (lambda root: annotate(root, (5, 0, 3, 3)), "Line 1 of .* a box that ends before it begins"),
        (lambda root: annotate(root, (0, 0, 3, 10**30)), "Line 1 of .* is not 'image, class, box'"),
        (lambda root: annotate(root, (8, 0, 9, 3)), r"box \[8, 0, 10, 4\] of .* lies outside of its 8 x 8 pixels"),
    ],
)
def test_a_tiny_imagenet_with_wrong_lists_is_refused_with_the_place(tiny, tmp_path, break_it, message):
    assert load(tiny, tmp_path).classes[0].name == "name of n01443537"
    break_it(tiny)
    with pytest.raises(BadLayout, match=message):
        load(tiny, tmp_path)


def test_a_image_annotated_twice_is_refused(tiny, tmp_path):
    lists = tiny / "val" / "val_annotations.txt"
    lists.write_text(lists.read_text() * 2)
    with pytest.raises(BadLayout, match=r"names 'n01443537\.JPEG', 'n02012849\.JPEG' more than once"):
        load(tiny, tmp_path)


@pytest.mark.parametrize(("source", "problem"), [("x" * 5000, "name too long"), ("a\0b", "null"), ("~nobody9/x", "")])
def test_a_path_that_cannot_exist_is_refused(source, problem, tmp_path):
    with pytest.raises(DataNotFound, match=rf"^The data set .{{2,230}} can't be opened: (?i:.*{problem})"):
        load_dataset(source, size=8, cache=tmp_path)


@pytest.mark.parametrize(("name", "mode"), [("a.tbz2", "w:bz2"), ("noending", "w:gz"), ("a.b.tar", "w")])
def test_a_tar_archive_is_known_by_its_content(tree, tmp_path, name, mode):
    assert len(load(tarred(tree, tmp_path / name, mode), tmp_path).train) == 2


def test_a_data_set_from_an_archive_is_called_like_it_wherever_it_lies(tree, tmp_path):
    flat = tmp_path / "fruit.tar"
    with tarfile.open(flat, "w") as out:
        for split in ("train", "val"):
            out.add(tree / split, split)
    first = list_source(str(flat), cache=tmp_path / "cache").name
    moved = flat.rename(tree / "fruit.tar")
    assert first == list_source(str(moved), cache=tmp_path / "cache").name == "fruit"


@pytest.mark.parametrize("cut", ["between two files", "before the end mark", "in a header"])
def test_a_tar_archive_cut_short_is_refused_wherever_the_cut_is(tree, tmp_path, cut):
    archive = tarred(tree, tmp_path / "a.tar", "w")
    with tarfile.open(archive) as opened:
        last = opened.getmembers()[-1]
    size = {
        "between two files": last.offset,
        "before the end mark": last.offset_data + (last.size + 511) // 512 * 512,
        "in a header": last.offset + 100,
    }[cut]
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(BadArchive, match="cut short or damaged"):
        extract_archive(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_checksum_at_the_end_of_a_compressed_tar_archive_is_compared(tree, tmp_path):
    archive = tarred(tree, tmp_path / "a.tar.gz", "w:gz")
    content = bytearray(archive.read_bytes())
    content[-8] ^= 1  # gzip ends with the checksum (4 bytes) and the length (4 bytes) of what it holds
    archive.write_bytes(content)
    with pytest.raises(BadArchive, match="CRC check failed"):
        extract_archive(archive, tmp_path / "out")


def test_what_a_killed_process_left_is_swept_but_never_a_living_ones(tmp_path):
    """A process fills a folder; another start leaves it alone while it lives and removes it after kill -9."""
    target = tmp_path / "set"
    code = (
        "import sys, time; from pathlib import Path; from compute.data.atomic_folder import unfinished_folder\n"
        f"with unfinished_folder(Path({str(target)!r})) as folder:\n"
        "    (folder / 'half').write_text('x'); print(folder, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        left = Path(other.stdout.readline().strip())
        with unfinished_folder(target):
            assert (left / "half").exists()
        other.send_signal(signal.SIGKILL)
    assert left.exists()
    finished = tmp_path / "my.part-1-0123456789ab"
    finished.mkdir()
    with unfinished_folder(target) as mine:
        assert not left.exists()
        assert mine.exists()
    assert not mine.exists()
    assert finished.exists()


def test_a_cache_that_is_a_file_is_refused_with_what_to_set(tree, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    archive = tarred(tree, tmp_path / "a.tar", "w")
    with pytest.raises(CacheUnusable, match=r"can't be written: .* Set CLASSPRINT_CACHE to a folder of yours"):
        load(archive, tmp_path)
    with pytest.warns(UserWarning, match="The next run decodes again"):
        assert np.all(load(tree, tmp_path).train.images == 7)
