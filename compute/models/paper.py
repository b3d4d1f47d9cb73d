"""The paper's network: ResNet-18 encoder, class-wise decoder, global average pooling. 11.92 M parameters at C = 200."""

from __future__ import annotations

from torch import Tensor, nn

from compute.models.head import ClassMaps, EncodedMaps, MixingLayer, initialise
from compute.models.network import ClassMapNetwork, Trace
from compute.models.registry import register
from compute.models.resnet import CHANNELS, ResNetEncoder


@register("paper")
class PaperNetwork(ClassMapNetwork):
    """Pictures (N, 3, 64, 64) -> features (512, 2, 2) -> encoder maps (C, 2, 2) -> decoder (C, 4, 4) -> (C, 8, 8).

    Args:
        classes: C.
        encoder_norm: `instance` as in the author's code (the paper's setting here) or `batch` as the text says.
        dropout: probability of dropping a whole encoder or decoder map (Dropout2d); the paper's is 0.3.
        scale: initial weight of the last BatchNorm; the paper's is 1.
    """

    own_weights = ("fc.weight", "fc.bias")

    def __init__(
        self, classes: int, *, encoder_norm: str = "instance", dropout: float = 0.3, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder("imagenet")
        self.encoded = EncodedMaps(CHANNELS, classes, encoder_norm)
        self.decoder = MixingLayer(classes, upsample=True)
        self.class_maps = ClassMaps(classes, upsample=True, scale=scale)
        self.dropout = nn.Dropout2d(dropout)
        for part in (self.encoded, self.decoder, self.class_maps):
            initialise(part)

    def trace(self, x: Tensor) -> Trace:
        """Maps (N, C, 8, 8) for 64x64 pictures; layers `encoder` (C, 2, 2) and `decoder` (C, 4, 4); five stages."""
        stages: dict[str, Tensor] = {}
        features = self.encoder(x, None if self.training else stages)
        encoded = self.encoded(features)
        decoded = self.decoder(self.dropout(encoded))
        maps = self.class_maps(self.dropout(decoded))
        return Trace(maps, {"encoder": encoded, "decoder": decoded}, stages)
