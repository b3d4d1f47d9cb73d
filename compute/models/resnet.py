"""ResNet-18 up to layer4, after torchvision (He et al. 2015), as the encoder of every network here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torchvision.models.resnet import BasicBlock, ResNet

from compute.errors import BadModel
from compute.models.network import ClassMapNetwork, Trace, energy

CHANNELS = 512
STEMS = ("imagenet", "stride2", "stride1")

SIDE, CELLS, ENTRIES = 2, 4, 9  # of a 2x2 grid and a 3x3 kernel
# TAPS[o][i]: the kernel entry that leads from input cell i to output cell o, both counted row by row
TAPS = [[(i // SIDE - o // SIDE + 1) * 3 + (i % SIDE - o % SIDE + 1) for i in range(CELLS)] for o in range(CELLS)]
PAIRS = [[(o, i) for o in range(CELLS) for i in range(CELLS) if TAPS[o][i] == entry] for entry in range(ENTRIES)]


class ResNetEncoder(nn.Module):
    """Images (N, 3, h, w) -> features (N, 512, h', w') and the energy of each stage.

    Its weights carry torchvision's names (conv1, bn1, layer1 ... layer4), so any ResNet-18 file fits.

    Args:
        stem: `imagenet` = 7x7 stride 2 and max-pool (64x64 -> 2x2, the paper's); `stride2` = the same without
            the max-pool (4x4); `stride1` = 3x3 stride 1 without max-pool (8x8).
    """

    def __init__(self, stem: str = "imagenet") -> None:
        super().__init__()
        if stem not in STEMS:
            raise BadModel(f"There is no stem '{stem}'. Available: {', '.join(STEMS)}.")
        trunk = ResNet(Block, [2, 2, 2, 2], num_classes=1)  # its linear layer is dropped
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False) if stem == "stride1" else trunk.conv1
        if stem == "stride1":  # as torchvision draws the one that it replaces
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1 = trunk.bn1
        self.relu = nn.ReLU()  # a module of its own, so that compute.live.explain can change its gradient
        self.maxpool = trunk.maxpool if stem == "imagenet" else nn.Identity()
        self.layer1, self.layer2 = trunk.layer1, trunk.layer2
        self.layer3, self.layer4 = trunk.layer3, trunk.layer4

    def forward(self, x: Tensor, stages: dict[str, Tensor] | None = None) -> Tensor:
        """Features (N, 512, h', w'); puts each stage's energy (N, h, w) into `stages` where one is given."""
        x = self.relu(self.bn1(self.conv1(x)))
        if stages is not None:
            stages["stem"] = energy(x)
        x = self.maxpool(x)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(self, name)(x)
            if stages is not None:
                stages[name] = energy(x)
        return x


class ResNetNetwork(ClassMapNetwork):
    """What the networks here share: a ResNet encoder, and `run`, which a subclass implements."""

    option_limits: ClassVar[Mapping[str, Any]] = {"dropout": (0.0, 1.0), "stem": frozenset(STEMS)}

    def __init__(self, stem: str) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(stem)
        self.own_weights = ("fc.weight", "fc.bias") + (("conv1.weight",) if stem == "stride1" else ())

    def run(self, x: Tensor, stages: dict[str, Tensor] | None) -> Trace:
        """The trace of images x; five stages if a dictionary for them is given, else none."""
        raise NotImplementedError

    def trace(self, x: Tensor) -> Trace:
        """Class maps, layers and five stages."""
        return self.run(x, {})

    def forward(self, x: Tensor) -> Tensor:
        """Class maps alone: the stages take a fifth of the time and are left out."""
        return self.run(x, None).maps


class Block(BasicBlock):
    """torchvision's block, with its 3x3 convolutions over 2x2 cells as one matrix product on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, out, h', w') for x (N, in, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(convolve(self.conv1, x)))
        out = self.bn2(convolve(self.conv2, out))
        out += shortcut
        return self.relu(out)


def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """`layer(x)`, by the matrix product where that is faster; the result differs only in rounding.

    On 64x64 images ResNet-18 ends with 2x2 cells: of the 36 pairs of cell and kernel entry 20 lie in the padding, and
    most of the time goes into rearranging 2.4 million weights for a handful of cells. 100 images forward and backward,
    bfloat16, one Zen 4 core: 47 ms by PyTorch, 23 ms here; a whole training step gets 12 to 17 % shorter.
    """
    form = (layer.kernel_size, layer.stride, layer.padding, layer.in_channels)
    # Only layer4 was measured; narrower stages, which have 2x2 cells on smaller images, keep PyTorch's arithmetic.
    if x.device.type != "cpu" or x.shape[2:] != (SIDE, SIDE) or form != ((3, 3), (1, 1), (1, 1), CHANNELS):
        return layer(x)
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    return _SmallGridConvolution.apply(x, layer.weight)


class _SmallGridConvolution(torch.autograd.Function):
    """x (N, in, 2, 2) and weight (out, in, 3, 3) -> (N, out, 2, 2), channels last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        count, inputs, outputs = len(x), x.shape[1], len(weight)
        entries = weight.to(x.dtype).permute(0, 2, 3, 1).reshape(outputs, ENTRIES, inputs)
        chosen = entries.index_select(1, torch.tensor(TAPS).flatten()).view(outputs, CELLS, CELLS * inputs)
        matrix = chosen.transpose(0, 1).reshape(CELLS * outputs, CELLS * inputs)
        rows = x.permute(0, 2, 3, 1).reshape(count, CELLS * inputs)
        ctx.save_for_backward(rows, matrix)
        ctx.weight_dtype = weight.dtype
        return (rows @ matrix.t()).view(count, SIDE, SIDE, outputs).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        rows, matrix = ctx.saved_tensors
        count, outputs, inputs = len(rows), matrix.shape[0] // CELLS, matrix.shape[1] // CELLS
        upstream = gradient.permute(0, 2, 3, 1).reshape(count, CELLS * outputs).to(rows.dtype)
        to_x = (upstream @ matrix).view(count, SIDE, SIDE, inputs).permute(0, 3, 1, 2)
        pairs = (upstream.t() @ rows).view(CELLS, outputs, CELLS, inputs)
        to_weight = torch.empty(outputs, ENTRIES, inputs, dtype=ctx.weight_dtype)
        for entry, (first, *others) in enumerate(PAIRS):
            total = pairs[first[0], :, first[1]].to(ctx.weight_dtype)
            for o, i in others:
                total = total + pairs[o, :, i]
            to_weight[:, entry] = total
        return to_x, to_weight.view(outputs, 3, 3, inputs).permute(0, 3, 1, 2)
