"""The bounded cache of fetched files."""

import os

import pytest

from store import StoreError
from store.remote.file_cache import FileCache, cache_folder, hold_file


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/somebody")
    for name in ("CLASSPRINT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert str(cache_folder()) == "/home/somebody/.cache/classprint"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "classprint"
    monkeypatch.setenv("CLASSPRINT_CACHE", "~/mine")
    assert str(cache_folder()) == "/home/somebody/mine"


def test_a_file_that_was_removed_cannot_be_held(tmp_path):
    class Holder:
        pass

    assert not hold_file(tmp_path / "gone.h5", Holder())
    (tmp_path / "here.h5").write_bytes(b"1")
    assert hold_file(tmp_path / "here.h5", Holder())


def test_downloads_that_were_killed_are_removed_after_a_day(tmp_path):
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
        with pytest.raises(StoreError, match=f"CLASSPRINT_RUN_CACHE_GB is '{given}': set it to a number of gigabytes"):
            FileCache.from_environment()
