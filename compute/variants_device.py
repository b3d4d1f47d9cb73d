"""The torch twin of `compute.variants`: the same integer arithmetic on any device, equal to numpy's bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from compute import variants_plans as plans
from compute.device import to_device
from compute.variants import batch_of, find_variant

PICTURES_AT_ONCE = 1024  # Bounds the 32-bit intermediates, four to eight times as large as the pictures.


def perturb_on_device(name: str, pictures: Tensor, *, images: Sequence[int], seed: int, **strength: float) -> Tensor:
    """The perturbed pictures on the device that holds `pictures`: a new tensor uint8 (N,h,w,3).

    Args:
        name: a name from `compute.variants.VARIANTS`.
        pictures: uint8 (N,h,w,3) on any device.
        images: the N absolute picture numbers.
        seed: the run's seed.

    Raises:
        ValueError: an unknown variant, pictures of another shape or type, or a strength outside its range.
    """
    variant = find_variant(name)
    if pictures.dtype != torch.uint8:
        raise ValueError(f"Pictures must be uint8, got {pictures.dtype}. Convert them to 0..255 first.")
    plan = variant.plan(batch_of(pictures.shape, images, seed), **strength)
    if pictures.device.type == "cpu":  # Same integers, and numpy does not stall when other processes share the cores.
        return torch.from_numpy(plan.apply(pictures.numpy()))
    return apply_plan(plan, pictures)


def apply_plan(plan: plans.Plan, pictures: Tensor) -> Tensor:
    """What `plan.apply` returns, computed by torch on the device of `pictures`: uint8 (N,h,w,3)."""
    if isinstance(plan, plans.Noise):
        return _noise(plan, pictures)
    apply = _APPLY[type(plan)]
    parts = [apply(plan, part) for part in pictures.split(PICTURES_AT_ONCE)] if len(pictures) else [pictures]
    return torch.cat(parts)


def _reorder(plan: plans.Reorder, pictures: Tensor) -> Tensor:
    return torch.stack([pictures[..., channel] for channel in plan.channels], dim=-1)


def _gray(plan: plans.Gray, pictures: Tensor) -> Tensor:
    red, green, blue = (pictures[..., c].to(torch.int32) * plans.LUMA[c] for c in range(3))
    luma = _round_shift(red + green + blue, plans.LUMA_BITS).to(torch.uint8)
    return luma[..., None].expand(pictures.shape).contiguous()


def _blur(plan: plans.Blur, pictures: Tensor) -> Tensor:
    rows = _round_shift(_blur_pass(plan, pictures.to(torch.int32), axis=1), plans.TAP_BITS - plans.BETWEEN_BITS)
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


def _noise(plan: plans.Noise, pictures: Tensor) -> Tensor:
    flat = pictures.flatten(1).clone()
    positions = to_device(torch.from_numpy(plan.positions), pictures.device)
    flat.scatter_(1, positions[:, 0::2], 0)
    flat.scatter_(1, positions[:, 1::2], 255)
    return flat.reshape(pictures.shape)


def _resample(plan: plans.Resample, pictures: Tensor) -> Tensor:
    flat = pictures.flatten(1, 2)
    pixels = to_device(torch.from_numpy(plan.pixels), pictures.device)
    weights = to_device(torch.from_numpy(plan.weights.astype(np.int32)), pictures.device)
    total = torch.zeros(flat.shape, dtype=torch.int32, device=pictures.device)
    for k in range(4):
        total += flat.index_select(1, pixels[:, k]).to(torch.int32) * weights[:, k, None]
    return _round_shift(total, plans.WEIGHT_BITS).to(torch.uint8).reshape(pictures.shape)


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
