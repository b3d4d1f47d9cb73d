import pytest
import torch

from compute.errors import BadOption
from compute.runs.device import autocast, choose_device, has_room, prepare_device


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
    with pytest.raises(BadOption, match=r"'cuda:4' was requested, but PyTorch finds 4 GPU"):
        choose_device("auto")


def test_compiling_for_a_gpu_without_triton_is_refused(monkeypatch):
    monkeypatch.setattr("compute.runs.device.importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadOption, match="needs triton on a GPU"):
        prepare_device(torch.device("cuda:0"), compiled=True)


@pytest.mark.parametrize(("precision", "dtype"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)])
def test_convolutions_run_in_the_precision_asked_for(precision, dtype):
    with autocast(torch.device("cpu"), precision):
        assert torch.nn.Conv2d(3, 4, 1)(torch.zeros(1, 3, 2, 2)).dtype == dtype


def test_there_is_room_on_a_gpu_with_four_times_as_much_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4000, 8000))
    assert has_room(torch.device("cuda:0"), 999)
    assert not has_room(torch.device("cuda:0"), 1000)
    assert not has_room(torch.device("cpu"), 1)
