"""Archives are unpacked completely and inside of their folder, or refused with nothing left behind."""

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from compute.data.archive import Bounds, extract_archive, is_archive
from compute.errors import BadArchive

NOISE = np.random.default_rng(0).bytes(300_000)
FILES = {"set/train/a/0.bin": NOISE, "set/val/a/0.bin": b"abc"}


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    """A zip or tar archive, as the suffix says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in members.items():
                out.writestr(name, content)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else f"w:{path.suffix[1:]}") as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def assert_refused(archive: Path, message: str, bounds: Bounds = Bounds()) -> None:
    target = archive.parent / "deep" / "out"
    with pytest.raises(BadArchive, match=message):
        extract_archive(archive, target, bounds=bounds)
    assert [each.name for each in target.parent.iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_archives_are_unpacked(tmp_path, name):
    out = extract_archive(write_archive(tmp_path / name, FILES), tmp_path / "out")
    assert {each: (out / each).read_bytes() for each in FILES} == FILES


@pytest.mark.parametrize(
    ("stored", "name"), [("größe/日本.png".encode(), "größe/日本.png"), ("größe.png".encode("cp437"), "größe.png")]
)
def test_names_in_a_zip_that_does_not_state_their_encoding(tmp_path, stored, name):
    path = write_archive(tmp_path / "a.zip", {"x" * len(stored): b"abc"})
    path.write_bytes(path.read_bytes().replace(b"x" * len(stored), stored))
    assert (extract_archive(path, tmp_path / "out") / name).read_bytes() == b"abc"


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_backslashes_in_names_separate_folders(tmp_path, name):
    out = extract_archive(write_archive(tmp_path / name, {"train\\a\\0.png": b"abc"}), tmp_path / "out")
    assert (out / "train" / "a" / "0.png").read_bytes() == b"abc"


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_a_truncated_archive_is_refused(tmp_path, name, part):
    path = write_archive(tmp_path / name, FILES)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    assert_refused(path, rf"archive '.*{name}' can't be unpacked: .* Download it again, or unpack it yourself")


@pytest.mark.parametrize("cut", ["between two files", "before the end mark", "in a header"])
def test_a_tar_archive_is_refused_wherever_it_was_cut(tmp_path, cut):
    archive = write_archive(tmp_path / "a.tar", FILES)
    with tarfile.open(archive) as opened:
        last = opened.getmembers()[-1]
    size = {
        "between two files": last.offset,
        "before the end mark": last.offset_data + (last.size + 511) // 512 * 512,
        "in a header": last.offset + 100,
    }[cut]
    archive.write_bytes(archive.read_bytes()[:size])
    assert_refused(archive, "cut short or damaged")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_tar_archive_with_a_damaged_header_is_refused(tmp_path, name):
    content = bytearray(write_archive(tmp_path / "whole.tar", FILES).read_bytes())
    with tarfile.open(tmp_path / "whole.tar") as opened:
        content[opened.getmembers()[-1].offset] ^= 1
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert_refused(tmp_path / name, "cut short or damaged")


@pytest.mark.parametrize(
    ("name", "offset", "message"),
    [
        ("a.zip", 100, "can't be unpacked: (Bad CRC-32|Error -3 while decompressing)"),
        ("a.tar.gz", -8, "CRC check failed"),  # gzip ends with the checksum (4 bytes) and the length (4 bytes)
    ],
)
def test_checksums_in_archives_are_compared(tmp_path, name, offset, message):
    path = write_archive(tmp_path / name, FILES)
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    assert_refused(path, message)


@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "a\\..\\..\\evil", ".."])
def test_paths_that_lead_outside_are_refused(tmp_path, suffix, name):
    assert_refused(write_archive(tmp_path / f"a.{suffix}", {"fine": b"1", name: b"2"}), "leads outside")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar_archives_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        info = tarfile.TarInfo("door")
        info.type, info.linkname = kind, "/etc/passwd"
        out.addfile(info)
    assert_refused(tmp_path / "a.tar", "'door', a link, a device or a sparse file")


def test_links_in_zip_archives_are_refused(tmp_path):
    info = zipfile.ZipInfo("door")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(info, "/etc/passwd")
    assert_refused(tmp_path / "a.zip", "'door', a link, a device or a sparse file")


def test_a_zip_archive_whose_list_of_files_takes_gigabytes_is_refused_before_it_is_read(tmp_path):
    write_archive(tmp_path / "a.zip", {"x": b""})
    content = (tmp_path / "a.zip").read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = bytearray(content[start:end])
    entry[30:32] = (65_000).to_bytes(2, "little")  # the length of its extra field
    directory = (bytes(entry) + struct.pack("<HH", 0x9999, 64_996) + bytes(64_996)) * 1100
    tail = bytearray(content[end:])
    tail[8:16] = struct.pack("<HHI", 1100, 1100, len(directory))
    (tmp_path / "a.zip").write_bytes(content[:start] + directory + tail)
    assert_refused(tmp_path / "a.zip", "the list of its files, or the header of one, is too long")


def test_folders_without_end_are_refused_as_bombs(tmp_path):
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as out:
        out.write(header(tarfile.DIRTYPE, 0) * 20_000 + bytes(1024))
    assert_refused(tmp_path / "a.tar.gz", "as archive bombs do")


def test_a_compression_that_asks_for_more_memory_than_there_is(tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "a.tar.xz", {"x": b"1"})

    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr(lzma.LZMAFile, "read", no_memory)
    assert_refused(archive, "that takes more memory than is free")


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_two_files_of_one_name_are_refused(tmp_path, suffix):
    archive = write_archive(tmp_path / f"a.{suffix}", {"a/b": b"1", "a/./b": b"2"})
    assert_refused(archive, "can't be unpacked: it contains 'a/b' twice")


def test_bombs_are_refused_by_ratio_size_and_count_a_real_one_by_default(tmp_path):
    for name in ("a.zip", "a.tar.xz"):
        archive = write_archive(tmp_path / name, {"zeros": bytes(2_000_000)})
        assert_refused(archive, "more than 100 times its size, as archive bombs do", Bounds(ratio_from=1_000_000))
        assert_refused(archive, "unpacks to more than 1,000,000 bytes", Bounds(bytes=1_000_000))
    assert_refused(write_archive(tmp_path / "real.zip", {"zeros": bytes(80 << 20)}), "as archive bombs do")
    many = write_archive(tmp_path / "many.tar", {str(n): b"" for n in range(20)})
    assert_refused(many, "contains more than 10 files", Bounds(files=10))


def test_a_zip_that_claims_smaller_sizes_is_refused(tmp_path):
    path = write_archive(tmp_path / "a.zip", {"zeros": bytes(100_000)})
    size, claimed = (100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, claimed))
    assert_refused(path, "can't be unpacked")


def test_an_encrypted_archive_is_refused(tmp_path):
    path = write_archive(tmp_path / "a.zip", {"a": b"1"})
    content = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(header) + flags] |= 1
    path.write_bytes(content)
    assert_refused(path, "is encrypted, password required .* unpack it yourself and name the folder")


def test_an_empty_archive_and_a_file_that_is_none_are_refused(tmp_path):
    assert_refused(write_archive(tmp_path / "empty.zip", {}), "contains no files")
    (tmp_path / "noise.tar").write_bytes(os.urandom(2000))
    assert_refused(tmp_path / "noise.tar", r"noise\.tar' can't be unpacked: it is neither zip nor tar")


def header(kind: bytes, size: int) -> bytes:
    """A tar header of a special member that says it is `size` bytes long."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def many_sparse_blocks(count: int) -> bytes:
    """GNU's old form of a sparse file, with `count` more blocks of places."""
    content = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
    content[482] = 1
    content[148:156] = b"%06o\0 " % (256 + sum(content[:148]) + sum(content[156:512]))
    block = b"00000000001\0" * 42
    return bytes(content) + (block + b"\1" + bytes(512 - len(block) - 1)) * count


@pytest.mark.parametrize(
    "content",
    [
        header(tarfile.XHDTYPE, 2 << 30) + bytes(64 << 20),
        header(tarfile.XGLTYPE, 2 << 30) + bytes(64 << 20),
        header(tarfile.GNUTYPE_LONGNAME, 2 << 30) + bytes(64 << 20),
        header(tarfile.GNUTYPE_LONGLINK, 2 << 30) + bytes(64 << 20),
        header(tarfile.XHDTYPE, -1) + bytes(1 << 20),
        header(tarfile.XHDTYPE, 512) * 5000,
        many_sparse_blocks(50_000),
    ],
    ids=["pax", "global pax", "long name", "long link", "negative", "nested", "sparse"],
)
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "photos"])
def test_headers_that_would_fill_the_memory_are_refused(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content, 1) if name.endswith("gz") else content)
    tracemalloc.start()
    try:
        assert is_archive(path) == (name != "photos")
        assert_refused(path, "can't be unpacked")
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_file_with_a_long_name_is_no_bomb(tmp_path):
    name = "/".join(["a" * 200] * 5)
    archive = write_archive(tmp_path / "a.tar", {name: b"abc", "b": b"d"})
    assert (extract_archive(archive, tmp_path / "out") / name).read_bytes() == b"abc"


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_folders_inside_each_other_without_end_are_refused(tmp_path, suffix):
    assert_refused(write_archive(tmp_path / f"a.{suffix}", {"a/" * 1500 + "b": b"1"}), "a path of 1501 folders")


def test_sparse_files_are_refused(tmp_path):
    assert_refused(write_sparse(tmp_path / "a.tar"), "'x', a link, a device or a sparse file")


def write_sparse(path: Path) -> Path:
    path.write_bytes(header(tarfile.GNUTYPE_SPARSE, 0) + bytes(10240))
    return path


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "a/" + "ü" * 200])
def test_names_that_no_file_may_have_are_refused(tmp_path, name):
    info = tarfile.TarInfo("fine")
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as out:
        info.pax_headers = {"path": name}
        out.addfile(info, io.BytesIO())
    assert_refused(tmp_path / "a.tar", "can't be unpacked")
