"""Where the cells of a grid are in a layer's tensor: channels first or last, or tokens in a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

LARGEST_DISTORTION = 0.7  # |ln| of a grid's aspect ratio over the image's: a grid of few cells is rounded
MOST_PREFIX_TOKENS = 8  # class, distillation and register tokens before those of the image


@dataclass(frozen=True)
class GridForm:
    """How a layer's tensor holds F channels of height x width cells.

    order: `channels_first` (n, F, H, W), `channels_last` (n, H, W, F), `tokens` (n, prefix + H * W, F) or
    `transposed_tokens` (n, F, H * W).
    """

    order: Literal["channels_first", "channels_last", "tokens", "transposed_tokens"]
    height: int
    width: int
    prefix: int = 0  # tokens before those of the image

    def grid(self, raw: Tensor) -> Tensor:
        """(n, F, H, W), a view of the layer's tensor."""
        if self.order == "channels_first":
            return raw
        if self.order == "channels_last":
            return raw.permute(0, 3, 1, 2)
        rows = raw if self.order == "transposed_tokens" else raw[:, self.prefix :].transpose(1, 2)
        return rows.unflatten(2, (self.height, self.width))

    def raw(self, grid: Tensor, prefix: Tensor | None = None) -> Tensor:
        """A layer's tensor for a grid (n, F, h, w) of any height and width; prefix tokens (n, prefix, F) or zeros."""
        if self.order == "channels_first":
            return grid
        if self.order == "channels_last":
            return grid.permute(0, 2, 3, 1).contiguous()
        if self.order == "transposed_tokens":
            return grid.flatten(2)
        tokens = grid.flatten(2).transpose(1, 2)
        if not self.prefix:
            return tokens.contiguous()
        first = tokens.new_zeros(len(tokens), self.prefix, tokens.shape[2]) if prefix is None else prefix
        return torch.cat([first, tokens], 1)

    def prefix_of(self, raw: Tensor) -> Tensor | None:
        """The prefix tokens (n, prefix, F), None where there are none."""
        return raw[:, : self.prefix] if self.prefix else None


def possible_forms(shape: Sequence[int], image_shape: tuple[int, int]) -> list[GridForm]:
    """The ways in which a tensor of this shape can be a grid of more than one cell over images (h, w), likeliest first.

    A grid has about the images' own proportions, and of two that fit equally well the one of fewer cells is likelier.
    """
    forms: list[GridForm] = []
    if len(shape) == 4:
        forms = [GridForm("channels_first", shape[2], shape[3]), GridForm("channels_last", shape[1], shape[2])]
    elif len(shape) == 3 and min(shape[1:]) > 1:  # of one channel it would be a row of pooled features
        tokens = [
            GridForm("tokens", *sides, prefix)
            for prefix in range(min(MOST_PREFIX_TOKENS, shape[1] - 2) + 1)
            for sides in _sides(shape[1] - prefix, image_shape)
        ]
        # 17 tokens are a class token and 4x4 others rather than eight tokens and 3x3
        forms = sorted(tokens, key=lambda form: (_distortion(form, image_shape), form.prefix))[:1]
        forms += [GridForm("transposed_tokens", *sides) for sides in _sides(shape[2], image_shape)]
    likely = [form for form in forms if form.height * form.width > 1]
    likely = [form for form in likely if _distortion(form, image_shape) < LARGEST_DISTORTION]
    return sorted(likely, key=lambda form: (_distortion(form, image_shape), form.height * form.width))


def _distortion(form: GridForm, image_shape: tuple[int, int]) -> float:
    """|ln| of the grid's aspect ratio over the image's, rounded so that equal ones compare equal."""
    return round(abs(math.log(form.height * image_shape[1] / (form.width * image_shape[0]))), 3)


def _sides(count: int, image_shape: tuple[int, int]) -> list[tuple[int, int]]:
    """The height and width of `count` cells in the images' proportions, if they fill a rectangle."""
    height = max(1, round(math.sqrt(count * image_shape[0] / image_shape[1])))
    return [(height, count // height)] if count % height == 0 else []
