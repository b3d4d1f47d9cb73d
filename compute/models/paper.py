"""The paper's network: ResNet-18 encoder, class-wise decoder, global average pooling. `grid` uses its parts, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from compute.errors import BadModel
from compute.models.network import Trace
from compute.models.registry import register
from compute.models.resnet import CHANNELS, ResNetNetwork

NORMS = ("instance", "batch")
KERNELS = ("own", "shared", "bilinear")  # of a grouped layer that upsamples
KERNEL = 4  # side of the transposed convolutions that double a grid
BILINEAR = (0.25, 0.75, 0.75, 0.25)  # along one axis, stride 2
LARGEST_GRID = 64  # input cells; beyond it the (cells x 4 cells) matrix of each class costs more than it saves


class DepthwiseUpsampling(nn.Module):
    """(N, C, h, w) -> (N, C, 2h, 2w), each class alone by a 4x4 kernel: ConvTranspose2d(C, C, 4, 2, 1, groups=C).

    The weight has that layer's shape, (C, 1, 4, 4), and meaning, so that files are interchangeable. It is computed as
    one small matrix product per class: of a training step of 403 ms PyTorch's grouped layer took 59 ms, this takes 2 ms
    (100 images, bfloat16, two Zen 4 cores), equal to 1e-12 in float64.

    Args:
        classes: C.
        kernel: `own` for each class, one that is `shared` by all, weight (1, 1, 4, 4), or `bilinear`, which is the same
            and is not learned: no class can then draw a pattern with it.
    """

    def __init__(self, classes: int, kernel: str = "own") -> None:
        super().__init__()
        weight = torch.empty(classes if kernel == "own" else 1, 1, KERNEL, KERNEL)
        if kernel == "bilinear":
            row = torch.tensor(BILINEAR)
            self.register_buffer("weight", torch.outer(row, row).expand_as(weight).contiguous())
        else:
            self.weight = nn.Parameter(weight)
        self._taps: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """The upsampled maps, in x's dtype (or autocast's)."""
        count, classes, height, width = x.shape
        if height * width > LARGEST_GRID:
            weight = self.weight.expand(classes, -1, -1, -1)
            return functional.conv_transpose2d(x, weight, stride=2, padding=1, groups=classes)
        matrices = self.weight.flatten(1) @ self._taps_of(height, width).to(self.weight)
        matrices = matrices.view(-1, height * width, 4 * height * width).expand(classes, -1, -1)
        drawn = torch.bmm(x.reshape(count, classes, -1).transpose(0, 1), matrices)  # (C, N, 4hw)
        return drawn.transpose(0, 1).reshape(count, classes, 2 * height, 2 * width)

    def _taps_of(self, height: int, width: int) -> Tensor:
        """`upsampling_taps`, cached: (16, hw * 4hw)."""
        key = (height, width)
        if key not in self._taps:
            with torch.inference_mode(False):  # else tensors cached while recording could not be used in training
                self._taps[key] = upsampling_taps(height, width).flatten(1).to(self.weight.device)
        return self._taps[key]


def upsampling_taps(height: int, width: int) -> Tensor:
    """(16, h*w, 4*h*w) float32: 1 where kernel entry k takes input cell i to output cell o.

    Output 2y - 1 + ky is reached from input y by kernel row ky (stride 2, padding 1), and likewise for x.
    """
    vertical, horizontal = _taps_1d(height), _taps_1d(width)
    both = torch.einsum("kyY,lxX->klyxYX", vertical, horizontal)
    return both.reshape(KERNEL * KERNEL, height * width, 4 * height * width).contiguous()


def _taps_1d(size: int) -> Tensor:
    """(4, size, 2 * size): the same along one axis."""
    entry = torch.arange(KERNEL)[:, None, None]
    source = torch.arange(size)[None, :, None]
    target = torch.arange(2 * size)[None, None, :]
    return (target == 2 * source - 1 + entry).float()


class NormedConvolution(nn.Module):
    """Convolution, normalisation, ReLU: non-negative maps (N, C, h', w')."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The maps in x's dtype, or autocast's."""
        return self.relu(self.norm(self.conv(x)))


class ClassMaps(NormedConvolution):
    """The last layer, in float32: in bfloat16 the mean of a map would not be the logit."""

    def forward(self, x: Tensor) -> Tensor:
        """Class maps (N, C, H, W) float32, non-negative."""
        return self.relu(self.norm(self.conv(x).float()))


class EncoderDecoder(ResNetNetwork):
    """Images -> ResNet features (512, h, w) -> C encoded maps -> mixing layer -> grouped layer: the class maps.

    `encoded` is the paper's "encoded feature map", by a 1x1 convolution; `decoder` is the one layer in which classes
    exchange information; in `class_maps`, groups = C, each class draws its own map and none influences another's
    (paper, Sec. 3). A layer that upsamples is a transposed 4x4 convolution of stride 2, the others keep the grid.

    Args:
        classes: C.
        stem: of the ResNet, which sets the grid of the features; see `ResNetEncoder`.
        layers: functions that make the decoder's two layers, by `mixing_layer` and `grouped_layer`. They are called
            when their turn has come: made earlier, they would take random numbers that the encoder gets from a seed.
        encoder_norm: `instance` or `batch`, after the 1x1 convolution.
        dropout: probability of dropping a whole encoded or decoded map (Dropout2d).
        scale: initial weight of the last BatchNorm. S_k is the mean of ReLU(BatchNorm(.)), so at PyTorch's 1 every S_k
            starts near 0.4 and the softmax is flat; a larger one lets a short training begin peaked.
    """

    option_limits: ClassVar[Mapping[str, Any]] = {**ResNetNetwork.option_limits, "encoder_norm": frozenset(NORMS)}

    def __init__(
        self,
        classes: int,
        *,
        stem: str,
        layers: tuple[Callable[[], nn.Module], Callable[[], nn.Module]],
        encoder_norm: str,
        dropout: float,
        scale: float,
    ) -> None:
        super().__init__(stem)
        _check_choice("encoder_norm", encoder_norm, NORMS)
        norm = nn.InstanceNorm2d(classes, affine=True) if encoder_norm == "instance" else nn.BatchNorm2d(classes)
        self.encoded = NormedConvolution(nn.Conv2d(CHANNELS, classes, 1, bias=False), norm)
        self.decoder = NormedConvolution(layers[0](), nn.BatchNorm2d(classes))
        self.class_maps = ClassMaps(layers[1](), nn.BatchNorm2d(classes))
        self.dropout = nn.Dropout2d(dropout)
        for layer in (self.encoded, self.decoder, self.class_maps):
            for weight in layer.conv.parameters():  # a fixed kernel has none
                # a Gaussian (paper, Sec. 4.1) of He et al.'s standard deviation
                nn.init.kaiming_normal_(weight, nonlinearity="relu")
        nn.init.constant_(self.class_maps.norm.get_parameter("weight"), scale)

    @property
    def last_kernel(self) -> Tensor:
        """The grouped layer's kernels (C, 1, k, k)."""
        return self.class_maps.conv.get_parameter("weight")

    def run(self, x: Tensor, stages: dict[str, Tensor] | None) -> Trace:
        """Class maps; layers `encoder` and `decoder`, both (C, h, w); the stages."""
        features = self.encoder(x, stages)
        if features.shape[2:] == (1, 1) and isinstance(self.encoded.norm, nn.InstanceNorm2d):
            raise BadModel(
                "The encoder reduces these images to a single cell, which InstanceNorm would turn into 0. "
                "Use larger images (data.size) or model.options.encoder_norm=batch."
            )
        encoded = self.encoded(features)
        decoded = self.decoder(self.dropout(encoded))
        maps = self.class_maps(self.dropout(decoded))
        return Trace(maps, {"encoder": encoded, "decoder": decoded}, stages or {})


def mixing_layer(classes: int, *, upsample: bool) -> nn.Module:
    """The layer in which all classes exchange information: a transposed convolution that doubles the grid, or 3x3."""
    if upsample:  # ungrouped: as a dense matrix it gained nothing (11.5 against 12.4 ms)
        return nn.ConvTranspose2d(classes, classes, KERNEL, stride=2, padding=1, bias=False)
    return nn.Conv2d(classes, classes, 3, padding=1, bias=False)


def grouped_layer(classes: int, *, upsample: bool, kernel: str = "own") -> nn.Module:
    """The layer in which each class has its own kernel: `DepthwiseUpsampling`, which doubles the grid, or 3x3."""
    if upsample:
        return DepthwiseUpsampling(classes, kernel)
    return nn.Conv2d(classes, classes, 3, padding=1, bias=False, groups=classes)


def _check_choice(option: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise BadModel(f"There is no {option} '{value}'. Available: {', '.join(map(str, choices))}.")


@register("paper")
class PaperNetwork(EncoderDecoder):
    """Images (N, 3, 64, 64) -> features (512, 2, 2) -> encoder maps (C, 2, 2) -> decoder (C, 4, 4) -> (C, 8, 8).

    11.92 M parameters at C = 200.

    Args:
        classes: C.
        encoder_norm: `instance` as in the author's code (the paper's setting here) or `batch` as the text says.
        dropout: probability of dropping a whole encoder or decoder map (Dropout2d); the paper's is 0.3.
        scale: initial weight of the last BatchNorm; the paper's is 1.
        grouped: how many of the decoder's last layers are grouped: 1 as the text says, 2 as the paper's Fig. 1 says,
            0 lets classes influence each other's maps (for ablations: docs/ablations.md).
        kernel: of each grouped layer, see `DepthwiseUpsampling`; the paper's is `own`.
    """

    option_limits: ClassVar[Mapping[str, Any]] = {
        **EncoderDecoder.option_limits,
        "grouped": (0, 2),
        "kernel": frozenset(KERNELS),
    }

    def __init__(
        self,
        classes: int,
        *,
        encoder_norm: str = "instance",
        dropout: float = 0.3,
        scale: float = 1.0,
        grouped: int = 1,
        kernel: str = "own",
    ) -> None:
        _check_choice("grouped", grouped, (0, 1, 2))
        _check_choice("kernel", kernel, KERNELS)
        if not grouped and kernel != "own":
            raise BadModel(f"kernel '{kernel}' is of grouped layers, and grouped is 0. Leave out one of the two.")

        def layer(*, alone: bool) -> Callable[[], nn.Module]:
            if alone:
                return partial(grouped_layer, classes, upsample=True, kernel=kernel)
            return partial(mixing_layer, classes, upsample=True)

        super().__init__(
            classes,
            stem="imagenet",
            encoder_norm=encoder_norm,
            dropout=dropout,
            scale=scale,
            layers=(layer(alone=grouped == 2), layer(alone=grouped >= 1)),
        )
