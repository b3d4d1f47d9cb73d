"""The store beside the obvious alternatives, on the maps of trained networks, and the time of every query of a page.

    python -m bench store --run runs/quick --run runs/tiny3 --repeat 20

Writing: the checkpoint of each run gives its maps once more, before any quantisation. The same maps go to this store,
to float16 HDF5 (plain, gzip 4, gzip 4 with shuffle) and to Zarr 3 with its default compressor; every value is read back
and compared. Reading: every query behind a page on the last run named, warm and with the files dropped from the page
cache; with --repeat on a run of that many epochs, copies of its own. CPU time is what a busy machine changes least.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from numpy.typing import NDArray

from bench import document
from bench.store_queries import reading_table, repeat_epochs
from compute.live.predictor import load_predictor
from store import Run, RunDescription, Variant, create_run, open_run, resume_run
from store.format.layout import epoch_file
from store.format.schema import CHUNK_BYTES

Maps = NDArray[np.float32]
BATCH = 250
COPIES = ("clean", "again1", "again2", "again3")  # the same maps, so that work done once an epoch weighs little
REFERENCE = "float16, HDF5 gzip 4"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the tables in Markdown."""
    parser = document.parser("store", __doc__)
    parser.add_argument("--run", action="append", required=True, help="may be given several times")
    parser.add_argument("--images", type=int, default=4000, help="of each run (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=0, help="epochs to read from, copies of those of the last run")
    parser.add_argument("--folder", help="where to write (default: a temporary folder)")
    options = parser.parse_args(arguments)
    runs = [open_run(path) for path in options.run]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        samples = [read_sample(run, options.images) for run in runs]
        print(formats_table(samples, Path(folder)), sep="\n\n", end="\n\n")
        del samples
        print(reading_table(repeat_epochs(runs[-1], options.repeat, Path(folder)) if options.repeat else runs[-1]))


@dataclass(frozen=True)
class Sample:
    """Maps (n, C, H, W) float32 of a run's last checkpoint, as the network gives them, with the images' labels."""

    run: Run
    maps: Maps
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Cost:
    """The cost of one form of storage: bytes and processor seconds per image, and the largest error of a value.

    error: as a share of the largest value of its image. bound: as a share of the stated bound, NaN if none is stated.
    """

    size: float
    processor: float
    error: float
    bound: float = float("nan")


def read_sample(run: Run, count: int) -> Sample:
    """The maps of about `count` images, in whole batches spread over the run."""
    predictor, size = load_predictor(run.path, run.epochs[-1]), min(BATCH, len(run.labels))
    starts = np.linspace(0, len(run.labels) - size, max(1, min(count, len(run.labels)) // BATCH)).astype(int)
    blocks = [np.arange(start, start + size) for start in starts]
    maps = np.concatenate([predictor.predict(run.pixels(block))[0] for block in blocks])
    return Sample(run, maps, run.labels[np.concatenate(blocks)])


def formats_table(samples: Sequence[Sample], folder: Path) -> str:
    """Bytes, error and processor time per image of each form of storage, for each run.

    Raises:
        RuntimeError: this store decoded a value outside its stated bound.
    """
    rows = []
    for sample in samples:
        costs = compare_formats(sample, folder)
        for name, cost in costs.items():
            if cost.bound > 1:
                raise RuntimeError(f"A value of '{sample.run.name}' is {cost.bound} of its stated bound off ({name}).")
            bound = "" if np.isnan(cost.bound) else f"{cost.bound:.3f}"
            share, error = f"{cost.size / costs[REFERENCE].size:.2f}", f"{100 * cost.error:.3f} %"
            rows.append(
                (sample.run.name, name, f"{cost.size:,.0f}", share, error, bound, f"{1e6 * cost.processor:,.0f}")
            )
    headings = ("run", "form", "B/image", "of gzip 4", "largest error", "of the stated bound", "CPU µs/image")
    origin = "; ".join(
        f"{len(sample.maps):,} images of the run '{sample.run.name}' ({sample.maps.shape[1]} classes, "
        f"{sample.maps.shape[2]} x {sample.maps.shape[3]} cells, {100 * (sample.maps == 0).mean():.0f} % zero)"
        for sample in samples
    )
    note = (
        "Largest error: as a share of the largest value of the image. This store's bytes are those of maps and scales; "
        "its time includes every summary column, probabilities, checksums and the receipt."
    )
    return f"Maps before quantisation: {origin}.\n\n{document.table(headings, rows, text_columns=2)}\n\n{note}"


def compare_formats(sample: Sample, folder: Path) -> dict[str, Cost]:
    """The cost of each form of storage by name; the files are removed again."""
    gzip = {"compression": "gzip", "compression_opts": 4}
    writers: dict[str, Callable[[Path], NDArray[np.float16]]] = {
        "float16, uncompressed HDF5": lambda path: _write_hdf5(path, sample.maps),
        REFERENCE: lambda path: _write_hdf5(path, sample.maps, **gzip),
        "float16, HDF5 gzip 4 + shuffle": lambda path: _write_hdf5(path, sample.maps, **gzip, shuffle=True),
        "float16, Zarr 3 default": lambda path: _write_zarr(path, sample.maps),
    }
    costs = {}
    for name, write in writers.items():
        path, worked = folder / "alternative", time.process_time()
        decoded = write(path)
        worked = time.process_time() - worked
        error = max(
            _largest_error(sample.maps, decoded[start : start + BATCH], start) for start in _starts(sample.maps)
        )
        size, count = _remove(path), len(sample.maps)
        costs[name] = Cost(size / count, worked / count, error)
    costs["this store"] = write_epoch(sample, folder / "run")
    return costs


def write_epoch(sample: Sample, path: Path) -> Cost:
    """Write an epoch of the sample with this store, four times over, compare every value, and remove it."""
    maps, run = sample.maps, sample.run
    description = RunDescription(
        name="bench",
        classes=run.description.classes,
        variants=tuple(map(Variant, COPIES)),
        labels=sample.labels,
        image_names=tuple(map(str, range(len(maps)))),
        image_shape=(1, 1),
        map_shape=run.map_shape,
        signed=run.signed,
    )
    with create_run(path, description) as new:
        for variant in COPIES:
            new.write_images(variant, 0, np.zeros((len(maps), 1, 1, 3), np.uint8))
    # Processor time, because a busy machine changes it least; one thread, so that it is not shared out.
    worked = time.process_time()
    with resume_run(path).epoch(1, threads=1) as writer:
        for variant in COPIES:
            for start in _starts(maps):
                writer.write(variant, start, maps[start : start + BATCH])
    passes = len(maps) * len(COPIES)
    worked = (time.process_time() - worked) / passes
    with h5py.File(path / epoch_file(1), "r", locking=False) as file:
        size = sum(file[name].id.get_storage_size() for name in ("maps", "map_scale")) / passes
    error, bound = _check(open_run(path), maps)
    _remove(path)
    return Cost(size, worked, error, bound)


def _check(run: Run, maps: Maps) -> tuple[float, float]:
    """Largest error of any value, as a share of its image's largest value and of the stated bound."""
    errors, bounds = [], []
    for variant in run.variants:
        for start in _starts(maps):
            at: dict[str, Any] = {"epoch": 1, "variant": variant, "images": slice(start, start + BATCH)}
            decoded = run.maps(**at)
            errors.append(_largest_error(maps, decoded, start))
            off = np.abs(decoded.astype(np.float64) - maps[start : start + BATCH])
            bounds.append(float((off / run.map_error(**at)[..., None, None]).max()))
    return max(errors), max(bounds)


def _largest_error(maps: Maps, decoded: NDArray, start: int) -> float:
    """Largest error of a batch, as a share of the largest value of its image."""
    batch = maps[start : start + BATCH].astype(np.float64)
    largest = np.maximum(np.abs(batch).max((1, 2, 3), keepdims=True), np.finfo(np.float32).tiny)
    return float((np.abs(decoded.astype(np.float64) - batch) / largest).max())


def _starts(maps: Maps) -> range:
    return range(0, len(maps), BATCH)


def _write_hdf5(path: Path, maps: Maps, **filters: object) -> NDArray[np.float16]:
    """Write the maps as float16 in chunks of the same images as the store's, and read them back."""
    chunk = (min(len(maps), max(1, CHUNK_BYTES // maps[0].size)), *maps.shape[1:])
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("maps", maps.shape, np.float16, chunks=chunk, **filters)
        for start in _starts(maps):
            dataset[start : start + BATCH] = maps[start : start + BATCH].astype(np.float16)
    with h5py.File(path) as file:
        return file["maps"][...]


def _write_zarr(path: Path, maps: Maps) -> NDArray[np.float16]:
    """The same in Zarr 3 with its default compressor."""
    chunk = (min(len(maps), max(1, CHUNK_BYTES // maps[0].size)), *maps.shape[1:])
    array = zarr.create_array(path, shape=maps.shape, chunks=chunk, dtype="float16", zarr_format=3)
    for start in _starts(maps):
        array[start : start + BATCH] = maps[start : start + BATCH].astype(np.float16)
    return np.asarray(zarr.open_array(path, mode="r")[...])


def _remove(path: Path) -> int:
    """Remove a file or folder, and return its size in bytes."""
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return size


if __name__ == "__main__":
    main()
