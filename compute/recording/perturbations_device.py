"""The torch twin of `compute.recording.perturbations`: the same integer arithmetic on any device, equal to numpy's bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from compute.recording import perturbation_plans as plans
from compute.recording.perturbations import batch_of, find_variant
from compute.runs.device import to_device

IMAGES_AT_ONCE = 1024  # Bounds the 32-bit intermediates, four to eight times as large as the images.


def perturb_on_device(name: str, pixels: Tensor, *, images: Sequence[int], seed: int, **strength: float) -> Tensor:
    """The perturbed images on the device that holds `images`: a new tensor uint8 (N,h,w,3).

    Args:
        name: a name from `compute.recording.perturbations.VARIANTS`.
        images: uint8 (N,h,w,3) on any device.
        images: the N absolute image numbers.
        seed: the run's seed.

    Raises:
        ValueError: an unknown variant, images of another shape or type, or a strength outside its range.
    """
    variant = find_variant(name)
    if pixels.dtype != torch.uint8:
        raise ValueError(f"Images must be uint8, got {pixels.dtype}. Convert them to 0..255 first.")
    plan = variant.plan(batch_of(pixels.shape, images, seed), **strength)
    if pixels.device.type == "cpu":  # Same integers, and numpy does not stall when other processes share the cores.
        return torch.from_numpy(plan.apply(pixels.numpy()))
    return apply_plan(plan, pixels)


def apply_plan(plan: plans.Plan, images: Tensor) -> Tensor:
    """What `plan.apply` returns, computed by torch on the device of `images`: uint8 (N,h,w,3)."""
    if isinstance(plan, plans.Noise):
        return _noise(plan, images)
    apply = _APPLY[type(plan)]
    parts = [apply(plan, part) for part in images.split(IMAGES_AT_ONCE)] if len(images) else [images]
    return torch.cat(parts)


def _reorder(plan: plans.Reorder, images: Tensor) -> Tensor:
    return torch.stack([images[..., channel] for channel in plan.channels], dim=-1)


def _gray(plan: plans.Gray, images: Tensor) -> Tensor:
    red, green, blue = (images[..., c].to(torch.int32) * plans.LUMA[c] for c in range(3))
    luma = _round_shift(red + green + blue, plans.LUMA_BITS).to(torch.uint8)
    return luma[..., None].expand(images.shape).contiguous()


def _blur(plan: plans.Blur, images: Tensor) -> Tensor:
    rows = _round_shift(_blur_pass(plan, images.to(torch.int32), axis=1), plans.TAP_BITS - plans.BETWEEN_BITS)
    return _round_shift(_blur_pass(plan, rows, axis=2), plans.TAP_BITS + plans.BETWEEN_BITS).to(torch.uint8)


def _blur_pass(plan: plans.Blur, values: Tensor, axis: int) -> Tensor:
    reach, length = len(plan.taps) - 1, values.shape[axis]
    padded = values.index_select(axis, _reflected(length, reach, values.device))
    total = plan.taps[0] * values
    for distance in range(1, reach + 1):
        before = padded.narrow(axis, reach - distance, length)
        after = padded.narrow(axis, reach + distance, length)
        total.add_(before + after, alpha=plan.taps[distance])
    return total


def _noise(plan: plans.Noise, images: Tensor) -> Tensor:
    flat = images.flatten(1).clone()
    positions = to_device(torch.from_numpy(plan.positions), images.device)
    flat.scatter_(1, positions[:, 0::2], 0)
    flat.scatter_(1, positions[:, 1::2], 255)
    return flat.reshape(images.shape)


def _resample(plan: plans.Resample, images: Tensor) -> Tensor:
    flat = images.flatten(1, 2)
    pixels = to_device(torch.from_numpy(plan.pixels), images.device)
    weights = to_device(torch.from_numpy(plan.weights.astype(np.int32)), images.device)
    total = torch.zeros(flat.shape, dtype=torch.int32, device=images.device)
    for k in range(4):
        total += flat.index_select(1, pixels[:, k]).to(torch.int32) * weights[:, k, None]
    return _round_shift(total, plans.WEIGHT_BITS).to(torch.uint8).reshape(images.shape)


def _round_shift(values: Tensor, bits: int) -> Tensor:
    return (values + (1 << bits - 1)) >> bits


@lru_cache(maxsize=32)
def _reflected(length: int, reach: int, device: torch.device) -> Tensor:
    return torch.from_numpy(plans.reflected(length, reach)).to(device)


_APPLY: dict[type, Callable[..., Tensor]] = {
    plans.Reorder: _reorder,
    plans.Gray: _gray,
    plans.Blur: _blur,
    plans.Resample: _resample,
}
