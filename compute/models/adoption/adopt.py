"""`adopt`: any classifier with a grid of cells before its head as a network with one map per class, after a proof."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from compute.errors import BadModel
from compute.models.adoption.affine import AffineMaps
from compute.models.adoption.grid import GridForm, possible_forms
from compute.models.adoption.network import AdoptedNetwork, Evidence, MapMethod, SingleCell
from compute.models.adoption.search import decides, deciding_grids
from compute.models.adoption.split import (
    FAILURES,
    Split,
    evaluation_mode,
    exact_float32,
    logits_of,
    ordinary_tensor,
    refuse_probabilities,
)

TOLERANCE = 1e-5  # of mean(map) against the logit, relative to the image's largest logit
PROBES = 2  # images with which layers are looked for; the proof itself uses all of them
MOST_LAYERS = 12  # that decide the logits and are tried, last first, before an approximation is accepted
BATCH = 16


def adopt(model: nn.Module, images: Tensor, layer: str | None = None, *, maps: bool = True) -> AdoptedNetwork:
    """The model as a `ClassMapNetwork`, proved on images before anything is recorded.

    The last grid of cells before the head is found by running the model, or named by `layer`. Every cell is given to
    the head as a 1x1 grid: where the mean of what it returns is the logit, these are exact class maps. Else the norm
    of the head is held at each image's values, else the head is linearised at each image's grid; `network.evidence`
    says which, and how large the error was. The model is not changed, and its weights are not copied unless they are
    of another type than float32.

    Args:
        model: returns logits (n, C), also inside a tuple, mapping or Hugging Face output.
        images: at least two (n, 3, h, w) different images of the data, as the model wants them.
        layer: a module's name as in `named_modules`, with `:in` at its end for what goes into it.
        maps: False records predictions only: every class has one cell, its logit.

    Raises:
        BadModel: no grid before the head decides the logits, the proof failed, or the model returns no logits; the
            message says what was found.
    """
    model = _unwrapped(model)
    with torch.inference_mode(False), exact_float32(images.device), evaluation_mode(model):
        images = ordinary_tensor(images)
        _check_images(images)
        with torch.no_grad():
            refuse_probabilities(logits_of(model(images[:PROBES])))
        if not maps:
            return AdoptedNetwork(model, SingleCell(model), Evidence("none", float("nan"), "", (1, 1)))
        tried: list[str] = []
        for number, (name, form) in enumerate(_layers(model, images[:PROBES], layer)):
            for kind, method in _methods(Split(model, name), form):
                evidence = _proof(kind, method, images, name, tried)
                if evidence:
                    return AdoptedNetwork(model, method, evidence)
            if number + 1 == MOST_LAYERS:
                break
    found = "; ".join(tried) or "no layer with a grid of cells decides the logits"
    raise BadModel(
        f"{type(model).__name__} has no class maps: {found}. Name another layer (layer='NAME', or 'NAME:in' for what "
        "goes into it), or record its predictions alone (maps=False)."
    )


def _layers(model: nn.Module, x: Tensor, layer: str | None) -> Iterator[tuple[str, GridForm]]:
    if layer is None:
        yield from deciding_grids(model, x)
        return
    split = Split(model, layer)
    shapes: list[tuple[int, ...]] = []
    with torch.no_grad():
        split.run(x, lambda raw: shapes.append(tuple(raw.shape)))
    forms = possible_forms(shapes[0], (x.shape[2], x.shape[3]))
    if not forms:
        raise BadModel(
            f"The layer '{layer}' gives a tensor of shape {shapes[0]} for {len(x)} images, which is no grid of cells. "
            "A grid is (images, channels, height, width), (images, height, width, channels) or (images, cells, "
            "channels)."
        )
    deciding = [form for form in forms if decides(split, form, x)]
    if not deciding:
        raise BadModel(f"The logits do not depend on the images through the grid of '{layer}' alone. Name another.")
    yield from ((layer, form) for form in deciding)


def _methods(split: Split, form: GridForm) -> Iterator[tuple[str, MapMethod]]:
    """The ways to make maps at a layer, the most exact first."""
    yield "exact", AffineMaps(split, form)
    yield "exact", AffineMaps(split, form, relu=True)
    yield "frozen_norm", AffineMaps(split, form, norm=True)


def _proof(kind: str, method: MapMethod, images: Tensor, layer: str, tried: list[str]) -> Evidence | None:
    """The evidence if the means of the maps are the logits; else None, and a line about what was found."""
    error, shape = 0.0, (0, 0)
    try:
        for batch in images.split(BATCH):
            with torch.no_grad():
                maps, logits = method.maps(batch)
                shape = (maps.shape[2], maps.shape[3])
                error = max(error, relative_error(maps.mean((-1, -2)), logits))
    except FAILURES as err:
        tried.append(f"'{layer}' as {kind}: {(str(err).splitlines() or [''])[0].rstrip('.')}")
        return None
    if not error <= TOLERANCE:
        tried.append(f"'{layer}' as {kind}: mean(map) differs from the logit by {error:.2g} of the largest logit")
        return None
    return Evidence(kind, error, layer, shape, kind != "linearised", len(images))


def relative_error(means: Tensor, logits: Tensor) -> float:
    """Largest |mean - logit| (n, C) relative to each image's largest |logit|; infinite where a value is not finite."""
    scale = logits.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    error = float(((means - logits).abs() / scale).max())
    return error if error == error else float("inf")


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or len(images) < 2 or not images.is_floating_point():
        raise BadModel(
            f"The proof needs at least two images as a float tensor (n, 3, h, w), got {tuple(images.shape)} "
            f"{images.dtype}. Give images of the data, prepared as the model wants them."
        )


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model inside DistributedDataParallel or torch.compile, which hide its layers."""
    for name in ("_orig_mod", "module", "_orig_mod"):
        inner = getattr(model, name, None)
        if isinstance(inner, nn.Module) and type(model).__name__ in WRAPPERS:
            model = inner
    return model


WRAPPERS = ("DistributedDataParallel", "DataParallel", "OptimizedModule")
