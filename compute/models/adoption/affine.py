"""Class maps of a head that is affine in the average of the grid, or would be if its norm's statistics were constants.

Given one cell as a grid of its own, such a head gives that cell's share of every logit. So one matrix, asked of the
head, is the head, and the maps of all classes are one product with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from compute.errors import BadModel
from compute.models.adoption.grid import GridForm
from compute.models.adoption.split import Split, exact_float32, ordinary_tensor

ROWS = 1024  # cells or classes given to the head at once
NORMS: dict[Callable[..., Tensor], tuple[str, ...]] = {  # parameters after the input, in the function's order
    functional.layer_norm: ("shape", "weight", "bias", "eps"),
    torch.layer_norm: ("shape", "weight", "bias", "eps"),
    functional.rms_norm: ("shape", "weight", "eps"),
    torch.rms_norm: ("shape", "weight", "eps"),
}


class NormStatistics(TorchFunctionMode):
    """Notes the mean and the reciprocal deviation of the first norm after the layer, or puts constants in their place.

    `armed` is set when the layer has been reached: the norms before it are none of the head's.
    """

    def __init__(self, constants: tuple[Tensor | float, Tensor | float] | None = None) -> None:
        super().__init__()
        self.armed = constants is not None
        self.constants = constants
        self.found: list[tuple[Tensor, Tensor]] = []  # of each norm, one value per image

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
            spread = (x.float() - mean.view(-1, *(1 for _ in axes))).square().mean(axes)
            eps = given.get("eps") or (1e-5 if centred else torch.finfo(x.dtype).eps)
            if x[0].numel() == x.shape[-1]:  # else one image has several statistics, one of each of its cells
                self.found.append((mean, (spread + eps).rsqrt()))
            return func(*args, **kwargs)
        normed = (x - self.constants[0]) * self.constants[1]
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
        mean, scale = (each.float()[:, None] for each in statistics)
        shift = scale * (self.offset - mean * self.tilt) + self.bias  # (n, C)
        return product * scale[:, :, None, None] + shift[:, :, None, None]


class AffineMaps:
    """Class maps through an affine head, which is asked for its matrix anew when the weights have changed.

    Args:
        relu: whether the head is affine only from the ReLU on with which it begins (DenseNet).
        norm: whether its one norm has to be held at the values of each image.
    """

    def __init__(self, split: Split, form: GridForm, *, relu: bool = False, norm: bool = False) -> None:
        self.split, self.form, self.relu, self.norm = split, form, relu, norm
        self._head: AffineHead | None = None
        self._versions: tuple[int, ...] = ()

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
        grid = self.form.grid(raw).float()
        return grid.relu() if self.relu else grid

    def head(self, x: Tensor) -> AffineHead:
        """The head's matrix for the weights as they are; x (n, 3, h, w) are any images."""
        tensors = [*self.split.model.parameters(), *self.split.model.buffers()]
        versions = tuple(hash((tensor.data_ptr(), tensor._version)) for tensor in tensors if not tensor.is_inference())
        if self._head is None or versions != self._versions:
            self._head, self._versions = self._ask(x[:1]), versions
        return self._head

    def of_cells(self, cells: Tensor, x: Tensor, constants: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The logits (m, C) that the head gives for cells (m, F), each as a 1x1 grid of its own."""
        with NormStatistics(constants) if constants else NormStatistics():
            rows = [self.split.head(self._alone(part), x) for part in cells.split(ROWS)]
        return torch.cat(rows)

    def _alone(self, cells: Tensor) -> Tensor:
        return self.form.raw(cells[:, :, None, None])

    def _ask(self, x: Tensor) -> AffineHead:
        with torch.inference_mode(False), exact_float32(x.device):
            x = ordinary_tensor(x)
            channels = self._channels(x)
            weight = torch.cat([self._rows(x, channels, start) for start in range(0, self._classes, ROWS)])
            zero = x.new_zeros(1, channels)
            if not self.norm:
                with torch.no_grad():
                    bias = self.of_cells(zero, x)[0]
                return AffineHead(weight, bias, torch.zeros_like(bias), torch.zeros_like(bias))
            with torch.no_grad():
                bias, offset, tilted = (
                    self.of_cells(zero, x, (x.new_tensor(mean), x.new_tensor(scale)))[0]
                    for mean, scale in ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0))
                )
            return AffineHead(weight, bias, offset - bias, offset - tilted)

    def _channels(self, x: Tensor) -> int:
        found: list[int] = []
        with torch.no_grad():
            logits = self.split.run(x, lambda raw: found.append(self.form.grid(raw).shape[1]))
        self._classes = logits.shape[1]
        return found[0]

    def _rows(self, x: Tensor, channels: int, start: int) -> Tensor:
        """Rows of the matrix: each row of a batch of equal cells is differentiated for a class of its own."""
        # at ones, not at zeros, where a ReLU has no gradient
        with torch.enable_grad(), NormStatistics((0.0, 1.0)) if self.norm else NormStatistics():
            count = min(ROWS, self._classes - start)
            cells = x.new_ones(count, channels).requires_grad_()
            logits = self.split.head(self._alone(cells), x)
            if not logits.requires_grad:
                raise BadModel(f"The layers after '{self.split.layer}' give no gradient: they detach what they get.")
            own = logits[torch.arange(count), torch.arange(start, start + count)]
            return torch.autograd.grad(own.sum(), cells)[0]


def one_norm(statistics: NormStatistics, layer: str) -> tuple[Tensor, Tensor]:
    """The statistics (mean, reciprocal deviation) of the head's norm; raises BadModel unless it has exactly one."""
    if len(statistics.found) != 1:
        raise BadModel(f"The layers after '{layer}' have {len(statistics.found)} norms over whole images, not one.")
    return statistics.found[0]
