"""Class maps of any head: its tangent at each image's grid, the gradient times the activation of every cell.

What the tangent leaves over, which is its value at a grid of zeros, is spread evenly, so that the mean of a map is the
logit. Norms divide by a deviation that counts as constant (Ali et al. 2022, Sec. 3.2): else what goes into a norm,
which ignores its length, would get exactly 0. Only the head is differentiated. Two ways lead to the same numbers:
backwards, a pass for each class, or forwards, a pass for each cell.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from compute.errors import BadModel
from compute.models.adoption.affine import NORMS
from compute.models.adoption.grid import GridForm
from compute.models.adoption.split import FAILURES, Split, ordinary_tensor

MOST_BYTES = 1 << 28  # of tangents or gradients at once; a transformer's head takes several times as much
SAME = 1e-3  # relative difference up to which both ways agree: a norm of few values loses digits


class HeldDeviations(TorchFunctionMode):
    """Layer norms after the layer (once `armed`) whose deviation is a constant for derivatives; their mean is not."""

    armed = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by PyTorch in place of every function while the mode is active."""
        kwargs = kwargs or {}
        if not self.armed or func not in NORMS:
            return func(*args, **kwargs)
        x, given = args[0], {**dict(zip(NORMS[func], args[1:], strict=False)), **kwargs}
        axes = tuple(range(-len(given["shape"]), 0))
        centred = x - x.mean(axes, keepdim=True) if "bias" in NORMS[func] else x
        eps = given.get("eps") or (1e-5 if "bias" in NORMS[func] else torch.finfo(x.dtype).eps)
        normed = centred * (centred.detach().square().mean(axes, keepdim=True) + eps).rsqrt()
        weight, bias = given.get("weight"), given.get("bias")
        normed = normed if weight is None else normed * weight
        return normed if bias is None else normed + bias


class TangentMaps:
    """Class maps by the tangent of the head (gradient times activation; LayerCAM without its ReLUs, summed exactly)."""

    def __init__(self, split: Split, form: GridForm) -> None:
        self.split, self.form = split, form
        self._forward_works: bool | None = None  # not known before the first images

    def forget(self) -> None:
        """Nothing is computed from the weights alone."""

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class maps (n, C, H, W) and logits (n, C) of images x, both float32."""
        with torch.inference_mode(False), _differentiable():
            x = ordinary_tensor(x)
            raw, logits = self._differentiable_pass(x)
            return self._all(x, raw, logits), logits.detach()

    def strongest(self, x: Tensor, count: int, also: Tensor) -> Tensor:
        """Class maps (n, C, H, W) of images x, of which those of the `count` highest logits and of the classes `also`
        (n, j) are right, and the mean map and the logits of all: each costs a backward pass. The classes that are left
        share what the mean map leaves over.
        """
        with torch.inference_mode(False), _differentiable():
            x = ordinary_tensor(x)
            raw, logits = self._differentiable_pass(x)
            values, total = logits.detach(), logits.shape[1]
            # a forward pass with its tangent costs about what two backward passes do
            if count + also.shape[1] + 1 >= min(total, 2 * self._cells):
                return self._all(x, raw, logits)
            (gradient,) = torch.autograd.grad(logits.mean(1).sum(), raw, retain_graph=True)
            mean = self._complete(self._share(gradient, raw.detach())[:, None], values.mean(1, keepdim=True))
            chosen = torch.cat([values.topk(count).indices, also], 1)
            found = self._complete(self._backwards(raw, logits, chosen), values.gather(1, chosen))
        maps = values[:, :, None, None].expand(-1, -1, *found.shape[2:]).clone()
        maps.scatter_(1, chosen[:, :, None, None].expand_as(found), found)
        left = torch.ones_like(values).scatter_(1, chosen, 0)[:, :, None, None]
        return maps + left * (mean - maps.mean(1, keepdim=True)) * total / left.sum(1, keepdim=True)

    def _all(self, x: Tensor, raw: Tensor, logits: Tensor) -> Tensor:
        """The maps of all classes, in the direction that costs less."""
        if 2 * self._cells < logits.shape[1] and self._may_go_forward(x, raw, logits):
            return self._complete(self._forwards(x, raw.detach()), logits.detach())
        return self._complete(self._backwards(raw, logits), logits.detach())

    def _complete(self, shares: Tensor, logits: Tensor) -> Tensor:
        """Maps (n, K, H, W) of the cells' shares: what these leave of the logits (n, K) is spread evenly."""
        return shares * self._cells + (logits - shares.sum((-1, -2)))[:, :, None, None]

    def _differentiable_pass(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The layer's tensor as a leaf, and the logits with the head's graph on it; the backbone has none."""
        leaves: list[Tensor] = []

        held = HeldDeviations()

        def visit(raw: Tensor) -> Tensor:
            leaves.append(raw.detach().clone().requires_grad_())
            held.armed = True
            torch.set_grad_enabled(True)
            return leaves[0].clone()  # heads that work in place may not do so on a leaf

        with torch.no_grad(), held:
            logits = self.split.run(x, visit)
        if not logits.requires_grad:
            raise BadModel(f"the layers after '{self.split.layer}' give no gradient: they detach what they get")
        return leaves[0], logits

    @property
    def _cells(self) -> int:
        return self.form.height * self.form.width

    def _share(self, gradient: Tensor, raw: Tensor) -> Tensor:
        """Gradient times activation, summed over the channels: (n, F, H, W) twice -> (n, H, W)."""
        return (self.form.grid(gradient) * self.form.grid(raw)).sum(1)

    def _backwards(self, raw: Tensor, logits: Tensor, classes: Tensor | None = None) -> Tensor:
        """(n, K, H, W): every cell's share of the logits of the classes (n, K), or of all; a backward pass for each."""
        wanted = (logits if classes is None else logits.gather(1, classes)).unbind(1)
        shares = []
        for number, each in enumerate(wanted, 1):
            (gradient,) = torch.autograd.grad(each.sum(), raw, retain_graph=number < len(wanted))
            shares.append(self._share(gradient, raw.detach()))
        return torch.stack(shares, 1)

    def _forwards(self, x: Tensor, raw: Tensor) -> Tensor:
        """(n, C, H, W): the same, a forward pass through the head for each cell, with the cell alone as tangent."""
        cells = self._cells
        chunk = max(1, MOST_BYTES // (cells * raw[0].nbytes))
        shares = []
        for part in raw.split(chunk):
            grid = self.form.grid(part)
            alone = torch.eye(cells, device=raw.device).view(cells, 1, self.form.height, self.form.width)
            tangents = (grid[:, None] * alone).flatten(0, 1)  # (n * cells, F, H, W), all but one cell 0
            rows = part.repeat_interleave(cells, 0)
            with forward_ad.dual_level(), torch.no_grad(), HeldDeviations() as held:
                held.armed = True  # for the layers before the grid as well, which makes no difference there
                dual = forward_ad.make_dual(rows, self.form.raw(tangents).to(rows.dtype))
                tangent = forward_ad.unpack_dual(self.split.head(dual, x)).tangent
            if tangent is None:
                raise BadModel("the head lost the tangent")
            shares.append(tangent.view(len(part), *alone.shape[2:], -1).permute(0, 3, 1, 2))
        return torch.cat(shares)

    def _may_go_forward(self, x: Tensor, raw: Tensor, logits: Tensor) -> bool:
        """Whether the head can be differentiated forwards, with the same result: tried once, on one image."""
        if self._forward_works is None:
            chosen = logits[:1].argmax(1, keepdim=True)
            (gradient,) = torch.autograd.grad(logits[0, chosen[0, 0]], raw, retain_graph=True)
            expected = self._share(gradient[:1], raw[:1].detach())
            try:
                found = self._forwards(x, raw[:1].detach())[:, chosen[0, 0]]
                self._forward_works = bool((found - expected).abs().max() <= SAME * expected.abs().max())
            except FAILURES:  # some operations have no forward derivative, some heads take no other batch size
                self._forward_works = False
        return self._forward_works


@contextlib.contextmanager
def _differentiable() -> Iterator[None]:
    """Attention by operations that have derivatives in both directions."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
