"""What the paper's network and the true-grid one share: encoder, the three steps of the head, dropout between them."""

from __future__ import annotations

from torch import Tensor, nn

from compute.models.head import ClassMaps, EncodedMaps, MixingLayer, initialise
from compute.models.network import ClassMapNetwork, Trace
from compute.models.resnet import CHANNELS, ResNetEncoder


class EncoderDecoder(ClassMapNetwork):
    """Images -> ResNet features (512, h, w) -> C encoded maps -> mixing layer -> grouped layer: the class maps.

    Args:
        classes: C.
        stem: of the ResNet, which sets the grid of the features; see `ResNetEncoder`.
        upsample: whether the mixing layer and the grouped layer double the grid.
        encoder_norm: `instance` or `batch`, after the 1x1 convolution.
        dropout: probability of dropping a whole encoded or decoded map (Dropout2d).
        scale: initial weight of the last BatchNorm.
    """

    def __init__(
        self,
        classes: int,
        *,
        stem: str,
        upsample: tuple[bool, bool],
        encoder_norm: str,
        dropout: float,
        scale: float,
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(stem)
        self.own_weights = ("fc.weight", "fc.bias") + (("conv1.weight",) if stem == "stride1" else ())
        self.encoded = EncodedMaps(CHANNELS, classes, encoder_norm)
        self.decoder = MixingLayer(classes, upsample=upsample[0])
        self.class_maps = ClassMaps(classes, upsample=upsample[1], scale=scale)
        self.dropout = nn.Dropout2d(dropout)
        for part in (self.encoded, self.decoder, self.class_maps):
            initialise(part)

    def trace(self, x: Tensor) -> Trace:
        """Class maps; layers `encoder` and `decoder`, both (C, h, w); five stages."""
        return self._run(x, {})

    def forward(self, x: Tensor) -> Tensor:
        """Class maps alone: the stages, a fifth of the time, are left out."""
        return self._run(x, None).maps

    def _run(self, x: Tensor, stages: dict[str, Tensor] | None) -> Trace:
        features = self.encoder(x, stages)
        encoded = self.encoded(features)
        decoded = self.decoder(self.dropout(encoded))
        maps = self.class_maps(self.dropout(decoded))
        return Trace(maps, {"encoder": encoded, "decoder": decoded}, stages or {})
