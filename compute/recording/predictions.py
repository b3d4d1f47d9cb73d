"""`from_predictions`: a run without maps, of what any classifier predicted; pages that need no maps work on it.

from_predictions("runs/mine", frame["path"], frame["label"], frame[class_names])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compute.data.decode import Preparation, decode_image
from compute.errors import BadImage, BadOption
from store import Run, create_run, open_run, resume_run
from store.errors import RunExists
from store.format.description import ClassInfo, RunDescription, Variant
from store.format.layout import RUN_FILE

Probabilities: TypeAlias = NDArray | pd.DataFrame
BATCH = 250  # images in memory at a time
TOLERANCE = 1e-3  # by which an image's probabilities may miss the sum 1: they are often rounded
LEAST = np.float32(2.0**-126)  # the smallest float32 with all its digits: the logarithm of 0 is not finite


def from_predictions(
    path: str | Path,
    images: Any,
    labels: Any,
    probabilities: Probabilities | Mapping[int, Probabilities],
    *,
    classes: Sequence[str] | None = None,
    size: int | tuple[int, int] = 64,
) -> Run:
    """Writes a run that has predictions and no maps, and opens it.

    Args:
        path: the run's folder; there must be no run yet.
        images: N paths of image files, such as a column of a table, or an array uint8 (N, h, w, 3).
        labels: N numbers or names of classes.
        probabilities: (N, C), each row's sum 1; an array, or columns of a table, whose names are then the classes. A
            mapping from the number of an epoch to such a table records several epochs.
        classes: names of the C classes; else the columns' names, else their numbers.
        size: image files are cropped to a square of this side, or to (h, w), in pixels.

    Raises:
        BadOption: the lengths differ, a label is no class, or the probabilities are none.
        BadImage: a file cannot be read.
        RunExists: there is a run at `path`.
    """
    epochs = dict(probabilities) if isinstance(probabilities, Mapping) else {1: probabilities}
    if not epochs:
        raise BadOption("There are no probabilities. Give an array (images, classes).")
    names = _class_names(next(iter(epochs.values())), classes)
    numbers = _label_numbers(labels, names)
    tables = {epoch: _checked(epoch, table, (len(numbers), len(names)), names) for epoch, table in epochs.items()}
    source = _Images(images, (size, size) if isinstance(size, int) else size)
    if len(source) != len(numbers):
        raise BadOption(f"There are {len(source)} images but {len(numbers)} labels. Give one for each image.")
    if (Path(path) / RUN_FILE).exists():
        raise RunExists(f"There is a run at {str(path)!r} already. Choose another name, or remove it.")
    order = np.argsort(numbers, kind="stable")
    description = _describe(Path(path).name, names, numbers, source, order)
    with create_run(path, description) as new_run:
        for start in range(0, len(order), BATCH):
            new_run.write_images("clean", start, source.read(order[start : start + BATCH]))
    writer = resume_run(path)
    for epoch, table in tables.items():
        with writer.epoch(epoch, _validation_metrics(table[order], description.labels)) as epoch_writer:
            # the softmax of the logarithms gives the probabilities again
            logits = np.log(np.maximum(table[order], LEAST))
            epoch_writer.write("clean", 0, logits[:, :, None, None])
    return open_run(path)


def _describe(
    name: str, names: Sequence[str], numbers: NDArray[np.int64], source: _Images, order: NDArray[np.int64]
) -> RunDescription:
    return RunDescription(
        name=name,
        classes=tuple(ClassInfo(each, each, "") for each in names),
        variants=(Variant("clean"),),
        labels=numbers[order],
        image_names=tuple(source.names[row] for row in order),
        image_shape=source.shape,
        map_shape=(1, 1),
        signed=True,
        configuration={"data": {"source": "predictions"}},
        preparation=source.preparation,
        evidence="none",
    )


class _Images:
    """Images as an array or as files, read by rows."""

    def __init__(self, images: Any, size: tuple[int, int]) -> None:
        self.array: NDArray[np.uint8] | None = None
        self.files: list[Path] = []
        self.preparation: dict[str, Any] | None = None
        if isinstance(images, np.ndarray) and images.dtype == np.uint8:
            if images.ndim != 4 or images.shape[3] != 3 or 0 in images.shape:
                raise BadOption(f"Images must be uint8 (N, h, w, 3), got {images.shape}.")
            self.array, self.shape = images, (int(images.shape[1]), int(images.shape[2]))
            self.names = tuple(f"{number:0{len(str(len(images)))}d}" for number in range(len(images)))
            return
        self.files = [Path(str(file)) for file in images]
        missing = next((file for file in self.files if not file.is_file()), None)
        if missing is not None or not self.files:
            raise BadImage(f"There is no file '{missing}'. Images are paths of files, or an array uint8 (N, h, w, 3).")
        self._prepare = Preparation(size)
        self.shape, self.preparation = size, self._prepare.record()
        self.names = tuple(file.as_posix().lstrip("/") if not file.is_absolute() else file.name for file in self.files)

    def __len__(self) -> int:
        return len(self.files) if self.array is None else len(self.array)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of these rows, uint8 (n, h, w, 3)."""
        if self.array is not None:
            return np.ascontiguousarray(self.array[rows])
        files = [self.files[row] for row in rows]
        return np.stack([decode_image(file.read_bytes(), self._prepare, name=str(file)).pixels for file in files])


def _class_names(table: Probabilities, classes: Sequence[str] | None) -> list[str]:
    """Names of the classes, distinct."""
    shape = np.shape(table)
    if len(shape) != 2 or shape[1] < 2:
        raise BadOption(f"Probabilities must be (images, classes) with two classes or more, got {shape}.")
    columns = table.columns if isinstance(table, pd.DataFrame) else range(shape[1])
    names = [str(name) for name in (columns if classes is None else classes)]
    if len(names) != shape[1] or len(set(names)) != len(names):
        raise BadOption(f"{len(set(names))} distinct names of classes do not fit {shape[1]} columns of probabilities.")
    return names


def _label_numbers(labels: Any, names: Sequence[str]) -> NDArray[np.int64]:
    """The number of each label's class."""
    given = np.asarray(labels)
    if given.ndim != 1 or not len(given):
        raise BadOption(f"Labels must be a list with one for each image, got the shape {given.shape}.")
    if given.dtype.kind in "iu":
        numbers = given.astype(np.int64)
    else:
        known = {name: number for number, name in enumerate(names)}
        numbers = np.array([known.get(str(label), -1) for label in given], np.int64)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= len(names)))
    if len(wrong):
        raise BadOption(
            f"The label of image {wrong[0]} is {given[wrong[0]]!r}, which is none of the {len(names)} classes: "
            f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}."
        )
    return numbers


def _checked(epoch: int, table: Probabilities, shape: tuple[int, int], names: Sequence[str]) -> NDArray[np.float32]:
    """The probabilities of an epoch, float32 (N, C)."""
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
        raise BadOption(f"The epoch {epoch!r} is not a whole number from 0 on.")
    if isinstance(table, pd.DataFrame) and set(table.columns) == set(names):
        table = table[[*names]]  # each epoch's columns in the order of the first one's
    values = np.asarray(table, np.float32)
    if values.shape != shape:
        raise BadOption(
            f"The probabilities of epoch {epoch} are {values.shape}, but there are {shape} images, classes."
        )
    wrong = np.flatnonzero(~((values >= 0).all(1) & (np.abs(values.sum(1, dtype=np.float64) - 1) <= TOLERANCE)))
    if len(wrong):
        raise BadOption(
            f"The probabilities of image {wrong[0]} in epoch {epoch} are from {values[wrong[0]].min():.3g} to "
            f"{values[wrong[0]].max():.3g} with the sum {values[wrong[0]].sum():.3g}. Give the softmax of the logits: "
            "from 0 to 1, with the sum 1."
        )
    return values


def _validation_metrics(probabilities: NDArray[np.float32], labels: NDArray) -> dict[str, float]:
    """Loss, top-1 and top-5 of the images, as a recorder measures them."""
    own = probabilities[np.arange(len(labels)), labels][:, None]
    rank = (probabilities > own).sum(1)
    return {
        "validation_loss": float(-np.log(np.maximum(own, LEAST)).mean()),
        "validation_top1": float((rank < 1).mean()),
        "validation_top5": float((rank < 5).mean()),
    }
