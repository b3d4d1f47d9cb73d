"""Two commands on one run: the second is refused, and neither it nor a plan disturbs the first."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compute.cli import REFUSED, main
from compute.errors import RunInUse
from compute.runs.prepare import prepare
from compute.runs.run import lock_run, open_or_create
from compute.training.distributed import Processes
from store import open_run
from tests.compute.cases import command, tiny_profile


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_second_command_on_the_same_run_is_refused_until_the_first_is_done(tmp_path, capsys):
    path = tmp_path / "tiny"
    with lock_run(path, Processes()):
        assert main(command(tmp_path)) == REFUSED
        assert f"The run '{path}' is being trained by another command." in capsys.readouterr().err
        assert files(path) == ["training.part"]
    assert main(command(tmp_path)) == 0
    assert open_run(path).complete
    assert not list(path.rglob("*.part"))


def test_a_hold_ends_with_its_process_and_not_with_its_file(tmp_path):
    (tmp_path / "training.part").touch()  # left by a process that was killed
    with lock_run(tmp_path, Processes()), pytest.raises(RunInUse), lock_run(tmp_path, Processes()):
        pass
    assert files(tmp_path) == []


def test_a_plan_leaves_what_a_training_process_is_writing(tmp_path):
    path = tmp_path / "tiny"
    open_or_create(prepare(tiny_profile(), device="cpu"), path)
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "0001.state.part").write_bytes(b"half")
    with lock_run(path, Processes()):
        before = files(path)
        assert main(["plan", *command(tmp_path)[1:]]) == 0
        assert files(path) == before
