import warnings

import numpy as np
import pytest
import torch

from compute.errors import BadOption
from compute.live.explain import explainable_layers, grad_cam
from compute.models import build
from tests.compute.live.conftest import HandMade, predictor_of

pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")


def test_grad_cam_equals_the_hand_worked_value(image):
    """Pooled red [[5, 7], [13, 15]], green [[8, 8], [0, 0]]; dS/da = w / 4 in every cell, so alpha = (2, -1) / 4."""
    seen = grad_cam(predictor_of(HandMade()), image, class_index=0, layer="pool")
    assert np.allclose(seen, [[(2 * 5 - 8) / 4, (2 * 7 - 8) / 4], [2 * 13 / 4, 2 * 15 / 4]])
    other = grad_cam(predictor_of(HandMade()), image, class_index=1, layer="pool")
    assert np.allclose(other, [[(-5 + 24) / 4, (-7 + 24) / 4], [0, 0]])  # -13 and -15 are cut by the ReLU


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


def test_an_unknown_layer_is_refused(image):
    with pytest.raises(BadOption, match=r"no layer 'layer9' to explain. This network has: conv, pool"):
        grad_cam(predictor_of(HandMade()), image, class_index=0, layer="layer9")


def test_an_unknown_class_is_refused(image):
    with pytest.raises(BadOption, match=r"no class 2. This network has 2 classes, 0 to 1"):
        grad_cam(predictor_of(HandMade()), image, class_index=2, layer="pool")


def test_a_image_of_another_size_is_refused(image):
    with pytest.raises(BadOption, match=r"Images must be uint8 \(n, 4, 4, 3\) for this run, got uint8 \(1, 3, 4, 3\)"):
        grad_cam(predictor_of(HandMade()), image[:3], class_index=0)
    with warnings.catch_warnings(), pytest.raises(BadOption, match="float64"):
        predictor_of(HandMade()).predict(image[None].astype(float))
