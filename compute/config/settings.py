"""Every setting of a run, in sections, each with what it may be. A profile is one value for each; nothing else decides.

`python -m compute --help` prints this table. The resolved settings go into run.h5, and a run resumes only under them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TINY_IMAGENET_MEAN = (0.4802, 0.4481, 0.3975)
TINY_IMAGENET_SD = (0.2302, 0.2265, 0.2262)
MAX_SEED = 2**32 - 1  # Mixed with epoch and rank it still fits into 64 bits.
PAPER_VARIANTS = ("clean", "gray", "blur3", "blur5", "bgr", "brg", "salt_pepper_0.0005", "salt_pepper_0.005")


def setting(default: Any, text: str, **limits: Any) -> Any:
    """A dataclass field that carries its explanation and limits: minimum, maximum, above, choices."""
    return field(default=default, metadata={"text": text, **limits})


@dataclass(frozen=True)
class DataSettings:
    """Which images."""

    source: str = setting("phantom", "phantom, tiny-imagenet, a folder or an archive")
    size: int = setting(64, "side of the square images in pixels", minimum=16, maximum=1024)
    train_per_class: int = setting(0, "training images of each class; 0 = all (phantom: its default)", minimum=0)
    validation_per_class: int = setting(0, "likewise for the validation images", minimum=0)
    classes: int = setting(0, "use only so many of the classes, always the same ones; 0 = all", minimum=0)
    seed: int = setting(0, "of the generated images and of the random variants", minimum=0, maximum=MAX_SEED)
    mean: tuple[float, ...] = setting(TINY_IMAGENET_MEAN, "subtracted per channel, of images in 0..1")
    sd: tuple[float, ...] = setting(TINY_IMAGENET_SD, "divided by per channel", above=0)


@dataclass(frozen=True)
class ModelSettings:
    """Which network."""

    name: str = setting("paper", "a registered network, or package.module:Name of your own")
    options: dict[str, Any] = field(
        default_factory=dict, metadata={"text": "the network's own options, e.g. model.options.dropout=0.1"}
    )


@dataclass(frozen=True)
class WeightsSettings:
    """What the encoder starts from."""

    source: str = setting("none", "imagenet (torchvision's), none, or the path of a state dict")
    calibrate: str = setting("auto", "set BatchNorm from training images", choices=("auto", "always", "never"))
    calibration_images: int = setting(500, "how many of them", minimum=2)


@dataclass(frozen=True)
class TrainingSettings:
    """How the network is trained."""

    epochs: int = setting(7, "passes over the training images", minimum=1)
    batch: int = setting(100, "images a step, over all processes", minimum=2)
    optimizer: str = setting("adamw", "", choices=("sgd", "adamw"))
    learning_rate: float = setting(2e-3, "the peak", above=0)
    final_learning_rate: float = setting(0.0, "where the schedule ends", minimum=0)
    momentum: float = setting(0.9, "of sgd; the first beta of adamw", minimum=0, maximum=0.999)
    weight_decay: float = setting(1e-2, "on convolutions and linear layers, and see decay_all", minimum=0)
    decay_all: bool = setting(False, "decay BatchNorm's parameters and biases too, as plain PyTorch does")
    schedule: str = setting("onecycle", "", choices=("constant", "cosine", "onecycle"))
    warmup: float = setting(0.3, "share of the steps in which onecycle rises", minimum=0, maximum=0.9)
    label_smoothing: float = setting(0.0, "share of the target spread over all classes", minimum=0, maximum=0.9)
    averaging: float = setting(0.0, "decay of the moving average of the weights; 0 = off", minimum=0, maximum=0.99999)
    precision: str = setting("bfloat16", "of the convolutions", choices=("bfloat16", "float32"))
    compile: bool = setting(False, "torch.compile the training step; on a CPU that is slower")
    seed: int = setting(0, "of weights, order, augmentation and dropout", minimum=0, maximum=MAX_SEED)


@dataclass(frozen=True)
class AugmentationSettings:
    """How training images are varied, in batches on the device."""

    rotation: float = setting(20.0, "up to so many degrees either way", minimum=0, maximum=180)
    flip: float = setting(0.5, "probability of a mirror image", minimum=0, maximum=1)
    shift: float = setting(0.0, "up to this share of the side, each way", minimum=0, maximum=1)
    zoom: float = setting(0.0, "scale between 1 - zoom and 1 + zoom", minimum=0, maximum=0.9)
    brightness: float = setting(0.0, "factor between 1 - brightness and 1 + brightness", minimum=0, maximum=0.9)
    erase: float = setting(0.0, "side of a square set to the mean, as a share of the image's", minimum=0, maximum=0.9)
    interpolation: str = setting("bilinear", "", choices=("nearest", "bilinear"))
    border: str = setting("reflection", "what lies outside the image", choices=("zeros", "border", "reflection"))


@dataclass(frozen=True)
class RecordingSettings:
    """What is written of every epoch."""

    variants: tuple[str, ...] = setting(PAPER_VARIANTS, "the perturbations, clean first")
    batch: int = setting(250, "images a forward pass", minimum=1)
    layers: bool = setting(True, "record the layers and stages before the class maps (clean variant)")
    codec: str = setting("zstd", "", choices=("zstd", "gzip"))
    checkpoints: str = setting("all", "of which epochs weights are kept", choices=("all", "last"))


@dataclass(frozen=True)
class Profile:
    """The resolved settings of one run."""

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    recording: RecordingSettings = field(default_factory=RecordingSettings)
