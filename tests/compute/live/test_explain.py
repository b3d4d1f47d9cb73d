import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compute.errors import BadOption
from compute.live.explain import deconvolution, explainable_layers, grad_cam
from compute.live.predictor import Predictor
from compute.models import ClassMapNetwork, Trace, build
from compute.training.augment import Normaliser

pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")


class HandMade(ClassMapNetwork):
    """4x4 images; two channels, max-pooled to 2x2; two classes that weigh the channels 2, -1 and -1, 3."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential()
        self.encoder.add_module("conv", nn.Conv2d(3, 2, 1, bias=False))
        self.encoder.add_module("relu", nn.ReLU(inplace=True))
        self.encoder.add_module("pool", nn.MaxPool2d(2))
        self.maps = nn.Conv2d(2, 2, 1, bias=False)
        with torch.no_grad():
            # channel 0 is red, channel 1 is green minus blue
            self.encoder.conv.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, -1]]).view(2, 3, 1, 1))
            self.maps.weight.copy_(torch.tensor([[2.0, -1], [-1, 3]]).view(2, 2, 1, 1))

    def trace(self, x: Tensor) -> Trace:
        return Trace(self.maps(self.encoder(x)).float())


def predictor_of(network, shape=(4, 4)) -> Predictor:
    normalise = Normaliser([0.0] * 3, [1 / 255] * 3, torch.device("cpu"))  # the identity on 0..255
    return Predictor(network.eval(), normalise, "float32", shape, seed=0, epoch=1)


@pytest.fixture
def image():
    """Red grows 0..15 along the rows; green is 8 in the upper half; blue is 0."""
    values = np.zeros((4, 4, 3), np.uint8)
    values[..., 0] = np.arange(16).reshape(4, 4)
    values[:2, :, 1] = 8
    return values


def test_grad_cam_equals_the_hand_worked_value(image):
    """Pooled red [[5, 7], [13, 15]], green [[8, 8], [0, 0]]; dS/da = w / 4 in every cell, so alpha = (2, -1) / 4."""
    seen = grad_cam(predictor_of(HandMade()), image, class_index=0, layer="pool")
    assert np.allclose(seen, [[(2 * 5 - 8) / 4, (2 * 7 - 8) / 4], [2 * 13 / 4, 2 * 15 / 4]])
    other = grad_cam(predictor_of(HandMade()), image, class_index=1, layer="pool")
    assert np.allclose(other, [[(-5 + 24) / 4, (-7 + 24) / 4], [0, 0]])  # -13 and -15 are cut by the ReLU


def test_the_deconvnet_equals_the_hand_worked_value(image):
    """Class 0 sends 2/4 back to where red was largest in each 2x2 block; its -1/4 for green dies in the ReLU."""
    seen = deconvolution(predictor_of(HandMade()), image, class_index=0)
    expected = np.zeros((4, 4, 3))
    expected[1::2, 1::2, 0] = 0.5
    assert np.allclose(seen, expected)


def test_the_deconvnet_has_no_forward_gate_and_follows_the_switches(image):
    """Class 1 sends 3/4 back to green (and -3/4 to blue), also in the lower half, where the ReLU was shut."""
    seen = deconvolution(predictor_of(HandMade()), image, class_index=1)
    expected = np.zeros((4, 4, 3))
    expected[::2, ::2, 1], expected[::2, ::2, 2] = 0.75, -0.75  # equal values: the first of a block is its maximum
    assert np.allclose(seen, expected)


def test_grad_cam_of_the_cam_network_is_its_class_map_without_the_bias():
    """For average pooling and a linear layer Grad-CAM is CAM: relu(map - b) over the number of cells."""
    torch.manual_seed(0)
    network = build("cam", 3)
    predictor = predictor_of(network, (64, 64))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with torch.no_grad():
        maps = network(predictor.input_of(image[None]))
    expected = np.maximum(maps[0, 1].numpy() - network.fc.bias[1].item(), 0) / 4
    assert np.allclose(grad_cam(predictor, image, class_index=1), expected, rtol=1e-4, atol=1e-4)


def test_every_stage_of_the_paper_network_can_be_explained():
    predictor = predictor_of(build("paper", 3), (64, 64))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert explainable_layers(predictor) == ("conv1", "bn1", "maxpool", "layer1", "layer2", "layer3", "layer4")
    assert grad_cam(predictor, image, class_index=2, layer="layer2").shape == (8, 8)
    assert deconvolution(predictor, image, class_index=2).shape == (64, 64, 3)


def test_the_network_is_left_as_it_was(image):
    network = HandMade()
    before, _ = predictor_of(network).predict(image[None])
    deconvolution(predictor_of(network), image, class_index=0)
    after, _ = predictor_of(network).predict(image[None])
    assert np.array_equal(before, after)
    assert network.encoder.relu.inplace
    assert network.encoder.conv.weight.grad is None


def test_an_unknown_layer_is_refused(image):
    with pytest.raises(BadOption, match=r"no layer 'layer9' to explain. This network has: conv, pool"):
        grad_cam(predictor_of(HandMade()), image, class_index=0, layer="layer9")


@pytest.mark.parametrize("function", [deconvolution, lambda *a, **k: grad_cam(*a, layer="pool", **k)])
def test_an_unknown_class_is_refused(image, function):
    with pytest.raises(BadOption, match=r"no class 2. This network has 2 classes, 0 to 1"):
        function(predictor_of(HandMade()), image, class_index=2)


def test_a_image_of_another_size_is_refused(image):
    with pytest.raises(BadOption, match=r"Images must be uint8 \(n, 4, 4, 3\) for this run, got uint8 \(1, 3, 4, 3\)"):
        deconvolution(predictor_of(HandMade()), image[:3], class_index=0)
    with warnings.catch_warnings(), pytest.raises(BadOption, match="float64"):
        predictor_of(HandMade()).predict(image[None].astype(float))
