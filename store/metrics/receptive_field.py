"""Which part of the image a cell of a layer sees: its receptive field (paper, Sec. 3.2, Eq. 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")  # of a ResNet
STEMS = ("imagenet", "stride2", "stride1")  # 7x7 stride 2 with and without max-pooling, 3x3 stride 1


class Convolution(NamedTuple):
    """A convolution or pooling along one axis; `transposed` where it enlarges the grid."""

    kernel: int
    stride: int
    padding: int
    transposed: bool = False


DOUBLING = Convolution(4, 2, 1, transposed=True)  # the decoder's layers
KEEPING = Convolution(3, 1, 1)


def field(layers: Sequence[Convolution], first: int, last: int) -> tuple[int, int]:
    """First and last pixel along one axis that the cells `first` to `last` of the last layer see; may lie outside.

    Equation:
        cell s of a convolution sees s stride - padding to s stride - padding + kernel - 1 (Eq. 7); of a transposed one
        it sees the cells i with i stride - padding <= s <= i stride - padding + kernel - 1
    """
    for layer in reversed(layers):
        low, high = first, last
        if layer.transposed:
            first = -((layer.kernel - 1 - layer.padding - low) // layer.stride)
            last = (high + layer.padding) // layer.stride
        else:
            first = low * layer.stride - layer.padding
            last = high * layer.stride - layer.padding + layer.kernel - 1
    return first, last


def resnet18(stem: str) -> Mapping[str, tuple[Convolution, ...]]:
    """The layers of a ResNet-18 up to each of `STAGES`, without the shortcuts, which see less.

    Raises:
        ValueError: there is no such stem.
    """
    if stem not in STEMS:
        raise ValueError(f"There is no stem {stem!r}: there are {', '.join(STEMS)}.")
    found: dict[str, tuple[Convolution, ...]] = {"stem": (KEEPING if stem == "stride1" else Convolution(7, 2, 3),)}
    layers = found["stem"] + ((Convolution(3, 2, 1),) if stem == "imagenet" else ())
    for stage in STAGES[1:]:
        layers += (Convolution(3, 1 if stage == "layer1" else 2, 1), KEEPING, KEEPING, KEEPING)
        found[stage] = layers
    return found
