"""A classifier of any form as a network with one map per class, and the proof that the maps add up to its logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from compute.models.adoption.split import logits_of
from compute.models.adoption.tangent import TangentMaps
from compute.models.network import ClassMapNetwork, Trace, evaluation_mode


@dataclass(frozen=True)
class Evidence:
    """What the maps are, and what was found when that was checked on images (store/FORMAT.md, section 8)."""

    kind: str  # exact, frozen_norm, linearised or none
    error: float  # largest |mean(map) - logit| over the images, relative to the image's largest |logit|
    layer: str  # whose grid the maps have, as in named_modules; ':in' = what goes into it; '' = no maps
    map_shape: tuple[int, int]
    affine: bool = False  # whether the head gives for each cell alone that cell's share of the logits
    images: int = 0  # on which it was checked


class MapMethod(Protocol):
    """How maps are made of a model's pass over images."""

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class maps (n, C, H, W) float32 and the model's logits (n, C) of images x (n, 3, h, w)."""
        ...

    def forget(self) -> None:
        """Drops what was computed from the weights."""
        ...


class AdoptedNetwork(ClassMapNetwork):
    """A classifier that has another form, with its class maps: signed, at the size of its last grid.

    The model itself is `body` and is not changed; it runs in evaluation mode here and is left in the mode it was in.
    """

    signed = True
    encoder_prefix = "body."

    def __init__(
        self, body: nn.Module, method: MapMethod, evidence: Evidence, *, source: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.body = body
        self.method = method
        self.evidence = evidence
        # in a tuple: the model that `body` is a float32 copy of is no part of this network
        self._source = () if source is None or source is body else (source,)
        self.training = False

    def trace(self, x: Tensor) -> Trace:
        """Class maps (n, C, H, W) float32 of images x; no layers, no stages."""
        with evaluation_mode(self.body):
            return Trace(self.method.maps(x)[0])

    def strongest_maps(self, x: Tensor, count: int, also: Tensor) -> Tensor:
        """Class maps (n, C, H, W); a linearised head makes only those of the `count` highest logits and of the classes
        `also` (n, j), and of the others one mean map: see `TangentMaps.strongest`.
        """
        with evaluation_mode(self.body):
            if isinstance(self.method, TangentMaps):
                return self.method.strongest(x, count, also)
            return self.method.maps(x)[0]

    def train(self, mode: bool = True) -> AdoptedNetwork:
        """As in any module; weights that may have been trained since the last call are looked at again."""
        for source in self._source:
            self.body.load_state_dict(source.state_dict())
        self.method.forget()
        return super().train(mode)


class SingleCell:
    """No maps: every class has one cell, its logit, so that a run has predictions and nothing else."""

    def __init__(self, body: nn.Module) -> None:
        self.body = body

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits as (n, C, 1, 1), and as (n, C)."""
        logits = logits_of(self.body(x)).float()
        return logits[:, :, None, None], logits

    def forget(self) -> None:
        """Nothing is computed from the weights."""
