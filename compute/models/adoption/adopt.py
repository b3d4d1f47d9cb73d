"""`adopt`: any classifier with a grid of cells before its head as a network with one map per class, after a proof."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from compute.errors import BadModel
from compute.models.adoption.affine import AffineMaps, PlacedMaps
from compute.models.adoption.grid import GridForm, possible_forms
from compute.models.adoption.network import AdoptedNetwork, Evidence, SingleCell
from compute.models.adoption.search import ROUNDING, deciding_forms, deciding_grids
from compute.models.adoption.split import (
    FAILURES,
    Split,
    exact_float32,
    logits_of,
    ordinary_tensor,
    refuse_probabilities,
)
from compute.models.adoption.tangent import TangentMaps
from compute.models.network import evaluation_mode, unwrapped

TOLERANCE = 1e-5  # of mean(map) against the logit, relative to the image's largest logit
PROBES = 2  # images that show that a tangent can be computed, and that cells add up alone
BATCH = 16


def adopt(model: nn.Module, images: Tensor, layer: str | None = None, *, maps: bool = True) -> AdoptedNetwork:
    """The model as a `ClassMapNetwork`, proved on images before anything is recorded.

    The last grid of cells before the head is found by running the model, or named by `layer`. Every cell is given to
    the head as a 1x1 grid: where the mean of what it returns is the logit, these are exact class maps. Else the norm
    of the head is held at each image's values, else the head is linearised at each image's grid; `network.evidence`
    says which, and how large the error was. The model is not changed. Its weights are shared, or copied if they are
    not float32.

    Args:
        model: returns logits (n, C), also inside a tuple, mapping or Hugging Face output.
        images: at least two different images (n, 3, h, w) of the data, as the model wants them.
        layer: a module's name as in `named_modules`, with `:in` at its end for what goes into it.
        maps: False records predictions only: every class has one cell, its logit.

    Raises:
        BadModel: no grid before the head decides the logits, the proof failed, or the model returns no logits; the
            message says what was found.
    """
    source = unwrapped(model)
    body = _in_float32(source)
    with torch.inference_mode(False), exact_float32(images.device), evaluation_mode(body):
        images = _checked(images)
        with torch.no_grad():
            logits = torch.cat([logits_of(body(batch)).float() for batch in images.split(BATCH)])
        refuse_probabilities(logits)
        if not maps:
            evidence = Evidence("none", float("nan"), "", (1, 1))
            return AdoptedNetwork(body, SingleCell(body), evidence, source=source)
        probes = images[_most_different(logits)]
        tried: list[str] = []
        for name, forms in _layers(body, probes, layer):
            for kind, method in _methods(Split(body, name), forms, probes):
                found = _proof(kind, method, images, name, tried)
                if found:
                    return AdoptedNetwork(body, method, found, source=source)
    problem = "; ".join(tried) or "no layer with a grid of cells decides the logits"
    raise BadModel(
        f"{type(source).__name__} has no class maps: {problem}. {_equality(logits)}Name another layer "
        "(layer='NAME', or 'NAME:in' for what goes into it), or record its predictions alone (maps=False)."
    )


def _most_different(logits: Tensor) -> list[int]:
    """The first image and that whose logits (n, C) differ most from its own: with them the layer is looked for."""
    return [0, max(1, int((logits - logits[0]).abs().amax(1).argmax()))]


def _equality(logits: Tensor) -> str:
    """A sentence where rounding hides what the logits (n, C) depend on: the likely reason that no layer was found."""
    difference, largest = float((logits - logits[0]).abs().max()), float(logits.abs().max())
    if difference > 2 * ROUNDING * largest:
        return ""
    return (
        f"It gives nearly the same logits for all {len(logits)} images: they differ by {difference:.2g}, and the "
        f"largest is {largest:.2g}, so float32 cannot show what they depend on. Deep networks are like that before "
        "their first step, and dead ones always: train the model first. "
    )


def _layers(model: nn.Module, x: Tensor, layer: str | None) -> Iterator[tuple[str, list[GridForm]]]:
    if layer is None:
        yield from deciding_grids(model, x)
        return
    split, shapes = Split(model, layer), []
    with torch.no_grad():
        split.run(x, lambda raw: shapes.append(tuple(raw.shape)))
    if not possible_forms(shapes[0], (x.shape[2], x.shape[3])):
        raise BadModel(
            f"The layer '{layer}' gives a tensor of shape {shapes[0]} for {len(x)} images, which is no grid of cells. "
            "One is (images, channels, height, width), (images, height, width, channels) or (images, cells, channels)."
        )
    forms = deciding_forms(split, shapes[0], x)
    if not forms:
        raise BadModel(f"The logits do not depend on the images through the grid of '{layer}' alone. Name another.")
    yield layer, forms


def _methods(
    split: Split, forms: list[GridForm], x: Tensor
) -> Iterator[tuple[str, AffineMaps | PlacedMaps | TangentMaps]]:
    """The ways to make maps at a layer that come into question, the most exact first."""
    found: list[Tensor] = []
    with torch.no_grad():
        logits = split.run(x, lambda raw: found.append(raw.clone()))
        methods = [AffineMaps(split, form, relu=relu) for form in forms for relu in (False, True)]
        averaging = [method for method in methods if method.averages(found[0], logits, x)]
    for method in averaging:
        yield "exact", method
    for method in averaging:
        yield "frozen_norm", AffineMaps(split, method.form, relu=method.relu, norm=True)
    if not averaging:
        for relu in (False, True):
            yield "exact", PlacedMaps(split, forms[0], relu=relu)
    yield "linearised", TangentMaps(split, forms[0])


def _proof(
    kind: str, method: AffineMaps | PlacedMaps | TangentMaps, images: Tensor, layer: str, tried: list[str]
) -> Evidence | None:
    """The evidence if the means of the maps are the logits; else None, and a line about what was found."""
    error, shape = 0.0, (0, 0)
    # A tangent adds up by its making: two images show that it can be computed.
    images = images[:PROBES] if kind == "linearised" else images
    try:
        with torch.no_grad():
            for batch in images.split(BATCH):
                maps, logits = method.maps(batch)
                shape = (maps.shape[2], maps.shape[3])
                error = max(error, relative_error(maps.mean((-1, -2)), logits))
            cells = 0.0 if isinstance(method, TangentMaps) else method.cell_error(images[:PROBES])
    except FAILURES as err:
        tried.append(f"'{layer}' as {kind}: {(str(err).splitlines() or [''])[0].rstrip('.')}")
        return None
    if not error <= TOLERANCE:
        tried.append(f"'{layer}' as {kind}: mean(map) differs from the logit by {error:.2g} of the largest logit")
        return None
    if float(maps.std((-1, -2)).max()) <= TOLERANCE * float(logits.abs().max()) and kind == "linearised":
        tried.append(f"'{layer}' as {kind}: the maps are flat, the tangent does not see the grid")
        return None
    if not cells <= TOLERANCE:
        tried.append(f"'{layer}' as {kind}: cells given to the head alone differ by {cells:.2g} of the largest cell")
        return None
    return Evidence(kind, error, layer, shape, kind == "exact", len(images))


def relative_error(means: Tensor, logits: Tensor) -> float:
    """Largest |mean - logit| (n, C) relative to each image's largest |logit|; infinite where a value is not finite."""
    scale = logits.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    error = float(((means - logits).abs() / scale).max())
    return error if error == error else float("inf")


def _checked(images: Tensor) -> Tensor:
    if images.ndim != 4 or len(images) < 2 or not images.is_floating_point():
        raise BadModel(
            f"The proof needs at least two images as a float tensor (n, 3, h, w), got {tuple(images.shape)} "
            f"{images.dtype}. Give images of the data, prepared as the model wants them."
        )
    return ordinary_tensor(images).float()


def _in_float32(model: nn.Module) -> nn.Module:
    """The model itself, or a copy where weights are of another floating type: maps have to add up in float32."""
    tensors = [*model.parameters(), *model.buffers()]
    others = [tensor for tensor in tensors if tensor.is_floating_point() and tensor.dtype != torch.float32]
    return copy.deepcopy(model).float() if others else model
