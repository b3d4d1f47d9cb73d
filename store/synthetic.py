"""A tiny but complete run with known, plausible values, written by the real writer: for tests and for trying pages.

Every class has a fixed pattern of a few lit cells. An image's own map is that pattern times a strength that grows
with the epoch and falls with the severity of the variant; other maps are weaker. A few images, the same in every
epoch, are predicted as the neighbouring class; see `is_wrong`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.format.description import ClassInfo, RunDescription, Variant
from store.write.run_writer import RunWriter, create_run, resume_run

VARIANTS = (
    Variant("clean"),
    Variant("gray"),
    Variant("blur3", "blur 3×3"),
    Variant("blur5", "blur 5×5"),
    Variant("bgr", "[B,G,R]"),
    Variant("brg", "[B,R,G]"),
    Variant("salt_pepper_0.0005", "salt & pepper 0.0005"),
    Variant("salt_pepper_0.005", "salt & pepper 0.005"),
)
SEVERITY: Mapping[str, float] = dict(
    zip((variant.name for variant in VARIANTS), (0.0, 0.5, 0.15, 0.3, 0.7, 0.8, 0.05, 0.2), strict=True)
)
LAYERS: Mapping[str, tuple[int, int, int]] = {"encoder": (6, 2, 2), "decoder": (6, 4, 4)}
STAGES: Mapping[str, tuple[int, int]] = {
    "stem": (8, 8),
    "layer1": (8, 8),
    "layer2": (4, 4),
    "layer3": (2, 2),
    "layer4": (2, 2),
}
GROUPS = ("animals", "vehicles", "food")
NAMES = [
    "brown bear",
    "school bus",
    "guacamole",
    "goldfish",
    "police van",
    "pretzel",
    "bison",
    "trolleybus",
    "espresso",
]


def write_synthetic_run(
    path: str | Path, *, epochs: int = 3, classes: int = 5, images_per_class: int = 4, **options: object
) -> Path:
    """Path of a new, complete run of the given size.

    Args:
        options: fields of `RunDescription` with other values, such as variants, image_shape, map_shape, signed,
            kept_maps, layers={} and stages={} for none, masks=None, boxes=None, name.

    Raises:
        RunExists: there is a run at `path`.
    """
    description = synthetic_description(Path(path).name, classes, images_per_class, epochs=epochs, options=options)
    writer = create_synthetic_run(path, description)
    for epoch in range(1, epochs + 1):
        record_synthetic_epoch(writer, epoch, threads=1)
    return writer.path


def create_synthetic_run(path: str | Path, description: RunDescription) -> RunWriter:
    """The writer of a new run that has its images and no epochs yet; raises RunExists."""
    with create_run(path, description) as new:
        for variant in description.variant_names:
            new.write_images(variant, 0, synthetic_images(description, variant))
    return resume_run(path, configuration=description.configuration)


def record_synthetic_epoch(writer: RunWriter, epoch: int, **options: Any) -> None:
    """Record an epoch, or a rank's part of one; `options` are those of `RunWriter.epoch`."""
    description = writer.facts.description
    with writer.epoch(epoch, synthetic_metrics(epoch), **options) as recording:
        first, rows = recording.images.start, slice(recording.images.start, recording.images.stop)
        for variant in description.variant_names:
            recording.write(variant, first, synthetic_maps(description, epoch, variant)[rows])
        if description.layers or description.stages:
            kinds = synthetic_layers(description, epoch)
            recording.write_layers(first, *({name: array[rows] for name, array in kind.items()} for kind in kinds))


def synthetic_description(
    name: str, classes: int, images_per_class: int, *, epochs: int, options: Mapping[str, Any] | None = None
) -> RunDescription:
    """Description of the run that `write_synthetic_run` makes."""
    count = classes * images_per_class
    height, width = (options or {}).get("image_shape", (16, 16))
    rows, columns = np.mgrid[:height, :width]
    # The object of image i: a disc that wanders over the image.
    centre = (np.arange(count) * 3 % (height // 2) + height // 4)[:, None, None]
    masks = (rows - centre) ** 2 + (columns - width // 2) ** 2 <= (min(height, width) // 4) ** 2
    values: dict[str, Any] = {
        "name": name,
        "classes": tuple(
            ClassInfo(f"n{i:08d}", NAMES[i] if i < len(NAMES) else f"class {i}", GROUPS[i % len(GROUPS)])
            for i in range(classes)
        ),
        "variants": VARIANTS,
        "labels": np.repeat(np.arange(classes), images_per_class),
        "image_names": tuple(f"val_{i}.png" for i in range(count)),
        "image_shape": (16, 16),
        "map_shape": (8, 8),
        "layers": LAYERS,
        "stages": STAGES,
        "configuration": {"profile": "synthetic", "model": "paper", "data": "synthetic", "seed": 0, "epochs": epochs},
        "provenance": {"made_by": "store.synthetic"},
        "masks": masks,
        "boxes": _boxes(masks),
        "planned_epochs": epochs,
    }
    return RunDescription(**{**values, **(options or {})})


def is_wrong(description: RunDescription, epoch: int, variant: str) -> NDArray[np.bool_]:
    """The images (N,) bool that are predicted as the next class.

    Always the last image of each odd class; in epoch 1 the first image of each odd class too; and under variants of
    severity 0.5 or more the first image of each even class.
    """
    labels = description.labels
    change = labels[1:] != labels[:-1]
    first, last, odd = np.r_[True, change], np.r_[change, True], labels % 2 == 1
    wrong = last & odd
    if epoch == 1:
        wrong |= first & odd
    if SEVERITY.get(variant, 0.5) >= 0.5:
        wrong |= first & ~odd
    return wrong & (len(description.classes) > 1)


def synthetic_images(description: RunDescription, variant: str) -> NDArray[np.uint8]:
    """Images (N, h, w, 3): a disc in the hue of the class on a dim background, as the variant shows it."""
    random = np.random.default_rng(0)
    count, (height, width) = len(description.labels), description.image_shape
    images = random.integers(20, 70, (count, height, width, 3), dtype=np.uint8)
    hues = np.array([(220, 60, 60), (60, 200, 60), (60, 60, 220), (200, 200, 60), (200, 200, 200)], np.uint8)
    disc = np.hypot(np.arange(height)[:, None] - height / 2, np.arange(width) - width / 2) < min(height, width) / 3
    images[:, disc] = hues[description.labels % len(hues)][:, None]
    if variant in ("bgr", "brg"):
        return np.ascontiguousarray(images[..., ["rgb".index(channel) for channel in variant]])
    if variant == "gray":
        return np.repeat(images.mean(-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    if variant.startswith("salt_pepper"):
        images[:, 0, 0] = 255
    return images


def synthetic_maps(description: RunDescription, epoch: int, variant: str) -> NDArray[np.float32]:
    """Maps (N, C, H, W) float32 of one epoch and variant; the same for the same arguments."""
    labels, count = description.labels, len(description.classes)
    random = np.random.default_rng([epoch, list(SEVERITY).index(variant) if variant in SEVERITY else len(SEVERITY)])
    patterns = np.random.default_rng(1).random((count, *description.map_shape)) ** 4  # few bright cells, many dim ones
    patterns /= 5 * patterns.mean((1, 2), keepdims=True)  # equal strength, equal logit: `is_wrong` alone decides
    growth = 1 - np.exp(-epoch / 2)
    strength = np.full((len(labels), count), 0.25) * random.uniform(0.5, 1.5, (len(labels), count))
    prediction = np.where(is_wrong(description, epoch, variant), (labels + 1) % count, labels)
    each = np.arange(len(labels))
    strength[each, labels] = 0.8
    strength[each, prediction] = 2 - SEVERITY.get(variant, 0.5)
    noise = random.normal(0, 0.1, (len(labels), count, *description.map_shape))
    maps = 12 * growth * (strength[..., None, None] * patterns + noise)
    return (maps if description.signed else np.maximum(maps, 0)).astype(np.float32)


def synthetic_layers(
    description: RunDescription, epoch: int
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """Activations by layer name, (N, K, h, w), and by stage name, (N, h, w), not negative."""
    random, count = np.random.default_rng([7, epoch]), len(description.labels)
    layers = {
        name: random.gamma(1, epoch, (count, *shape)).astype(np.float32) for name, shape in description.layers.items()
    }
    stages = {
        name: random.gamma(2, 1, (count, *shape)).astype(np.float32) for name, shape in description.stages.items()
    }
    return layers, stages


def synthetic_metrics(epoch: int) -> dict[str, float]:
    """Plausible metrics of an epoch."""
    top1 = 1 - 0.7 * float(np.exp(-epoch / 3))
    return {
        "train_loss": 4 * float(np.exp(-epoch / 3)),
        "train_top1": top1,
        "train_top5": (1 + top1) / 2,
        "validation_loss": 4 * float(np.exp(-epoch / 4)),
        "validation_top1": top1 * 0.9,
        "validation_top5": (1 + top1 * 0.9) / 2,
        "learning_rate": 1e-3 / max(epoch, 1),
        "train_seconds": 10.0,
        "record_seconds": 1.0,
        "train_images_per_second": 1000.0,
    }


def _boxes(masks: NDArray[np.bool_]) -> NDArray[np.int16]:
    """x0, y0, x1, y1 around each mask, end excluded."""
    rows, columns = np.any(masks, axis=2), np.any(masks, axis=1)
    edges = [columns.argmax(1), rows.argmax(1)]
    edges += [columns.shape[1] - columns[:, ::-1].argmax(1), rows.shape[1] - rows[:, ::-1].argmax(1)]
    return np.stack(edges, axis=1).astype(np.int16)
