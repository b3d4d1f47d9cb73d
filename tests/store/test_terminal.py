"""Progress without a terminal is a few lines, and no text is too much for a terminal's encoding."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from store import terminal
from store.terminal import ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work(file: io.StringIO, **options: object) -> str:
    with ProgressBar(total=1000, file=file, desc="work", **options) as bar:
        for _ in range(1000):
            bar.update()
    return file.getvalue()


def test_short_work_leaves_no_line_in_a_log():
    assert work(io.StringIO()) == ""


def test_long_work_leaves_whole_lines_in_a_log(monkeypatch):
    monkeypatch.setattr(terminal, "INTERVAL", 0.0)
    written = work(io.StringIO())
    assert "\r" not in written
    lines = written.splitlines()
    assert all(line.startswith("work: ") for line in lines)
    assert " 1000/1000 " in lines[-1]


def test_a_terminal_has_a_bar_that_is_redrawn_and_stays():
    written = work(Terminal(), mininterval=0)
    assert written.count("\r") > 2
    assert written.endswith("\n")
    assert "1000/1000" in written


def test_a_hidden_bar_is_hidden_everywhere():
    assert work(io.StringIO(), disable=True) == work(Terminal(), disable=True) == ""


@pytest.mark.parametrize("module", ["store", "compute", "dashboard", "bench"])
def test_every_command_prints_any_text_on_a_terminal_of_ascii(module):
    """Through the real command line: the name is refused, and the message quotes it."""
    arguments = {
        "store": ["info", "“größe”"],
        "compute": ["analyse", "“größe”"],
        "dashboard": ["report", "“größe”"],
        "bench": ["--run", "“größe”"],
    }
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "LANG": "C", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments[module]],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert b"\\u201cgr\\xf6\\xdfe\\u201d" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed_from_the_start_do_not_matter(tmp_path, closed):
    program = (
        "from store.terminal import ProgressBar, accept_any_text; accept_any_text(); "
        f"file = open({str(tmp_path / 'file')!r}, 'w'); assert file.fileno() > 2; "
        "print('x'); ProgressBar(total=1).close(); file.write('complete')"
    )
    command = f'exec {shlex.quote(sys.executable)} -c "$0" {closed}'
    subprocess.run(["sh", "-c", command, program], check=True, capture_output=True)
    assert (tmp_path / "file").read_text() == "complete"
