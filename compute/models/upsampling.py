"""The depth-wise transposed convolution that draws the class maps, exactly, but as one small matrix per class.

PyTorch's grouped ConvTranspose2d(4, stride 2, padding 1) took 59 of 403 ms of a training step of 100 images
(bfloat16, two Zen 4 cores, PyTorch 2.15); the same linear map as a batched matrix product takes 2 ms.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 4
LARGEST_GRID = 64  # input cells; beyond it the (cells x 4 cells) matrix of each class costs more than it saves


class DepthwiseUpsampling(nn.Module):
    """(N, C, h, w) -> (N, C, 2h, 2w), each class by its own 4x4 kernel: ConvTranspose2d(C, C, 4, 2, 1, groups=C).

    The weight has that layer's shape, (C, 1, 4, 4), and meaning, so that files are interchangeable.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, 1, KERNEL, KERNEL))
        self._taps: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """The upsampled maps, in x's dtype (or autocast's)."""
        count, classes, height, width = x.shape
        if height * width > LARGEST_GRID:
            return functional.conv_transpose2d(x, self.weight, stride=2, padding=1, groups=classes)
        matrices = self.weight.flatten(1) @ self._taps_of(height, width).to(self.weight)
        matrices = matrices.view(classes, height * width, 4 * height * width)
        drawn = torch.bmm(x.reshape(count, classes, -1).transpose(0, 1), matrices)  # (C, N, 4hw)
        return drawn.transpose(0, 1).reshape(count, classes, 2 * height, 2 * width)

    def _taps_of(self, height: int, width: int) -> Tensor:
        """Which kernel entry leads from which input cell to which output cell: (16, hw * 4hw), 0 or 1, cached."""
        key = (height, width)
        if key not in self._taps:
            with torch.inference_mode(False):  # else a cache filled while recording could not serve training
                self._taps[key] = taps(height, width).flatten(1).to(self.weight.device)
        return self._taps[key]


def taps(height: int, width: int) -> Tensor:
    """(16, h*w, 4*h*w) float32: 1 where kernel entry k takes input cell i to output cell o.

    Output 2y - 1 + ky is reached from input y by kernel row ky (stride 2, padding 1), and likewise for x.
    """
    vertical, horizontal = _taps_1d(height), _taps_1d(width)
    both = torch.einsum("kyY,lxX->klyxYX", vertical, horizontal)
    return both.reshape(KERNEL * KERNEL, height * width, 4 * height * width).contiguous()


def _taps_1d(size: int) -> Tensor:
    """(4, size, 2 * size): the same along one axis."""
    entry = torch.arange(KERNEL)[:, None, None]
    source = torch.arange(size)[None, :, None]
    target = torch.arange(2 * size)[None, None, :]
    return (target == 2 * source - 1 + entry).float()
