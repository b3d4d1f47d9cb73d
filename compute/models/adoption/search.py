"""The layers of a model whose grid decides the logits, last first: found by running it, not by knowing it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from compute.models.adoption.grid import GridForm, possible_forms
from compute.models.adoption.split import AT_INPUT, FAILURES, Split, at_least_float32, logits_of

# relative to the largest logit: what arithmetic may change without a reason
ROUNDING = {torch.float32: 3e-6, torch.float64: 1e-13}


@dataclass
class Sighting:
    """A tensor that passed through the model: under which names, of which shape, and the operation that made it."""

    shape: tuple[int, ...]
    made_by: Any  # its node in autograd's graph, None where it has none
    names: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The outermost module that returns it; what goes into a module only where none does."""
        return min(self.names, key=lambda name: (name.endswith(AT_INPUT), name.count("."), len(name)))


def sightings(model: nn.Module, x: Tensor) -> tuple[list[Sighting], Tensor]:
    """Every tensor that goes into or out of a module that is run once, in order of last appearance; and the logits.

    Args:
        x: images (n, 3, h, w), a leaf that requires a gradient.
    """
    seen: dict[tuple[int, int], Sighting] = {}
    alive: list[Tensor] = []  # so that no two tensors get the same id
    calls: Counter[str] = Counter()

    def note(name: str, value: Any) -> None:
        tensor = value[0] if isinstance(value, tuple | list) and value else value
        # the image, as it is or normalised, is a grid of pixels and none of features
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.shape != x.shape:
            alive.append(tensor)
            key = (id(tensor), tensor._version)  # a layer that works in place returns the same tensor, changed
            sighting = seen.pop(key, None) or Sighting(tuple(tensor.shape), tensor.grad_fn)
            sighting.names.append(name)
            seen[key] = sighting

    def watch(name: str, module: nn.Module) -> list[Any]:
        def before(_module: nn.Module, inputs: Any) -> None:
            calls[name] += 1
            note(name + AT_INPUT, inputs)

        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            note(name, output)

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    hooks = [hook for name, module in model.named_modules() if name for hook in watch(name, module)]
    try:
        with torch.enable_grad():
            logits = logits_of(model(x.clone()))  # which a layer may change in place
    finally:
        for hook in hooks:
            hook.remove()
    for sighting in seen.values():
        sighting.names = [name for name in sighting.names if calls[name.removesuffix(AT_INPUT)] == 1]
    return [sighting for sighting in seen.values() if sighting.names], logits


def repeated_layers(model: nn.Module, x: Tensor) -> list[str]:
    """The layers with weights that are run several times for one batch of images x (n, 3, h, w), outermost first."""
    calls: Counter[str] = Counter()
    layers = {
        name: layer for name, layer in model.named_modules() if name and next(layer.parameters(), None) is not None
    }
    hooks = [
        layer.register_forward_pre_hook(lambda *_, name=name: calls.update([name])) for name, layer in layers.items()
    ]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return sorted((name for name in layers if calls[name] > 1), key=lambda name: name.count("."))


def deciding_grids(model: nn.Module, x: Tensor) -> Iterator[tuple[str, list[GridForm]]]:
    """The layers with a grid that decides the logits, last first, each with the ways to read its grid.

    Args:
        x: at least two different images (n, 3, h, w) as the model wants them.
    """
    leaf = x.detach().clone().requires_grad_()
    found, logits = sightings(model, leaf)
    for sighting in reversed(found):
        if sighting.shape[0] == len(x) and not _bypassed(sighting.made_by, logits, leaf):
            forms = deciding_forms(Split(model, sighting.name), sighting.shape, x)
            if forms:
                yield sighting.name, forms


def deciding_forms(split: Split, shape: tuple[int, ...], x: Tensor) -> list[GridForm]:
    """The ways to read a layer's tensor as a grid on which the logits of images x depend, and on nothing else."""
    forms = possible_forms(shape, (x.shape[2], x.shape[3]))
    if len({form.order for form in forms}) > 1:
        # a ViT's 1024 features read as 32x32 cells would pass any proof: every linear head is affine in them
        with torch.no_grad():
            scores = [locality(split, form, x) for form in forms]
        forms = [form for form, score in zip(forms, scores, strict=True) if score >= max(scores) / 2]
    if not forms:
        return []
    with torch.no_grad():
        logits = at_least_float32(logits_of(split.model(x)))
    return [form for form in forms if decides(split, form, x, logits)]


def locality(split: Split, form: GridForm, x: Tensor) -> float:
    """How much more each half of images x (n, 3, h, w) changes its own half of the grid than the other one.

    1 where it changes nothing else, about 0 where the cells are no places.
    """

    def grid_of(images: Tensor) -> Tensor:
        grids: list[Tensor] = []
        split.run(images, lambda raw: grids.append(at_least_float32(form.grid(raw)).clone()))
        return grids[0]

    def change(axis: int, *halves: Tensor) -> Tensor:
        """Shares of the rows (axis 2) or columns (3) of the grid in what the exchange of a half changes."""
        changes = (grid_of(torch.cat(halves, axis)) - before).abs().sum(1).sum((0, 4 - axis))
        return changes / changes.sum().clamp_min(torch.finfo(torch.float32).tiny)

    before, total = grid_of(x), 0.0
    for axis in (2, 3):
        sizes = [x.shape[axis] // 2, x.shape[axis] - x.shape[axis] // 2]
        (first, last), (others_first, others_last) = (each.split(sizes, axis) for each in (x, x.roll(1, 0)))
        more = change(axis, others_first, last) - change(axis, first, others_last)
        total += float(more[: len(more) // 2].sum() - more[(len(more) + 1) // 2 :].sum())
    return total / 4


def _bypassed(node: Any, logits: Tensor, leaf: Tensor) -> bool:
    """Whether a path in autograd's graph leads from the images, a leaf, to the logits around this operation.

    Costs no pass of the model, and spares two for most layers inside a residual block.
    """
    if node is None or logits.grad_fn is None:
        return False  # not known: the layer is tried
    seen: set[Any] = {node}
    waiting: deque[Any] = deque([logits.grad_fn])
    while waiting:
        current = waiting.pop()
        if current is None or current in seen:
            continue
        seen.add(current)
        if getattr(current, "variable", None) is leaf:
            return True
        waiting.extend(entry[0] for entry in current.next_functions)
    return False


def decides(split: Split, form: GridForm, x: Tensor, logits: Tensor) -> bool:
    """Whether the logits (n, C) of images x depend on them through this layer alone, and on its grid at all.

    The layer's tensors of the images are exchanged for those of their neighbours: the logits have to follow.
    Then the grid is emptied: the logits have to change.
    """
    order = torch.arange(len(x), device=x.device).roll(1)
    rounding = ROUNDING[logits.dtype] * float(logits.abs().max())
    difference = float((logits - logits[order]).abs().max())
    with torch.no_grad():
        try:
            moved = split.run(x, lambda raw: raw[order])
            if not float((moved - logits[order]).abs().max()) <= max(1e-3 * difference, rounding):
                return False
            empty = split.run(x, lambda raw: form.raw(torch.zeros_like(form.grid(raw)), form.prefix_of(raw)))
        except FAILURES:  # it cannot be replaced here, so it is not the one
            return False
    return float((empty - logits).abs().max()) > rounding
