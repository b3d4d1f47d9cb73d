"""Reading a run: `open_run(path)` gives a `Run`, whose methods return arrays and tables with everything decoded.

Safe under threads. New epochs appear on `refresh`; a damaged one is reported in `damaged` and the rest stays usable.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import NotInRun
from store.format.description import Timeline
from store.format.quantization import decode, error_bound
from store.format.schema import CLASS_COLUMNS, IMAGE_COLUMNS
from store.format.selection import Selection
from store.read.run_folder import RunFolder
from store.read.sealed_file import EpochData
from store.read.source import LocalSource
from store.remote.place import is_remote
from store.remote.source import RemoteSource

Float32 = NDArray[np.float32]


def open_run(path: str | Path) -> Run:
    """The run at `path`: a folder that holds run.h5, or an fsspec URL of one, such as s3://bucket/runs/paper.

    Raises:
        RunNotFound: there is none.
        SchemaMismatch, DamagedFile: run.h5 is of another version, or damaged.
    """
    return Run(RemoteSource(str(path)) if is_remote(path) else LocalSource(Path(path)))


class Run(RunFolder):
    """A run on disk. Images are numbered 0..N-1 in class order, classes 0..C-1, epochs from 1.

    `images` and `classes` take whole numbers in any order, repeats allowed, a slice, or None for all. Every method
    raises NotInRun for what the run does not hold and DamagedFile where a file is not what was sealed.
    """

    def pixels(self, images: Selection = None, variant: str = "clean") -> NDArray[np.uint8]:
        """Images as the network saw them, (n, h, w, 3) uint8, red, green, blue."""
        return self._file.rows("pixels", self.variant_index(variant), self.image_rows(images))

    def masks(self, images: Selection = None) -> NDArray[np.bool_] | None:
        """Object masks (n, h, w) bool; None where the data set has none."""
        return self._file.rows("masks", 0, self.image_rows(images)).astype(bool) if self.has_masks else None

    def boxes(self, images: Selection = None) -> NDArray[np.int16] | None:
        """Object boxes (n, 4) int16: x0, y0, x1, y1 in pixels, end excluded; None where the data set has none."""
        return self._file.rows("boxes", 0, self.image_rows(images)) if self.has_boxes else None

    def maps(self, *, epoch: int, variant: str, images: Selection, classes: Selection = None) -> Float32:
        """Class maps (n, c, H, W) float32, logits; each value within `map_error` of what the network gave."""
        strip, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)

        def query(data: EpochData) -> Float32:
            codes = data.rows("maps", strip, rows, columns)
            return decode(codes, data.rows("map_scale", strip, rows, columns), zero_point=self.zero_point)

        return self.read(epoch, query)

    def map_error(self, *, epoch: int, variant: str, images: Selection, classes: Selection = None) -> Float32:
        """Largest possible difference of `maps` to what the network gave, (n, c) float32, logits."""
        strip, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)
        return error_bound(self.read(epoch, lambda data: data.rows("map_scale", strip, rows, columns)))

    def probabilities(
        self, *, epoch: int, variant: str, images: Selection = None, classes: Selection = None
    ) -> Float32:
        """Probabilities (n, c) float32: the softmax over all scores (paper, Eq. 4), taken before any coding."""
        strip, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)
        return self.read(epoch, lambda data: data.rows("probabilities", strip, rows, columns))

    def true_class_maps(self, *, epoch: int, variant: str, images: Selection = None) -> Float32:
        """Map of each image's true class, (n, H, W) float32, logits, within 1/510 (signed 1/254) of its peak."""
        return self._cached("true_class", epoch, variant, images)

    def predicted_class_maps(self, *, epoch: int, variant: str, images: Selection = None) -> Float32:
        """Map of the class each image was predicted as; as `true_class_maps`."""
        return self._cached("predicted_class", epoch, variant, images)

    def _cached(self, kind: str, epoch: int, variant: str, images: Selection) -> Float32:
        strip, rows = self.variant_index(variant), self.image_rows(images)
        codes, steps = self.read(epoch, lambda data: data.cached_rows(kind, strip, rows))
        return decode(codes, steps, zero_point=self.zero_point)

    def predictions(self, *, epoch: int, variant: str) -> pd.DataFrame:
        """A row per image: image, name, label, true class, group, prediction, predicted, predicted_group, correct, and every
        summary column; the top classes become top5_1, top5_2, ... and top5_probability_1, ...
        """
        columns = self._columns_of(epoch, variant)
        prediction = columns.pop("prediction")
        # Texts are taken from pandas' own arrays: making those out of Python's was a third of the time.
        names, groups = self.classes["name"].array, self.classes["group"].array
        table = {
            **self._label_columns,
            "prediction": prediction,
            "predicted_class": names.take(prediction),
            "predicted_group": groups.take(prediction),
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
        """What is the same in every table of predictions."""
        names, groups = self.classes["name"].array, self.classes["group"].array
        return {
            "image": np.arange(len(self.labels)),
            "name": pd.Series(list(self.image_names)).array,
            "label": self.labels,
            "true_class": names.take(self.labels),
            "group": groups.take(self.labels),
        }

    def _columns_of(self, epoch: int, variant: str) -> dict[str, NDArray]:
        """Every summary column of an epoch and variant."""
        strip = self.variant_index(variant)
        return self.read(
            epoch, lambda data: {field.name: _plain(data.strip(field.path, strip)) for field in IMAGE_COLUMNS}
        )

    def column(self, name: str, *, epoch: int, variant: str) -> NDArray:
        """A summary column, (N,), or (N, T) for top5 and top5_probability; whole numbers as int64, others float32."""
        _check_column(name)
        strip = self.variant_index(variant)
        return _plain(self.read(epoch, lambda data: data.strip(f"images/{name}", strip)))

    def columns(self, name: str, *, variant: str) -> NDArray:
        """A summary column over all `epochs`, (E, N) or (E, N, T); types as in `column`."""
        _check_column(name)
        epochs = self.epochs
        if not epochs:
            raise NotInRun(f"The run {str(self.path)!r} has no epochs yet.")
        return np.stack([self.column(name, epoch=epoch, variant=variant) for epoch in epochs])

    def confusion(self, *, epoch: int, variant: str) -> NDArray[np.int64]:
        """Numbers of images by true class (rows) and prediction (columns), (C, C) int64."""
        strip = self.variant_index(variant)
        return _plain(self.read(epoch, lambda data: data.strip("confusion", strip)))

    def class_table(self, *, epoch: int, variant: str) -> pd.DataFrame:
        """A row per class, indexed by class_index: id, name, group, count, accuracy, mean_confidence,
        mean_label_probability, spread, predicted_count; NaN for a class without images.
        """
        strip = self.variant_index(variant)
        fields = [field for field in CLASS_COLUMNS if len(field.dims) == 2]
        found = self.read(epoch, lambda data: {field.name: _plain(data.strip(field.path, strip)) for field in fields})
        return self.classes.assign(**found)

    def patterns(self, *, epoch: int, variant: str) -> Float32:
        """Class patterns (C, H, W) float32, logits: the mean own map of each class; 0 for a class without images."""
        strip = self.variant_index(variant)
        return self.read(epoch, lambda data: data.strip("classes/pattern", strip))

    def timeline(self, *, image: int, class_index: int, variant: str, epochs: Sequence[int] | None = None) -> Timeline:
        """One image under one variant over some epochs, by default all: a class's map and probability, and what won.

        It reads about 180 kB an epoch of 200 classes and 10,000 images: the chunks in which the image lies.
        """
        strip, rows = self.variant_index(variant), self.image_rows([image])
        epochs = self.epochs if epochs is None else epochs
        columns = self.class_rows([class_index])

        def query(data: EpochData) -> tuple[Float32, NDArray, int, float]:
            codes, step = (data.rows(path, strip, rows, columns) for path in ("maps", "map_scale"))
            won, confidence = (data.rows(f"images/{name}", strip, rows)[0] for name in ("prediction", "confidence"))
            probability = data.rows("probabilities", strip, rows, columns)[0, 0]
            return decode(codes, step, zero_point=self.zero_point)[0, 0], probability, int(won), float(confidence)

        found = [self.read(epoch, query) for epoch in epochs]
        maps, probabilities, won, confidences = zip(*found, strict=True) if found else ((), (), (), ())
        return Timeline(
            epochs=np.asarray(epochs, np.int64),
            maps=np.asarray(maps, np.float32).reshape(len(epochs), *self.map_shape),
            probabilities=np.asarray(probabilities, np.float32),
            predictions=np.asarray(won, np.int64),
            confidences=np.asarray(confidences, np.float32),
        )

    def layers(self, *, epoch: int, images: Selection) -> dict[str, Float32]:
        """Activations of the inner layers for the clean images, name -> (n, K, h, w) float32."""
        rows = self.image_rows(images)

        def query(data: EpochData) -> dict[str, Float32]:
            return {
                name: decode(data.rows(f"layers/{name}/quantised", 0, rows), data.rows(f"layers/{name}/scale", 0, rows))
                for name in self.layer_names
            }

        return self.read(epoch, query)

    def stages(self, *, epoch: int, images: Selection) -> dict[str, Float32]:
        """Mean absolute activation over a stage's channels for the clean images, name -> (n, h, w) float32."""
        rows = self.image_rows(images)
        return self.read(
            epoch,
            lambda data: {name: data.rows(f"stages/{name}", 0, rows).astype(np.float32) for name in self.stage_names},
        )

    def metrics(self) -> pd.DataFrame:
        """A row per epoch: epoch and everything that was noted about it, such as train_loss; fractions are 0..1."""
        rows = [{"epoch": epoch, **self.read(epoch, lambda data: data.metrics())} for epoch in self.epochs]
        return pd.DataFrame(rows, columns=None if rows else ["epoch"])


_COLUMN_NAMES = tuple(field.name for field in IMAGE_COLUMNS)


def _check_column(name: str) -> None:
    if name not in _COLUMN_NAMES:
        raise NotInRun(f"Column {name!r} is not in the run: there are {', '.join(_COLUMN_NAMES)}.")


def _plain(array: NDArray) -> NDArray:
    """Whole numbers as int64, so that differences of columns cannot overflow."""
    return array.astype(np.int64) if array.dtype.kind in "iu" else array
