"""Several processes: two of gloo on this machine, through torchrun and the real command line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compute.cli import main
from compute.training.distributed import Processes, SharedBatchNorm, share_batch_norms
from store import open_run
from tests.compute.cases import command

ROOT = Path(__file__).resolve().parents[3]
# dropout draws differently in every process, and bfloat16 rounds a sum of two halves otherwise than a whole
EQUAL = ("--set", "model.options.dropout=0.0", "--set", "training.precision=float32")


def torchrun(folder: Path, *more: str) -> subprocess.Popen:
    arguments = ["--name" if word == "--run" else word for word in command(folder, *EQUAL, *more)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "compute"]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*words, *arguments], env=environment, cwd=ROOT, **output)


def children(process: subprocess.Popen) -> list[int]:
    """The ids of the two processes that torchrun started."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


def wait_until(holds: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait for something that the process does; its start alone can take a minute on busy cores."""
    deadline = time.monotonic() + 200
    while not holds():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate(timeout=30)[0]
        time.sleep(0.05)


def largest_difference(first: Path, second: Path, *, epoch: int) -> float:
    a, b = open_run(first), open_run(second)
    differences = [
        np.abs(a.maps(epoch=epoch, variant=name, images=None) - b.maps(epoch=epoch, variant=name, images=None)).max()
        for name in a.variants
    ]
    return float(max(differences))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_give_the_record_of_one(tmp_path):
    assert main(command(tmp_path / "one", *EQUAL)) == 0
    process = torchrun(tmp_path / "two")
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    assert "processes: 2" in output
    one, two = tmp_path / "one" / "tiny", tmp_path / "two" / "tiny"
    assert open_run(two).epochs == (0, 1, 2, 3)
    assert len(list((two / "epochs").glob("*.part*of2.h5"))) == 8  # each process wrote its own images
    for epoch in (0, 1, 2, 3):
        assert largest_difference(one, two, epoch=epoch) < 1e-5
    for epoch in (1, 2, 3):  # each process noted its part of every batch
        ledgers = [open_run(path).training_ledger.epoch(epoch) for path in (one, two)]
        assert np.allclose(*ledgers, atol=1e-4) and ledgers[0].notna().all(axis=None)
    ours, theirs = open_run(one).metrics(), open_run(two).metrics()
    for name in ("train_loss", "train_top1", "validation_loss", "validation_top1", "validation_top5"):
        assert np.allclose(ours[name], theirs[name], atol=1e-5, equal_nan=True), name  # NaN: epoch 0 was not trained


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_process_that_dies_stops_all_and_the_run_resumes(tmp_path):
    many = ("--set", "training.epochs=200")
    process = torchrun(tmp_path, *many)
    wait_until((tmp_path / "tiny" / "checkpoints" / "0002.pt").exists, process)
    os.kill(children(process)[-1], signal.SIGKILL)
    output, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "SIGKILL" in output or "ProcessLost" in output
    before = open_run(tmp_path / "tiny").epochs
    process = torchrun(tmp_path, *many)
    wait_until(lambda: len(open_run(tmp_path / "tiny").epochs) > len(before), process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=200)
    after = open_run(tmp_path / "tiny")
    assert len(after.epochs) > len(before)
    assert after.damaged == {}


def test_a_shared_batch_norm_equals_pytorchs_on_one_process(tmp_path):
    """One process talking to itself: forward, gradients and running statistics."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        shared, plain = nn.Sequential(nn.BatchNorm2d(3)), nn.Sequential(nn.BatchNorm2d(3))
        assert share_batch_norms(shared) == 1
        assert isinstance(shared[0], SharedBatchNorm)
        x = (2 * torch.randn(4, 3, 5, 5) + 1).requires_grad_()
        upstream = torch.randn(4, 3, 5, 5)
        ours = torch.autograd.grad(shared(x), (x, *shared.parameters()), upstream)
        theirs = torch.autograd.grad(plain(x), (x, *plain.parameters()), upstream)
        for a, b in zip(ours, theirs, strict=True):
            assert torch.allclose(a, b, atol=1e-5)
        for name, value in plain.state_dict().items():
            assert torch.allclose(shared.state_dict()[name].float(), value.float(), atol=1e-6), name
        assert torch.equal(shared.eval()(x), nn.functional.batch_norm(x, *_statistics(shared[0]), eps=1e-5))
    finally:
        torch.distributed.destroy_process_group()


def _statistics(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, ...]:
    return norm.running_mean, norm.running_var, norm.weight, norm.bias


def test_the_parts_of_all_processes_cover_everything_once():
    for count in (1, 2, 3, 7):
        parts = [number for rank in range(count) for number in Processes(rank, count).share(23)]
        assert parts == list(range(23))
