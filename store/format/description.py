"""The plain records that go into and come out of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.format.schema import CACHED_BLOCK_ROWS, CODECS, PRECISIONS

MOST = 65535  # classes of a run, and cells of a map: classes, ranks and numbers of cells are 16-bit numbers
TOP = 5  # classes kept by name for every prediction; fewer where the run has fewer classes


@dataclass(frozen=True)
class ClassInfo:
    """One class: its id in the data set, the name shown to people, and the group it belongs to."""

    id: str
    name: str
    group: str


@dataclass(frozen=True)
class Variant:
    """One way of presenting the images: unchanged ("clean") or perturbed.

    `parameters` are JSON values; `keeps_positions` says whether a cell of a map stays at its place in the image, which
    a shift or a rotation breaks.
    """

    name: str
    label: str = ""  # for people; the name where it is not given
    parameters: Mapping[str, Any] = field(default_factory=dict)
    keeps_positions: bool = True

    def __post_init__(self) -> None:
        """Label a variant without a label by its name."""
        object.__setattr__(self, "label", self.label or self.name)


@dataclass(frozen=True)
class RunDescription:
    """Everything about a run that is known before its first epoch.

    Labels ascend, so that a class is a contiguous slice of images; the first variant is "clean".
    `layers` maps a layer's name to (channels, h, w), `stages` a stage's name to (h, w).
    Masks are (N, h, w) bool, boxes (N, 4) integers x0, y0, x1, y1 with the end excluded.
    """

    name: str
    classes: tuple[ClassInfo, ...]
    variants: tuple[Variant, ...]  # a plain text stands for Variant(text)
    labels: NDArray
    image_names: tuple[str, ...]
    image_shape: tuple[int, int]
    map_shape: tuple[int, int]
    signed: bool = False
    layers: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    stages: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    masks: NDArray | None = None
    boxes: NDArray | None = None
    codec: str = "zstd"
    precision: str = "image"
    planned_epochs: int = 0  # 0 = not known beforehand

    def __post_init__(self) -> None:
        """Refuse a description that no run could be made from; raises ValueError."""
        given = np.asarray(self.labels)
        if given.dtype.kind not in "iu":
            raise ValueError(f"Labels must be whole numbers, got {given.dtype}.")
        object.__setattr__(self, "labels", given.astype(np.int32))
        variants = tuple(Variant(entry) if isinstance(entry, str) else entry for entry in self.variants)
        object.__setattr__(self, "variants", variants)
        self._check_names()
        self._check_sizes()
        self._check_images()
        for what, known in (("codec", CODECS), ("precision", PRECISIONS)):
            if getattr(self, what) not in known:
                raise ValueError(
                    f"{what.capitalize()} {getattr(self, what)!r} is unknown: choose one of {', '.join(known)}."
                )
        try:
            json.dumps([dict(self.configuration), dict(self.provenance), [dict(v.parameters) for v in self.variants]])
        except (TypeError, ValueError) as err:
            raise ValueError(
                f"Configuration, provenance and parameters of variants must be JSON values: {err}."
            ) from err

    def _check_names(self) -> None:
        if not self.classes or len({entry.id for entry in self.classes}) != len(self.classes):
            raise ValueError(f"A run needs classes with distinct ids, got {len(self.classes)} classes.")
        names = self.variant_names
        if not names or names[0] != "clean" or len(set(names)) != len(names):
            raise ValueError(f'Variants must be distinct and start with "clean", got {list(names)}.')
        for name in (*names, *self.layers, *self.stages):
            if not name or "/" in name or name.startswith("."):
                raise ValueError(f"The name {name!r} cannot be a path in the file: leave out '/' and a leading '.'.")

        texts = [self.name, *names, *(variant.label for variant in self.variants), *self.image_names]
        texts += [text for entry in self.classes for text in (entry.id, entry.name, entry.group)]
        for text in texts:
            # In a file, text ends at its first zero byte; and names that the file system gave may not be UTF-8.
            if "\0" in text or not _is_utf8(text):
                raise ValueError(f"The name {text!r} cannot be written as text: leave out zero bytes, and use UTF-8.")

    def _check_sizes(self) -> None:
        shapes: dict[str, tuple[int, ...]] = {"image_shape": self.image_shape, "map_shape": self.map_shape}
        shapes |= {f"layer {name!r}": tuple(shape) for name, shape in self.layers.items()}
        shapes |= {f"stage {name!r}": tuple(shape) for name, shape in self.stages.items()}
        for what, shape in shapes.items():
            if len(shape) != (3 if what.startswith("layer") else 2) or min(shape) < 1:
                raise ValueError(f"The shape of {what} is {shape}: it must be of whole numbers above 0.")
        cells = self.map_shape[0] * self.map_shape[1]
        for what, count in (("classes", len(self.classes)), ("cells in a map", cells)):
            if count > MOST:
                raise ValueError(
                    f"A run holds at most {MOST:,} {what}, got {count:,}: they are kept as 16-bit numbers."
                )
        if self.planned_epochs < 0:
            raise ValueError(f"The number of planned epochs is {self.planned_epochs}: give 0 where it is not known.")

    def _check_images(self) -> None:
        labels = self.labels
        if labels.ndim != 1 or len(labels) == 0 or (np.diff(labels) < 0).any():
            raise ValueError("Labels must be a non-empty list in ascending order: sort the images by class.")
        if labels[0] < 0 or labels[-1] >= len(self.classes):
            raise ValueError(f"Labels run from {labels[0]} to {labels[-1]}, but there are {len(self.classes)} classes.")
        if len(self.image_names) != len(labels):
            raise ValueError(f"{len(self.image_names)} image names do not fit {len(labels)} labels.")
        shapes = {"masks": (len(labels), *self.image_shape), "boxes": (len(labels), 4)}
        for name, expected in shapes.items():
            given = getattr(self, name)
            if given is not None and np.shape(given) != expected:
                raise ValueError(f"{name} must have the shape {expected}, got {np.shape(given)}.")

    @property
    def variant_names(self) -> tuple[str, ...]:
        """Names of the variants; the first is "clean"."""
        return tuple(variant.name for variant in self.variants)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every named dimension of the schema: V N C H W h w T R."""
        return {
            "V": len(self.variants),
            "N": len(self.labels),
            "C": len(self.classes),
            "H": self.map_shape[0],
            "W": self.map_shape[1],
            "h": self.image_shape[0],
            "w": self.image_shape[1],
            "T": min(TOP, len(self.classes)),
            "R": -(-len(self.labels) // CACHED_BLOCK_ROWS),
        }


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Timeline:
    """One image, one class and one variant over some epochs; see `Run.timeline`."""

    epochs: NDArray[np.int64]  # (E,)
    maps: NDArray[np.float32]  # (E, H, W), logits
    probabilities: NDArray[np.float32]  # (E,) of the class asked for
    predictions: NDArray[np.int64]  # (E,) class index that won
    confidences: NDArray[np.float32]  # (E,) its probability
