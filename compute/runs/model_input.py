"""What images must be like for a network that was trained elsewhere: size, crop, interpolation, mean and deviation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compute.config.settings import TINY_IMAGENET_MEAN, TINY_IMAGENET_SD
from compute.errors import BadOption
from compute.models.library import HUGGING_FACE, ModelSpec, library_builder

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
TRANSFORMS = ("torchvision", "timm", "hf")
_PIL_RESAMPLING = {2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class ModelInput:
    """How an image file becomes a network's input; see `compute.data.decode.Preparation` and `data.mean`."""

    size: tuple[int, int] = (224, 224)
    resize: int = 256
    crop: bool = True
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    sd: tuple[float, ...] = IMAGENET_SD

    def as_settings(self) -> dict[str, Any]:
        """As settings of the section `data`."""
        return {
            "size": list(self.size),
            "resize": self.resize if self.crop else 0,
            "crop": self.crop,
            "interpolation": self.interpolation,
            "mean": list(self.mean),
            "sd": list(self.sd),
        }


def model_input(spec: ModelSpec, transform: str = "") -> ModelInput:
    """The input that a library gives for a model; by default the library that it is from.

    Args:
        spec: the model.
        transform: one of TRANSFORMS, or "" for the model's own library.

    Raises:
        BadModel: the library has no such model.
        BadOption: another transform, or one that cannot be reproduced.
    """
    if transform not in ("", *TRANSFORMS):
        raise BadOption(f"There is no transform '{transform}'. --transform is {', '.join(TRANSFORMS)}.")
    library = transform or spec.library
    own = spec.library == library
    if library == "torchvision":
        return _of_torchvision(spec.inner) if own else ModelInput()
    if library == "timm":
        # For a network that timm does not have: what it gives for the weights that torchvision published.
        return _of_timm(spec.inner if own else "resnet50.tv_in1k", spec.options)
    if library == HUGGING_FACE:
        return _of_hugging_face(Path(spec.inner))
    if ":" not in spec.name:  # one of this project's own
        return ModelInput((64, 64), 0, True, "bicubic", TINY_IMAGENET_MEAN, TINY_IMAGENET_SD)
    return ModelInput()


def _of_torchvision(name: str) -> ModelInput:
    library_builder("torchvision", name, 2)  # refuses unknown names
    from torchvision.models import get_model_weights

    preset: Any = get_model_weights(name)["DEFAULT"].transforms()  # as published with the weights; no download
    return ModelInput(
        size=(preset.crop_size[0], preset.crop_size[0]),
        resize=preset.resize_size[0],
        interpolation=_known(preset.interpolation.value),
        mean=tuple(preset.mean),
        sd=tuple(preset.std),
    )


def _of_timm(name: str, options: Mapping[str, Any]) -> ModelInput:
    library_builder("timm", name, 2)
    import timm
    from timm.data import resolve_data_config

    published = timm.get_pretrained_cfg(name)
    config = resolve_data_config(pretrained_cfg=published.to_dict() if published else {})
    height, width = config["input_size"][1:]
    if isinstance(options.get("img_size"), int):
        height = width = options["img_size"]
    if config.get("crop_mode") == "border":
        raise BadOption(
            f"timm prepares images for '{name}' with a border, which is not reproduced here. "
            "Say how yours were prepared: --resize, --crop, --mean, --sd."
        )
    return ModelInput(
        size=(height, width),
        resize=int(min(height, width) / config["crop_pct"]),
        crop=config.get("crop_mode") != "squash",
        interpolation=_known(config["interpolation"]),
        mean=tuple(config["mean"]),
        sd=tuple(config["std"]),
    )


def _of_hugging_face(folder: Path) -> ModelInput:
    """What preprocessor_config.json says; without one, torchvision's usual input.

    Raises:
        BadOption: it is no such file.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return ModelInput()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        size, crop = _pair(found.get("size", 224)), _pair(found.get("crop_size"))
        usual = ModelInput(
            interpolation=_known(_PIL_RESAMPLING.get(found.get("resample", 2), "")),
            mean=tuple(found.get("image_mean", IMAGENET_MEAN)),
            sd=tuple(found.get("image_std", IMAGENET_SD)),
        )
        if isinstance(size, int) and found.get("crop_pct"):  # ConvNeXt: the crop has the size, after a larger resize
            return replace(usual, size=(size, size), resize=int(size / found["crop_pct"]))
        if isinstance(size, int):
            return replace(usual, size=crop if isinstance(crop, tuple) else (size, size), resize=size)
        if isinstance(crop, tuple) and crop != size and found.get("do_center_crop"):
            return replace(usual, size=crop, resize=min(size))
        return replace(usual, size=size, crop=False)
    except (ValueError, TypeError, AttributeError, KeyError, ZeroDivisionError) as err:
        raise BadOption(
            f"'{path}' does not say how images are prepared: {err}. Say it with --resize, --crop, --mean, --sd."
        ) from err


def _pair(size: Any) -> Any:
    """Hugging Face's ways to write a size: a number, a shortest edge, or height and width."""
    if isinstance(size, Mapping):
        return int(size["shortest_edge"]) if "shortest_edge" in size else (int(size["height"]), int(size["width"]))
    return size


def _known(interpolation: str) -> str:
    if interpolation not in ("bilinear", "bicubic"):
        return "bicubic"  # lanczos and timm's "random" are nearest to it
    return interpolation
