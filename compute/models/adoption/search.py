"""The layers of a model whose grid decides the logits, last first: found by running it, not by knowing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from compute.models.adoption.grid import GridForm, possible_forms
from compute.models.adoption.split import AT_INPUT, FAILURES, Split, logits_of


@dataclass
class Sighting:
    """A tensor that passed through the model: under which names, and of which shape."""

    shape: tuple[int, ...]
    names: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The outermost module that returns it; what goes into a module only where none does."""
        return min(self.names, key=lambda name: (name.endswith(AT_INPUT), name.count("."), len(name)))


def sightings(model: nn.Module, x: Tensor) -> list[Sighting]:
    """Every tensor that goes into or out of a module that is run once, in order of its last appearance."""
    seen: dict[tuple[int, int], Sighting] = {}
    alive: list[Tensor] = []  # so that no two tensors get the same id
    calls: dict[str, int] = {}

    def note(name: str, value: Any) -> None:
        tensor = value[0] if isinstance(value, tuple | list) and value else value
        # the image, as it is or normalised, is a grid of pixels and none of features
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.shape != x.shape:
            alive.append(tensor)
            key = (id(tensor), tensor._version)  # a layer that works in place returns the same tensor, changed
            sighting = seen.pop(key, None) or Sighting(tuple(tensor.shape))
            sighting.names.append(name)
            seen[key] = sighting

    hooks = []
    for name, module in model.named_modules():
        if name:

            def before(_module: nn.Module, inputs: Any, name: str = name) -> None:
                calls[name] = calls.get(name, 0) + 1
                note(name + AT_INPUT, inputs)

            def after(_module: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                note(name, output)

            hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    for sighting in seen.values():
        sighting.names = [name for name in sighting.names if calls.get(name.removesuffix(AT_INPUT)) == 1]
    return [sighting for sighting in seen.values() if sighting.names]


def deciding_grids(model: nn.Module, x: Tensor) -> Iterator[tuple[str, GridForm]]:
    """The layers with a grid that decides the logits, last first, with the ways to read the grid.

    Args:
        x: at least two different images (n, 3, h, w) as the model wants them.
    """
    for sighting in reversed(sightings(model, x)):
        forms = possible_forms(sighting.shape, (x.shape[2], x.shape[3])) if sighting.shape[0] == len(x) else []
        if not forms:
            continue
        split = Split(model, sighting.name)
        for form in forms:
            if decides(split, form, x):
                yield sighting.name, form


def decides(split: Split, form: GridForm, x: Tensor) -> bool:
    """Whether the logits depend on the images through this layer alone, and on its grid at all.

    The layer's tensors of the images are exchanged for those of their neighbours: the logits have to follow.
    Then the grid is emptied: the logits have to change.
    """
    order = torch.arange(len(x), device=x.device).roll(1)
    with torch.no_grad():
        try:
            own = logits_of(split.model(x)).float()
            moved = split.run(x, lambda raw: raw[order])
            empty = split.run(x, lambda raw: form.raw(torch.zeros_like(form.grid(raw)), form.prefix_of(raw)))
        except FAILURES:  # it cannot be replaced here, so it is not the one
            return False
    rounding = 3e-6 * float(own.abs().max())
    difference = float((own - own[order]).abs().max())
    follows = float((moved - own[order]).abs().max()) <= max(1e-3 * difference, rounding)
    return follows and float((empty - own).abs().max()) > rounding
