"""A bucket of a stranger: whatever it lists and sends, nothing is written outside or without end."""

import json
import shutil
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from store import StoreError, open_run
from store.tools.copy import copy_run
from tests.store.contents import digests

ENDLESS = 200 << 20  # bytes after which a body that should be bounded fails the test


class HostileBucket(LocalFileSystem):
    """A folder of this machine as object storage, whose class attributes say how it lies."""

    protocol = "hostile"
    cachable = False
    listed: ClassVar[dict[str, object]] = {}  # name of a file -> size in listings
    extra: tuple[str, ...] = ()  # names that listings have beside the files
    endless: tuple[str, ...] = ()  # names of files without an end
    changes: tuple[str, ...] = ()  # names of files that are other ones whenever they are opened

    @classmethod
    def _strip_protocol(cls, path, **_):
        return super()._strip_protocol(str(path).removeprefix("hostile://"))

    def info(self, path, **options):
        return self._lie(super().info(path, **options))

    def ls(self, path, detail=False, **options):
        entries = [self._lie(entry) for entry in super().ls(path, detail=True, **options)]
        root = self._strip_protocol(path)
        if not root.endswith("/epochs"):
            entries += [{"name": f"{root}/{name}", "size": 5, "type": "file"} for name in self.extra]
        return entries if detail else [entry["name"] for entry in entries]

    def find(self, path, detail=False, **options):
        root = self._strip_protocol(path)
        found = {each.as_posix(): self.info(each.as_posix()) for each in Path(root).rglob("*") if each.is_file()}
        found |= {f"{root}/{name}": {"name": f"{root}/{name}", "size": 5, "type": "file"} for name in self.extra}
        return found if detail else list(found)

    def _lie(self, entry):
        name = entry["name"].rsplit("/", 1)[-1]
        return {**entry, **({"size": self.listed[name]} if name in self.listed else {})}

    def open(self, path, mode="rb", **options):
        name = str(path).rsplit("/", 1)[-1]
        if mode == "rb" and name in self.endless:
            return Endless(path)
        if mode == "rb" and name in self.changes:
            return Changed(path)
        return super().open(path, mode, **options)


class Endless:
    """A file that starts as it should and does not stop."""

    def __init__(self, path):
        # Closed by __exit__, as the file systems' own files are.
        self._file, self._left = Path(self.plain(path)).open("rb"), ENDLESS  # noqa: SIM115

    @staticmethod
    def plain(path):
        return HostileBucket._strip_protocol(path)

    def read(self, size=-1):
        self._left -= size
        assert size >= 0 and self._left > 0, "read without a limit"
        content = self._file.read(size)
        content += bytes(size - len(content))
        return content

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


class Changed(Endless):
    """A file whose first bytes differ at every opening, and never are those of the run."""

    count = 0

    def read(self, size=-1):
        content = bytearray(self._file.read(size))
        Changed.count += 1
        if len(content) > 4096:
            content[4096] ^= 1 + Changed.count % 255
        return bytes(content)


@pytest.fixture
def bucket(run, tmp_path, monkeypatch):
    """URL of a run's copy in a bucket that does not lie yet."""
    fsspec.register_implementation("hostile", HostileBucket, clobber=True)
    monkeypatch.setenv("CLASSPRINT_CACHE", str(tmp_path / "cache"))
    shutil.copytree(run.path, tmp_path / "bucket" / "run")
    return f"hostile://{tmp_path}/bucket/run"


def written_outside(folder):
    """What lies in a test's folder beside the bucket, the cache and the copy."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("bucket", "cache", "copy"))


def read_everything(url):
    remote = open_run(url)
    for epoch in (1, 2, 3):
        remote.maps(epoch=epoch, variant="clean", images=None)
    return digests(remote, remote.epochs)


def test_a_bucket_that_does_not_lie_is_read_and_copied(bucket, run, tmp_path):
    assert read_everything(bucket) == digests(run, run.epochs)
    copy_run(bucket, str(tmp_path / "copy"))
    assert digests(tmp_path / "copy", run.epochs) == digests(run, run.epochs)


NAMES = (
    "../evil",
    "../../evil",
    "epochs/../../../evil",
    "/etc/evil",
    "..",
    ".",
    "",
    "a//b",
    "..\\evil",
    "C:/evil",
    "evil\0.h5",
    "evil\n.h5",
    "\u202eevil",
    "x" * 300,
    "/".join(["d" * 200] * 30),
    "epochs/./0001.h5",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_out_is_refused_and_nothing_is_written(bucket, tmp_path, monkeypatch, name):
    monkeypatch.setattr(HostileBucket, "extra", (name,))
    with pytest.raises(StoreError, match=r"names the file|no path inside|There is no run"):
        copy_run(bucket, str(tmp_path / "copy"))
    assert written_outside(tmp_path) == []
    assert not (tmp_path / "copy" / "run.h5").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_receipt_whose_names_lead_out_is_refused(bucket, tmp_path, name):
    path = tmp_path / "bucket" / "run" / "epochs" / "0001.json"
    receipt = json.loads(path.read_text())
    receipt["files"][name] = {"bytes": 5, "sha256": "0" * 64}
    path.write_text(json.dumps(receipt))
    with pytest.raises(StoreError):
        read_everything(bucket)
    with pytest.raises(StoreError):
        copy_run(bucket, str(tmp_path / "copy"))
    assert written_outside(tmp_path) == []


@pytest.mark.parametrize("name", ["run.h5", "0002.h5"])
@pytest.mark.parametrize("size", [None, -1, 0, 100, 10**15, 2**63, 1e308, float("nan"), "9" * 5000, [1], True])
def test_sizes_that_lie_are_refused_before_room_is_made_for_them(bucket, run, tmp_path, monkeypatch, name, size):
    kept = tmp_path / "cache" / "runs" / "other" / "run.h5"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"of another run")
    kept.with_name("run.h5.state").write_text("")
    monkeypatch.setattr(HostileBucket, "listed", {name: size})
    with pytest.raises(StoreError):
        read_everything(bucket)
    with pytest.raises(StoreError):
        copy_run(bucket, str(tmp_path / "copy"))
    assert kept.exists(), "another run was thrown out of the cache"
    assert not (tmp_path / "copy" / "run.h5").exists()
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("name", ["run.h5", "0002.h5", "run.json", "0001.json"])
def test_bodies_without_an_end_are_cut_off(bucket, tmp_path, monkeypatch, name):
    monkeypatch.setattr(HostileBucket, "endless", (name,))
    with pytest.raises(StoreError):
        read_everything(bucket)
    with pytest.raises(StoreError):
        copy_run(bucket, str(tmp_path / "copy"))
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "bucket" not in path.parts]
    assert sum(path.stat().st_size for path in written) < 5_000_000
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("name", ["run.h5", "0002.h5"])
def test_files_that_change_between_two_calls_are_not_taken_for_the_run(bucket, tmp_path, monkeypatch, name):
    monkeypatch.setattr(HostileBucket, "changes", (name,))
    with pytest.raises(StoreError, match="not what was recorded"):
        read_everything(bucket)
    with pytest.raises(StoreError, match="not what was recorded"):
        copy_run(bucket, str(tmp_path / "copy"))
    assert not (tmp_path / "copy" / "run.h5").exists()


def test_names_that_differ_in_case_alone_stay_apart(bucket, run, tmp_path):
    folder = tmp_path / "bucket" / "run"
    (folder / "RUN.H5").write_bytes(b"another file")
    (folder / "epochs" / "0001.H5").write_bytes(b"another file")
    assert read_everything(bucket) == digests(run, run.epochs)
    copy_run(bucket, str(tmp_path / "copy"))
    assert digests(tmp_path / "copy", run.epochs) == digests(run, run.epochs)
