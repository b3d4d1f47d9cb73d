from __future__ import annotations

import torch

import compute.recording.recorder
from compute.recording.perturbations import perturb, perturb_array
from compute.runs.device import HostCopy
from compute.runs.interrupt import StopRequest
from compute.runs.prepare import prepare
from compute.runs.run import open_or_create
from compute.training.distributed import Processes
from store import open_run, resume_run
from tests.compute.cases import tiny_profile


def test_a_pass_is_queued_before_the_maps_of_the_one_before_are_waited_for(monkeypatch):
    prepared = prepare(tiny_profile("recording.layers=false", "recording.batch=12"), device="cpu")
    happened: list[str] = []

    class Logged(HostCopy):
        def __init__(self, values: torch.Tensor) -> None:
            happened.append("queued")
            super().__init__(values)

    class Writer:
        def write(self, variant: str, start: int, maps: object) -> None:
            happened.append(f"{variant} {start}")

    monkeypatch.setattr(compute.recording.recorder, "HostCopy", Logged)
    prepared.recorder(quiet=True).record(prepared.network, Writer(), title="")
    assert happened == [
        *("queued", "queued", "clean 0", "queued", "gray 0", "queued", "salt_pepper_0.005 0"),
        *("queued", "clean 12", "queued", "gray 12", "salt_pepper_0.005 12"),
    ]


def test_where_there_is_room_perturbed_images_are_made_once(monkeypatch):
    prepared = prepare(tiny_profile(), device="cpu")
    made: list[str] = []

    def counted(name, pixels, **more):
        made.append(name)
        return perturb(name, pixels, **more)

    monkeypatch.setattr(compute.recording.recorder, "perturb", counted)
    monkeypatch.setattr(compute.recording.recorder, "has_room", lambda device, size: size == 3 * 24 * 16 * 16 * 3)
    recorder, batch = prepared.recorder(quiet=True), slice(7, 14)
    defined = perturb_array("gray", prepared.dataset.validation.images[batch], numbers=range(7, 14), seed=0)
    for _ in range(2):
        assert recorder.perturbed("gray", batch).numpy().tobytes() == defined.tobytes()
    assert made == ["gray"]
    recorder.perturbed("gray", slice(0, 7))
    assert made == ["gray", "gray"]


class OneBatchMore(Processes):
    """Another process has one batch more."""

    def total(self, values):
        return values

    def largest(self, count: int) -> int:
        return count + 1


def test_a_process_with_a_batch_less_checks_as_often_and_records_all_the_same(tmp_path):
    prepared = prepare(tiny_profile("training.epochs=1"), device="cpu")
    open_or_create(prepared, tmp_path / "run")
    checks = []

    class Counted(StopRequest):
        def check(self) -> None:
            checks.append(1)

    recorder = prepared.recorder(stop=Counted())
    with resume_run(tmp_path / "run").epoch(1) as writer:
        recorder.record(prepared.network, writer, title="", processes=OneBatchMore(0, 2))
    assert len(checks) == (4 + 1) * 3  # 24 images in batches of 7, one more batch elsewhere, three variants
    assert open_run(tmp_path / "run").epochs == (1,)
