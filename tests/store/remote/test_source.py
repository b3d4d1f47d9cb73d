"""Reading runs from object storage, spoken to over the network: fetching, the cache and its bound, the analysis."""

import fcntl
import os

import fsspec
import pandas as pd
import pytest

from store import DamagedFile, RunNotFound, StoreError, open_run, queries
from store.analysis.analyse import analyse
from store.analysis.analysis_file import ARRAYS, TABLES, read_analysis, write_analysis
from store.check.verify import verify_run
from store.queries.table1 import recorded_result
from store.remote.file_cache import FileCache
from store.tools.copy import copy_run
from store.tools.export import export_tables
from store.tools.link import link_run
from store.tools.prune import prune_run
from tests.store.contents import digests

EPOCHS = (1, 2, 3)


def test_a_run_in_a_bucket_reads_as_on_disk(bucket, run, tmp_path):
    copy_run(str(run.path), f"{bucket}/tiny")
    remote = open_run(f"{bucket}/tiny")
    assert not list((remote.path / "epochs").glob("*.h5"))  # fetched when asked for
    assert digests(remote, EPOCHS) == digests(run, EPOCHS)
    assert len(list((remote.path / "epochs").glob("*.h5"))) == 3
    copy_run(f"{bucket}/tiny", str(tmp_path / "back"))
    assert verify_run(tmp_path / "back") == []


def test_a_copy_to_a_bucket_that_is_stopped_leaves_no_half_object_and_can_be_resumed(bucket, run, monkeypatch):
    target = f"{bucket}/stopped"

    def stop(count):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("store.remote.place.BLOCK", 50_000)
        copy_run(str(run.path), target, progress=stop)
    system, root = fsspec.core.url_to_fs(target)
    system.invalidate_cache()
    sizes = {path: system.size(path) for path in system.find(root)}
    assert all(size == (run.path / path.removeprefix(f"{root}/")).stat().st_size for path, size in sizes.items())
    copy_run(str(run.path), target)
    assert digests(target, EPOCHS) == digests(run, EPOCHS)


def test_fetched_epochs_are_read_from_the_cache_and_new_ones_appear(bucket, run, monkeypatch):
    url = f"{bucket}/growing"
    copy_run(str(run.path), url)
    remote = open_run(url)
    assert digests(remote, EPOCHS) == digests(run, EPOCHS)
    system, root = fsspec.core.url_to_fs(url)
    late = system.cat_file(f"{root}/epochs/0003.h5")
    system.rm_file(f"{root}/epochs/0003.h5")
    system.rm_file(f"{root}/epochs/0003.json")
    assert remote.refresh() and remote.epochs == (1, 2)
    monkeypatch.setattr(system, "open", lambda *_: pytest.fail("fetched again"))
    assert open_run(url).epochs == (1, 2)
    remote.confusion(epoch=1, variant="clean")
    monkeypatch.undo()
    system.pipe_file(f"{root}/epochs/0003.h5", late)
    assert remote.refresh() and remote.epochs == (1, 2, 3)
    remote.confusion(epoch=3, variant="clean")


def test_of_an_analysed_run_one_epoch_is_fetched_for_what_spans_all_of_them(bucket, copy):
    analyse(open_run(copy))
    copy_run(str(copy), f"{bucket}/spanned")
    remote = open_run(f"{bucket}/spanned")
    assert remote.confusion(epoch=-1, variant="clean").shape == (5, 5)
    metrics, results = queries.epoch_metrics(remote), recorded_result(remote, best=True)
    assert queries.epoch_label(remote, 1) == ""
    assert len(queries.class_accuracy(remote)) == 15 and len(queries.accuracy_by_variant(remote)) == 24
    assert cached(remote) == ["0003.h5"]
    local = open_run(copy)
    pd.testing.assert_frame_equal(metrics, queries.epoch_metrics(local), check_like=True)
    known = recorded_result(local, best=True)
    assert all(results[name] == known[name] for name in ("epoch", "top1", "balanced", "minutes"))


def test_what_arrives_damaged_from_a_bucket_is_refused(bucket, run):
    url = f"{bucket}/damaged"
    copy_run(str(run.path), url)
    system, root = fsspec.core.url_to_fs(url)
    path = f"{root}/epochs/0001.h5"
    data = bytearray(system.cat_file(path))
    data[len(data) // 2] ^= 4
    system.pipe_file(path, bytes(data))
    with pytest.raises(DamagedFile, match=r"0001.h5 is not what was recorded"):
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
    assert sum(entry.size for entry in FileCache.from_environment().entries()) <= room
    assert digests(remote, EPOCHS) == digests(run, EPOCHS)  # what left the cache is fetched again


def test_what_is_being_read_stays_in_the_cache_also_over_its_bound(bucket, run, tmp_path, monkeypatch):
    copy_run(str(run.path), f"{bucket}/tight")
    monkeypatch.setenv("CLASSPRINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLASSPRINT_RUN_CACHE_GB", "0")
    remote = open_run(f"{bucket}/tight")
    assert digests(remote, EPOCHS) == digests(run, EPOCHS)
    assert cached(remote) == ["0001.h5", "0002.h5", "0003.h5"]  # all three are open
    path = remote.path
    with (path / "epochs" / "0002.h5").open() as other:  # as another process would
        fcntl.flock(other, fcntl.LOCK_SH)
        del remote
        FileCache.from_environment().make_room(0)
        assert sorted(file.name for file in path.glob("**/*.h5")) == ["0002.h5"]
    FileCache.from_environment().make_room(0)
    assert not list(path.glob("**/*.h5"))


def test_the_analysis_of_a_remote_run_is_fetched_renewed_and_forgotten(bucket, copy):
    local = open_run(copy)
    url = f"{bucket}/analysed"
    copy_run(str(local.path), url)
    remote = open_run(url)
    assert read_analysis(remote) is None
    system, root = fsspec.core.url_to_fs(url)
    there = f"{root}/analysis.h5"
    analyse(local)
    derived = read_analysis(local)
    tables = {name: derived.table(name) for name in TABLES}
    arrays = {name: derived.array(name) for name in ARRAYS}
    for value in (0.25, 0.5):
        write_analysis(local, local.epochs, {**tables, "classes": tables["classes"].assign(accuracy=value)}, arrays)
        system.put_file(str(local.path / "analysis.h5"), there)
        remote.refresh()
        assert read_analysis(remote).table("classes")["accuracy"].unique() == [value]
    assert read_analysis(open_run(url)).epochs == local.epochs
    system.rm_file(there)
    remote.refresh()
    assert read_analysis(remote) is None


def test_what_needs_a_whole_folder_says_so_of_a_run_at_a_url(bucket, run, tmp_path):
    copy_run(str(run.path), f"{bucket}/whole")
    remote = open_run(f"{bucket}/whole")
    for act in (lambda: link_run(remote), lambda: prune_run(remote, tmp_path / "less")):
        with pytest.raises(StoreError, match=r"needs the whole run in a folder, and .* is at a URL. Fetch it first"):
            act()
    with pytest.raises(StoreError, match=r"'s3://runs/whole' is a URL: verifying needs the whole run"):
        verify_run(f"{bucket}/whole")
    assert export_tables(remote, tmp_path / "out", epochs=[2])[0].exists()
