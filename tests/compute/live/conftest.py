"""A network small enough to work its explanations out by hand, and an image for it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compute.live.predictor import Predictor
from compute.models import ClassMapNetwork, Trace
from compute.training.augment import Normaliser


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
