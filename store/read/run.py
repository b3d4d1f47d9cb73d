"""Reading a run: `open_run(path)` returns a `Run`, whose methods return decoded arrays and tables.

Safe under threads. New epochs appear on `refresh`; a damaged one is listed in `damaged`, and the rest stays usable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import DamagedFile, NotInRun, RunNotFound, SchemaMismatch, StoreError
from store.format import layout
from store.format.description import Timeline, Variant, open_run_file
from store.format.hdf5_file import damaged
from store.format.quantization import decode, error_bound, zero_point
from store.format.receipts import read_receipt
from store.format.schema import CLASS_COLUMNS, IMAGE_COLUMNS, VARIANT_METRICS
from store.read.epoch_data import (
    EpochCache,
    EpochData,
    Selection,
    epoch_opener,
    int64,
    mean_maps_of,
    of_all_classes,
    rows_of,
)
from store.read.source import LocalSource, Source, State, path_state
from store.read.training_ledger import TrainingLedger
from store.remote.place import is_remote
from store.remote.source import RemoteSource

T = TypeVar("T")
Float32 = NDArray[np.float32]


def open_run(path: str | Path) -> Run:
    """The run at `path`: a folder with run.h5, or an fsspec URL of one, such as s3://bucket/runs/paper.

    Raises:
        RunNotFound: there is none.
        SchemaMismatch, DamagedFile: run.h5 is of another version, or damaged.
    """
    return Run(RemoteSource(str(path)) if is_remote(path) else LocalSource(Path(path)))


class Run:
    """A run on disk. Images are numbered 0..N-1 in class order, classes 0..C-1; epoch 0 is the untrained network.

    `images` and `classes` take whole numbers in any order, repeats allowed, a slice, or None for all. Every method
    raises NotInRun for anything that is not in the run, and DamagedFile where a file is not as written.
    """

    def __init__(self, source: Source) -> None:
        self.source, self.path = source, source.folder
        source.in_use(source.fetch_run(), self)
        run_file = self.path / layout.RUN_FILE
        self._file, facts = open_run_file(run_file)
        receipt = read_receipt(self.path, None)
        if receipt is not None and receipt["run_id"] != facts.id:
            raise damaged(run_file, f"it is of run {facts.id!r}, its receipt of {receipt['run_id']!r}")
        self.id, self.description = facts.id, facts.description
        self.has_masks, self.has_boxes = facts.has_masks, facts.has_boxes
        self._cache = EpochCache(epoch_opener(source, facts), source.open_files)
        self._known: dict[int, State] = {}
        self._run_state = path_state(run_file)
        self.damaged: dict[int, str] = {}
        self.refresh()

    def state(self, epoch: int | None = None) -> tuple[str | int, ...]:
        """The key under which results about the run, or about one epoch of it, may be cached.

        It changes when run.h5 or the epoch's files are written again or exchanged, once `refresh` has noticed.
        """
        of_epoch = () if epoch is None else self._known.get(epoch, ("", 0))
        return str(self.path), self.id, *self._run_state, *of_epoch

    @property
    def states(self) -> tuple[str | int, ...]:
        """The `state` of the run with all of its epochs and its analysis."""
        known = self._known
        analysis = path_state(self.path / layout.ANALYSIS_FILE)
        return (*self.state(), *self.epochs, *(tag for tag, _ in known.values()), *analysis)

    def recording(self, epoch: int) -> tuple[int, str]:
        """Size of an epoch's file in bytes, and its SHA-256 according to its receipt, empty if unknown."""
        state = self._known[epoch]
        return state[1], self.source.recorded_sha256(epoch, state)

    @property
    def name(self) -> str:
        """The name under which it was recorded."""
        return self.description.name

    @property
    def epochs(self) -> tuple[int, ...]:
        """Complete, readable epochs, ascending."""
        return tuple(epoch for epoch in sorted(self._known) if epoch not in self.damaged)

    def epoch_label(self, epoch: int) -> str:
        """The name of an epoch for people, such as "best" or "step 12000"; empty where it has none."""
        return self.read(epoch, lambda data: str(data.facts.get("label", "")))

    @property
    def planned_epochs(self) -> int:
        """How many epochs of training are planned, 0 = unknown; after a continued training, by its last epoch."""
        planned, last = self.description.planned_epochs, max(self.epochs, default=0)
        if 0 < planned < last:  # only then is the epoch opened: of a run at a URL, that fetches its file
            with suppress(DamagedFile):
                return max(planned, self.read(last, lambda data: int(data.facts.get("planned_epochs", 0))))
        return planned

    @property
    def complete(self) -> bool:
        """Whether every planned epoch is complete and readable."""
        return 0 < self.planned_epochs <= sum(epoch > 0 for epoch in self.epochs)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants; the first is "clean"."""
        return self.description.variant_names

    def variant(self, name: str) -> Variant:
        """What is known about a variant; raises NotInRun."""
        return self.description.variants[self.variant_index(name)]

    @cached_property
    def changed_images(self) -> dict[str, int]:
        """How many images each variant changed."""
        return dict(zip(self.variants, self._file.all_rows("variants/changed_images").tolist(), strict=True))

    @cached_property
    def classes(self) -> pd.DataFrame:
        """A row per class: id, name, group; the index is the class index."""
        entries = [(entry.id, entry.name, entry.group) for entry in self.description.classes]
        return pd.DataFrame(entries, columns=["id", "name", "group"]).rename_axis("class_index")

    @property
    def labels(self) -> NDArray[np.int64]:
        """The true class of each image, (N,), ascending."""
        return self.description.labels.astype(np.int64)

    @property
    def image_names(self) -> tuple[str, ...]:
        """Name of each image in its data set."""
        return self.description.image_names

    @property
    def image_shape(self) -> tuple[int, int]:
        """(h, w) of the images."""
        return self.description.image_shape

    @property
    def map_shape(self) -> tuple[int, int]:
        """(H, W) of the class maps."""
        return self.description.map_shape

    @property
    def has_maps(self) -> bool:
        """Whether the run has class maps; without them the one cell of a class is its logit."""
        return self.description.has_maps

    @property
    def signed(self) -> bool:
        """Whether class maps may be negative."""
        return self.description.signed

    @property
    def kept_maps(self) -> int:
        """How many maps of each image are recorded, besides that of its true class; 0 = the maps of all classes."""
        return self.description.kept_maps

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Recorded inner layers."""
        return tuple(self.description.layers)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Recorded stages of the encoder, from the input inwards: maps only shrink, and the stem comes first."""
        stages = self.description.stages
        return tuple(sorted(stages, key=lambda name: (-stages[name][0], name != "stem", name)))

    @property
    def configuration(self) -> dict[str, Any]:
        """The resolved configuration."""
        return dict(self.description.configuration)

    @property
    def provenance(self) -> dict[str, Any]:
        """Code, library versions and data checksums."""
        return dict(self.description.provenance)

    def on_disk(self, purpose: str) -> Path:
        """The run's own folder; raises StoreError for a run at a URL, which is only cached on this machine."""
        if not self.source.is_local:
            raise StoreError(
                f"{purpose} needs the whole run in a folder, and {self.name!r} is at a URL. "
                'Fetch it first: "python -m store copy URL FOLDER".'
            )
        return self.path

    def refresh(self) -> bool:
        """Look for new, replaced and lost epochs; return whether anything changed.

        Raises:
            RunNotFound: the run was moved or deleted since it was opened.
        """
        found, receipts = self.source.look()
        if self._known and not found and not (self.path / layout.RUN_FILE).exists():
            raise RunNotFound(f"The run {str(self.path)!r} was moved or deleted since it was opened. Open it again.")
        lost = receipts - found.keys()
        changed = {epoch for epoch, state in found.items() if self._known.get(epoch) != state}
        if not changed and found.keys() == self._known.keys() and lost <= self.damaged.keys():
            return False
        damaged = {epoch: why for epoch, why in self.damaged.items() if epoch in found and epoch not in changed}
        for epoch in lost:
            damaged[epoch] = (
                f"Epoch {epoch} was complete, but its file is gone. Restore it from a copy, or record it again."
            )
        for epoch in sorted(changed):
            try:
                if self.source.is_local:  # of a remote run, opening means fetching: that waits until the epoch is read
                    self._open(epoch)
            except (DamagedFile, SchemaMismatch) as err:
                damaged[epoch] = str(err)
        # Replaced, never changed: another thread sees the old set or the new one.
        self._known, self.damaged = found, damaged
        return True

    def _open(self, epoch: int) -> EpochData:
        return self._cache.get(self.source.fetch_epoch(epoch), epoch)

    def read(self, epoch: int, query: Callable[[EpochData], T]) -> T:
        """The result of `query` for an epoch's data; a damaged epoch is noted in `damaged`.

        Raises:
            NotInRun: there is no such epoch.
            DamagedFile: the file's content is not what was written.
        """
        if epoch in self.damaged:
            raise DamagedFile(self.damaged[epoch])
        if epoch not in self._known:
            range_ = f", {self.epochs[0]} to {self.epochs[-1]}" if self.epochs else ""
            raise NotInRun(
                f"Epoch {epoch} is not in the run {str(self.path)!r}: it has {len(self.epochs)} epochs{range_}."
            )
        try:
            return query(self._open(epoch))
        except DamagedFile as err:
            self.damaged = {**self.damaged, epoch: str(err)}
            raise

    def variant_index(self, variant: str) -> int:
        """Index of a variant in `variants`; raises NotInRun."""
        return self.description.variant_index(variant)

    def image_rows(self, images: Selection) -> NDArray[np.int64]:
        """Row numbers of images; raises NotInRun."""
        return rows_of(images, len(self.description.labels), what="image")

    def class_rows(self, classes: Selection) -> NDArray[np.int64] | None:
        """Class numbers, None for all; raises NotInRun."""
        return None if classes is None else rows_of(classes, len(self.description.classes), what="class")

    def pixels(self, images: Selection = None, variant: str = "clean") -> NDArray[np.uint8]:
        """Images as the network saw them, (n, h, w, 3) uint8, red, green, blue."""
        return self._file.rows("pixels", self.variant_index(variant), self.image_rows(images))

    def image_sha256(self, images: Selection = None) -> NDArray[np.uint8] | None:
        """SHA-256 of each clean image's pixels, (n, 32) uint8; None where the run has none."""
        rows = self.image_rows(images)
        return self._file.rows("image_sha256", 0, rows) if self._file.has("image_sha256") else None

    def masks(self, images: Selection = None) -> NDArray[np.bool_] | None:
        """Object masks (n, h, w) bool; None where the data set has none."""
        return self._file.rows("masks", 0, self.image_rows(images)).astype(bool) if self.has_masks else None

    def boxes(self, images: Selection = None) -> NDArray[np.int16] | None:
        """Object boxes (n, 4) int16: x0, y0, x1, y1 in pixels, end excluded; None where the data set has none."""
        return self._file.rows("boxes", 0, self.image_rows(images)) if self.has_boxes else None

    def maps(self, *, epoch: int, variant: str, images: Selection, classes: Selection = None) -> Float32:
        """Class maps (n, c, H, W) float32, logits; each value within `map_error` of the network's own.

        In signed runs they are relative to their image's `mean_maps`: add these for the network's own maps. NaN where
        the map of a class is not kept (see `has_map`).
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

    def mean_maps(self, *, epoch: int, variant: str, images: Selection) -> Float32:
        """Mean map over all classes, (n, H, W) float32: `maps` of signed runs are relative to it; 0 in other runs."""
        index, rows = self.variant_index(variant), self.image_rows(images)
        return self.read(epoch, lambda data: mean_maps_of(data, index, rows, self.map_shape))

    def has_map(self, *, epoch: int, variant: str, images: Selection, classes: Selection = None) -> NDArray[np.bool_]:
        """Whether the run keeps the maps of classes, (n, c) bool."""
        return np.isfinite(self.map_error(epoch=epoch, variant=variant, images=images, classes=classes))

    def map_error(self, *, epoch: int, variant: str, images: Selection, classes: Selection = None) -> Float32:
        """Largest possible error of a value of `maps`, (n, c) float32, logits; NaN where not kept."""
        index, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)

        def query(data: EpochData) -> Float32:
            scale = data.rows("map_scale", index, rows, None if self.kept_maps else columns)
            return self._of_classes(scale, data, index, rows, columns) if self.kept_maps else scale

        return error_bound(self.read(epoch, query))

    def probabilities(
        self, *, epoch: int, variant: str, images: Selection = None, classes: Selection = None
    ) -> Float32:
        """Probabilities (n, c) float32: the softmax over all logits (Eq. 4), from maps before quantisation."""
        index, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)
        return self.read(epoch, lambda data: data.rows("probabilities", index, rows, columns))

    def logits(self, *, epoch: int, variant: str, images: Selection = None, classes: Selection = None) -> Float32:
        """Logits (n, c) float32, the means of the network's maps, decoded, or recorded where maps are missing."""
        index, rows, columns = self.variant_index(variant), self.image_rows(images), self.class_rows(classes)

        def query(data: EpochData) -> Float32:
            if self.kept_maps:
                return data.rows("logits", index, rows, columns)
            shared = mean_maps_of(data, index, rows, self.map_shape).mean((-2, -1))
            return self._maps(data, index, rows, columns).mean((-2, -1)) + shared[:, None]

        return self.read(epoch, query)

    def true_class_maps(self, *, epoch: int, variant: str, images: Selection = None) -> Float32:
        """Map of each image's true class, (n, H, W) float32, as `maps`, within 1/510 (signed 1/254) of its peak."""
        return self._cached_maps("true_class", epoch, variant, images)

    def predicted_class_maps(self, *, epoch: int, variant: str, images: Selection = None) -> Float32:
        """Map of the class each image was predicted as; as `true_class_maps`."""
        return self._cached_maps("predicted_class", epoch, variant, images)

    def _cached_maps(self, kind: str, epoch: int, variant: str, images: Selection) -> Float32:
        index, rows = self.variant_index(variant), self.image_rows(images)
        quantised, scale = self.read(epoch, lambda data: data.cached_rows(kind, index, rows))
        return decode(quantised, scale, zero_point=zero_point(self.signed))

    def predictions(self, *, epoch: int, variant: str) -> pd.DataFrame:
        """A row per image: image, name, label, true class, group, prediction, predicted, predicted_group, correct, and
        every summary column; the top classes become top5_1, top5_2, ... and top5_probability_1, ...
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

    def column(self, name: str, *, epoch: int, variant: str) -> NDArray:
        """A summary column, (N,), or (N, T) for top5 and top5_probability; whole numbers as int64, others float32."""
        if name not in _COLUMN_NAMES:
            raise NotInRun(f"Column {name!r} is not in the run: there are {', '.join(_COLUMN_NAMES)}.")
        index = self.variant_index(variant)
        return int64(self.read(epoch, lambda data: data.all_rows(f"images/{name}", index)))

    def columns(self, name: str, *, variant: str) -> NDArray:
        """A summary column over all `epochs`, (E, N) or (E, N, T); types as in `column`."""
        if not self.epochs:
            raise NotInRun(f"The run {str(self.path)!r} has no epochs yet.")
        return np.stack([self.column(name, epoch=epoch, variant=variant) for epoch in self.epochs])

    def confusion(self, *, epoch: int, variant: str) -> NDArray[np.int64]:
        """Numbers of images by true class (rows) and prediction (columns), (C, C) int64."""
        index = self.variant_index(variant)
        return int64(self.read(epoch, lambda data: data.all_rows("confusion", index)))

    def class_table(self, *, epoch: int, variant: str) -> pd.DataFrame:
        """A row per class, indexed by class_index: id, name, group, count, accuracy, mean_confidence,
        mean_label_probability, spread, predicted_count; NaN for a class without images.
        """
        index = self.variant_index(variant)
        fields = [field for field in CLASS_COLUMNS if len(field.dims) == 2]
        found = self.read(epoch, lambda data: {field.name: int64(data.all_rows(field.path, index)) for field in fields})
        return self.classes.assign(**found)

    def patterns(self, *, epoch: int, variant: str) -> Float32:
        """Class patterns (C, H, W) float32, logits: the mean map of its images; 0 for a class without images."""
        index = self.variant_index(variant)
        return self.read(epoch, lambda data: data.all_rows("classes/pattern", index))

    def timeline(self, *, image: int, class_index: int, variant: str, epochs: Sequence[int] | None = None) -> Timeline:
        """One image under one variant over some epochs, by default all: a class's map and probability, and the
        prediction.

        It reads about 180 kB per epoch with 200 classes and 10,000 images: the chunks that contain the image.
        """
        index, rows = self.variant_index(variant), self.image_rows([image])
        epochs = self.epochs if epochs is None else epochs
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

    def layers(self, *, epoch: int, images: Selection, only: str = "") -> dict[str, Float32]:
        """Activations of the inner layers, or of one only, for the clean images, name -> (n, F, h, w) float32."""
        rows = self.image_rows(images)

        def query(data: EpochData) -> dict[str, Float32]:
            return {
                name: decode(data.rows(f"layers/{name}/quantised", 0, rows), data.rows(f"layers/{name}/scale", 0, rows))
                for name in ((only,) if only else self.layer_names)
            }

        return self.read(epoch, query)

    def stages(self, *, epoch: int, images: Selection) -> dict[str, Float32]:
        """Mean absolute activation over a stage's channels for the clean images, name -> (n, h, w) float32."""
        rows = self.image_rows(images)
        return self.read(
            epoch,
            lambda data: {name: data.rows(f"stages/{name}", 0, rows).astype(np.float32) for name in self.stage_names},
        )

    def variant_metrics(self, *, epoch: int) -> pd.DataFrame:
        """A row per variant of an epoch: epoch, variant and the schema's variant_metrics/*, float64; shares are 0..1.

        top1, top5, mean_confidence, nll (nats), ece and mce (15 bins of equal width), of the maximum softmax as a
        confidence score auroc, fpr95, aurc, e_aurc and augrc, then mean sharpness and similarity, and against the clean
        variant flip_rate, unchanged_consistency, responsiveness and different_reason_share; NaN where undefined.
        """
        paths = [field.path for field in VARIANT_METRICS]
        columns = self.read(epoch, lambda data: {path.rpartition("/")[2]: data.all_rows(path) for path in paths})
        return pd.DataFrame({"epoch": epoch, "variant": list(self.variants), **columns})

    def metrics(self) -> pd.DataFrame:
        """A row per epoch: epoch and everything that was recorded about it, such as train_loss; fractions are 0..1."""
        rows = [{"epoch": epoch, **self.read(epoch, lambda data: data.metrics())} for epoch in self.epochs]
        return pd.DataFrame(rows, columns=None if rows else ["epoch"])

    @property
    def training_ledger(self) -> TrainingLedger:
        """How the training images were predicted, epoch by epoch; raises StoreError for a run at a URL."""
        return TrainingLedger(self.on_disk("Reading the training ledger"), self.id, self.description)


_COLUMN_NAMES = tuple(field.name for field in IMAGE_COLUMNS)
