"""The store beside the obvious alternatives, on the maps of trained networks, and the time of every query of a page.

    python -m bench store --run runs/quick --run runs/tiny3 --repeat 20

Writing: the checkpoint of each run gives its maps once more, before any quantisation. The same maps go to this store,
to float16 HDF5 (plain, gzip 4, gzip 4 with shuffle) and to Zarr 3 with its default compressor; every value is read back
and compared. Reading: every query behind a page on the last run named, warm and with the files dropped from the page
cache; with --repeat on a run of that many epochs, copies of its own. CPU time is what a busy machine changes least.
"""

from __future__ import annotations

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
    rows, origins = [], []
    for sample in samples:
        costs, maps = compare_formats(sample, folder), sample.maps
        for name, cost in costs.items():
            if cost.bound > 1:
                raise RuntimeError(f"A value of '{sample.run.name}' is {cost.bound} of its stated bound off ({name}).")
            bound = "" if np.isnan(cost.bound) else f"{cost.bound:.3f}"
            sizes = f"{cost.size:,.0f}", f"{cost.size / costs[REFERENCE].size:.2f}"
            rows.append((sample.run.name, name, *sizes, f"{cost.error:.3%}", bound, f"{1e6 * cost.processor:,.0f}"))
        shape = f"{maps.shape[1]} classes, {maps.shape[2]} x {maps.shape[3]} cells, {(maps == 0).mean():.0%} zero"
        origins.append(f"{len(maps):,} images of the run '{sample.run.name}' ({shape})")
    headings = ("run", "form", "B/image", "of gzip 4", "largest error", "of the stated bound", "CPU µs/image")
    note = (
        "Largest error: as a share of the largest value of the image. This store's bytes are those of maps and scales; "
        "its time includes every summary column, probabilities, checksums and the receipt."
    )
    table = document.table(headings, rows, text_columns=2)
    return f"Maps before quantisation: {'; '.join(origins)}.\n\n{table}\n\n{note}"


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
        with tempfile.TemporaryDirectory(dir=folder) as place:
            worked = time.process_time()
            decoded = write(Path(place) / "maps")
            worked = time.process_time() - worked
            size = sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file())
        error = max(_error(sample.maps[batch], decoded[batch]) for batch in _batches(sample.maps))
        costs[name] = Cost(size / len(sample.maps), worked / len(sample.maps), error)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        costs["this store"] = write_epoch(sample, Path(place) / "run")
    return costs


def write_epoch(sample: Sample, path: Path) -> Cost:
    """Write an epoch of the sample with this store, four times over, and compare every value."""
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
            for batch in _batches(maps):
                writer.write(variant, batch.start, maps[batch])
    passes = len(maps) * len(COPIES)
    worked = (time.process_time() - worked) / passes
    with h5py.File(path / epoch_file(1), "r", locking=False) as file:
        size = sum(file[name].id.get_storage_size() for name in ("maps", "map_scale")) / passes
    errors, bounds, written = [], [], open_run(path)
    for variant in COPIES:
        for batch in _batches(maps):
            at: dict[str, Any] = {"epoch": 1, "variant": variant, "images": batch}
            decoded = written.maps(**at)
            errors.append(_error(maps[batch], decoded))
            off = np.abs(decoded.astype(np.float64) - maps[batch])
            bounds.append(float((off / written.map_error(**at)[..., None, None]).max()))
    return Cost(size, worked, max(errors), max(bounds))


def _error(maps: Maps, decoded: NDArray) -> float:
    """Largest error of some maps, as a share of the largest value of its image."""
    largest = np.maximum(np.abs(maps).max((1, 2, 3), keepdims=True), np.finfo(np.float32).tiny)
    return float((np.abs(decoded.astype(np.float64) - maps) / largest).max())


def _batches(maps: Maps) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, len(maps), BATCH)]


def _chunk(maps: Maps) -> tuple[int, ...]:
    """Chunks of as many images as the store's."""
    return (min(len(maps), max(1, CHUNK_BYTES // maps[0].size)), *maps.shape[1:])


def _write_hdf5(path: Path, maps: Maps, **filters: object) -> NDArray[np.float16]:
    """Write the maps as float16, and read them back."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("maps", maps.shape, np.float16, chunks=_chunk(maps), **filters)
        for batch in _batches(maps):
            dataset[batch] = maps[batch].astype(np.float16)
    with h5py.File(path) as file:
        return file["maps"][...]


def _write_zarr(path: Path, maps: Maps) -> NDArray[np.float16]:
    """The same in Zarr 3 with its default compressor."""
    array = zarr.create_array(path, shape=maps.shape, chunks=_chunk(maps), dtype="float16", zarr_format=3)
    for batch in _batches(maps):
        array[batch] = maps[batch].astype(np.float16)
    return np.asarray(zarr.open_array(path, mode="r")[...])


if __name__ == "__main__":
    main()
