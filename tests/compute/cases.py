"""Small material for the tests of compute: a network of a few hundred weights and a profile that trains in seconds."""

from pathlib import Path

import torch
from torch import Tensor, nn

from compute.config.profile import load_profile, override
from compute.config.settings import Profile
from compute.models import ClassMapNetwork, Trace
from compute.models.network import energy

TINY = "tests.compute.cases:TinyNetwork"  # as a profile names it: tests/ is on the path


class TinyNetwork(ClassMapNetwork):
    """(N, 3, 16, 16) -> maps (N, C, 4, 4); has BatchNorm, dropout, a layer and a stage, like the real ones."""

    def __init__(self, classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4, padding=2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.dropout = nn.Dropout2d(dropout)
        self.maps = nn.Conv2d(8, classes, 1)

    def trace(self, x: Tensor) -> Trace:
        features = self.encoder(x)
        maps = torch.relu(self.maps(self.dropout(features)).float())
        return Trace(maps, {"encoder": features}, {"stem": energy(features)})


QUICK_SETTINGS = (
    f"model.name={TINY}",
    "model.options={}",
    "data.size=16",
    "data.classes=8",
    "data.train_per_class=6",
    "data.validation_per_class=3",
    "training.epochs=3",
    "training.batch=12",
    "recording.batch=7",
    'recording.variants=["clean", "gray", "salt_pepper_0.005"]',
)


def tiny_profile(*settings: str) -> Profile:
    """A profile that trains TinyNetwork on 48 phantom images of 16 x 16."""
    profile = load_profile("quick")
    for text in (*QUICK_SETTINGS, *settings):
        profile = override(profile, text)
    return profile


def command(folder: Path, *more: str) -> list[str]:
    """The command line of the same run, in a runs folder."""
    sets = [part for text in QUICK_SETTINGS for part in ("--set", text)]
    return ["train", "--runs-dir", str(folder), "--run", "tiny", "--no-analysis", "--threads", "1", *sets, *more]
