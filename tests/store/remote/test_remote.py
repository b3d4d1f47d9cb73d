"""Reading runs from object storage, spoken to over the network: fetching, the cache and its bound, the analysis."""

from __future__ import annotations

import fcntl
import os
import shutil

import fsspec
import numpy as np
import pandas as pd
import pytest

from store import DamagedFile, RunNotFound, StoreError, open_run
from store.analysis.analysis_file import read_analysis, write_analysis
from store.check.verify import verify_run
from store.remote.file_cache import FileCache, hold
from store.tools.copy import copy_run
from store.tools.export import export_tables
from store.tools.link import link_run
from store.tools.prune import prune_run


@pytest.fixture(scope="module")
def run(tiny_run):
    return open_run(tiny_run)


def same_answers(one, other):
    assert one.epochs == other.epochs
    for epoch in one.epochs:
        at = {"epoch": epoch, "variant": "bgr"}
        assert one.predictions(**at).equals(other.predictions(**at))
        assert np.array_equal(one.maps(images=[3, 17], **at), other.maps(images=[3, 17], **at))
        assert np.array_equal(one.true_class_maps(**at), other.true_class_maps(**at))
    assert np.array_equal(one.pixels([5], "gray"), other.pixels([5], "gray"))


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """URL of an empty bucket on an S3-speaking server on this machine."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    patch = pytest.MonkeyPatch()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "FSSPEC_S3_ENDPOINT_URL": f"http://{host}:{port}",
        "CLASSPRINT_CACHE": str(tmp_path_factory.mktemp("cache")),
    }.items():
        patch.setenv(name, value)
    from fsspec.config import conf, set_conf_env

    set_conf_env(conf)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("runs")
    yield "s3://runs"
    conf.pop("s3", None)
    s3fs.S3FileSystem.clear_instance_cache()
    patch.undo()
    server.stop()


def test_a_run_in_a_bucket_reads_as_on_disk(bucket, run, tmp_path):
    copy_run(str(run.path), f"{bucket}/tiny")
    remote = open_run(f"{bucket}/tiny")
    assert not list((remote.path / "epochs").glob("*.h5"))  # fetched when asked for
    same_answers(run, remote)
    assert len(list((remote.path / "epochs").glob("*.h5"))) == 3
    copy_run(f"{bucket}/tiny", str(tmp_path / "back"))
    assert verify_run(tmp_path / "back") == []


def test_a_copy_to_a_bucket_that_is_stopped_leaves_no_half_object_and_is_taken_up(bucket, run, monkeypatch):
    target = f"{bucket}/stopped"

    def stop(count):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("store.tools.copy.BLOCK", 50_000)
        copy_run(str(run.path), target, progress=stop)
    system, root = fsspec.core.url_to_fs(target)
    system.invalidate_cache()
    sizes = {path: system.size(path) for path in system.find(root)}
    assert all(size == (run.path / path.removeprefix(f"{root}/")).stat().st_size for path, size in sizes.items())
    copy_run(str(run.path), target)
    same_answers(run, open_run(target))


def test_fetched_epochs_are_read_from_the_cache_and_new_ones_appear(bucket, run, monkeypatch):
    url = f"{bucket}/growing"
    copy_run(str(run.path), url)
    remote = open_run(url)
    same_answers(run, remote)
    source = remote.source
    late = source._system.cat_file(f"{source._root}/epochs/0003.h5")
    source._system.rm_file(f"{source._root}/epochs/0003.h5")
    source._system.rm_file(f"{source._root}/epochs/0003.json")
    assert remote.refresh() and remote.epochs == (1, 2)
    monkeypatch.setattr(source._system, "get_file", lambda *_: pytest.fail("fetched again"))
    assert open_run(url).epochs == (1, 2)
    remote.confusion(epoch=1, variant="clean")
    monkeypatch.undo()
    source._system.pipe_file(f"{source._root}/epochs/0003.h5", late)
    assert remote.refresh() and remote.epochs == (1, 2, 3)
    remote.confusion(epoch=3, variant="clean")


def test_what_arrives_damaged_from_a_bucket_is_refused(bucket, run):
    url = f"{bucket}/damaged"
    copy_run(str(run.path), url)
    remote = open_run(url)
    system, path = remote.source._system, f"{remote.source._root}/epochs/0001.h5"
    data = bytearray(system.cat_file(path))
    data[len(data) // 2] ^= 4
    system.pipe_file(path, bytes(data))
    with pytest.raises(DamagedFile, match=r"0001.h5 is not what was sealed"):
        open_run(url).confusion(epoch=1, variant="clean")
    with pytest.raises(RunNotFound, match="There is no run at 's3://runs/nothing'"):
        open_run(f"{bucket}/nothing")


def cached(run):
    return sorted(path.name for path in (run.path / "epochs").glob("*.h5"))


def test_the_cache_keeps_its_bound_and_drops_what_was_not_used_for_longest(bucket, run, tmp_path, monkeypatch):
    copy_run(str(run.path), f"{bucket}/bounded")
    sizes = [(run.path / "epochs" / f"000{epoch}.h5").stat().st_size for epoch in (1, 2, 3)]
    room = (run.path / "run.h5").stat().st_size + 2 * max(sizes) + 10_000
    monkeypatch.setenv("CLASSPRINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLASSPRINT_RUN_CACHE_GB", str(room / 1e9))
    monkeypatch.setattr("store.remote.source.RemoteSource.open_files", 1)
    remote = open_run(f"{bucket}/bounded")
    for epoch in (1, 2):
        remote.confusion(epoch=epoch, variant="clean")
    assert cached(remote) == ["0001.h5", "0002.h5"]
    os.utime(remote.path / "epochs" / "0001.h5.state", (2e9, 2e9))  # used after epoch 2
    remote.confusion(epoch=1, variant="clean")  # epoch 2's file is closed, as only one is kept open
    remote.confusion(epoch=3, variant="clean")
    assert cached(remote) == ["0001.h5", "0003.h5"]
    assert sum(entry.size for entry in remote.source._cache.entries()) <= room
    same_answers(run, remote)  # what left the cache is fetched again


def test_what_is_being_read_stays_in_the_cache_also_over_its_bound(bucket, run, tmp_path, monkeypatch):
    copy_run(str(run.path), f"{bucket}/tight")
    monkeypatch.setenv("CLASSPRINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLASSPRINT_RUN_CACHE_GB", "0")
    remote = open_run(f"{bucket}/tight")
    same_answers(run, remote)
    assert cached(remote) == ["0001.h5", "0002.h5", "0003.h5"]  # all three are open
    path = remote.path
    with (path / "epochs" / "0002.h5").open() as other:  # as another process would
        fcntl.flock(other, fcntl.LOCK_SH)
        del remote
        FileCache.of_this_user().make_room(0)
        assert sorted(file.name for file in path.glob("**/*.h5")) == ["0002.h5"]
    FileCache.of_this_user().make_room(0)
    assert not list(path.glob("**/*.h5"))


def test_a_file_that_was_removed_cannot_be_held(tmp_path):
    class Holder:
        pass

    assert not hold(tmp_path / "gone.h5", Holder())
    (tmp_path / "here.h5").write_bytes(b"1")
    assert hold(tmp_path / "here.h5", Holder())


def test_downloads_that_were_killed_are_swept_after_a_day(tmp_path):
    cache = FileCache(tmp_path, limit=0)
    for name, age in (("old.h5.7.part", 2 * 86400), ("new.h5.8.part", 60)):
        (tmp_path / name).write_bytes(b"half")
        now = tmp_path.stat().st_mtime
        os.utime(tmp_path / name, (now - age, now - age))
    cache.make_room(0)
    assert [path.name for path in tmp_path.iterdir()] == ["new.h5.8.part"]


def test_a_bound_that_is_no_number_is_refused(monkeypatch):
    for given in ("much", "-1", "nan"):
        monkeypatch.setenv("CLASSPRINT_RUN_CACHE_GB", given)
        with pytest.raises(StoreError, match=f"CLASSPRINT_RUN_CACHE_GB is '{given}': give the gigabytes"):
            FileCache.of_this_user()


def test_the_analysis_of_a_remote_run_is_fetched_renewed_and_forgotten(bucket, tiny_run, tmp_path):
    local = open_run(copied(tiny_run, tmp_path))
    url = f"{bucket}/analysed"
    copy_run(str(local.path), url)
    remote = open_run(url)
    assert read_analysis(remote) is None
    system, there = remote.source._system, f"{remote.source._root}/analysis.h5"
    for value in (1.0, 2.0):
        write_analysis(local, local.epochs, {"classes": pd.DataFrame({"value": [value] * 3})}, {})
        system.put_file(str(local.path / "analysis.h5"), there)
        remote.refresh()
        assert read_analysis(remote).table("classes")["value"].tolist() == [value] * 3
    assert read_analysis(open_run(url)).epochs == local.epochs
    system.rm_file(there)
    remote.refresh()
    assert read_analysis(remote) is None


def copied(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "local")


def test_what_needs_a_whole_folder_says_so_of_a_run_at_a_url(bucket, run, tmp_path):
    copy_run(str(run.path), f"{bucket}/whole")
    remote = open_run(f"{bucket}/whole")
    for act in (lambda: link_run(remote), lambda: prune_run(remote, tmp_path / "less")):
        with pytest.raises(StoreError, match=r"needs the whole run in a folder, and .* is at a URL. Fetch it first"):
            act()
    with pytest.raises(StoreError, match=r"'s3://runs/whole' is a URL: verifying needs the whole run"):
        verify_run(f"{bucket}/whole")
    assert export_tables(remote, tmp_path / "out", epochs=[2])[0].exists()
