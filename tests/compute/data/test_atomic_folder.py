"""Folders that appear complete or not at all."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compute.data.atomic_folder import unfinished_folder
from compute.errors import CacheUnusable


def test_unfinished_folders_of_killed_processes_are_removed_but_not_those_of_living_ones(tmp_path):
    target = tmp_path / "set"
    code = (
        "import time; from pathlib import Path; from compute.data.atomic_folder import unfinished_folder\n"
        f"with unfinished_folder(Path({str(target)!r})) as folder:\n"
        "    (folder / 'half').write_text('x'); print(folder, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with unfinished_folder(target):
            assert (theirs / "half").exists()
        other.send_signal(signal.SIGKILL)
    assert theirs.exists()
    complete = tmp_path / "my.part-1-0123456789ab"
    complete.mkdir()
    with unfinished_folder(target) as ours:
        assert not theirs.exists()
        assert ours.exists()
    assert not ours.exists()
    assert complete.exists()


def test_a_cache_that_is_a_file_is_refused_with_what_to_set(tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with (
        pytest.raises(CacheUnusable, match=r"can't be written: .* Set CLASSPRINT_CACHE to a folder of yours"),
        unfinished_folder(tmp_path / "cache" / "set"),
    ):
        pass
