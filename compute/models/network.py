"""What every network here returns: class maps whose mean is the logit, and a trace of the activations before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from compute.errors import BadModel

WRAPPERS = ("DistributedDataParallel", "DataParallel", "OptimizedModule")  # and under which names they hold the network
WRAPPED = ("module", "_orig_mod", "model")


@dataclass(frozen=True)
class Trace:
    """One forward pass with its intermediate activations: what the recorder stores."""

    maps: Tensor  # (N, C, H, W) float32, unit: logit
    layers: Mapping[str, Tensor] = field(default_factory=dict)  # name -> (N, K, h, w), after the ReLU
    stages: Mapping[str, Tensor] = field(default_factory=dict)  # name -> (N, h, w), mean |activation| over channels


class ClassMapNetwork(nn.Module):
    """A classifier with one map per class; S_k, the logit of class k, is exactly the mean of map k (paper, Eq. 8).

    A subclass implements `trace`, and also `forward` where the maps alone cost less. If its maps can be negative it
    sets `signed`, and the store quantises them with a sign. `encoder_prefix` and `own_weights` say which weights of a
    ResNet file `compute.training.weights` can load into it.
    """

    signed: bool = False
    encoder_prefix: str = "encoder."
    own_weights: tuple[str, ...] = ()  # names in a ResNet file for which this network has layers of another shape
    # What a run that may come from a stranger may ask for: option -> (lowest, highest), or a frozenset of its choices.
    option_limits: ClassVar[Mapping[str, Any]] = {}

    @property
    def last_kernel(self) -> Tensor | None:
        """The kernels (C, ...) that draw each class's map from a map of that class alone; None without such a layer."""
        return None

    def trace(self, x: Tensor) -> Trace:
        """Class maps of images x (N, 3, h, w) float, with the layers and stages that led to them."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Class maps (N, C, H, W) float32 of images x (N, 3, h, w)."""
        return self.trace(x).maps

    def strongest_maps(self, x: Tensor, count: int, also: Tensor) -> Tensor:
        """As forward, where only the maps of the `count` highest logits and of the classes `also` (n, j) are kept."""
        return self(x)


class WithoutTrace(ClassMapNetwork):
    """Wraps a plain module that returns class maps; its record has maps, but no layers or stages."""

    encoder_prefix = "body."

    def __init__(self, body: nn.Module, *, signed: bool = True) -> None:
        super().__init__()
        self.body = body
        self.signed = signed

    def trace(self, x: Tensor) -> Trace:
        """The body's output as class maps, in float32."""
        return Trace(self.body(x).float())


class Shapes(NamedTuple):
    """The shapes that a network returns for an image size, found by one forward pass."""

    maps: tuple[int, int]
    layers: dict[str, tuple[int, int, int]]
    stages: dict[str, tuple[int, int]]


def describe(network: ClassMapNetwork, *, image_shape: tuple[int, int], classes: int, channels: int = 3) -> Shapes:
    """The shapes of maps, layers and stages for images of `image_shape` (h, w).

    Raises:
        BadModel: the network does not return (N, C, H, W) with C = `classes`.
    """
    weight = next(network.parameters(), torch.zeros(()))  # a network may have none
    with evaluation_mode(network), torch.no_grad():
        trace = network.trace(torch.zeros(2, channels, *image_shape, device=weight.device))
    maps = trace.maps
    if maps.ndim != 4 or maps.shape[:2] != (2, classes):
        raise BadModel(
            f"The network returned a tensor of shape {tuple(maps.shape)} for 2 images and {classes} classes. "
            f"Class maps are (2, {classes}, height, width). Return one map per class, before any pooling."
        )
    return Shapes(
        maps=(maps.shape[2], maps.shape[3]),
        layers={name: (value.shape[1], value.shape[2], value.shape[3]) for name, value in trace.layers.items()},
        stages={name: (value.shape[1], value.shape[2]) for name, value in trace.stages.items()},
    )


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; after it every module is in the mode that it was in.

    `network.train()` afterwards would not do: whoever fine-tunes keeps some modules, such as BatchNorm, in evaluation.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def energy(activation: Tensor) -> Tensor:
    """Mean absolute activation over the channels: (N, K, h, w) -> (N, h, w) float32."""
    return activation.detach().abs().mean(1, dtype=torch.float32)


def unwrapped(model: nn.Module) -> nn.Module:
    """The network itself, out of DistributedDataParallel, torch.compile and Ultralytics' YOLO."""
    # a YOLO is a module, too, but its `train` would begin a training
    if type(model).__name__ in WRAPPERS or type(model).__module__.startswith("ultralytics.models."):
        for name in WRAPPED:
            if isinstance(inner := getattr(model, name, None), nn.Module):
                return unwrapped(inner)
    return model
