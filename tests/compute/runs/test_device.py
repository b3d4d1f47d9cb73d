"""Which device a process takes, and what several processes tell each other; GPUs are pretended."""

from __future__ import annotations

import pytest
import torch

from compute.errors import BadOption
from compute.runs import interrupt
from compute.runs.device import autocast, choose_device, prepare_device
from compute.runs.interrupt import StopRequest
from compute.runs.prepare import prepare
from compute.runs.run import _recorder, open_or_create
from compute.training.distributed import Processes
from store import open_run, resume_run
from tests.compute.cases import tiny_profile


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_every_process_takes_the_gpu_of_its_rank(four_gpus, monkeypatch, name):
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert choose_device(name) == torch.device("cuda:2")
    monkeypatch.delenv("LOCAL_RANK")
    assert choose_device(name) == torch.device("cuda:0")


def test_one_gpu_for_several_processes_is_refused(four_gpus, monkeypatch):
    assert choose_device("cuda:3") == torch.device("cuda:3")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(BadOption, match=r"'cuda:3' is a single GPU.*Use cuda or auto"):
        choose_device("cuda:3")


def test_more_processes_than_gpus_are_refused(four_gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "4")
    with pytest.raises(BadOption, match=r"'cuda:4' was asked for, but PyTorch sees 4 here"):
        choose_device("auto")


def test_compiling_without_a_compiler_is_refused_before_training(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BadOption, match=r"needs a C\+\+ compiler, but 'no-such-compiler' is not here"):
        prepare(tiny_profile("training.compile=true"), device="cpu")


def test_compiling_for_a_gpu_without_triton_is_refused(monkeypatch):
    monkeypatch.setattr("compute.runs.device.importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadOption, match="needs triton on a GPU"):
        prepare_device(torch.device("cuda:0"), compiled=True)


@pytest.mark.parametrize(("precision", "dtype"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)])
def test_convolutions_run_in_the_precision_asked_for(precision, dtype):
    with autocast(torch.device("cpu"), precision):
        assert torch.nn.Conv2d(3, 4, 1)(torch.zeros(1, 3, 2, 2)).dtype == dtype


class Talkative(Processes):
    """Counts how often the processes talk, and lets another one have more batches."""

    talks = 0

    def any(self, flag: bool) -> bool:
        Talkative.talks += 1
        return flag

    def total(self, values):
        return values

    def most(self, count: int) -> int:
        return count + 1


def test_processes_talk_about_stopping_at_every_tenth_look():
    Talkative.talks = 0
    stop = StopRequest(Talkative(0, 2))
    for _ in range(3 * interrupt.LOOKS_PER_TALK):
        stop.check()
    assert Talkative.talks == 3


def test_a_process_with_a_batch_less_looks_as_often_and_records_all_the_same(tmp_path):
    prepared = prepare(tiny_profile("training.epochs=1"), device="cpu")
    open_or_create(prepared, tmp_path / "run")
    looks = []

    class Counted(StopRequest):
        def check(self) -> None:
            looks.append(1)

    recorder = _recorder(prepared, prepared.validation(), Counted())
    with resume_run(tmp_path / "run").epoch(1) as writer:
        recorder.record(prepared.network, writer, title="", processes=Talkative(0, 2))
    assert len(looks) == (4 + 1) * 3  # 24 images in batches of 7, one more batch elsewhere, three variants
    assert open_run(tmp_path / "run").epochs == (1,)
