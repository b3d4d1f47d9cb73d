"""Class maps of a head that is affine in the average of the grid, or would be if its norm's statistics were constants.

Given one cell as a grid of its own, such a head gives that cell's share of every logit. So one matrix, asked of the
head, is the head, and the maps of all classes are one product with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from compute.errors import BadModel
from compute.models.adoption.grid import GridForm
from compute.models.adoption.split import FAILURES, Split, at_least_float32, exact_float32, ordinary_tensor

ROWS = 1024  # cells or classes given to the head at once
MOST_WEIGHTS = 1 << 26  # of a head with weights of its own for every cell: 268 MB
NORMS: dict[Callable[..., Tensor], tuple[str, ...]] = {  # parameters after the input, in the function's order
    functional.layer_norm: ("shape", "weight", "bias", "eps"),
    torch.layer_norm: ("shape", "weight", "bias", "eps"),
    functional.rms_norm: ("shape", "weight", "eps"),
    torch.rms_norm: ("shape", "weight", "eps"),
}


class WeightVersions:
    """Notices that a model's weights have changed since it was last asked, as far as PyTorch counts changes."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._last: list[tuple[int, int]] = []

    def changed(self) -> bool:
        """Whether a weight was replaced or written to since the last call, or none was asked for before."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        now = [(tensor.data_ptr(), tensor._version) for tensor in tensors if not tensor.is_inference()]
        changed, self._last = now != self._last, now
        return changed


class NormStatistics(TorchFunctionMode):
    """Notes the mean and the reciprocal deviation of the first norm after the layer, or puts constants in their place.

    `arm` is called when the layer has been reached: the norms before it are none of the head's.
    """

    def __init__(self, constants: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self.armed = False
        self.constants = constants  # mean and reciprocal deviation, one for all rows or one each
        self.found: list[tuple[Tensor, Tensor]] = []  # of each norm, one value per image

    def arm(self) -> None:
        """The norms that follow are the head's."""
        self.armed = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by PyTorch in place of every function while the mode is active."""
        kwargs = kwargs or {}
        if not self.armed or func not in NORMS:
            return func(*args, **kwargs)
        x = args[0]
        given = {**dict(zip(NORMS[func], args[1:], strict=False)), **kwargs}
        centred = "bias" in NORMS[func]
        if self.constants is None:
            axes = tuple(range(1, x.ndim))
            mean = x.mean(axes) if centred else x.new_zeros(len(x))
            spread = (at_least_float32(x) - mean.view(-1, *(1 for _ in axes))).square().mean(axes)
            eps = given.get("eps") or (1e-5 if centred else torch.finfo(x.dtype).eps)
            if x[0].numel() == x.shape[-1]:  # else one image has several statistics, one of each of its cells
                self.found.append((mean, (spread + eps).rsqrt()))
            return func(*args, **kwargs)
        mean, scale = (each.view(-1, *(1 for _ in range(x.ndim - 1))) for each in self.constants)
        normed = (x - mean) * scale
        weight, bias = given.get("weight"), given.get("bias")
        normed = normed if weight is None else normed * weight
        return normed if bias is None else normed + bias


@dataclass(frozen=True)
class AffineHead:
    """Maps (n, C, H, W) = r * (weight g + offset - m * tilt) + bias, m and r being the norm's statistics of the image.

    Without a norm r is 1 and m is 0. `weight` is (C, F), the others (C,).
    """

    weight: Tensor
    bias: Tensor
    offset: Tensor
    tilt: Tensor

    def product(self, grid: Tensor) -> Tensor:
        """weight g for a grid (n, F, H, W): the part that needs the grid."""
        classes, channels = self.weight.shape
        if classes == channels and torch.equal(self.weight, torch.eye(classes, device=self.weight.device)):
            return grid.clone()  # the network has class maps already, and goes on working on them
        return functional.conv2d(grid, self.weight[:, :, None, None])

    def complete(self, product: Tensor, statistics: tuple[Tensor, Tensor] | None) -> Tensor:
        """The maps, from the product and the statistics (mean, reciprocal deviation) of each image, both (n,)."""
        if statistics is None:
            return product + (self.offset + self.bias)[:, None, None]
        mean, scale = (at_least_float32(each)[:, None] for each in statistics)
        shift = scale * (self.offset - mean * self.tilt) + self.bias  # (n, C)
        return product * scale[:, :, None, None] + shift[:, :, None, None]


class AffineMaps:
    """Class maps through an affine head, which is asked for its matrix again when the weights have changed.

    Args:
        relu: whether the head is affine only from the ReLU on with which it begins (DenseNet).
        norm: whether its one norm has to be held at the values of each image.
    """

    def __init__(self, split: Split, form: GridForm, *, relu: bool = False, norm: bool = False) -> None:
        self.split, self.form, self.relu, self.norm = split, form, relu, norm
        self._head: AffineHead | None = None
        self._sizes: tuple[int, int] | None = None  # classes and channels
        self._weights = WeightVersions(split.model)

    def forget(self) -> None:
        """The weights may have changed in a way that PyTorch does not count, such as through `.data`."""
        self._head = None

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class maps (n, C, H, W) and the model's own logits (n, C) of images x, both float32."""
        head = self.head(x)
        product = torch.empty(0)
        statistics = NormStatistics()

        def visit(raw: Tensor) -> None:
            nonlocal product
            statistics.armed = self.norm
            with exact_float32(raw.device):
                product = head.product(self.grid(raw))  # at once: what follows may change the layer's tensor in place

        if not self.norm:
            logits = self.split.run(x, visit)
            return head.complete(product, None), logits
        with statistics:
            logits = self.split.run(x, visit)
        return head.complete(product, one_norm(statistics, self.split.layer)), logits

    def grid(self, raw: Tensor) -> Tensor:
        """The grid (n, F, H, W) float32 that the head is affine in."""
        grid = at_least_float32(self.form.grid(raw))
        return grid.relu() if self.relu else grid

    def head(self, x: Tensor) -> AffineHead:
        """The head's matrix for the weights as they are; x (n, 3, h, w) are any images."""
        if self._weights.changed() or self._head is None:
            self._head = self._ask(x[:1])
        return self._head

    def of_cells(self, cells: Tensor, x: Tensor, constants: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The logits (m, C) that the head gives for cells (m, F), each as a 1x1 grid of its own."""
        return torch.cat([self._head_of(part, x, constants) for part in cells.split(ROWS)])

    def _head_of(self, cells: Tensor, x: Tensor, constants: tuple[Tensor, Tensor] | None) -> Tensor:
        """The same for few cells; the constants of the norm are one for all cells or one each."""
        with NormStatistics(constants) as norms:
            return self.split.head(self._alone(cells), x, reached=norms.arm if constants else None)

    def _alone(self, cells: Tensor) -> Tensor:
        return self.form.raw(cells[:, :, None, None])

    def cell_error(self, x: Tensor) -> float:
        """Largest difference between a map's cell and what the head gives for that cell alone, as a 1x1 grid.

        Relative to the largest cell. The norm, where there is one, is held at the values of the cell's image.
        """
        maps, _ = self.maps(x)
        found: list[Tensor] = []
        statistics = NormStatistics()

        def visit(raw: Tensor) -> None:
            statistics.armed = self.norm
            found.append(self.grid(raw).flatten(2).mT.clone())

        with statistics:
            self.split.run(x, visit)
        constants: list[tuple[Tensor, Tensor] | None] = [None] * len(x)
        if self.norm:
            constants = list(zip(*one_norm(statistics, self.split.layer), strict=True))
        alone = [self.of_cells(cells, x, fixed) for cells, fixed in zip(found[0], constants, strict=True)]
        return _largest_difference(torch.stack(alone).mT.view_as(maps), maps)

    def averages(self, raw: Tensor, logits: Tensor, x: Tensor, tolerance: float) -> bool:
        """Whether the head makes of the mean cell what it makes of the whole grid: a cheap test before the proof."""
        try:
            alone = self.of_cells(self.grid(raw).mean((-1, -2)), x)
        except FAILURES:
            return False
        return bool((alone - logits).abs().max() <= 10 * tolerance * logits.abs().max())

    def _ask(self, x: Tensor) -> AffineHead:
        """The matrix and what belongs to it, in one pass of one image: an epoch of few images would notice three."""
        with torch.inference_mode(False), exact_float32(x.device):
            x = ordinary_tensor(x)
            self._sizes = self._sizes or _sizes(self.split, self.form, x)
            classes, channels = self._sizes
            # of the norm in each of the last rows, a cell of zeros: mean and reciprocal deviation
            values = x.new_tensor([(0, 0), (0, 1), (1, 1)] if self.norm else [(0, 0)])

            def answers(part: Tensor) -> tuple[Tensor, Tensor]:
                rows = torch.cat([x.new_ones(len(part), channels), x.new_zeros(len(values), channels)])
                mean, scale = torch.cat([x.new_tensor([(0, 1)]).expand(len(part), 2), values]).unbind(1)
                norms = (mean, scale) if self.norm else None
                return _gradients(lambda cells: self._head_of(cells, x, norms), rows, part, self.split.layer)

            found = [answers(part) for part in torch.arange(classes).split(ROWS)]
            weight, rest = torch.cat([rows for rows, _ in found]), found[0][1]
            zero = torch.zeros_like(rest[0])
            offset, tilt = (rest[1] - rest[0], rest[1] - rest[2]) if self.norm else (zero, zero)
            return AffineHead(weight, rest[0], offset, tilt)


class PlacedMaps:
    """Class maps of a head that is affine with weights of its own for every cell, such as a flattened linear layer."""

    def __init__(self, split: Split, form: GridForm, *, relu: bool = False) -> None:
        self.split, self.form, self.relu = split, form, relu
        self._head: tuple[Tensor, Tensor] | None = None
        self._weights = WeightVersions(split.model)

    def forget(self) -> None:
        """The weights may have changed in a way that PyTorch does not count, such as through `.data`."""
        self._head = None

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class maps (n, C, H, W) and the model's own logits (n, C) of images x, both float32."""
        if self._weights.changed() or self._head is None:
            self._head = self._ask(x[:1])
        weight, bias = self._head
        maps = torch.empty(0)

        def visit(raw: Tensor) -> None:
            nonlocal maps
            grid = at_least_float32(self.form.grid(raw))
            with exact_float32(raw.device):
                maps = torch.einsum("nfyx,cfyx->ncyx", grid.relu() if self.relu else grid, weight)

        logits = self.split.run(x, visit)
        return maps * (weight.shape[2] * weight.shape[3]) + bias[:, None, None], logits

    def cell_error(self, x: Tensor) -> float:
        """The same as in `AffineMaps`, of cells at their places in a grid that is 0 elsewhere."""
        maps, _ = self.maps(x)
        found: list[Tensor] = []
        self.split.run(x, lambda raw: found.append(at_least_float32(self.form.grid(raw)).clone()))
        cells = maps.shape[2] * maps.shape[3]
        alone = torch.eye(cells, device=x.device).view(cells, 1, *maps.shape[2:])
        shares = torch.stack([self.split.head(self.form.raw(alone * grid), x) for grid in found[0]])  # (n, cells, C)
        bias = self.split.head(self.form.raw(torch.zeros_like(found[0][:1])), x)
        return _largest_difference(((shares - bias) * cells + bias).mT.reshape_as(maps), maps)

    def _ask(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode(False), exact_float32(x.device):
            x = ordinary_tensor(x)
            classes, channels = _sizes(self.split, self.form, x)
            shape = (channels, self.form.height, self.form.width)
            if classes * math.prod(shape) > MOST_WEIGHTS:
                raise BadModel(f"weights of their own for {shape} in {classes} classes are too many")

            def head(values: Tensor) -> Tensor:
                return self.split.head(self.form.raw(values), x)

            ones, zeros = x.new_ones(1, *shape), x.new_zeros(1, *shape)
            found = [
                _gradients(head, torch.cat([ones.expand(len(part), *shape), zeros]), part, self.split.layer)
                for part in torch.arange(classes).split(ROWS)
            ]
            return torch.cat([rows for rows, _ in found]), found[0][1][0]


def _largest_difference(found: Tensor, maps: Tensor) -> float:
    return float((found - maps).abs().max() / maps.abs().max().clamp_min(torch.finfo(torch.float32).tiny))


def _sizes(split: Split, form: GridForm, x: Tensor) -> tuple[int, int]:
    """The numbers of classes and of channels."""
    found: list[int] = []
    with torch.no_grad():
        logits = split.run(x, lambda raw: found.append(form.grid(raw).shape[1]))
    return logits.shape[1], found[0]


def _gradients(head: Callable[[Tensor], Tensor], values: Tensor, classes: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """The gradient of each class's logit: each of the first K rows is differentiated for a class of its own.

    These rows must be equal and positive: at 0 a ReLU with which the head begins has no gradient.

    Returns:
        The gradients (K, ...), and the logits (m, C) of the m rows after the first K.
    """
    count = len(classes)
    detached = f"the layers after '{layer}' give no gradient: they are quantised, or detach what they get"
    with torch.enable_grad():
        logits = head(values.requires_grad_())
        if not logits.requires_grad:
            raise BadModel(detached)
        own = logits[torch.arange(count), classes]
        (gradient,) = torch.autograd.grad(own.sum(), values, allow_unused=True)
    if gradient is None:
        raise BadModel(detached)
    return gradient[:count], logits[count:].detach()


def one_norm(statistics: NormStatistics, layer: str) -> tuple[Tensor, Tensor]:
    """The statistics (mean, reciprocal deviation) of the head's norm; raises BadModel unless it has exactly one."""
    if len(statistics.found) != 1:
        raise BadModel(f"The layers after '{layer}' have {len(statistics.found)} norms over whole images, not one.")
    return statistics.found[0]
