"""A recorded network, loaded again to classify an image of the user's own; the Live page calls this.

from compute.live.predictor import load_predictor; predictor = load_predictor("runs/quick", epoch=7)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compute.errors import BadCheckpoint, BadOption
from compute.models import ClassMapNetwork, build
from compute.recording.perturbations import perturb_array
from compute.recording.recorder import class_maps
from compute.runs.device import choose_device
from compute.training.augment import Normaliser
from compute.training.checkpoints import CHECKPOINTS, CheckpointFolder
from store import Run, open_run


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

        Args:
            images: uint8 (n, h, w, 3) of the run's image size.

        Raises:
            BadOption: another shape or type.
        """
        with torch.inference_mode():
            maps = class_maps(self.network, self.input_of(images), self.precision)
        probabilities = torch.softmax(maps.mean((-1, -2)), 1)
        return maps.cpu().numpy(), probabilities.cpu().numpy()

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

    Raises:
        RunNotFound, SchemaMismatch, DamagedFile: there is no readable run at `run_path`.
        BadCheckpoint: the weights of that epoch were not saved, are damaged, or fit another network.
        BadModel: the network cannot be built, for instance because it is the user's own and not on the path.
    """
    run = open_run(run_path)
    on_device = choose_device(device)
    network = _network(run)
    CheckpointFolder(Path(run_path) / CHECKPOINTS, run_id=run.id).load_into(network, epoch)
    network.to(on_device).to(memory_format=torch.channels_last).eval()
    data = run.configuration["data"]
    return Predictor(
        network=network,
        normalise=Normaliser(data["mean"], data["sd"], on_device),
        precision=run.configuration["training"]["precision"],
        image_shape=(run.image_shape[0], run.image_shape[1]),
        seed=data["seed"],
        epoch=epoch,
    )


def _network(run: Run) -> ClassMapNetwork:
    """The run's network, its weights not loaded yet."""
    settings = run.configuration.get("model")
    if not settings:
        raise BadCheckpoint(f"The run '{run.name}' does not name its network, so its maps cannot be computed again.")
    return build(settings["name"], len(run.classes), **settings["options"])
