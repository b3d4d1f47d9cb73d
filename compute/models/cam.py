"""ResNet-18 with average pooling and one linear layer: Table 1's baseline, and class activation mapping (Zhou 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from compute.models.network import Trace
from compute.models.registry import register
from compute.models.resnet import CHANNELS, ResNetNetwork


@register("cam")
class CamNetwork(ResNetNetwork):
    """Images (N, 3, 64, 64) -> features a (512, 2, 2) -> class activation maps (C, 2, 2), signed, at native size.

    Map k is sum_j w_kj a_j(y, x) + b_k (paper, Eq. 6, plus the bias on every cell): its mean over the cells is then
    exactly the logit that average pooling and the linear layer give.

    Args:
        classes: C.
        stem: `imagenet` is the ordinary ResNet-18 (2x2); `stride2` and `stride1` give 4x4 and 8x8 maps.
        dropout: probability of dropping a feature channel; an ordinary ResNet-18 has none.
    """

    signed = True

    def __init__(self, classes: int, *, stem: str = "imagenet", dropout: float = 0.0) -> None:
        super().__init__(stem)
        self.dropout = nn.Dropout2d(dropout)
        self.fc = nn.Linear(CHANNELS, classes)

    def run(self, x: Tensor, stages: dict[str, Tensor] | None) -> Trace:
        """Maps (N, C, h', w') float32; no layers; the stages."""
        features = self.dropout(self.encoder(x, stages))
        with torch.autocast(x.device.type, enabled=False):  # in bfloat16 the mean of a map would not be the logit
            maps = functional.conv2d(features.float(), self.fc.weight[:, :, None, None], self.fc.bias)
        return Trace(maps, {}, stages or {})
