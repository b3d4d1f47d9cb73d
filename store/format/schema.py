"""The table of a run's datasets: path, dimensions, type, unit and meaning of each; FORMAT.md explains it.

Dimensions: see `AXES`. `*` in a path stands for a layer's or stage's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite, isinf, isnan

import numpy as np
from numpy.typing import NDArray

from store.format.layout import MOST_EPOCHS

FORMAT = "classprint-run"
FORMAT_VERSION = 1
CHUNK_BYTES = 131072  # about ten images' maps of 200 classes and 8 x 8 cells
SMALL_CHUNK_BYTES = 32768  # for data that are read image by image and gain nothing from longer chunks
SMALL_CHUNKS = ("pixels", "map_scale", "probabilities", "logits", "map_classes", "mean_map")
CACHED_BLOCK_ROWS = 64  # rows of a cached dataset under one check value
MOST = 65535  # classes of a run, and cells of a map: classes, ranks and numbers of cells are 16-bit numbers
THUMBNAIL = 96  # most pixels of a side of a training image that is kept to be looked at
LEAST_SCALE = 2.0**-126  # the smallest normal float32: below it a scale would lose its own digits
LARGEST = float(np.finfo(np.float32).max)  # of a metric
ROUNDING = 1e-4  # by which float32 arithmetic may leave a range such as 0..1
EVIDENCE: Mapping[str, str] = {  # what the maps of a run are; FORMAT.md says it at length
    "network": "the network's last layer, each logit is the mean of its map",
    "exact": "derived from a network of another form, their means are its logits",
    "frozen_norm": "as exact, with normalisation held at the values of each image",
    "linearised": "as exact, with a linear approximation of the layers after the grid",
    "none": "no maps, only predictions",
}

# Letter of a dimension -> name of the axis, as every dataset's attribute `axes` has it. Digits stand for themselves.
AXES: Mapping[str, str] = {
    "V": "variant",
    "N": "image",
    "C": "class",
    "P": "predicted_class",
    "K": "kept_map",
    "T": "rank",
    "R": "block",
    "H": "y",
    "W": "x",
    "h": "y",
    "w": "x",
    "F": "channel",
    "lh": "y",
    "lw": "x",
    "sh": "y",
    "sw": "x",
    "M": "training_image",
    "S": "thumbnail",
    "th": "y",
    "tw": "x",
    "E": "epoch",
    "I": "pair",
    "J": "row",
    "B": "byte",
    "3": "channel",
    "4": "edge",
    "32": "byte",
}


@dataclass(frozen=True)
class Field:
    """One dataset of the format.

    `kind` is that of the file: "run", "epoch", "training_images", "training_epoch" or "training_thumbnails".
    `storage` is "chunked", "shuffled" (chunked, with the bytes of the numbers regrouped first, which floats gain from)
    or "contiguous".
    """

    kind: str
    path: str
    dims: tuple[str, ...]
    dtype: str
    unit: str
    meaning: str
    storage: str = "chunked"
    optional: bool = False
    joint: bool = False  # needs all images of a class, so a rank's part does not contain it

    @property
    def name(self) -> str:
        """Last part of the path: the name of a column."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def has_variant_axis(self) -> bool:
        """Whether a variant axis comes before the rows."""
        return self.dims[0] == "V" and len(self.dims) > 1

    @property
    def may_be_nan(self) -> bool:
        """Whether NaN has a meaning here: a mean over no images, or a metric that does not exist."""
        return "NaN" in self.meaning or self.path.startswith("variant_metrics/") or self.kind == "analysis"

    @property
    def axes(self) -> str:
        """Names of the axes, such as "variant image class y x"."""
        return " ".join(AXES[dim] for dim in self.dims)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Shape of the dataset in a run of the given sizes; digits in `dims` stand for themselves."""
        return tuple(int(dim) if dim.isdigit() else sizes[dim] for dim in self.dims)

    def of_all_classes(self) -> Field:
        """The same dataset in a run that keeps the maps of all classes: the axis of kept maps is that of classes."""
        return replace(self, dims=tuple("C" if dim == "K" else dim for dim in self.dims))


def _field(kind: str, path: str, dims: str, dtype: str, unit: str, meaning: str, **options: bool | str) -> Field:
    return Field(kind, path, tuple(dims.split()), dtype, unit, meaning, **options)  # type: ignore[arg-type]


def _run(path: str, dims: str, dtype: str, unit: str, meaning: str, *, optional: bool = False) -> Field:
    return _field("run", path, dims, dtype, unit, meaning, optional=optional)


def _epoch(path: str, dims: str, dtype: str, unit: str, meaning: str, **options: bool | str) -> Field:
    storage = "shuffled" if dtype in ("f4", "i4", "u2", "f2") else "chunked"
    return _field("epoch", path, dims, dtype, unit, meaning, **{"storage": storage, **options})


def _column(name: str, dtype: str, unit: str, meaning: str, *, dims: str = "V N", joint: bool = False) -> Field:
    return _epoch(f"images/{name}", dims, dtype, unit, meaning, joint=joint)


def _ledger(name: str, unit: str, meaning: str, *, optional: bool = False) -> Field:
    return _field("training_epoch", name, "M", "f4", unit, meaning, storage="shuffled", optional=optional)


def _metric(name: str, unit: str, meaning: str) -> Field:
    return _epoch(f"variant_metrics/{name}", "V", "f8", unit, meaning, optional=True, joint=True)


def _per_class(name: str, dims: str, dtype: str, unit: str, meaning: str) -> Field:
    return _epoch(f"classes/{name}", dims, dtype, unit, meaning, joint=True)


def _cached(kind: str, meaning: str) -> tuple[Field, Field, Field]:
    path = f"cached/{kind}"
    return (
        _epoch(
            f"{path}_map", "V N H W", "u1", "quantised", f"{meaning}, with a scale of its own", storage="contiguous"
        ),
        _epoch(f"{path}_crc32", "V R", "u4", "CRC-32", f"check value of each 64 rows of {kind}_map"),
        _epoch(f"{path}_scale", "V N", "f4", "logit", f"value of one quantisation step of {kind}_map"),
    )


RUN_FIELDS: tuple[Field, ...] = (
    _run("pixels", "V N h w 3", "u1", "intensity", "the images as the network saw them, red, green, blue"),
    _run("image_sha256", "N 32", "u1", "SHA-256", "of each clean image's pixels", optional=True),
    _run("labels", "N", "i4", "class", "the true class of each image, ascending"),
    _run("image_names", "N", "S", "text", "name of each image in its data set, UTF-8"),
    _run("classes/id", "C", "S", "text", "id of each class in its data set, UTF-8"),
    _run("classes/name", "C", "S", "text", "name of each class for people, UTF-8"),
    _run("classes/group", "C", "S", "text", "group of each class, UTF-8"),
    _run("variants/name", "V", "S", "text", "name of each variant, the first is clean, UTF-8"),
    _run("variants/label", "V", "S", "text", "label of each variant for people, UTF-8"),
    _run("variants/parameters", "V", "S", "text", "parameters of each variant, JSON in UTF-8"),
    _run("variants/keeps_positions", "V", "u1", "boolean", "1 where a cell of a map stays at its place in the image"),
    _run("variants/changed_images", "V", "i4", "image", "images whose pixels the variant changed"),
    _run("configuration", "B", "u1", "text", "the resolved configuration, JSON in UTF-8 bytes"),
    _run("provenance", "B", "u1", "text", "code, library versions, data checksums, JSON in UTF-8 bytes"),
    _run("preparation", "B", "u1", "text", "how a file became pixels, JSON in UTF-8 bytes", optional=True),
    _run("layout", "B", "u1", "text", "shapes of the layers and stages, JSON in UTF-8 bytes"),
    _run("masks", "N h w", "u1", "boolean", "1 where the object is", optional=True),
    _run("boxes", "N 4", "i2", "pixel", "x0, y0, x1, y1 of the object, end excluded", optional=True),
)

IMAGE_COLUMNS: tuple[Field, ...] = (
    _column("prediction", "u2", "class", "class of the highest logit; the lower index wins a tie"),
    _column(
        "runner_up", "u2", "class", "class of the second highest logit; the prediction itself if there is one class"
    ),
    _column("top5", "u2", "class", "classes of the highest logits, best first", dims="V N T"),
    _column("top5_probability", "f4", "fraction", "their probabilities", dims="V N T"),
    _column("confidence", "f4", "fraction", "probability of the prediction"),
    _column("label_probability", "f4", "fraction", "probability of the true class"),
    _column("label_rank", "u2", "rank", "rank of the true class among the logits, 1 = highest"),
    _column("label_logit", "f4", "logit", "logit of the true class, the mean of its map"),
    _column("predicted_logit", "f4", "logit", "logit of the prediction"),
    _column("entropy", "f4", "nat", "entropy of the probabilities"),
    _column("margin", "f4", "fraction", "probability of the prediction minus that of the runner-up"),
    _column("sharpness", "f4", "0..1", "Hoyer sparsity of the predicted class's map"),
    _column("map_entropy", "f4", "nat", "entropy of the predicted class's map over its cells"),
    _column("peak_share", "f4", "fraction", "share of the predicted class's map in its strongest cell"),
    _column("peak", "f4", "logit", "largest cell of the predicted class's map"),
    _column("similarity", "f4", "-1..1", "cosine of the true class's map and pattern", joint=True),
    _column("predicted_similarity", "f4", "-1..1", "cosine of the predicted class's map and pattern", joint=True),
    _column("overlap", "f4", "0..1", "evidence that the maps of prediction and runner-up share"),
    _column("correction_cells", "u2", "cell", "k*, the fewest cells whose removal corrects it; 0 where correct"),
    _column("corrected_prediction", "u2", "class", "the prediction after that removal"),
    _column("consistency", "f4", "-1..1", "cosine of the clean prediction's map, clean against this variant"),
)

CLASS_COLUMNS: tuple[Field, ...] = (
    _per_class("pattern", "V C H W", "f4", "logit", "class pattern, the mean map of its images; 0 without images"),
    _per_class("count", "V C", "i4", "image", "images of the class"),
    _per_class("accuracy", "V C", "f4", "fraction", "share of correct predictions; NaN without images"),
    _per_class("mean_confidence", "V C", "f4", "fraction", "mean confidence; NaN without images"),
    _per_class("mean_label_probability", "V C", "f4", "fraction", "mean label_probability; NaN without images"),
    _per_class("spread", "V C", "f4", "0..2", "mean of 1 - similarity; NaN without images"),
    _per_class("predicted_count", "V C", "i4", "image", "images predicted as this class"),
)

# Recorded, although they follow from the columns: computing them for 20 epochs took 450 ms, and reading takes 10.
VARIANT_METRICS: tuple[Field, ...] = (
    _metric("top1", "fraction", "share of correct predictions"),
    _metric("top5", "fraction", "share of images whose true class has one of the five highest logits"),
    _metric("mean_confidence", "fraction", "mean confidence"),
    _metric("nll", "nat", "mean of -ln label_probability, each 2^-126 at least"),
    _metric("ece", "fraction", "expected calibration error, 15 bins of equal width"),
    _metric("mce", "fraction", "largest calibration error of those bins"),
    _metric("auroc", "fraction", "confidence as a detector of wrong predictions: area under the ROC curve"),
    _metric("fpr95", "fraction", "share of wrong predictions accepted where 95 % of the correct ones are"),
    _metric("aurc", "fraction", "area under the risk-coverage curve of the confidence"),
    _metric("e_aurc", "fraction", "aurc minus that of a perfect ranking"),
    _metric("augrc", "fraction", "area under the generalised risk-coverage curve"),
    _metric("sharpness", "0..1", "mean sharpness"),
    _metric("similarity", "-1..1", "mean similarity"),
    _metric("flip_rate", "fraction", "share of predictions that differ from the clean ones"),
    _metric("unchanged_consistency", "-1..1", "mean consistency where the prediction is the clean one"),
    _metric("responsiveness", "0..2", "mean of 1 - consistency where it is not"),
    _metric("different_reason_share", "fraction", "of images correct here and clean: share with consistency below 0.5"),
)

EPOCH_FIELDS: tuple[Field, ...] = (
    _epoch("maps", "V N K H W", "u1", "quantised", "class maps; value = (maps - zero_point) * map_scale"),
    _epoch("map_scale", "V N K", "f4", "logit", "value of one quantisation step of each map"),
    _epoch("map_classes", "V N K", "u2", "class", "classes whose maps are kept, where not all are", optional=True),
    _epoch("logits", "V N C", "f4", "logit", "means of the maps of all classes, where not all are kept", optional=True),
    _epoch("mean_map", "V N H W", "f4", "logit", "mean of the maps of all classes, in signed runs", optional=True),
    _epoch("probabilities", "V N C", "f4", "fraction", "softmax of the logits, from the maps before quantisation"),
    _epoch("layers/*/quantised", "N F lh lw", "u1", "quantised", "a layer's clean activations / scale", optional=True),
    _epoch(
        "layers/*/scale", "N F", "f4", "activation", "value of one quantisation step of each channel", optional=True
    ),
    _epoch("stages/*", "N sh sw", "f2", "activation", "mean absolute clean activation of a stage", optional=True),
    *_cached("true_class", "the true class's map"),
    *_cached("predicted_class", "the predicted class's map"),
    _epoch("confusion", "V C P", "i4", "image", "images by true class (rows) and prediction (columns)", joint=True),
    *IMAGE_COLUMNS,
    *CLASS_COLUMNS,
    *VARIANT_METRICS,
)

TRAINING_FIELDS: tuple[Field, ...] = (
    _field("training_images", "image_names", "M", "S", "text", "name of each training image, UTF-8"),
    _field("training_images", "labels", "M", "i4", "class", "its label"),
    _field("training_images", "original_labels", "M", "i4", "class", "before some were exchanged", optional=True),
    _field("training_images", "image_sha256", "M 32", "u1", "SHA-256", "of its pixels as decoded", optional=True),
    _field("training_epoch", "prediction", "M", "u2", "class", "class of the highest logit", storage="shuffled"),
    _ledger("label_probability", "fraction", "of the label; NaN where the image was in no batch"),
    _ledger("margin", "logit", "label's logit - highest other; NaN where the image was in no batch"),
    _ledger("loss", "nat", "cross entropy of the image; NaN where the image was in no batch"),
    _ledger("error_norm", "0..2", "length of probabilities - one-hot label; NaN as the loss", optional=True),
    _field("training_thumbnails", "images", "S", "i4", "index", "numbers of the training images, ascending"),
    _field("training_thumbnails", "pixels", "S th tw 3", "u1", "intensity", "the images, made smaller"),
)

FIELDS: dict[tuple[str, str], Field] = {(f.kind, f.path): f for f in (*RUN_FIELDS, *EPOCH_FIELDS, *TRAINING_FIELDS)}


def field_of(kind: str, path: str) -> Field:
    """The entry of a dataset in a file of that kind; `layers/encoder/scale` finds `layers/*/scale`."""
    found = FIELDS.get((kind, path))
    if found is None:
        first, _, *rest = path.split("/")
        found = FIELDS[kind, "/".join([first, "*", *rest])]
    return found


def run_field(path: str) -> Field:
    """The entry of a dataset of run.h5."""
    return FIELDS["run", path]


def epoch_field(path: str) -> Field:
    """The entry of a dataset of an epoch file."""
    return field_of("epoch", path)


def thumbnail_shape(height: int, width: int) -> tuple[int, int]:
    """Height and width of the thumbnails of images: smaller by the least whole factor that gives THUMBNAIL or less."""
    factor = -(-max(height, width) // THUMBNAIL)
    return max(1, height // factor), max(1, width // factor)


def chunk_shape(field: Field, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunk of a dataset: one variant, as many rows as fit in its bytes and at least one, the other axes whole."""
    rows_axis = int(field.has_variant_axis)
    row_bytes = int(np.prod(shape[rows_axis + 1 :], dtype=np.int64)) * itemsize
    most = SMALL_CHUNK_BYTES if field.path in SMALL_CHUNKS else CHUNK_BYTES
    rows = max(1, min(shape[rows_axis], most // max(row_bytes, 1)))
    return (1,) * rows_axis + (rows, *shape[rows_axis + 1 :])


@dataclass(frozen=True)
class Attribute:
    """An attribute of the format: "text", "whole" or "real" (numbers), and what a number may be."""

    kind: str
    low: float = -inf
    high: float = inf
    optional: bool = False
    may_be_nan: bool = False


_COMMON = {
    "kind": Attribute("text"),
    "run_id": Attribute("text"),
    "complete": Attribute("whole", 1, 1),
}
_EPOCH = Attribute("whole", 0, MOST_EPOCHS - 1)
ATTRIBUTES: Mapping[str, Mapping[str, Attribute]] = {
    "run": {
        **_COMMON,
        "name": Attribute("text"),
        "signed": Attribute("whole", 0, 1),
        "planned_epochs": Attribute("whole", 0, MOST_EPOCHS),
        "kept_maps": Attribute("whole", 0, MOST),
        "evidence": Attribute("text"),
        "evidence_error": Attribute("real", 0, may_be_nan=True),
    },
    "epoch": {
        **_COMMON,
        "epoch": _EPOCH,
        "label": Attribute("text", optional=True),
        "planned_epochs": Attribute("whole", 0, MOST_EPOCHS, optional=True),
        "recorded": Attribute("text", optional=True),
        "parts": Attribute("whole", 1, MOST, optional=True),
        "part": Attribute("whole", 0, MOST, optional=True),
        "first_image": Attribute("whole", 0, 2**31, optional=True),
        "end_image": Attribute("whole", 1, 2**31, optional=True),
    },
    "training_images": _COMMON,
    "training_epoch": {**_COMMON, "epoch": _EPOCH},
    "training_thumbnails": _COMMON,
    "analysis": {"kind": Attribute("text"), "run_id": Attribute("text"), "analysis_version": Attribute("whole")},
}
MOST_METRICS = 1000  # of an epoch
LONGEST_METRIC_NAME = 100  # characters
_METRIC_RANGES = {
    **dict.fromkeys(("train_top1", "train_top5", "validation_top1", "validation_top5"), (-ROUNDING, 1 + ROUNDING)),
    **dict.fromkeys(("train_seconds", "record_seconds"), (0, LARGEST)),
    "last_kernel_similarity": (-1 - ROUNDING, 1 + ROUNDING),
}
MOST_JSON_BYTES = 4 << 20  # of the configuration and the like: some 10 kB in practice
TEXT_BYTES = 4096  # of a name, as long as paths may be
PARAMETER_BYTES = 65536  # of a variant's parameters


_RANGES = {
    "fraction": (-ROUNDING, 1 + ROUNDING),
    "0..1": (-ROUNDING, 1 + ROUNDING),
    "0..2": (-ROUNDING, 2 + ROUNDING),
    "-1..1": (-1 - ROUNDING, 1 + ROUNDING),
    "boolean": (0, 1),
}


def metric_attribute(name: str) -> Attribute:
    """What a metric of an epoch may be: a number, or NaN where it is not known; raises ValueError for its name."""
    # "epoch" is the column of every table of metrics that says which epoch they are of.
    if not 0 < len(name) <= LONGEST_METRIC_NAME or not name.isprintable() or name == "epoch":
        raise ValueError(
            f"a metric is named {name[:LONGEST_METRIC_NAME]!r}: allowed are up to {LONGEST_METRIC_NAME} printable "
            'characters other than "epoch"'
        )
    return Attribute("real", *_METRIC_RANGES.get(name, (-LARGEST, LARGEST)), may_be_nan=True)


def check_metric(name: str, value: float) -> float:
    """The value of a metric that is to be recorded; raises ValueError where it, or its name, cannot be."""
    allowed = metric_attribute(name)
    if not (isnan(value) or allowed.low <= value <= allowed.high):
        raise ValueError(
            f"the metric {name} is {value:g}: allowed are {allowed.low:.3g} to {allowed.high:.3g}, or NaN where it is "
            "not known"
        )
    return value


def value_range(field: Field, sizes: Mapping[str, int]) -> tuple[float, float]:
    """Smallest and largest value that the unit of a dataset allows in a run of the given sizes."""
    if field.name.endswith("scale"):
        return LEAST_SCALE, inf
    if field.unit == "class":
        return 0, sizes["C"] - 1
    if field.unit == "rank":
        return 1, sizes["C"]
    if field.unit == "cell":
        return 0, sizes["H"] * sizes["W"]
    if field.unit == "image":
        return 0, sizes["N"]
    return _RANGES.get(field.unit, (-inf, inf))


def not_finite(values: NDArray, field: Field) -> NDArray[np.bool_]:
    """Which real numbers of a dataset are infinite, or NaN where that has no meaning, same shape."""
    return np.isinf(values) if field.may_be_nan else ~np.isfinite(values)


def check_values(values: NDArray, field: Field, sizes: Mapping[str, int]) -> None:
    """Refuse numbers that the unit of a dataset rules out, such as class 200 of 200; raises ValueError.

    Infinity stands nowhere, NaN only where it has a meaning.
    """
    if values.dtype.kind == "S" or not values.size:
        return
    low, high = value_range(field, sizes)
    if values.dtype.kind != "f" and isinf(low) and isinf(high):
        return
    least, largest = float(values.min()), float(values.max())
    if not (isfinite(least) and isfinite(largest)):  # NaN is both the smallest and the largest
        if not_finite(values, field).any():
            raise ValueError("it contains numbers that are not finite")
        values = values[np.isfinite(values)]
        if not values.size:
            return
        least, largest = float(values.min()), float(values.max())
    if least < low or largest > high:
        raise ValueError(f"it contains {least:g} to {largest:g}, allowed are {low:g} to {high:g}")
