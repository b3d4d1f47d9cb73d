"""Reading a run: `open_run(path)` returns a `Run`, whose methods return decoded arrays and tables."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import NotInRun
from store.format.description import Timeline
from store.format.quantization import decode, error_bound, zero_point
from store.format.schema import CLASS_COLUMNS, IMAGE_COLUMNS, VARIANT_METRICS
from store.read.epoch_data import EpochData, Selection, int64, mean_maps_of, of_all_classes, rows_of
from store.read.opened_run import OpenedRun
from store.read.run_text import run_html, run_text
from store.read.source import LocalSource
from store.read.training_ledger import TrainingLedger
from store.read.xarray_dataset import to_xarray
from store.remote.place import is_remote
from store.remote.source import RemoteSource

if TYPE_CHECKING:
    import xarray

CLEAN = "clean"  # the first variant of every run
ClassSelection = Selection | str | Sequence[str] | Sequence[int | str]
Float32 = NDArray[np.float32]


def open_run(path: str | Path) -> Run:
    """The run at `path`: a folder with run.h5, or an fsspec URL of one, such as s3://bucket/runs/paper.

    >>> open_run(run.path).name
    'tiny'

    Raises:
        RunNotFound: there is none; of a folder of runs, the message names them.
        SchemaMismatch, DamagedFile: run.h5 is of another version, or damaged.
    """
    return Run(RemoteSource(str(path)) if is_remote(path) else LocalSource(Path(path)))


class Run(OpenedRun):
    """A run on disk. Images are numbered 0..N-1 in class order, classes 0..C-1; epoch 0 is the untrained network.

    `epoch` is a recorded one, or counted from the end: -1, the default, is the last. `images` and `classes` take a
    whole number, several in any order, a slice, a mask (N,) or (C,) bool, or None for all, `classes` also names; the
    result always has their axis. Every method raises NotInRun for anything that is not in the run, and DamagedFile
    where a file is not as written.

    >>> run
    Run 'tiny': 5 classes, 20 images of 16×16, maps 8×8, 8 variants, epochs 1 to 3 of 3
    """

    def __repr__(self) -> str:
        """One line about the run."""
        return run_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the run in a table, every text escaped."""
        return run_html(self)

    def image_rows(self, images: Selection) -> NDArray[np.int64]:
        """Row numbers of images; raises NotInRun.

        >>> run.image_rows(slice(0, 6, 2)).tolist()
        [0, 2, 4]
        """
        return rows_of(images, len(self.description.labels), what="image")

    def class_rows(self, classes: ClassSelection) -> NDArray[np.int64] | None:
        """Class numbers, None for all; raises NotInRun.

        >>> run.class_rows(["school bus", "guacamole"]).tolist()
        [1, 2]
        """
        if classes is None:
            return None
        names = [classes] if isinstance(classes, str) else classes
        if isinstance(names, list | tuple):
            classes = [self.class_number(name) if isinstance(name, str) else name for name in names]
        return rows_of(cast(Selection, classes), len(self.description.classes), what="class")

    def class_number(self, name: int | str) -> int:
        """The number of a class by its id, by a name that only one class has, or by itself; raises NotInRun.

        >>> run.class_number("school bus")
        1
        """
        if not isinstance(name, str):
            return int(rows_of([name], len(self.description.classes), what="class")[0])
        for column in ("id", "name"):
            found = np.flatnonzero((self.classes[column] == name).to_numpy())
            if len(found) == 1:
                return int(found[0])
        if len(found):
            raise NotInRun(f"{len(found)} classes are called {name!r}. Name one by its id: see run.classes.")
        near = get_close_matches(name, self.classes["name"], 3)
        hint = f" Near it: {', '.join(near)}." if near else ""
        raise NotInRun(f"Class {name!r} is not in the run.{hint} run.classes lists all {len(self.classes)}.")

    def accuracy(self, *, epoch: int = -1, variant: str = CLEAN, top: int = 1) -> float:
        """Share of the images whose true class is among the `top` most probable ones, 0..1.

        >>> run.accuracy(epoch=1) <= run.accuracy(epoch=1, top=3) <= run.accuracy(epoch=1, top=5)
        True
        """
        if top == 1:  # of equal probabilities, the network's own choice counts
            return float((self.column("prediction", epoch=epoch, variant=variant) == self.labels).mean())
        return float((self.column("label_rank", epoch=epoch, variant=variant) <= top).mean())

    def pixels(self, images: Selection = None, variant: str = CLEAN) -> NDArray[np.uint8]:
        """Images as the network saw them, (n, h, w, 3) uint8, red, green, blue.

        >>> run.pixels([0, 5], variant="gray").shape
        (2, 16, 16, 3)
        """
        return self._file.rows("pixels", self.variant_index(variant), self.image_rows(images))

    def image_sha256(self, images: Selection = None) -> NDArray[np.uint8] | None:
        """SHA-256 of each clean image's pixels, (n, 32) uint8; None where the run has none.

        >>> run.image_sha256(0).shape
        (1, 32)
        """
        rows = self.image_rows(images)
        return self._file.rows("image_sha256", 0, rows) if self._file.has("image_sha256") else None

    def masks(self, images: Selection = None) -> NDArray[np.bool_] | None:
        """Object masks (n, h, w) bool; None where the data set has none.

        >>> run.masks(0).shape
        (1, 16, 16)
        """
        return self._file.rows("masks", 0, self.image_rows(images)).astype(bool) if self._file.has("masks") else None

    def boxes(self, images: Selection = None) -> NDArray[np.int16] | None:
        """Object boxes (n, 4) int16: x0, y0, x1, y1 in pixels, end excluded; None where the data set has none.

        >>> run.boxes([0, 1]).shape
        (2, 4)
        """
        return self._file.rows("boxes", 0, self.image_rows(images)) if self._file.has("boxes") else None

    def maps(
        self, *, epoch: int = -1, variant: str = CLEAN, images: Selection = None, classes: ClassSelection = None
    ) -> Float32:
        """Class maps (n, c, H, W) float32, logits; each value within `map_error` of the network's own.

        In signed runs they are relative to their image's `mean_maps`: add these for the network's own maps. NaN where
        the map of a class is not kept (see `has_map`).

        >>> run.maps(images=[0, 7], classes="school bus").shape
        (2, 1, 8, 8)
        """
        index, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)
        return self.read(epoch, lambda data: self._maps(data, index, rows, columns))

    def _maps(
        self, data: EpochData, variant: int, rows: NDArray[np.int64], columns: NDArray[np.int64] | None
    ) -> Float32:
        chosen = None if self.kept_maps else columns
        quantised, scale = (data.rows(path, variant, rows, chosen) for path in ("maps", "map_scale"))
        maps = decode(quantised, scale, zero_point=zero_point(self.signed))
        return self._of_classes(maps, data, variant, rows, columns) if self.kept_maps else maps

    def _of_classes(
        self, values: Float32, data: EpochData, variant: int, rows: NDArray[np.int64], columns: NDArray[np.int64] | None
    ) -> Float32:
        """Values (n, K, ...) of the kept maps as (n, c, ...) of the requested classes, NaN where not kept."""
        out = of_all_classes(values, data.rows("map_classes", variant, rows), len(self.description.classes))
        return out if columns is None else out[:, columns]

    def mean_maps(self, *, epoch: int = -1, variant: str = CLEAN, images: Selection = None) -> Float32:
        """Mean map over all classes, (n, H, W) float32: `maps` of signed runs are relative to it; 0 in other runs.

        >>> run.mean_maps(images=0).max()
        np.float32(0.0)
        """
        index, rows = self.variant_index(variant), self.image_rows(images)
        return self.read(epoch, lambda data: mean_maps_of(data, index, rows, self.map_shape))

    def has_map(
        self, *, epoch: int = -1, variant: str = CLEAN, images: Selection = None, classes: ClassSelection = None
    ) -> NDArray[np.bool_]:
        """Whether the run keeps the maps of classes, (n, c) bool.

        >>> run.has_map(images=0).tolist()
        [[True, True, True, True, True]]
        """
        return np.isfinite(self.map_error(epoch=epoch, variant=variant, images=images, classes=classes))

    def map_error(
        self, *, epoch: int = -1, variant: str = CLEAN, images: Selection = None, classes: ClassSelection = None
    ) -> Float32:
        """Largest possible error of a value of `maps`, (n, c) float32, logits; NaN where not kept.

        >>> bool((run.map_error(images=0) < 0.1).all())
        True
        """
        index, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)

        def query(data: EpochData) -> Float32:
            scale = data.rows("map_scale", index, rows, None if self.kept_maps else columns)
            return self._of_classes(scale, data, index, rows, columns) if self.kept_maps else scale

        return error_bound(self.read(epoch, query))

    def probabilities(
        self, *, epoch: int = -1, variant: str = CLEAN, images: Selection = None, classes: ClassSelection = None
    ) -> Float32:
        """Probabilities (n, c) float32: the softmax over all logits (Eq. 4), from maps before quantisation.

        >>> run.probabilities(epoch=2, images=run.labels == 3).sum(1).round(3).tolist()
        [1.0, 1.0, 1.0, 1.0]
        """
        index, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)
        return self.read(epoch, lambda data: data.rows("probabilities", index, rows, columns))

    def logits(
        self, *, epoch: int = -1, variant: str = CLEAN, images: Selection = None, classes: ClassSelection = None
    ) -> Float32:
        """Logits (n, c) float32, the means of the network's maps, decoded, or recorded where maps are missing.

        >>> bool(np.allclose(run.logits(images=0), run.maps(images=0).mean((-2, -1))))
        True
        """
        index, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)

        def query(data: EpochData) -> Float32:
            if self.kept_maps:
                return data.rows("logits", index, rows, columns)
            shared = mean_maps_of(data, index, rows, self.map_shape).mean((-2, -1))
            return self._maps(data, index, rows, columns).mean((-2, -1)) + shared[:, None]

        return self.read(epoch, query)

    def true_class_maps(self, *, epoch: int = -1, variant: str = CLEAN, images: Selection = None) -> Float32:
        """Map of each image's true class, (n, H, W) float32, as `maps`, within 1/510 (signed 1/254) of its peak.

        >>> run.true_class_maps().shape
        (20, 8, 8)
        """
        return self._cached_maps("true_class", epoch, variant, images)

    def predicted_class_maps(self, *, epoch: int = -1, variant: str = CLEAN, images: Selection = None) -> Float32:
        """Map of the class each image was predicted as; as `true_class_maps`.

        >>> run.predicted_class_maps(variant="blur5", images=3).shape
        (1, 8, 8)
        """
        return self._cached_maps("predicted_class", epoch, variant, images)

    def _cached_maps(self, kind: str, epoch: int, variant: str, images: Selection) -> Float32:
        index, rows = self.variant_index(variant), self.image_rows(images)
        quantised, scale = self.read(epoch, lambda data: data.cached_rows(kind, index, rows))
        return decode(quantised, scale, zero_point=zero_point(self.signed))

    def predictions(self, *, epoch: int = -1, variant: str = CLEAN) -> pd.DataFrame:
        """A row per image: image, name, label, true class, group, prediction, predicted, predicted_group, correct, and
        every summary column; the top classes become top5_1, top5_2, ... and top5_probability_1, ...

        >>> run.predictions(variant="gray")["correct"].mean() == run.accuracy(variant="gray")
        np.True_
        """
        index, names = self.variant_index(variant), [field.name for field in IMAGE_COLUMNS]
        columns = self.read(epoch, lambda data: {name: int64(data.all_rows(f"images/{name}", index)) for name in names})
        prediction = columns.pop("prediction")
        # Texts come from pandas' own arrays: converting Python strings took a third of the time.
        table = {
            **self._label_columns,
            "prediction": prediction,
            "predicted_class": self.classes["name"].array.take(prediction),
            "predicted_group": self.classes["group"].array.take(prediction),
            "correct": prediction == self.labels,
        }
        for name, column in columns.items():
            if column.ndim == 1:
                table[name] = column
            else:
                table |= {f"{name}_{place + 1}": column[:, place] for place in range(column.shape[1])}
        return pd.DataFrame(table)

    @cached_property
    def _label_columns(self) -> dict[str, Any]:
        """The columns that are the same in every table of predictions."""
        names, groups = self.classes["name"].array, self.classes["group"].array
        return {
            "image": np.arange(len(self.labels)),
            "name": pd.Series(list(self.image_names)).array,
            "label": self.labels,
            "true_class": names.take(self.labels),
            "group": groups.take(self.labels),
        }

    def column(self, name: str, *, epoch: int = -1, variant: str = CLEAN) -> NDArray:
        """A summary column, (N,), or (N, T) for top5 and top5_probability; whole numbers as int64, others float32.

        >>> run.column("confidence").shape, run.column("top5").shape
        ((20,), (20, 5))
        """
        if name not in _COLUMN_NAMES:
            raise NotInRun(f"Column {name!r} is not in the run: there are {', '.join(_COLUMN_NAMES)}.")
        index = self.variant_index(variant)
        return int64(self.read(epoch, lambda data: data.all_rows(f"images/{name}", index)))

    def columns(self, name: str, *, variant: str = CLEAN) -> NDArray:
        """A summary column over all `epochs`, (E, N) or (E, N, T); types as in `column`.

        >>> run.columns("prediction").shape
        (3, 20)
        """
        if not self.epochs:
            raise NotInRun(f"The run {str(self.path)!r} has no epochs yet.")
        return np.stack([self.column(name, epoch=epoch, variant=variant) for epoch in self.epochs])

    def confusion(self, *, epoch: int = -1, variant: str = CLEAN) -> NDArray[np.int64]:
        """Numbers of images by true class (rows) and prediction (columns), (C, C) int64.

        >>> run.confusion().sum()
        np.int64(20)
        """
        index = self.variant_index(variant)
        return int64(self.read(epoch, lambda data: data.all_rows("confusion", index)))

    def class_table(self, *, epoch: int = -1, variant: str = CLEAN) -> pd.DataFrame:
        """A row per class, indexed by class_index: id, name, group, count, accuracy, mean_confidence,
        mean_label_probability, spread, predicted_count; NaN for a class without images.

        >>> run.class_table().loc[:1, ["name", "count"]]
                           name  count
        class_index
        0            brown bear      4
        1            school bus      4
        """
        index = self.variant_index(variant)
        fields = [field for field in CLASS_COLUMNS if len(field.dims) == 2]
        found = self.read(epoch, lambda data: {field.name: int64(data.all_rows(field.path, index)) for field in fields})
        return self.classes.assign(**found)

    def patterns(self, *, epoch: int = -1, variant: str = CLEAN) -> Float32:
        """Class patterns (C, H, W) float32, logits: the mean map of its images; 0 for a class without images.

        >>> run.patterns(epoch=1).shape
        (5, 8, 8)
        """
        index = self.variant_index(variant)
        return self.read(epoch, lambda data: data.all_rows("classes/pattern", index))

    def timeline(
        self, *, image: int, class_index: int | str, variant: str = CLEAN, epochs: Sequence[int] | None = None
    ) -> Timeline:
        """One image under one variant over some epochs, by default all: a class's map and probability, and the
        prediction.

        It reads about 180 kB per epoch with 200 classes and 10,000 images: the chunks that contain the image.

        >>> run.timeline(image=4, class_index="school bus").maps.shape
        (3, 8, 8)
        """
        index, rows = self.variant_index(variant), self.image_rows([image])
        epochs = self.epochs if epochs is None else [self.epoch_number(epoch) for epoch in epochs]
        columns = self.class_rows([class_index])

        def query(data: EpochData) -> tuple[Float32, NDArray, int, float]:
            prediction, confidence = (
                data.rows(f"images/{name}", index, rows)[0] for name in ("prediction", "confidence")
            )
            probability = data.rows("probabilities", index, rows, columns)[0, 0]
            return self._maps(data, index, rows, columns)[0, 0], probability, int(prediction), float(confidence)

        found = [self.read(epoch, query) for epoch in epochs]
        maps, probabilities, predictions, confidences = zip(*found, strict=True) if found else ((), (), (), ())
        return Timeline(
            epochs=np.asarray(epochs, np.int64),
            maps=np.asarray(maps, np.float32).reshape(len(epochs), *self.map_shape),
            probabilities=np.asarray(probabilities, np.float32),
            predictions=np.asarray(predictions, np.int64),
            confidences=np.asarray(confidences, np.float32),
        )

    def layers(self, *, epoch: int = -1, images: Selection = None, only: str = "") -> dict[str, Float32]:
        """Activations of the inner layers, or of one only, for the clean images, name -> (n, F, h, w) float32.

        >>> {name: values.shape for name, values in run.layers(images=0).items()}
        {'encoder': (1, 6, 2, 2), 'decoder': (1, 6, 4, 4)}
        """
        rows = self.image_rows(images)

        def query(data: EpochData) -> dict[str, Float32]:
            return {
                name: decode(data.rows(f"layers/{name}/quantised", 0, rows), data.rows(f"layers/{name}/scale", 0, rows))
                for name in ((only,) if only else self.layer_names)
            }

        return self.read(epoch, query)

    def stages(self, *, epoch: int = -1, images: Selection = None) -> dict[str, Float32]:
        """Mean absolute activation over a stage's channels for the clean images, name -> (n, h, w) float32.

        >>> run.stages(images=0)["stem"].shape
        (1, 8, 8)
        """
        rows = self.image_rows(images)
        return self.read(
            epoch,
            lambda data: {name: data.rows(f"stages/{name}", 0, rows).astype(np.float32) for name in self.stage_names},
        )

    def variant_metrics(self, *, epoch: int = -1) -> pd.DataFrame:
        """A row per variant of an epoch: epoch, variant and the schema's variant_metrics/*, float64; shares are 0..1.

        top1, top5, mean_confidence, nll (nats), ece and mce (15 bins of equal width), of the maximum softmax as a
        confidence score auroc, fpr95, aurc, e_aurc and augrc, then mean sharpness and similarity, and against the clean
        variant flip_rate, unchanged_consistency, responsiveness and different_reason_share; NaN where undefined.

        >>> run.variant_metrics()["variant"].tolist()[:3]
        ['clean', 'gray', 'blur3']
        """
        epoch, paths = self.epoch_number(epoch), [field.path for field in VARIANT_METRICS]
        columns = self.read(epoch, lambda data: {path.rpartition("/")[2]: data.all_rows(path) for path in paths})
        return pd.DataFrame({"epoch": epoch, "variant": list(self.variants), **columns})

    def metrics(self, epochs: Sequence[int] | None = None) -> pd.DataFrame:
        """A row per epoch, or for some: epoch and what was recorded about it, such as train_loss; fractions are 0..1.

        >>> run.metrics()["epoch"].tolist()
        [1, 2, 3]
        """
        chosen = self.epochs if epochs is None else epochs
        rows = [{"epoch": epoch, **self.read(epoch, lambda data: data.metrics())} for epoch in chosen]
        return pd.DataFrame(rows, columns=None if rows else ["epoch"])

    def to_xarray(self, **chosen: Any) -> xarray.Dataset:
        """The recorded columns, labels and, if asked for, maps as one xarray.Dataset; arguments as of
        `store.read.xarray_dataset.to_xarray`. Needs xarray: pip install xarray.

        >>> run.to_xarray(maps=True, images=[0, 1], epochs=[-1])["maps"].dims
        ('epoch', 'variant', 'image', 'class', 'y', 'x')
        """
        return to_xarray(self, **chosen)

    @property
    def training_ledger(self) -> TrainingLedger:
        """How the training images were predicted, epoch by epoch; raises StoreError for a run at a URL."""
        return TrainingLedger(self.on_disk("Reading the training ledger"), self.facts)


_COLUMN_NAMES = tuple(field.name for field in IMAGE_COLUMNS)
