"""The one table of what a run holds: path, dimensions, type, unit and meaning of every dataset; FORMAT.md explains it.

Dimensions: V variants, N images, C classes, H x W cells of a map, h x w pixels of an image, T = min(5, C), R =
ceil(N / 64); K, kh, kw are a layer's channels and cells, sh, sw a stage's cells. `*` in a path stands for a layer's
or stage's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SCHEMA_VERSION = 1
CHUNK_BYTES = 131072  # about ten images' maps of 200 classes and 8 x 8 cells
SMALL_CHUNK_BYTES = 32768  # of what is asked for image by image and gains nothing from longer chunks
SMALL_CHUNKS = ("pixels", "map_scale", "probabilities")
CODECS = ("zstd", "gzip")
PRECISIONS = ("image", "compact", "map")
CACHED_BLOCK_ROWS = 64  # rows of a hot dataset under one check value


@dataclass(frozen=True)
class Field:
    """One dataset of the format.

    `place` is "run" or "epoch"; `storage` is "chunked", "shuffled" (chunked, with the bytes of the numbers regrouped
    first, which floats gain from) or "contiguous".
    """

    place: str
    path: str
    dims: tuple[str, ...]
    dtype: str
    unit: str
    meaning: str
    storage: str = "chunked"
    optional: bool = False
    joint: bool = False  # needs all images of a class, so a rank's part does not hold it

    @property
    def name(self) -> str:
        """Last part of the path, by which columns are asked for."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def lead(self) -> int:
        """1 where a variant axis comes before the rows, else 0."""
        return int(self.dims[0] == "V" and len(self.dims) > 1)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Shape of the dataset in a run of the given sizes; digits in `dims` stand for themselves."""
        return tuple(int(dim) if dim.isdigit() else sizes[dim] for dim in self.dims)


def _run(path: str, dims: str, dtype: str, unit: str, meaning: str, *, optional: bool = False) -> Field:
    return Field("run", path, tuple(dims.split()), dtype, unit, meaning, optional=optional)


def _epoch(
    path: str,
    dims: str,
    dtype: str,
    unit: str,
    meaning: str,
    *,
    storage: str = "",
    optional: bool = False,
    joint: bool = False,
) -> Field:
    storage = storage or ("shuffled" if dtype in ("f4", "i4", "u2", "f2") else "chunked")
    return Field(
        "epoch", path, tuple(dims.split()), dtype, unit, meaning, storage=storage, optional=optional, joint=joint
    )


def _column(name: str, dtype: str, unit: str, meaning: str, *, dims: str = "V N", joint: bool = False) -> Field:
    return _epoch(f"images/{name}", dims, dtype, unit, meaning, joint=joint)


def _figure(name: str, unit: str, meaning: str) -> Field:
    return _epoch(f"variant_metrics/{name}", "V", "f8", unit, meaning, optional=True, joint=True)


def _per_class(name: str, dims: str, dtype: str, unit: str, meaning: str) -> Field:
    return _epoch(f"classes/{name}", dims, dtype, unit, meaning, joint=True)


RUN_FIELDS: tuple[Field, ...] = (
    _run("pixels", "V N h w 3", "u1", "intensity", "the images as the network saw them, red, green, blue"),
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
    _run("layout", "B", "u1", "text", "shapes of the layers and stages, JSON in UTF-8 bytes"),
    _run("masks", "N h w", "u1", "boolean", "1 where the object is", optional=True),
    _run("boxes", "N 4", "i2", "pixel", "x0, y0, x1, y1 of the object, end excluded", optional=True),
)

EPOCH_FIELDS: tuple[Field, ...] = (
    _epoch("maps", "V N C H W", "u1", "code", "class activation maps; value = (code - zero) * map_scale"),
    _epoch("map_scale", "V N C", "f4", "logit", "value of one code step of each map"),
    _epoch("probabilities", "V N C", "f4", "fraction", "softmax of the means of the maps before coding"),
    _epoch(
        "layers/*/quantised",
        "N K kh kw",
        "u1",
        "code",
        "a layer's activations, clean; value = code * step",
        optional=True,
    ),
    _epoch("layers/*/scale", "N K", "f4", "activation", "value of one code step of each channel", optional=True),
    _epoch(
        "stages/*",
        "N sh sw",
        "f2",
        "activation",
        "mean absolute activation over a stage's channels, clean",
        optional=True,
    ),
    _epoch("cached/true_class_map", "V N H W", "u1", "code", "the true class's map, own step", storage="contiguous"),
    _epoch("cached/true_class_crc32", "V R", "u4", "CRC-32", "check value of each 64 rows of true_class_map"),
    _epoch("cached/true_class_scale", "V N", "f4", "logit", "value of one code step of true_class_map"),
    _epoch(
        "cached/predicted_class_map",
        "V N H W",
        "u1",
        "code",
        "the predicted class's map, own step",
        storage="contiguous",
    ),
    _epoch("cached/predicted_class_crc32", "V R", "u4", "CRC-32", "check value of each 64 rows of predicted_class_map"),
    _epoch("cached/predicted_class_scale", "V N", "f4", "logit", "value of one code step of predicted_class_map"),
    _column("prediction", "u2", "class", "class of the highest score; the lower index wins a tie"),
    _column(
        "runner_up",
        "u2",
        "class",
        "class of the second highest score; the prediction itself if there is one class only",
    ),
    _column("top5", "u2", "class", "classes of the highest scores, best first", dims="V N T"),
    _column("top5_probability", "f4", "fraction", "their probabilities", dims="V N T"),
    _column("confidence", "f4", "fraction", "probability of the prediction"),
    _column("label_probability", "f4", "fraction", "probability of the true class"),
    _column("label_rank", "u2", "rank", "place of the true class among the scores, 1 = top"),
    _column("label_logit", "f4", "logit", "score of the true class, the mean of its map"),
    _column("predicted_logit", "f4", "logit", "score of the prediction"),
    _column("entropy", "f4", "nat", "entropy of the probabilities"),
    _column("margin", "f4", "fraction", "probability of the prediction minus that of the runner-up"),
    _column("sharpness", "f4", "0..1", "Hoyer sparsity of the predicted map"),
    _column("map_entropy", "f4", "nat", "entropy of the predicted map over its cells"),
    _column("peak_share", "f4", "fraction", "share of the predicted map's evidence in its strongest cell"),
    _column("peak", "f4", "logit", "largest cell of the predicted map"),
    _column("similarity", "f4", "-1..1", "cosine of own map and the true class's class pattern", joint=True),
    _column(
        "predicted_similarity", "f4", "-1..1", "cosine of predicted map and the prediction's class pattern", joint=True
    ),
    _column("overlap", "f4", "0..1", "evidence that the maps of prediction and runner-up share"),
    _column("correction_cells", "u2", "cell", "fewest cells whose removal undoes a wrong prediction, 0 where right"),
    _column("corrected_prediction", "u2", "class", "class that wins after that removal"),
    _column("consistency", "f4", "-1..1", "cosine of the clean prediction's map, clean against this variant"),
    _per_class("pattern", "V C H W", "f4", "logit", "class pattern, the mean own map; 0 for a class without images"),
    _per_class("count", "V C", "i4", "image", "images of the class"),
    _per_class("accuracy", "V C", "f4", "fraction", "share of correct predictions; NaN without images"),
    _per_class("mean_confidence", "V C", "f4", "fraction", "mean confidence; NaN without images"),
    _per_class(
        "mean_label_probability", "V C", "f4", "fraction", "mean probability of the true class; NaN without images"
    ),
    _per_class("spread", "V C", "f4", "0..2", "mean of 1 - similarity; NaN without images"),
    _per_class("predicted_count", "V C", "i4", "image", "images predicted as this class"),
    _epoch("confusion", "V C C", "i4", "image", "images by true class (rows) and prediction (columns)", joint=True),
    _figure("top1", "fraction", "share of correct predictions"),
    _figure("top5", "fraction", "share of images whose true class is among the five highest scores"),
    _figure("mean_confidence", "fraction", "mean confidence"),
    _figure("nll", "nat", "mean of -ln label_probability, each 2^-126 at least"),
    _figure("ece", "fraction", "expected calibration error, 15 bins of equal width"),
    _figure("mce", "fraction", "largest calibration error of those bins"),
    _figure("auroc", "fraction", "confidence as a score of correct predictions: area under the ROC curve"),
    _figure("fpr95", "fraction", "share of wrong predictions accepted where 95 % of the correct ones are"),
    _figure("aurc", "fraction", "area under the risk-coverage curve of the confidence"),
    _figure("e_aurc", "fraction", "aurc minus that of a perfect ranking"),
    _figure("augrc", "fraction", "area under the generalised risk-coverage curve"),
    _figure("sharpness", "0..1", "mean sharpness"),
    _figure("similarity", "-1..1", "mean similarity"),
    _figure("flip_rate", "fraction", "share of predictions that differ from the clean ones"),
    _figure("unchanged_consistency", "-1..1", "mean consistency where the prediction is the clean one"),
    _figure("responsiveness", "0..2", "mean of 1 - consistency where it is not"),
    _figure(
        "different_reason_share", "fraction", "of images right in clean and here: share with a consistency below 0.5"
    ),
)

IMAGE_COLUMNS: tuple[Field, ...] = tuple(f for f in EPOCH_FIELDS if f.path.startswith("images/"))
CLASS_COLUMNS: tuple[Field, ...] = tuple(f for f in EPOCH_FIELDS if f.path.startswith("classes/"))
VARIANT_METRICS: tuple[Field, ...] = tuple(f for f in EPOCH_FIELDS if f.path.startswith("variant_metrics/"))
FIELDS: dict[str, Field] = {f"{f.place}:{f.path}": f for f in (*RUN_FIELDS, *EPOCH_FIELDS)}


def run_field(path: str) -> Field:
    """The entry of a dataset of run.h5."""
    return FIELDS[f"run:{path}"]


def epoch_field(path: str) -> Field:
    """The entry of a dataset of an epoch file; `layers/encoder/scale` finds `layers/*/scale`."""
    found = FIELDS.get(f"epoch:{path}")
    if found is None:
        first, _, *rest = path.split("/")
        found = FIELDS["/".join([f"epoch:{first}", "*", *rest])]
    return found


def chunk_shape(field: Field, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunk of a dataset: one variant, as many rows as fit in its room and at least one, the other axes whole."""
    lead = field.lead
    row_bytes = int(np.prod(shape[lead + 1 :], dtype=np.int64)) * itemsize
    room = SMALL_CHUNK_BYTES if field.path in SMALL_CHUNKS else CHUNK_BYTES
    rows = max(1, min(shape[lead], room // max(row_bytes, 1)))
    return (1,) * lead + (rows, *shape[lead + 1 :])
