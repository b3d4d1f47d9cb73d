"""What a GPU would run, on tensors that have a device and a shape but no values: mixing devices is an error, and so is
looking at a value, for which a GPU would have to be waited for."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import compute.recording.recorder
from compute.config.settings import AugmentationSettings, TrainingSettings
from compute.models import build
from compute.recording.perturbations import VARIANTS
from compute.recording.perturbations_device import perturb_on_device
from compute.recording.recorder import Recorder, class_maps, forward
from compute.runs.device import HostCopy, has_room
from compute.runs.prepare import prepare
from compute.training.augment import Augmenter, Normaliser, RandomNumbers
from compute.training.metrics import Scores
from compute.training.trainer import Trainer
from tests.compute.cases import tiny_profile

GPU = torch.device("cuda:0")
MEAN_AND_SD = ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))


@pytest.fixture
def images(monkeypatch):
    """Four images on a GPU that is not there."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)  # needs a driver
    with FakeTensorMode():
        yield torch.empty(4, 64, 64, 3, dtype=torch.uint8, device=GPU)


def test_a_mix_of_devices_and_a_look_at_a_value_are_noticed(images):
    with pytest.raises(RuntimeError, match="device"):
        images + torch.zeros(4, 64, 64, 3)
    with pytest.raises(RuntimeError):
        images.float().mean().item()


@pytest.mark.parametrize("name", VARIANTS)
def test_perturbations_stay_on_the_device(images, name):
    perturbed = perturb_on_device(name, images, images=range(4), seed=0)
    assert (perturbed.device, perturbed.dtype, perturbed.shape) == (GPU, torch.uint8, images.shape)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("turned", [0.0, 20.0])
def test_augmentation_stays_on_the_device(images, turned, interpolation):
    settings = AugmentationSettings(rotation=turned, brightness=0.1, erase=0.2, interpolation=interpolation)
    x = Augmenter(settings, Normaliser(*MEAN_AND_SD, GPU))(images, RandomNumbers(torch.Generator(), 4))
    assert (x.device, x.dtype, x.shape) == (GPU, torch.float32, (4, 3, 64, 64))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("name", ["paper", "grid", "cam"])
def test_a_step_and_a_pass_stay_on_the_device_and_wait_for_nothing(images, monkeypatch, name, optimizer):
    with GPU:
        network = build(name, 7)
    normalise = Normaliser(*MEAN_AND_SD, GPU)
    settings = TrainingSettings(batch=4, optimizer=optimizer, averaging=0.9, precision="float32")
    trainer = Trainer(network, settings=settings, augment=Augmenter(AugmentationSettings(), normalise))
    scores = Scores(GPU)

    def gradients(loss: torch.Tensor) -> None:  # autograd itself needs a driver
        assert loss.device == GPU
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(torch.Tensor, "backward", gradients)
    labels = torch.zeros(4, dtype=torch.int64, device=GPU)
    trainer.step(images, labels, 0.1, RandomNumbers(torch.Generator(), 4), scores)
    network.eval()
    with torch.inference_mode():
        trace = forward(network, normalise(images), "float32")
        maps = class_maps(network, normalise(images), "float32")
    found = {value.device for value in (trace.maps, maps, scores.sums, *trace.layers.values(), *trace.stages.values())}
    assert found == {GPU}
    assert len(trace.stages) == 5


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
    recorder_of(prepared).record(prepared.network, Writer(), title="")
    assert happened == [
        *("queued", "queued", "clean 0", "queued", "gray 0", "queued", "salt_pepper_0.005 0"),
        *("queued", "clean 12", "queued", "gray 12", "salt_pepper_0.005 12"),
    ]


def test_where_there_is_room_perturbed_images_are_made_once(monkeypatch):
    prepared = prepare(tiny_profile(), device="cpu")
    made: list[str] = []

    def counted(name, pixels, **more):
        made.append(name)
        return perturb_on_device(name, pixels, **more)

    monkeypatch.setattr(compute.recording.recorder, "perturb_on_device", counted)
    monkeypatch.setattr(compute.recording.recorder, "has_room", lambda device, size: size == 3 * 24 * 16 * 16 * 3)
    recorder, batch = recorder_of(prepared), slice(7, 14)
    defined = VARIANTS["gray"].function(prepared.dataset.validation.images[batch], images=range(7, 14), seed=0)
    for _ in range(2):
        assert recorder.seen("gray", batch).numpy().tobytes() == defined.tobytes()
    assert made == ["gray"]
    recorder.seen("gray", slice(0, 7))
    assert made == ["gray", "gray"]


def test_there_is_room_on_a_gpu_with_four_times_as_much_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4000, 8000))
    assert has_room(GPU, 999)
    assert not has_room(GPU, 1000)
    assert not has_room(torch.device("cpu"), 1)


def recorder_of(prepared):
    return Recorder(
        prepared.validation(),
        settings=prepared.profile.recording,
        normalise=prepared.normaliser,
        precision="float32",
        quiet=True,
    )
