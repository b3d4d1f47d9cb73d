"""What maps weigh and how fast they are written: this store beside float16 in HDF5 and in Zarr 3."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from numpy.typing import NDArray

from compute.live.predictor import load_predictor
from store import Run, RunDescription, Variant, create_run, open_run, resume_run
from store.format.layout import epoch_file
from store.format.schema import CHUNK_BYTES, PRECISIONS

Maps = NDArray[np.float32]
Recorded = tuple[Run, Maps, NDArray[np.int64]]
BATCH = 250
VARIANTS = ("clean", "again1", "again2", "again3")  # the same maps four times: what is done once an epoch weighs little
REFERENCE = "float16, HDF5 gzip 4"
THREADS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Measured:
    """One form of storing the same maps: bytes and processor seconds an image, and the largest error of a value.

    error: as a share of the largest value of the image. bound: largest error as a share of the stated bound, NaN
    where nothing is stated.
    """

    size: float
    worked: float
    error: float
    bound: float = float("nan")


def network_maps(run: Run, epoch: int, count: int) -> tuple[Maps, NDArray[np.int64]]:
    """Maps (n, C, H, W) float32 of whole stretches of images, as the network gives them, and the images, ascending."""
    predictor = load_predictor(run.path, epoch)
    batches = max(1, min(count, len(run.labels)) // BATCH)
    size = min(BATCH, len(run.labels))
    starts = np.linspace(0, len(run.labels) - size, batches).astype(int)
    images = np.sort(np.concatenate([np.arange(start, start + size) for start in starts]))
    blocks = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
    return np.concatenate([predictor.predict(run.pixels(block))[0] for block in blocks]), images


def forms_table(recorded: list[Recorded], folder: Path) -> list[str]:
    """Lines of a table: bytes an image on every run's maps, and as a share of float16 with gzip 4; errors; time.

    Raises:
        RuntimeError: this store decoded a value outside its stated bound.
    """
    found = [_every_form(run, maps, images, folder) for run, maps, images in recorded]
    heads = [f"{run.name}: B/image | of gzip 4 | largest error" for run, _, _ in recorded]
    lines = [
        "Maps before any coding: "
        + "; ".join(f"{len(maps):,} images of the run '{run.name}' ({_form(maps)})" for run, maps, _ in recorded)
        + ".",
        "",
        f"| form | {' | '.join(heads)} | of the stated bound | CPU µs/image |",
        "|---|" + "---:|---:|---:|" * len(recorded) + "---:|---:|",
    ]
    for name in found[0]:
        cells = []
        for forms in found:
            form = forms[name]
            share = form.size / forms[REFERENCE].size
            cells += [f"{form.size:,.0f}", f"{share:.2f}", f"{100 * form.error:.3f} %"]
        bounds = [forms[name].bound for forms in found]
        cells.append("" if np.isnan(bounds).all() else f"{max(bounds):.3f}")
        cells.append(f"{1e6 * found[-1][name].worked:,.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    note = (
        "Largest error: of all values, each as a share of the largest value of its image. This store's bytes are "
        "those of maps and steps; its time includes every summary column, probabilities, checksums and the receipt."
    )
    return [*lines, "", note, ""]


def threads_table(recorded: Recorded, folder: Path) -> list[str]:
    """Lines of a table: images a second with several threads of the writer, and what that gains over one."""
    run, maps, images = recorded
    lines = [
        f"Writing epochs of the run '{run.name}' with the writer's own threads, on {os.cpu_count()} cores:",
        "",
        "| threads | images/s | of one thread | CPU µs/image |",
        "|---:|---:|---:|---:|",
    ]
    rates = []
    for threads in THREADS:
        # The better of two: the first one pays for memory that the process did not have yet.
        trials = [_record(run, maps, images, folder / "run", threads=threads)[:2] for _ in range(2)]
        seconds, worked = (min(values) for values in zip(*trials, strict=True))
        rates.append(1 / seconds)
        shown = (f"{rates[-1]:,.0f}", f"{rates[-1] / rates[0]:.2f}", f"{1e6 * worked:,.0f}")
        lines.append(f"| {threads} | {' | '.join(shown)} |")
    return [*lines, ""]


def _form(maps: Maps) -> str:
    return f"{maps.shape[1]} classes, {maps.shape[2]} x {maps.shape[3]} cells, {100 * (maps == 0).mean():.0f} % zero"


def _every_form(run: Run, maps: Maps, images: NDArray[np.int64], folder: Path) -> dict[str, Measured]:
    gzip = {"compression": "gzip", "compression_opts": 4}
    forms: dict[str, Callable[[Path], NDArray]] = {
        "float16, uncompressed HDF5": lambda path: _hdf5(path, maps),
        REFERENCE: lambda path: _hdf5(path, maps, **gzip),
        "float16, HDF5 gzip 4 + shuffle": lambda path: _hdf5(path, maps, **gzip, shuffle=True),
        "float16, Zarr 3 default": lambda path: _zarr(path, maps),
    }
    found = {}
    for name, write in forms.items():
        began = time.process_time()
        stored = write(folder / "alternative")
        worked = time.process_time() - began
        error = max(_errors(maps, partial(_block, stored)))
        found[name] = Measured(size_of(folder / "alternative") / len(maps), worked / len(maps), error)
        remove(folder / "alternative")
    for precision in PRECISIONS:
        _, worked, size, error, bound = _record(run, maps, images, folder / "run", precision=precision, check=True)
        if not bound <= 1:
            raise RuntimeError(f"A value of {run.name!r} is {bound} of its stated bound off, precision {precision!r}.")
        found[f"this store, {precision}"] = Measured(size, worked, error, bound)
    return found


def _hdf5(path: Path, maps: Maps, **filters: object) -> NDArray[np.float16]:
    """Write the maps as float16 in chunks of the same images, and read them back."""
    chunk = (max(1, CHUNK_BYTES // maps[0].size), *maps.shape[1:])
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("maps", maps.shape, np.float16, chunks=chunk, **filters)
        for start in range(0, len(maps), BATCH):
            dataset[start : start + BATCH] = maps[start : start + BATCH].astype(np.float16)
    with h5py.File(path) as file:
        return file["maps"][...]


def _zarr(path: Path, maps: Maps) -> NDArray[np.float16]:
    """Write the maps as float16 in chunks of the same images with the default compressor, and read them back."""
    chunk = (max(1, CHUNK_BYTES // maps[0].size), *maps.shape[1:])
    array = zarr.create_array(path, shape=maps.shape, chunks=chunk, dtype="float16", zarr_format=3)
    for start in range(0, len(maps), BATCH):
        array[start : start + BATCH] = maps[start : start + BATCH].astype(np.float16)
    return np.asarray(zarr.open_array(path, mode="r")[...])


def _errors(maps: Maps, decoded: Callable[[int], Maps]) -> Iterator[float]:
    """Largest error of each block, as a share of the largest value of its image."""
    for start in range(0, len(maps), BATCH):
        block = maps[start : start + BATCH].astype(np.float64)
        largest = np.maximum(np.abs(block).max((1, 2, 3), keepdims=True), np.finfo(np.float32).tiny)
        yield float((np.abs(decoded(start) - block) / largest).max())


def _block(stored: NDArray[np.float16], start: int) -> NDArray[np.float32]:
    """A batch of maps as it was stored, from the one with that number."""
    return stored[start : start + BATCH].astype(np.float32)


def _record(
    run: Run,
    maps: Maps,
    images: NDArray[np.int64],
    path: Path,
    *,
    precision: str = "image",
    threads: int = 1,
    check: bool = False,
) -> tuple[float, float, float, float, float]:
    """Seconds and processor seconds an image to write and seal an epoch, bytes of maps and steps an image, and with
    `check` the largest error as a share of the image's peak and of the stated bound."""
    _make_run(run, run.labels[images], path, precision=precision)
    began, worked = time.perf_counter(), time.process_time()
    with resume_run(path).epoch(1, threads=threads) as recording:
        for variant in VARIANTS:
            for start in range(0, len(maps), BATCH):
                recording.write(variant, start, maps[start : start + BATCH])
    passes = len(maps) * len(VARIANTS)
    seconds, worked = (time.perf_counter() - began) / passes, (time.process_time() - worked) / passes
    with h5py.File(path / epoch_file(1), "r", locking=False) as file:
        stored = sum(file[name].id.get_storage_size() for name in ("maps", "map_scale"))
    error, bound = _check(open_run(path), maps) if check else (0.0, 0.0)
    remove(path)
    return seconds, worked, stored / passes, error, bound


def _make_run(run: Run, labels: NDArray[np.int64], path: Path, *, precision: str) -> None:
    description = RunDescription(
        name="bench",
        classes=run.description.classes,
        variants=tuple(map(Variant, VARIANTS)),
        labels=labels,
        image_names=tuple(map(str, range(len(labels)))),
        image_shape=(1, 1),
        map_shape=run.map_shape,
        signed=run.signed,
        precision=precision,
    )
    with create_run(path, description) as new:
        for variant in VARIANTS:
            new.write_images(variant, 0, np.zeros((len(labels), 1, 1, 3), np.uint8))


def _check(run: Run, maps: Maps) -> tuple[float, float]:
    """Largest error of any value of any variant, as a share of the image's peak and of the stated bound."""
    worst = [0.0, 0.0]
    for variant in run.variants:
        for start in range(0, len(maps), BATCH):
            at: dict[str, Any] = {"epoch": 1, "variant": variant, "images": slice(start, start + BATCH)}
            off = np.abs(run.maps(**at).astype(np.float64) - maps[start : start + BATCH])
            bounds = run.map_error(**at)[..., None, None]
            peaks = np.maximum(np.abs(maps[start : start + BATCH]).max((1, 2, 3)), np.finfo(np.float32).tiny)
            worst[0] = max(worst[0], float((off.max((1, 2, 3)) / peaks).max()))
            worst[1] = max(worst[1], float((off / bounds).max()))
    return worst[0], worst[1]


def size_of(path: Path) -> int:
    """Bytes of a file or folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def remove(path: Path) -> None:
    """Remove a file or folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
