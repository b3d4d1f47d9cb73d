"""Small material for recording: images and labels as a map-style data set, and a classifier without class maps."""

import numpy as np
import torch
from torch import Tensor, nn

from compute.runs.prepare import prepare
from tests.compute.cases import tiny_profile

PHANTOM_SD = (0.25, 0.25, 0.25)


class Pairs:
    """A map-style data set of (image, label); `convert` makes of the bytes (h, w, 3) what it returns."""

    def __init__(self, images, labels, convert=lambda image: image) -> None:
        self.images, self.labels, self.convert = images, labels, convert

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        return self.convert(self.images[index]), int(self.labels[index])


def phantom_pairs(seed: int = 0, *, convert=lambda image: image) -> Pairs:
    """24 phantom images of 16 x 16 of 8 classes, not sorted by class."""
    found = prepare(tiny_profile(f"data.seed={seed}"), device="cpu").dataset.validation
    order = np.random.default_rng(0).permutation(len(found))
    return Pairs(found.images[order], found.labels[order], convert)


class PlainClassifier(nn.Module):
    """(N, 3, 16, 16) -> logits (N, 8): convolution, BatchNorm, mean over the cells, dropout, linear."""

    def __init__(self, classes: int = 8, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 8, 4, stride=4), nn.BatchNorm2d(8), nn.ReLU())
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(x).mean((-1, -2))))


def as_tensor(image: np.ndarray) -> Tensor:
    """Bytes (h, w, 3) -> float (3, h, w) from 0 to 1, as torchvision's ToTensor."""
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255
