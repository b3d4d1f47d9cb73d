import torch

import compute.recording.epoch_recorder
from compute.recording.run_recorder import open_or_create
from compute.runs.device import HostCopy
from compute.runs.interrupt import StopRequest
from compute.runs.prepare import prepare
from compute.training.distributed import Processes
from store import open_run
from tests.compute.cases import tiny_profile


def test_a_pass_is_queued_before_the_maps_of_the_one_before_are_waited_for(monkeypatch, tmp_path):
    prepared = prepare(tiny_profile("recording.layers=false", "recording.batch=12"), device="cpu")
    happened: list[str] = []

    class Logged(HostCopy):
        def __init__(self, values: torch.Tensor) -> None:
            happened.append("queued")
            super().__init__(values)

    class Writer:
        def write(self, variant: str, start: int, maps: object) -> None:
            happened.append(f"{variant} {start}")

    monkeypatch.setattr(compute.recording.epoch_recorder, "HostCopy", Logged)
    open_or_create(tmp_path / "run", prepared.material("run"), Processes())
    prepared.epoch_recorder(tmp_path / "run", quiet=True).record(prepared.network, Writer(), title="")
    assert happened == [
        *("queued", "queued", "clean 0", "queued", "gray 0", "queued", "salt_pepper_0.005 0"),
        *("queued", "clean 12", "queued", "gray 12", "salt_pepper_0.005 12"),
    ]


def test_every_module_is_left_in_the_mode_that_it_was_in(tmp_path, prepared):
    run = open_or_create(tmp_path / "run", prepared.material("run"), Processes())
    prepared.network.train()
    prepared.network.encoder[1].eval()  # as in fine-tuning with frozen BatchNorm
    modes = [module.training for module in prepared.network.modules()]
    with run.epoch(1) as writer:
        prepared.epoch_recorder(tmp_path / "run", quiet=True).record(prepared.network, writer, title="")
    assert [module.training for module in prepared.network.modules()] == modes and True in modes and False in modes


class OneBatchMore(Processes):
    """Another process has one batch more."""

    def total(self, values):
        return values

    def largest(self, count: int) -> int:
        return count + 1


def test_a_process_with_a_batch_less_checks_as_often_and_records_all_the_same(tmp_path):
    prepared = prepare(tiny_profile("training.epochs=1"), device="cpu")
    run = open_or_create(tmp_path / "run", prepared.material("run"), Processes())
    checks = []

    class Counted(StopRequest):
        def check(self) -> None:
            checks.append(1)

    recorder = prepared.epoch_recorder(tmp_path / "run", stop=Counted())
    with run.epoch(1) as writer:
        recorder.record(prepared.network, writer, title="", processes=OneBatchMore(0, 2))
    assert len(checks) == (4 + 1) * 3  # 24 images in batches of 7, one more batch elsewhere, three variants
    assert open_run(tmp_path / "run").epochs == (1,)
