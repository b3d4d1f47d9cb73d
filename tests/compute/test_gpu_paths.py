"""What a GPU would run, on tensors that have a device and a shape but no values: mixing devices is an error, and so is
looking at a value, for which a GPU would have to be waited for."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from compute.config.settings import AugmentationSettings, TrainingSettings
from compute.models import build
from compute.recording.epoch_recorder import class_maps, forward
from compute.recording.perturbations import PERTURBATIONS, perturb
from compute.training.augment import Augmenter, Normaliser, RandomNumbers
from compute.training.metrics import RunningMetrics
from compute.training.trainer import Trainer

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


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_perturbations_stay_on_the_device(images, name):
    perturbed = perturb(PERTURBATIONS[name], images, numbers=range(4), seed=0)
    assert (perturbed.device, perturbed.dtype, perturbed.shape) == (GPU, torch.uint8, images.shape)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("rotation", [0.0, 20.0])
def test_augmentation_stays_on_the_device(images, rotation, interpolation):
    settings = AugmentationSettings(rotation=rotation, brightness=0.1, erase=0.2, interpolation=interpolation)
    x = Augmenter(settings, Normaliser(*MEAN_AND_SD, GPU))(images, RandomNumbers(torch.Generator(), 4))
    assert (x.device, x.dtype, x.shape) == (GPU, torch.float32, (4, 3, 64, 64))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("name", ["paper", "grid", "cam"])
def test_a_step_and_a_pass_stay_on_the_device_and_wait_for_nothing(images, monkeypatch, name, optimizer):
    with GPU:
        network = build(name, 7)
    normalise = Normaliser(*MEAN_AND_SD, GPU)
    settings = TrainingSettings(batch=4, optimizer=optimizer, weight_averaging=0.9, precision="float32")
    trainer = Trainer(network, settings=settings, augment=Augmenter(AugmentationSettings(), normalise))
    metrics = RunningMetrics(GPU)

    def gradients(loss: torch.Tensor) -> None:  # autograd itself needs a driver
        assert loss.device == GPU
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(torch.Tensor, "backward", gradients)
    labels = torch.zeros(4, dtype=torch.int64, device=GPU)
    trainer.step(images, labels, 0.1, RandomNumbers(torch.Generator(), 4), metrics)
    network.eval()
    with torch.inference_mode():
        trace = forward(network, normalise(images), "float32")
        maps = class_maps(network, normalise(images), "float32")
    found = {value.device for value in (trace.maps, maps, metrics.sums, *trace.layers.values(), *trace.stages.values())}
    assert found == {GPU}
    assert len(trace.stages) == 5
