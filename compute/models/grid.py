"""Class maps on a true grid: the ResNet keeps its resolution, so a cell of a map is a place in the image."""

from __future__ import annotations

from functools import partial

from compute.models.paper import EncoderDecoder, grouped_layer, mixing_layer
from compute.models.registry import register


@register("grid")
class GridNetwork(EncoderDecoder):
    """Images (N, 3, 64, 64) -> features (512, 8, 8) -> encoder, decoder and class maps, all (C, 8, 8).

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
        layers = (
            partial(mixing_layer, classes, upsample=False),
            partial(grouped_layer, classes, upsample=stem == "stride2"),
        )
        super().__init__(classes, stem=stem, layers=layers, encoder_norm=encoder_norm, dropout=dropout, scale=scale)
