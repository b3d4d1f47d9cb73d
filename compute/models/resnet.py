"""ResNet-18 up to layer4, after torchvision (He et al. 2015), as the encoder of every network here."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from compute.errors import BadModel
from compute.models.network import energy
from compute.models.small_grid import shorten

CHANNELS = 512
STEMS = ("imagenet", "stride2", "stride1")


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
            raise BadModel(f"There is no stem '{stem}'. Known: {', '.join(STEMS)}.")
        trunk = ResNet(BasicBlock, [2, 2, 2, 2], num_classes=1)
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False) if stem == "stride1" else trunk.conv1
        if stem == "stride1":
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1 = trunk.bn1
        self.relu = nn.ReLU()  # a module of its own, so that compute.explain can change its gradient
        self.maxpool = trunk.maxpool if stem == "imagenet" else nn.Identity()
        self.layer1, self.layer2 = trunk.layer1, trunk.layer2
        self.layer3, self.layer4 = trunk.layer3, trunk.layer4
        shorten(self.layer4)

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
