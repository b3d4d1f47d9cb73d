"""The paper's network: ResNet-18 encoder, class-wise decoder, global average pooling. 11.92 M parameters at C = 200."""

from __future__ import annotations

from compute.models.encoder_decoder import EncoderDecoder
from compute.models.registry import register


@register("paper")
class PaperNetwork(EncoderDecoder):
    """Images (N, 3, 64, 64) -> features (512, 2, 2) -> encoder maps (C, 2, 2) -> decoder (C, 4, 4) -> (C, 8, 8).

    Args:
        classes: C.
        encoder_norm: `instance` as in the author's code (the paper's setting here) or `batch` as the text says.
        dropout: probability of dropping a whole encoder or decoder map (Dropout2d); the paper's is 0.3.
        scale: initial weight of the last BatchNorm; the paper's is 1.
    """

    def __init__(
        self, classes: int, *, encoder_norm: str = "instance", dropout: float = 0.3, scale: float = 1.0
    ) -> None:
        super().__init__(
            classes,
            stem="imagenet",
            upsample=(True, True),
            encoder_norm=encoder_norm,
            dropout=dropout,
            scale=scale,
        )
