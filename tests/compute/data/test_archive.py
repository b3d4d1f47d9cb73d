"""Archives are unpacked completely and inside their folder, or refused with nothing left behind."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compute.data import load_dataset
from compute.data.archive import Bounds, extract_archive
from compute.data.errors import BadArchive


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def refused(archive: Path, tmp_path: Path, message: str, bounds: Bounds = Bounds()) -> None:
    target = tmp_path / "deep" / "out"
    with pytest.raises(BadArchive, match=message):
        extract_archive(archive, target, bounds=bounds)
    assert [each.name for each in target.parent.iterdir()] == [".lock"]


NOISE = np.random.default_rng(0).bytes(300_000)
GOOD = {"set/train/a/0.bin": NOISE, "set/val/a/0.bin": b"abc"}


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tar.xz", "w:xz"), ("a.tgz", "w:gz")]
)
def test_tar_archives_are_unpacked(tmp_path, name, mode):
    out = extract_archive(tarred(tmp_path / name, GOOD, mode), tmp_path / "out")
    assert (out / "set/train/a/0.bin").read_bytes() == NOISE
    assert (out / "set/val/a/0.bin").read_bytes() == b"abc"


def test_zip_archives_are_unpacked(tmp_path):
    out = extract_archive(zipped(tmp_path / "a.zip", GOOD), tmp_path / "out")
    assert (out / "set/train/a/0.bin").read_bytes() == NOISE


@pytest.mark.parametrize(
    ("stored", "name"), [("größe/日本.png".encode(), "größe/日本.png"), ("größe.png".encode("cp437"), "größe.png")]
)
def test_names_in_a_zip_that_does_not_say_their_encoding(tmp_path, stored, name):
    path = zipped(tmp_path / "a.zip", {"x" * len(stored): b"abc"})
    path.write_bytes(path.read_bytes().replace(b"x" * len(stored), stored))
    assert (extract_archive(path, tmp_path / "out") / name).read_bytes() == b"abc"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_a_truncated_archive_is_refused(tmp_path, kind, part):
    path = tmp_path / f"a.{kind}"
    zipped(path, GOOD) if kind == "zip" else tarred(path, GOOD, f"w:{kind[4:]}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    refused(path, tmp_path, rf"archive '.*a\.{kind}' can't be unpacked")


def test_a_zip_with_a_wrong_checksum_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        out.writestr("a.bin", b"x" * 1000)
    path.write_bytes(path.read_bytes().replace(b"x" * 1000, b"x" * 999 + b"y"))
    refused(path, tmp_path, "can't be unpacked: Bad CRC-32")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "a\\..\\..\\evil", ".."])
def test_paths_that_lead_outside_are_refused(tmp_path, name):
    refused(tarred(tmp_path / "a.tar", {"fine": b"1", name: b"2"}), tmp_path, "leads outside")
    refused(zipped(tmp_path / "a.zip", {"fine": b"1", name: b"2"}), tmp_path, "leads outside")
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "deep" / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar_archives_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        info = tarfile.TarInfo("door")
        info.type, info.linkname = kind, "/etc/passwd"
        out.addfile(info)
    refused(tmp_path / "a.tar", tmp_path, "'door', a link or a device")


def test_links_in_zip_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        info = zipfile.ZipInfo("door")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", tmp_path, "'door', a link or a device")


def test_bombs_are_refused_by_ratio_size_and_count(tmp_path):
    zeros = {"zeros": bytes(2_000_000)}
    archives = (zipped(tmp_path / "a.zip", zeros), tarred(tmp_path / "a.tar.xz", zeros, "w:xz"))
    for archive in archives:
        refused(archive, tmp_path, "more than 100 times its size, as bombs do", Bounds(ratio_from=1_000_000))
        refused(archive, tmp_path, "unpacks to more than 1,000,000 bytes", Bounds(bytes=1_000_000))
    many = tarred(tmp_path / "many.tar", {str(n): b"" for n in range(20)})
    refused(many, tmp_path, "holds more than 10 files", Bounds(files=10))


def test_the_default_bounds_stop_a_real_bomb(tmp_path):
    refused(zipped(tmp_path / "a.zip", {"zeros": bytes(80 << 20)}), tmp_path, "as bombs do")


def test_a_zip_that_lies_about_sizes_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {"zeros": bytes(100_000)})
    size, lie = (100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, lie))
    refused(path, tmp_path, "can't be unpacked")


def test_encrypted_empty_and_false_archives_are_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a": b"1"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, tmp_path, "is encrypted")
    refused(zipped(tmp_path / "empty.zip", {}), tmp_path, "holds no files")
    (tmp_path / "false.tar").write_bytes(os.urandom(2000))
    refused(tmp_path / "false.tar", tmp_path, r"false\.tar' can't be unpacked")


def test_a_data_set_is_loaded_from_an_archive_and_unpacked_only_once(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (7, 7, 7)).save(buffer, "png")
    names = [f"set/{split}/{label}/0.png" for split in ("train", "val") for label in ("a", "b")]
    archive = tarred(tmp_path / "set.tar.gz", dict.fromkeys(names, buffer.getvalue()), "w:gz")
    first = load_dataset(str(archive), size=16, cache=tmp_path / "cache")
    assert first.train.images.shape == (2, 16, 16, 3)
    monkeypatch.setattr("compute.data.load.extract_archive", None)
    assert load_dataset(str(archive), size=16, cache=tmp_path / "cache").checksum == first.checksum
