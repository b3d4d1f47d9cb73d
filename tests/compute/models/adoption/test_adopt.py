from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from compute.errors import BadModel
from compute.models.adoption import adopt
from compute.models.adoption.adopt import TOLERANCE, relative_error


class Tiny(nn.Module):
    """Two channels of 2x2 cells from the image's red and green, averaged, into three classes."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.fc = nn.Linear(2, 3)
        with torch.no_grad():
            self.fc.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, -1.0]]))
            self.fc.bias.copy_(torch.tensor([0.0, 0.5, -1.0]))

    def forward(self, x):
        return self.fc(self.pool(x[:, :2]).mean((2, 3)))


def test_the_maps_of_a_tiny_head_are_those_computed_by_hand():
    x = torch.zeros(2, 3, 4, 4)
    x[0, 0, :2, :2] = 3.0  # red 3 in the upper left cell
    x[0, 1, 2:, 2:] = 2.0  # green 2 in the lower right one
    x[1, 0] = 1.0
    network = adopt(Tiny(), x)
    red = [[3.0, 0.0], [0.0, 0.0]]  # 1 * red
    green = [[0.5, 0.5], [0.5, 4.5]]  # 2 * green + 0.5
    both = [[2.0, -1.0], [-1.0, -3.0]]  # red - green - 1
    assert torch.allclose(network(x)[0], torch.tensor([red, green, both]))
    assert network.evidence.kind == "exact"
    assert (network.evidence.layer, network.evidence.map_shape, network.evidence.affine) == ("pool", (2, 2), True)


def test_the_means_of_an_adopted_resnets_maps_are_its_logits():
    model, x = models.resnet18(num_classes=5).train(), torch.randn(3, 3, 64, 64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = adopt(model, x)
    assert (network.evidence.kind, network.evidence.layer, network.evidence.images) == ("exact", "layer4", 3)
    assert network.evidence.error <= TOLERANCE
    with torch.inference_mode():
        maps = network(x)
    assert maps.shape == (3, 5, 2, 2)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with torch.no_grad():
        assert relative_error(maps.mean((-1, -2)), model.eval()(x)) <= TOLERANCE


def test_maps_follow_weights_that_are_trained_further():
    model, x = models.resnet18(num_classes=5), torch.randn(3, 3, 64, 64)
    network = adopt(model, x)
    with torch.no_grad():
        model.fc.weight.mul_(-2.0)
    with torch.no_grad():
        assert relative_error(network(x).mean((-1, -2)), model.eval()(x)) <= TOLERANCE
    model.fc.weight.data.mul_(-2.0)  # not counted by PyTorch, so the network is looked at anew by eval()
    network.eval()
    with torch.no_grad():
        assert relative_error(network(x).mean((-1, -2)), model(x)) <= TOLERANCE


def test_a_model_without_a_grid_is_refused_and_recorded_without_maps_if_asked():
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), torch.randn(4, 3, 4, 4)
    with pytest.raises(BadModel, match="no layer with a grid of cells decides the logits"):
        adopt(model, x)
    network = adopt(model, x, maps=False)
    assert network.evidence.kind == "none"
    assert torch.equal(network(x)[:, :, 0, 0], model(x))
