"""Files while they are written: space is reserved first, and what the disk refuses leaves nothing behind."""

import errno
import os

import h5py
import numpy as np
import pytest

from store import DamagedFile, StoreError, WriteFailed, open_run
from store.__main__ import STOPPED, main
from store.analysis.analyse import analyse
from store.check.verify import verify_run
from store.format import hdf5_file
from store.format.hdf5_file import atomic_file, unfinished_file
from store.synthetic import write_synthetic_run
from store.tools.export import export_maps
from store.tools.link import link_run
from store.tools.prune import prune_run


@pytest.fixture
def quota(monkeypatch):
    """No space beyond so many bytes of any file."""

    def limit(longest):
        def refuse(descriptor, path, start, stop):
            if stop > longest:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        monkeypatch.setattr(hdf5_file, "reserve_on_disk", refuse)

    return limit


def test_reserved_space_is_handed_back(tmp_path):
    with unfinished_file(tmp_path / "a.h5.part") as file:
        file.create_dataset("x", data=np.arange(1000))
        assert file.reserved > file.id.get_filesize()
    state = (tmp_path / "a.h5.part").stat()
    assert state.st_size < 20_000 and 512 * state.st_blocks < 100_000
    with h5py.File(tmp_path / "a.h5.part") as file:
        assert file["x"][...].tolist() == list(range(1000))


def test_space_is_reserved_before_anything_is_written(tmp_path, quota):
    quota(2 << 20)
    part, final = tmp_path / "a.h5.part", tmp_path / "a.h5"
    with pytest.raises(WriteFailed, match=r"could not be written: Disk quota exceeded.*free some space"):  # noqa: SIM117
        with atomic_file(final) as file:
            file.create_dataset("small", data=np.zeros(1 << 20, np.uint8))
            length = part.stat().st_size
            try:
                file.create_dataset("large", data=np.zeros(1 << 20, np.uint8))
            finally:
                assert part.stat().st_size == length
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("longest", [0, 300_000])
def test_every_file_of_a_run_stops_at_the_quota_and_leaves_nothing(tmp_path, quota, longest):
    path = write_synthetic_run(tmp_path / "run", epochs=1, classes=20, images_per_class=10)
    run = open_run(path)
    before = {file.name for file in path.rglob("*")}
    quota(longest)
    for write in (
        lambda: prune_run(run, tmp_path / "small", top=1),
        lambda: write_synthetic_run(tmp_path / "new", epochs=1, classes=20, images_per_class=10),
        *([lambda: analyse(run), lambda: link_run(run)] if longest == 0 else []),  # these two are small
    ):
        with pytest.raises(WriteFailed, match="Disk quota exceeded"):
            write()
    assert {file.name for file in path.rglob("*")} == before and not (tmp_path / "small").exists()
    assert not list(tmp_path.rglob("*.part")) and not list((tmp_path / "new").rglob("*.h5"))
    assert verify_run(path) == []


def test_maps_that_cannot_be_exported_leave_no_half_file(tiny_run, tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write(b"PK")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("numpy.savez_compressed", full)
    with pytest.raises(WriteFailed, match="No space left on device"):
        export_maps(open_run(tiny_run), tmp_path / "maps.npz", epoch=1, variant="clean", images=[0])
    assert not list(tmp_path.iterdir())


def test_a_folder_without_permission_is_reported_as_that(tiny_run, monkeypatch, capsys):
    def forbidden(path, flags, *mode, opened=os.open):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, *mode)

    monkeypatch.setattr("store.format.hdf5_file.os.open", forbidden)
    assert main(["link", str(tiny_run)]) == 1
    assert (
        "Permission denied. Epochs that were complete before are intact: change the permissions"
        in capsys.readouterr().err
    )


def test_a_command_that_is_asked_to_stop_says_so(tiny_run, tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("store.__main__.copy_run", stop)
    assert main(["copy", str(tiny_run), str(tmp_path / "copy"), "--quiet"]) == STOPPED
    assert "Stopped." in capsys.readouterr().err


def test_a_file_that_h5py_has_open_in_this_process_is_not_called_damaged(copy):
    with (
        h5py.File(copy / "run.h5"),
        pytest.raises(StoreError, match=r"open in this process.*locking=False") as caught,
    ):
        open_run(copy)
    assert not isinstance(caught.value, DamagedFile)
    with h5py.File(copy / "run.h5", locking=False):
        assert open_run(copy).epochs
