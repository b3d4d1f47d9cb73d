"""The dataclasses that describe a run, and how run.h5 stores them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.errors import NotInRun, RunNotFound
from store.format.chunks import write_array
from store.format.hdf5_file import NewFile, damaged, set_identity
from store.format.layout import RUN_FILE
from store.format.memory import require_memory
from store.format.record_file import RecordFile
from store.format.schema import (
    CACHED_BLOCK_ROWS,
    EVIDENCE,
    MOST,
    MOST_JSON_BYTES,
    RUN_FIELDS,
    run_field,
    thumbnail_shape,
)
from store.format.structure import json_value

MOST_SHAPES = 1000  # layers, and stages, of a run
_ENTRY_BYTES = 300  # that an image or a class takes in memory, with its name and its row in a table
TOP = 5  # classes listed for every prediction; fewer where the run has fewer classes
_MOST_NAMED = 20  # runs in a message
_CLASS_PARTS = ("id", "name", "group")
_VARIANT_PARTS = ("name", "label", "parameters", "keeps_positions")
_RUN_ATTRIBUTES = ("name", "signed", "planned_epochs", "kept_maps", "evidence", "evidence_error")


@dataclass(frozen=True)
class ClassInfo:
    """One class: its id in the data set, the name shown to people, and the group it belongs to."""

    id: str
    name: str
    group: str


@dataclass(frozen=True)
class Variant:
    """One version of the images: unchanged ("clean") or perturbed.

    `parameters` are JSON values; `keeps_positions` says whether a map cell stays at its position in the image, unlike
    under a shift or a rotation.
    """

    name: str
    label: str = ""  # shown to people; the name unless given
    parameters: Mapping[str, Any] = field(default_factory=dict)
    keeps_positions: bool = True

    def __post_init__(self) -> None:
        """Use the name as the label where none is given."""
        object.__setattr__(self, "label", self.label or self.name)


@dataclass(frozen=True)
class RunDescription:
    """Everything that is known about a run before its first epoch.

    Labels ascend, so that a class is a contiguous slice of images; the first variant is "clean".
    `layers` maps a layer's name to (channels, h, w), `stages` a stage's name to (h, w).
    Masks are (N, h, w) bool, boxes (N, 4) integers x0, y0, x1, y1 with the end excluded.
    `preparation` says how a file became pixels: JSON values such as resize, crop, mean and interpolation, or a text.
    `evidence` says what the maps are (see FORMAT.md), `evidence_error` the largest relative error found when that was
    checked. `kept_maps` = k > 0 keeps only the maps of each image's k highest logits and of its true class; 0 keeps
    all.
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
    preparation: Mapping[str, Any] | str | None = None
    masks: NDArray | None = None
    boxes: NDArray | None = None
    evidence: str = "network"
    evidence_error: float = nan  # NaN = not known
    kept_maps: int = 0
    planned_epochs: int = 0  # 0 = unknown; epoch 0 does not count

    def __post_init__(self) -> None:
        """Raise ValueError for a description that cannot become a run."""
        given = np.asarray(self.labels)
        if given.dtype.kind not in "iu":
            raise ValueError(f"Labels must be whole numbers, got {given.dtype}.")
        object.__setattr__(self, "labels", given.astype(np.int32))
        variants = tuple(Variant(entry) if isinstance(entry, str) else entry for entry in self.variants)
        object.__setattr__(self, "variants", variants)
        if self.kept_maps + 1 >= len(self.classes):
            object.__setattr__(self, "kept_maps", 0)
        self._check_names()
        self._check_sizes()
        self._check_images()
        self._check_facts()

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
        # Text in a file ends at its first zero byte, and names from the file system may not be UTF-8. Looked for in all
        # texts at once: every opening of a run comes through here, with the names of all its images.
        if not _can_be_written("".join(texts)):
            wrong = next(text for text in texts if not _can_be_written(text))
            raise ValueError(f"The name {wrong!r} cannot be written as text: leave out zero bytes, and use UTF-8.")

    def _check_sizes(self) -> None:
        shapes: dict[str, tuple[int, ...]] = {"image_shape": self.image_shape, "map_shape": self.map_shape}
        shapes |= {f"layer {name!r}": tuple(shape) for name, shape in self.layers.items()}
        shapes |= {f"stage {name!r}": tuple(shape) for name, shape in self.stages.items()}
        for what, shape in shapes.items():
            if len(shape) != (3 if what.startswith("layer") else 2) or min(shape) < 1:
                raise ValueError(f"The shape of {what} is {shape}: it must consist of whole numbers above 0.")
        cells = self.map_shape[0] * self.map_shape[1]
        for what, count in (("classes", len(self.classes)), ("cells in a map", cells)):
            if count > MOST:
                raise ValueError(
                    f"A run can have at most {MOST:,} {what}, got {count:,}: they are stored as 16-bit numbers."
                )

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

    def _check_facts(self) -> None:
        if self.planned_epochs < 0:
            raise ValueError(f"The number of planned epochs is {self.planned_epochs}: give 0 where it is not known.")
        if self.kept_maps < 0:
            raise ValueError(f"The number of maps kept of each image is {self.kept_maps}: give 0 to keep all.")
        if self.evidence not in EVIDENCE:
            raise ValueError(f"Evidence {self.evidence!r} is unknown: choose one of {', '.join(EVIDENCE)}.")
        if not self.has_maps and self.map_shape != (1, 1):
            raise ValueError(f"A run without maps has one cell for each class, but map_shape is {self.map_shape}.")
        if not (isnan(self.evidence_error) or self.evidence_error >= 0):
            raise ValueError(f"The error of the evidence is {self.evidence_error}: give a number from 0 on, or NaN.")
        parameters = [dict(variant.parameters) for variant in self.variants]
        try:
            json.dumps([dict(self.configuration), dict(self.provenance), self.preparation, parameters])
        except (TypeError, ValueError) as err:
            raise ValueError(
                f"Configuration, provenance, preparation and the variants' parameters must be JSON values: {err}."
            ) from err

    @property
    def has_maps(self) -> bool:
        """Whether the run has class maps, and not predictions alone."""
        return self.evidence != "none"

    @property
    def has_exact_cells(self) -> bool:
        """Whether a logit is the sum of what single cells contribute: else what removing cells does is an estimate."""
        return self.evidence in ("network", "exact")

    @cached_property
    def variant_names(self) -> tuple[str, ...]:
        """Names of the variants; the first is "clean"."""
        return tuple(variant.name for variant in self.variants)

    def variant_index(self, variant: str) -> int:
        """Index of a variant; raises NotInRun."""
        names = self.variant_names
        if variant not in names:
            raise NotInRun(f"Variant {variant!r} is not in the run: it has {', '.join(names)}.")
        return names.index(variant)

    def inner_shapes(self, images: int) -> dict[str, tuple[int, ...]]:
        """Path -> shape of the datasets of an epoch that hold the layers and stages of some images."""
        shapes = {f"layers/{name}/quantised": (images, *shape) for name, shape in self.layers.items()}
        scales = {f"layers/{name}/scale": (images, shape[0]) for name, shape in self.layers.items()}
        return shapes | scales | {f"stages/{name}": (images, *shape) for name, shape in self.stages.items()}

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension of the schema that is fixed for a run: V N C P K H W h w th tw T R."""
        classes = len(self.classes)
        return {
            "V": len(self.variants),
            "N": len(self.labels),
            "C": classes,
            "P": classes,
            "K": self.kept_maps + 1 if self.kept_maps else classes,
            "H": self.map_shape[0],
            "W": self.map_shape[1],
            "h": self.image_shape[0],
            "w": self.image_shape[1],
            **dict(zip(("th", "tw"), thumbnail_shape(*self.image_shape), strict=True)),
            "T": min(TOP, classes),
            "R": -(-len(self.labels) // CACHED_BLOCK_ROWS),
        }


def _can_be_written(text: str) -> bool:
    return "\0" not in text and text.encode(errors="replace").decode() == text


@dataclass(frozen=True)
class Timeline:
    """One image, one class and one variant over some epochs; see `Run.timeline`."""

    epochs: NDArray[np.int64]  # (E,)
    maps: NDArray[np.float32]  # (E, H, W), logits; NaN where the class's map is not kept
    probabilities: NDArray[np.float32]  # (E,) of the requested class
    predictions: NDArray[np.int64]  # (E,) the predicted class
    confidences: NDArray[np.float32]  # (E,) its probability


@dataclass(frozen=True)
class RunFacts:
    """The content of run.h5 without images, masks and boxes: the run's id and its description."""

    id: str
    description: RunDescription


def write_description(file: NewFile, run_id: str, description: RunDescription) -> None:
    """Write a description into run.h5, without the images."""
    shapes = {
        "layers": {name: list(shape) for name, shape in description.layers.items()},
        "stages": {name: list(shape) for name, shape in description.stages.items()},
        "map": list(description.map_shape),
        "image": list(description.image_shape),
    }
    variants = description.variants
    arrays: dict[str, NDArray | None] = {
        "labels": description.labels,
        "image_names": texts(description.image_names),
        **{f"classes/{part}": texts(getattr(entry, part) for entry in description.classes) for part in _CLASS_PARTS},
        "variants/name": texts(variant.name for variant in variants),
        "variants/label": texts(variant.label for variant in variants),
        "variants/parameters": texts(json.dumps(dict(variant.parameters)) for variant in variants),
        "variants/keeps_positions": np.array([variant.keeps_positions for variant in variants], np.uint8),
        "configuration": json_bytes(dict(description.configuration)),
        "provenance": json_bytes(dict(description.provenance)),
        "preparation": None if description.preparation is None else json_bytes(description.preparation),
        "layout": json_bytes(shapes),
        "masks": description.masks,
        "boxes": description.boxes,
    }
    for path, array in arrays.items():
        if array is not None:
            write_array(file, path, run_field(path), np.asarray(array))
    set_identity(file, "run", run_id, {name: getattr(description, name) for name in _RUN_ATTRIBUTES})


def read_description(path: Path) -> RunFacts:
    """What the run.h5 at `path` says; raises as `open_run_file`."""
    return open_run_file(path)[1]


def open_run_file(path: Path) -> tuple[RecordFile, RunFacts]:
    """The run.h5 at `path`, its structure checked, and what it says.

    Raises:
        RunNotFound: there is none.
        SchemaMismatch: it is of another format version.
        DamagedFile: its content is not what was written.
    """
    try:
        file = RecordFile(path, "run")
    except (FileNotFoundError, NotADirectoryError) as err:
        raise RunNotFound(f"There is no run at {str(path.parent)!r}. {_runs_inside(path.parent)}") from err
    try:
        description = _describe(file)
    except ValueError as err:
        raise damaged(path, str(err)) from err
    file.expect(description)
    _ = file.stored  # all at once: a damaged run.h5 is refused before anything is shown of it
    return file, RunFacts(str(file.facts["run_id"]), description)


def _runs_inside(folder: Path) -> str:
    """What to do where a path is no run: it may be the folder of the runs, or a file of one."""
    runs = [repr(str(path.parent)) for path in islice(folder.glob(f"*/{RUN_FILE}"), _MOST_NAMED + 1)]
    if runs:
        more = ", ..." if len(runs) > _MOST_NAMED else ""
        return f"It is a folder of runs: name one, such as {', '.join(sorted(runs)[:_MOST_NAMED])}{more}."
    for parent in list(folder.parents)[:2] if folder.is_file() else ():
        if (parent / RUN_FILE).is_file():
            return f"It is a file of a run: name the run's folder, {str(parent)!r}."
    return 'Record one with "make compute", or check the path.'


def _describe(file: RecordFile) -> RunDescription:
    """The description in a run.h5, of whose datasets only the lengths are not known yet; raises ValueError."""

    def array(name: str) -> NDArray:
        return file.reader(name).all()

    for entry in RUN_FIELDS:
        describes = entry.unit in ("text", "class") or entry.path == "variants/keeps_positions"
        if describes and (not entry.optional or file.members.has(entry.path)):
            file.read_early(entry.path)
    entries = sum(file.dataset(path).shape[0] for path in ("labels", "classes/id"))
    require_memory(_ENTRY_BYTES * entries, "The list of the run's images")
    classes = (array(f"classes/{part}") for part in _CLASS_PARTS)
    variants = (array(f"variants/{part}") for part in _VARIANT_PARTS)
    shapes = _layout(_json_of(file, "layout"))
    preparation = _json_of(file, "preparation") if file.members.has("preparation") else None
    if not isinstance(preparation, (dict, str, type(None))):
        raise ValueError("preparation is neither an object nor a text")
    facts = file.facts
    return RunDescription(
        classes=tuple(ClassInfo(*(text.decode() for text in row)) for row in zip(*classes, strict=True)),
        variants=tuple(
            Variant(name.decode(), label.decode(), _object(parameters, "variants/parameters"), bool(keeps_positions))
            for name, label, parameters, keeps_positions in zip(*variants, strict=True)
        ),
        labels=array("labels"),
        image_names=tuple(text.decode() for text in array("image_names")),
        configuration=_object(_bytes_of(file, "configuration"), "configuration"),
        provenance=_object(_bytes_of(file, "provenance"), "provenance"),
        preparation=preparation,
        **shapes,
        **{name: facts[name] for name in _RUN_ATTRIBUTES if name != "signed"},
        signed=bool(facts["signed"]),
    )


def _bytes_of(file: RecordFile, path: str) -> bytes:
    count = file.dataset(path).shape[0]
    if count > MOST_JSON_BYTES:
        raise ValueError(f"{path} has {count:,} bytes, at most {MOST_JSON_BYTES:,} are allowed")
    return file.reader(path).all().tobytes()


def _json_of(file: RecordFile, path: str) -> Any:
    return json_value(_bytes_of(file, path), path)


def _object(raw: bytes, what: str) -> dict[str, Any]:
    value = json_value(raw, what)
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a JSON object")
    return value


def _layout(value: Any) -> dict[str, Any]:
    """The shapes that the dataset `layout` says, as arguments of a description; raises ValueError."""

    def shape(sides: Any, count: int) -> tuple[int, ...]:
        if not isinstance(sides, list) or len(sides) != count:
            raise ValueError(f"layout: {str(sides)[:100]} is not a list of {count} numbers")
        # bool is an int to Python
        if not all(isinstance(side, int) and side is not True and 0 < side <= MOST for side in sides):
            raise ValueError(f"layout: {str(sides)[:100]} are not whole numbers from 1 to {MOST}")
        return tuple(sides)

    if not isinstance(value, dict):
        raise ValueError("layout is not a JSON object")
    groups = {name: value.get(name, {}) for name in ("layers", "stages")}
    if not all(isinstance(group, dict) and len(group) <= MOST_SHAPES for group in groups.values()):
        raise ValueError(f"layout: layers and stages must be objects of at most {MOST_SHAPES} shapes")
    return {
        "image_shape": shape(value.get("image"), 2),
        "map_shape": shape(value.get("map"), 2),
        "layers": {name: shape(sides, 3) for name, sides in groups["layers"].items()},
        "stages": {name: shape(sides, 2) for name, sides in groups["stages"].items()},
    }


def texts(values: Any) -> NDArray[np.bytes_]:
    """Texts as fixed-length UTF-8 bytes."""
    encoded = [value.encode() for value in values]
    return np.array(encoded, dtype=f"S{max(1, *map(len, encoded)) if encoded else 1}")


def json_bytes(value: Any) -> NDArray[np.uint8]:
    """A JSON value as the bytes of a dataset."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)
