"""Class maps on a true grid: the ResNet keeps its resolution, so a cell of a map is a place in the picture."""

from __future__ import annotations

from torch import Tensor, nn

from compute.models.head import ClassMaps, EncodedMaps, MixingLayer, initialise
from compute.models.network import ClassMapNetwork, Trace
from compute.models.registry import register
from compute.models.resnet import CHANNELS, ResNetEncoder


@register("grid")
class GridNetwork(ClassMapNetwork):
    """Pictures (N, 3, 64, 64) -> features (512, 8, 8) -> encoder, decoder and class maps, all (C, 8, 8).

    The head has the paper's three steps (to C maps, mixing, grouped), but its kernels are 3x3 and keep the grid,
    since there is nothing left to upsample. With stem `stride2` (features 4x4, a quarter of the arithmetic)
    the grouped step doubles the grid as in the paper, and the maps are 8x8 again.

    Args:
        classes: C.
        stem: `stride1` (3x3, no max-pool) or `stride2` (7x7 stride 2, no max-pool).
        encoder_norm, dropout, scale: as in the `paper` network.
    """

    def __init__(
        self,
        classes: int,
        *,
        stem: str = "stride1",
        encoder_norm: str = "batch",
        dropout: float = 0.1,
        scale: float = 6.0,
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(stem)
        self.own_weights = ("fc.weight", "fc.bias") + (("conv1.weight",) if stem == "stride1" else ())
        self.encoded = EncodedMaps(CHANNELS, classes, encoder_norm)
        self.decoder = MixingLayer(classes, upsample=False)
        self.class_maps = ClassMaps(classes, upsample=stem == "stride2", scale=scale)
        self.dropout = nn.Dropout2d(dropout)
        for part in (self.encoded, self.decoder, self.class_maps):
            initialise(part)

    def trace(self, x: Tensor) -> Trace:
        """Maps (N, C, 8, 8) for 64x64 pictures; layers `encoder` and `decoder`; five stages."""
        stages: dict[str, Tensor] = {}
        features = self.encoder(x, None if self.training else stages)
        encoded = self.encoded(features)
        decoded = self.decoder(self.dropout(encoded))
        maps = self.class_maps(self.dropout(decoded))
        return Trace(maps, {"encoder": encoded, "decoder": decoded}, stages)
