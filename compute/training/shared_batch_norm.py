"""BatchNorm over the whole batch when several processes share it, on CPU as on GPU (PyTorch's own needs a GPU)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _TotalOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; every process's loss depends on it, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are those of all processes' images together; evaluation is unchanged."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) normalised, in x's dtype."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), count])
        sums = _TotalOverProcesses.apply(sums)
        total = sums[-1].detach()
        mean, square = (sums[:-1] / total).view(2, -1)
        variance = (square - mean.square()).clamp_min(0)
        self._remember(mean.detach(), variance.detach() * total / (total - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return (values * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running statistics, as nn.BatchNorm2d does."""
        momentum = self.momentum if self.momentum is not None else 0.1
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance, momentum)
            self.num_batches_tracked.add_(1)


def share_batch_norms(network: nn.Module) -> int:
    """How many BatchNorms of the network were made to share their statistics, in place; their weights stay."""
    norms = [module for module in network.modules() if type(module) is nn.BatchNorm2d]
    for norm in norms:
        norm.__class__ = SharedBatchNorm  # the same parameters, buffers and names: checkpoints fit either way
    return len(norms)
