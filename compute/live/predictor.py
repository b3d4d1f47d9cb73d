"""A recorded network, loaded again to classify an image of the user's own; the Live page calls this.

from compute.live.predictor import load_predictor; predictor = load_predictor("runs/quick", epoch=7)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compute.config.profile import parse_profile
from compute.config.settings import Profile
from compute.errors import BadCheckpoint, BadOption
from compute.models import ClassMapNetwork
from compute.models.adoption import adopt
from compute.models.library import build_recorded_model
from compute.models.registry import build_recorded
from compute.recording.epoch_recorder import class_maps
from compute.recording.perturbations import perturb_array
from compute.runs.device import choose_device
from compute.training.augment import Normaliser
from compute.training.checkpoints import CheckpointFolder
from store import Run, open_run
from store.format.layout import CHECKPOINTS
from store.metrics.maps import relative_to_mean

LONGEST_LAYER = 200  # characters of a layer's name
LARGEST_SIDE = 1024  # pixels of an image: the limit of data.size


@dataclass(frozen=True)
class Predictor:
    """A run's network after one epoch, on the device that runs it."""

    network: ClassMapNetwork
    normalise: Normaliser
    precision: str
    image_shape: tuple[int, int]
    seed: int
    epoch: int

    def predict(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Class maps (n, C, H, W) float32 and probabilities (n, C), the softmax of their means (paper, Eq. 4 and 8).

        The maps are those that a record of the images would have: signed ones are relative to their mean map.

        Args:
            images: uint8 (n, h, w, 3) of the run's image size.

        Raises:
            BadOption: another shape or type.
        """
        with torch.no_grad():  # no inference_mode: the maps of some networks are gradients
            maps = class_maps(self.network, self.input_of(images), self.precision)
        probabilities = torch.softmax(maps.mean((-1, -2)), 1)
        recorded = maps.cpu().numpy()
        return relative_to_mean(recorded)[0] if self.network.signed else recorded, probabilities.cpu().numpy()

    def input_of(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """The network's input (n, 3, h, w) for images uint8 (n, h, w, 3); raises BadOption on another shape."""
        expected = (*self.image_shape, 3)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise BadOption(
                f"Images must be uint8 (n, {', '.join(map(str, expected))}) for this run, got "
                f"{images.dtype} {images.shape}. Resize and convert them first."
            )
        return self.normalise(torch.from_numpy(np.ascontiguousarray(images)).to(self.normalise.mean.device))

    def perturb(self, name: str, image: NDArray[np.uint8], **strengths: float) -> NDArray[np.uint8]:
        """One image (h, w, 3) perturbed; strengths that are not given take their defaults.

        Raises:
            BadOption: an unknown variant or strength.
        """
        return perturb_array(name, image[None], numbers=[0], seed=self.seed, **strengths)[0]


def load_predictor(run_path: str | Path, epoch: int, *, device: str = "cpu") -> Predictor:
    """The network of a run after `epoch`, ready to predict.

    Nothing in the run is trusted: its network is one of the registry or of the operator, its settings are within their
    limits, and its weights are tensors of the network's own shapes.

    Raises:
        RunNotFound, SchemaMismatch, DamagedFile: there is no readable run at `run_path`.
        BadCheckpoint: the weights of that epoch were not saved, or are damaged.
        BadModel: the network may not be built, or the weights belong to another one.
        BadOption: the configuration is invalid.
    """
    run = open_run(run_path)
    on_device = choose_device(device)
    settings = _settings(run)
    folder = Path(run_path) / CHECKPOINTS
    for path in (folder, *folder.glob(f"{epoch:04d}.pt")):
        if not os.path.realpath(path).startswith(f"{os.path.realpath(run_path)}{os.sep}"):
            raise BadCheckpoint(
                f"'{path}' is a link that leads out of the run, so it is not read. Copy the file there."
            )
    weights = CheckpointFolder(folder, run_id=run.id).load(epoch).weights
    normalise = Normaliser(settings.data.mean, settings.data.sd, on_device)
    model = run.configuration.get("model")
    if isinstance(model, dict) and "layer" in model:
        network = _adopt_again(run, model, weights, normalise)
    else:
        network = build_recorded(model, weights, classes=len(run.classes))
        network.to(on_device).to(memory_format=torch.channels_last).eval()
    return Predictor(
        network=network,
        normalise=normalise,
        precision=settings.training.precision,
        image_shape=(run.image_shape[0], run.image_shape[1]),
        seed=settings.data.seed,
        epoch=epoch,
    )


def _adopt_again(
    run: Run, model: dict[str, Any], weights: dict[str, torch.Tensor], normalise: Normaliser
) -> ClassMapNetwork:
    """The network of a run that was recorded from a classifier of another form, proved again on the run's images.

    Raises:
        BadModel: it may not be built, or its maps do not add up to its logits.
        BadOption: the configuration is invalid.
    """
    layer, maps = model["layer"], model.get("maps")
    if not isinstance(layer, str) or len(layer) > LONGEST_LAYER or not isinstance(maps, bool):
        raise BadOption(f"The configuration of the run '{run.name}' does not say how its maps are made.")
    device = normalise.mean.device
    body = build_recorded_model(model, weights, classes=len(run.classes))
    body.to(device).to(memory_format=torch.channels_last).eval()
    count = len(run.labels)
    # The proof compares images: the first, a middle and the last one are of different classes.
    images = run.pixels(sorted({0, count // 2, count - 1}), run.variants[0])
    return adopt(body, normalise(torch.from_numpy(images).to(device)), layer or None, maps=maps)


def _settings(run: Run) -> Profile:
    """The settings of the run that a prediction depends on, checked like those of a profile.

    Raises:
        BadOption: one is missing or outside its limits.
    """
    wanted = {"data": ("mean", "sd", "seed"), "training": ("precision",)}
    chosen: dict[str, dict[str, Any]] = {name: {} for name in wanted}
    for name, keys in wanted.items():
        section = run.configuration.get(name)
        for key in keys:
            if not isinstance(section, dict) or key not in section:
                raise BadOption(f"The configuration of the run '{run.name}' lacks {name}.{key}. Record the run again.")
            chosen[name][key] = section[key]
    profile = parse_profile(chosen)
    for name in ("mean", "sd"):
        values = getattr(profile.data, name)
        if len(values) != 3 or not all(1e-6 <= abs(value) <= 1e6 or (name == "mean" and not value) for value in values):
            raise BadOption(
                f"data.{name} of the run '{run.name}' is {list(values)[:4]}: three numbers of an ordinary size are "
                "needed, one for each channel. Record the run again."
            )
    if max(run.image_shape) > LARGEST_SIDE:
        raise BadOption(
            f"The images of the run '{run.name}' are {'×'.join(map(str, run.image_shape))} pixels. The network is "
            f"run for images up to {LARGEST_SIDE} pixels a side."
        )
    return profile
