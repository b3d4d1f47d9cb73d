"""`adopt`: any classifier with a grid of cells before its head as a network with one map per class, after a proof."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from compute.errors import BadModel
from compute.models.adoption.affine import AffineMaps, PlacedMaps
from compute.models.adoption.grid import GridForm, possible_forms
from compute.models.adoption.network import AdoptedNetwork, Evidence, MapMethod, SingleCell
from compute.models.adoption.search import deciding_forms, deciding_grids, repeated_layers
from compute.models.adoption.split import (
    FAILURES,
    Split,
    exact_float32,
    logits_of,
    ordinary_tensor,
    output_on,
    refuse_other_outputs,
)
from compute.models.adoption.tangent import TangentMaps
from compute.models.network import evaluation_mode, unwrapped

TOLERANCE = 1e-5  # of mean(map) against the logit, relative to the image's largest logit
LEAST_SPREAD = 1e-4  # of the logits between images, relative to the largest: below it the proof is made in float64
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
    if isinstance(source, torch.jit.ScriptModule) and maps:
        raise BadModel(
            "A scripted or traced model does not show its layers. Give the module that it was made of, or record its "
            "predictions alone (maps=False)."
        )
    body = _in_float32(source)
    with torch.inference_mode(False), exact_float32(images.device), evaluation_mode(body):
        images = _checked(images)
        with torch.no_grad():
            logits = torch.cat([logits_of(output_on(body, batch)).float() for batch in images.split(BATCH)])
        refuse_other_outputs(logits, body, images[:1])
        if not maps:
            evidence = Evidence("none", float("nan"), "", (1, 1))
            return AdoptedNetwork(body, SingleCell(body), evidence, source=source)
        proved, x, tolerance = _resolving(body, images, logits)
        probes = x[_most_different(logits)]
        tried: list[str] = []
        for name, forms in _layers(proved, probes, layer):
            for kind, method_of in _methods(Split(proved, name), forms, probes, tolerance):
                found = _proof(kind, method_of(Split(proved, name)), x, tried, tolerance)
                method = method_of(Split(body, name))
                if found:
                    if proved is not body:
                        with torch.no_grad():
                            found = replace(found, error=_mean_error(method, images)[0])
                    return AdoptedNetwork(body, method, found, source=source)
        raise BadModel(
            f"{type(source).__name__} has no class maps: {_problem(tried, body, images, logits)} Name another layer "
            "(layer='NAME', or 'NAME:in' for what goes into it), or record its predictions alone (maps=False)."
        )


def _problem(tried: Sequence[str], model: nn.Module, x: Tensor, logits: Tensor) -> str:
    """What was found, of the layer nearest to the head; `tried` has a line for each layer and way, last layer first.

    Args:
        x: images of the proof, with their logits (n, C).
    """
    if tried:
        lines = list(dict.fromkeys(tried))
        return f"{'; '.join(lines[:3])}{f' ({len(lines) - 3} more were tried)' if lines[3:] else ''}."
    if _spread(logits) < LEAST_SPREAD:
        return f"its logits hardly differ between the {len(logits)} images."
    with torch.no_grad():
        if not torch.equal(logits_of(model(x)), logits_of(model(x))):
            return "it gives the same images other logits at each pass, also in evaluation mode."
    repeated = repeated_layers(model, x)
    others = f"; '{repeated[0]}' does not count, because it is run several times for one batch" if repeated else ""
    return f"no layer with a grid of cells decides the logits{others}."


def _most_different(logits: Tensor) -> list[int]:
    """The first image and that whose logits (n, C) differ most from its own: with them the layer is looked for."""
    return [0, max(1, int((logits - logits[0]).abs().amax(1).argmax()))]


def _spread(logits: Tensor) -> float:
    """The largest difference of a logit (n, C) between two images, relative to the largest logit."""
    return float((logits - logits[0]).abs().max() / logits.abs().max().clamp_min(torch.finfo(torch.float32).tiny))


def _resolving(body: nn.Module, images: Tensor, logits: Tensor) -> tuple[nn.Module, Tensor, float]:
    """The model and images to prove with, and the tolerance.

    A deep network before its first step gives nearly the same logits for all images. float32 hides what they depend
    on, and any head's maps would pass a proof relative to the largest logit: float64 shows it, relative to the spread.
    """
    if _spread(logits) < LEAST_SPREAD:
        with torch.no_grad(), contextlib.suppress(*FAILURES):  # it may insist on float32
            wide, x = copy.deepcopy(body).double(), images.double()
            spread = _spread(torch.cat([logits_of(wide(batch)) for batch in x.split(BATCH)]))
            if spread * TOLERANCE > torch.finfo(torch.float64).eps:
                return wide, x, spread * TOLERANCE
    return body, images, TOLERANCE


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
    split: Split, forms: list[GridForm], x: Tensor, tolerance: float
) -> Iterator[tuple[str, Callable[[Split], AffineMaps | PlacedMaps | TangentMaps]]]:
    """The ways to make maps at a layer that come into question, the most exact first, each with what makes it."""
    found: list[Tensor] = []
    with torch.no_grad():
        logits = split.run(x, lambda raw: found.append(raw.clone()))
        methods = [AffineMaps(split, form, relu=relu) for form in forms for relu in (False, True)]
        averaging = [method for method in methods if method.averages(found[0], logits, x, tolerance)]
    for norm in (False, True):
        for method in averaging:
            yield "frozen_norm" if norm else "exact", partial(AffineMaps, form=method.form, relu=method.relu, norm=norm)
    if not averaging:
        for relu in (False, True):
            yield "exact", partial(PlacedMaps, form=forms[0], relu=relu)
    yield "linearised", partial(TangentMaps, form=forms[0])


def _proof(
    kind: str,
    method: AffineMaps | PlacedMaps | TangentMaps,
    images: Tensor,
    tried: list[str],
    tolerance: float = TOLERANCE,
) -> Evidence | None:
    """The evidence if the means of the maps are the logits; else None, and a line about what was found."""
    layer = method.split.layer
    # A tangent adds up by its making: two images show that it can be computed.
    images = images[:PROBES] if kind == "linearised" else images
    try:
        with torch.no_grad():
            error, maps, logits = _mean_error(method, images)
            cells = 0.0 if isinstance(method, TangentMaps) else method.cell_error(images[:PROBES])
    except FAILURES as err:
        tried.append(f"'{layer}' as {kind}: {(str(err).splitlines() or [''])[0].rstrip('.')}")
        return None
    if not error <= tolerance:
        tried.append(f"'{layer}' as {kind}: mean(map) differs from the logit by {error:.2g} of the largest logit")
        return None
    if float(maps.std((-1, -2)).max()) <= tolerance * float(logits.abs().max()) and kind == "linearised":
        tried.append(f"'{layer}' as {kind}: the maps are flat, the tangent does not see the grid")
        return None
    if not cells <= tolerance:
        tried.append(f"'{layer}' as {kind}: cells given to the head alone differ by {cells:.2g} of the largest cell")
        return None
    return Evidence(kind, error, layer, (maps.shape[2], maps.shape[3]), kind == "exact", len(images))


def _mean_error(method: MapMethod, images: Tensor) -> tuple[float, Tensor, Tensor]:
    """The largest relative error of mean(map) against the logit; and maps and logits of the last batch."""
    error = 0.0
    for batch in images.split(BATCH):
        maps, logits = method.maps(batch)
        error = max(error, relative_error(maps.mean((-1, -2)), logits))
    return error, maps, logits


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
