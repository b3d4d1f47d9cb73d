"""From encoder features to class maps: the paper's decoder, and the same grouped idea on a true grid."""

from __future__ import annotations

from torch import Tensor, nn

from compute.errors import BadModel
from compute.models.upsampling import DepthwiseUpsampling

NORMS = ("instance", "batch")


class EncodedMaps(nn.Module):
    """1x1 convolution to C maps, normalised: the paper's "encoded feature map" (N, C, h, w), before the ReLU."""

    def __init__(self, channels: int, classes: int, norm: str) -> None:
        super().__init__()
        if norm not in NORMS:
            raise BadModel(f"There is no encoder_norm '{norm}'. Known: {', '.join(NORMS)}.")
        self.conv = nn.Conv2d(channels, classes, 1, bias=False)
        self.norm = nn.InstanceNorm2d(classes, affine=True) if norm == "instance" else nn.BatchNorm2d(classes)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Non-negative maps (N, C, h, w)."""
        if x.shape[2] * x.shape[3] == 1 and isinstance(self.norm, nn.InstanceNorm2d):
            raise BadModel(
                "The encoder leaves a single cell of these images, which InstanceNorm would turn into 0. "
                "Use larger images (data.size) or model.options.encoder_norm=batch."
            )
        return self.relu(self.norm(self.conv(x)))


class MixingLayer(nn.Module):
    """The one layer where classes may speak to each other: convolution, BatchNorm, ReLU.

    Upsampling it is the paper's transposed 4x4 stride-2 convolution, otherwise a 3x3 one that keeps the grid.
    """

    def __init__(self, classes: int, *, upsample: bool) -> None:
        super().__init__()
        self.conv: nn.Module
        if upsample:
            self.conv = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
        else:
            self.conv = nn.Conv2d(classes, classes, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(classes)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Non-negative maps (N, C, h', w')."""
        return self.relu(self.norm(self.conv(x)))


class ClassMaps(nn.Module):
    """The last layer, groups = C: each class draws its own map, no class leaks into another (paper, Sec. 3).

    Args:
        scale: initial weight of the BatchNorm; the paper's is PyTorch's 1. S_k is the mean of ReLU(BatchNorm(.)), so
            at 1 every S_k starts near 0.4 and the softmax is flat; a larger one lets a short training begin peaked.
    """

    def __init__(self, classes: int, *, upsample: bool, scale: float) -> None:
        super().__init__()
        self.conv: nn.Module
        if upsample:
            self.conv = DepthwiseUpsampling(classes)
        else:
            self.conv = nn.Conv2d(classes, classes, 3, padding=1, bias=False, groups=classes)
        self.norm = nn.BatchNorm2d(classes)
        self.relu = nn.ReLU()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Class maps (N, C, H, W) float32, non-negative: in bfloat16 the mean of a map would not be the logit."""
        return self.relu(self.norm(self.conv(x).float()))


def initialise(head: nn.Module) -> None:
    """Draw every new convolution from a Gaussian (paper, Sec. 4.1; He et al.'s standard deviation), in place."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | DepthwiseUpsampling):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, ClassMaps):
            nn.init.constant_(module.norm.weight, module.scale)
