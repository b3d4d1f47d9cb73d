"""Recognises torchvision's usual transforms, so that another image can be prepared alike without the user's code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from compute.data.decode import Preparation
from compute.errors import BadOption

_MODULE = "torchvision.transforms."
_VALUES_ONLY = ("ToTensor", "PILToTensor", "ToImage", "ConvertImageDtype", "ToDtype", "Normalize")


def standard_preparation(transform: Any) -> Preparation | None:
    """The preparation that a transform is: Resize and CenterCrop of a PIL image, or a preset of torchvision's weights.

    None for everything else: what follows the crop may change values, not places, and nothing may come before.
    """
    crop: tuple[int, int] | None = None
    steps = list(_steps(transform))
    kinds = [_kind(step) for step in steps]
    try:
        if kinds == ["ImageClassification"]:
            sizes, crop, step = steps[0].resize_size, _pair(steps[0].crop_size), steps[0]
        else:
            if kinds[:1] != ["Resize"] or getattr(steps[0], "max_size", None):
                return None
            step, sizes = steps[0], steps[0].size
            if kinds[1:2] == ["CenterCrop"]:
                crop = _pair(steps[1].size)
            if not set(kinds[2 if crop else 1 :]) <= set(_VALUES_ONLY):
                return None
        resize, mode = np.atleast_1d(sizes).tolist(), step.interpolation
        interpolation = getattr(mode, "value", mode)  # an enumeration, in v2 its text
        if len(resize) == 1 and crop:
            return Preparation(crop, resize[0], interpolation=interpolation)
        if len(resize) == 2 and crop in (None, tuple(resize)):
            return Preparation(tuple(resize), crop=False, interpolation=interpolation)
    except (AttributeError, TypeError, ValueError, BadOption):  # of another version, or beyond what can be prepared
        return None
    return None


def _steps(transform: Any) -> Iterator[Any]:
    """The steps of a Compose, and of those inside it."""
    if _kind(transform) != "Compose":
        yield transform
        return
    for step in transform.transforms:
        yield from _steps(step)


def _kind(step: Any) -> str:
    """The name of a class of torchvision's; "" for all others, also for classes derived from one."""
    kind = type(step)
    return kind.__name__ if f"{kind.__module__}.".startswith(_MODULE) else ""


def _pair(size: Any) -> tuple[int, int]:
    height, width = np.broadcast_to(size, 2).tolist()
    return height, width
