"""Every setting of a run, in sections, with its limits. A profile is a value for each of them.

`python -m compute train --help` prints them. They are stored in run.h5, and a run resumes only with the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TINY_IMAGENET_MEAN = (0.4802, 0.4481, 0.3975)
TINY_IMAGENET_SD = (0.2302, 0.2265, 0.2262)
MAX_SEED = 2**32 - 1  # combined with epoch and process it still fits into 64 bits
PAPER_VARIANTS = ("clean", "gray", "blur3", "blur5", "bgr", "brg", "salt_pepper_0.0005", "salt_pepper_0.005")


def setting(default: Any, text: str, **limits: Any) -> Any:
    """A dataclass field with its explanation and limits: minimum, maximum, above, choices."""
    return field(default=default, metadata={"text": text, **limits})


@dataclass(frozen=True)
class DataSettings:
    """Which images."""

    source: str = setting("phantom", "phantom, tiny-imagenet, torchvision:NAME, hf:FOLDER, a folder or an archive")
    size: int | tuple[int, ...] = setting(
        64, "side of the square images in pixels, or [height, width]", minimum=16, maximum=1024
    )
    crop: bool = setting(True, "cut out the centre of an image; false squeezes the whole image into data.size")
    resize: int = setting(
        0, "shorter side before the centre is cut out, e.g. 256 with data.size=224; 0 = just large enough", minimum=0
    )
    interpolation: str = setting("bicubic", "how images are resized", choices=("bicubic", "bilinear"))
    white_level: int = setting(
        0, "level of 16-bit gray files that is white; 0 = 65535, or less where all files show it", minimum=0
    )
    skip_unreadable: bool = setting(False, "leave out images that can't be read; otherwise they are listed")
    validation_share: float = setting(
        0.2, "share of each class that is set apart where the source has no validation images", above=0, maximum=0.9
    )
    class_order: str = setting(
        "natural", "order of the classes 2 and 10: natural, or text as in torchvision", choices=("natural", "text")
    )
    train_per_class: int = setting(0, "training images of each class; 0 = all (phantom: its default)", minimum=0)
    validation_per_class: int = setting(0, "validation images of each class; 0 = all (phantom: its default)", minimum=0)
    classes: int = setting(0, "use only this many of the classes, always the same ones; 0 = all", minimum=0)
    seed: int = setting(0, "seed of the generated images and of the random variants", minimum=0, maximum=MAX_SEED)
    noise: float = setting(
        0.0,
        "share of the training images that get a wrong label on purpose, to test how they are found",
        minimum=0,
        maximum=0.9,
    )
    threshold_class: bool = setting(
        False, "put some training images into a class of their own, whose AUM is the threshold for wrong labels"
    )
    mean: tuple[float, ...] = setting(TINY_IMAGENET_MEAN, "mean of each channel, subtracted from images in 0..1")
    sd: tuple[float, ...] = setting(TINY_IMAGENET_SD, "standard deviation of each channel, a divisor", above=0)


@dataclass(frozen=True)
class ModelSettings:
    """Which network."""

    name: str = setting("paper", "a registered network, or package.module:Name of your own")
    options: dict[str, Any] = field(
        default_factory=dict, metadata={"text": "the network's own options, e.g. model.options.dropout=0.1"}
    )


@dataclass(frozen=True)
class WeightsSettings:
    """The encoder's initial weights."""

    source: str = setting("none", "imagenet (torchvision's), none, or the path of a file of weights")
    partial: bool = setting(False, "accept a file that fills less than half of the encoder (--partial-weights)")


@dataclass(frozen=True)
class TrainingSettings:
    """How the network is trained."""

    epochs: int = setting(7, "passes over the training images", minimum=1)
    batch: int = setting(100, "images per step, of all processes together", minimum=2)
    optimizer: str = setting("adamw", "the optimiser", choices=("sgd", "adamw"))
    learning_rate: float = setting(2e-3, "peak learning rate", above=0)
    final_learning_rate: float = setting(0.0, "learning rate at the end of the schedule", minimum=0)
    momentum: float = setting(0.9, "momentum (sgd) or first beta (adamw)", minimum=0, maximum=0.999)
    weight_decay: float = setting(1e-2, "weight decay of convolutions and linear layers; see decay_all", minimum=0)
    decay_all: bool = setting(False, "also decay the parameters of BatchNorm and biases, as plain PyTorch does")
    schedule: str = setting("onecycle", "how the learning rate changes", choices=("constant", "cosine", "onecycle"))
    warmup: float = setting(0.3, "share of the steps in which onecycle rises", minimum=0, maximum=0.9)
    label_smoothing: float = setting(
        0.0, "share of the target probability that is spread over all classes", minimum=0, maximum=0.9
    )
    weight_averaging: float = setting(
        0.0, "decay of a moving average of the weights; 0 = off", minimum=0, maximum=0.9999
    )
    precision: str = setting("bfloat16", "precision of the convolutions", choices=("bfloat16", "float32"))
    # off: 406 against 365 ms per step on a CPU, and 67 s to compile; on a GPU it is untried
    compile: bool = setting(False, "run torch.compile on the training step; slower on a CPU")
    seed: int = setting(0, "seed of weights, order, augmentation and dropout", minimum=0, maximum=MAX_SEED)


@dataclass(frozen=True)
class AugmentationSettings:
    """Random changes to the training images, batch by batch on the device."""

    rotation: float = setting(20.0, "largest rotation in degrees, either way", minimum=0, maximum=180)
    flip: float = setting(0.5, "probability of a horizontal flip", minimum=0, maximum=1)
    shift: float = setting(0.0, "largest shift in each direction, as a share of the side", minimum=0, maximum=1)
    zoom: float = setting(0.0, "scale between 1 - zoom and 1 + zoom", minimum=0, maximum=0.9)
    brightness: float = setting(0.0, "factor between 1 - brightness and 1 + brightness", minimum=0, maximum=0.9)
    erase: float = setting(0.0, "side of a square set to the mean, as a share of the image's", minimum=0, maximum=0.9)
    interpolation: str = setting(
        "bilinear", "how rotated and zoomed images are resampled", choices=("nearest", "bilinear")
    )
    border: str = setting(
        "reflection", "how pixels outside the image are filled", choices=("zeros", "border", "reflection")
    )


@dataclass(frozen=True)
class RecordingSettings:
    """What is recorded of every epoch."""

    variants: tuple[str, ...] = setting(PAPER_VARIANTS, "the perturbations, clean first")
    batch: int = setting(250, "images per forward pass", minimum=1)
    layers: bool = setting(True, "record the layers and stages before the class maps (clean variant)")
    checkpoints: str = setting("all", "the epochs whose weights are kept", choices=("all", "last"))
    initial: bool = setting(True, "record epoch 0, the network before its first step")
    training: str = setting(
        "pass",
        "ledger of the training images: of the training pass itself, of a clean pass after it, or off",
        choices=("pass", "clean", "off"),
    )


@dataclass(frozen=True)
class Profile:
    """All settings of one run."""

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    recording: RecordingSettings = field(default_factory=RecordingSettings)
