"""The store against the obvious alternatives, on the maps of a trained network, and the time of every query.

    python -m bench.store_bench --run runs/quick --epoch 7 [--repeat 20] [--output docs/benchmarks-store.md]

Writing: the network of the run's checkpoint gives its maps once more, before any coding; the same maps go to this
store, to float16 HDF5 without compression, to float16 HDF5 with gzip 4, and to Zarr 3 with its default compressor.
Reading: every query behind a page, warm and with the files dropped from the page cache, on the run itself, or, with
--repeat, on one of that many epochs made of copies of it. "CPU" is the time that a core worked for it, which a busy
machine changes least.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import zarr
from numpy.typing import NDArray

from compute.live import load_predictor
from store import Run, RunDescription, create_run, open_run, resume_run
from store.layout import epoch_file
from store.receipts import write_receipt
from store.schema import CHUNK_BYTES, PRECISIONS

Maps = NDArray[np.float32]
BATCH = 250


def main() -> None:
    """Measure and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    parser.add_argument("--epoch", type=int, help="default: the last")
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=0, help="epochs of the run to read from, copies of the one")
    parser.add_argument("--folder", help="where to write (default: a temporary folder)")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    run = open_run(options.run)
    epoch = options.epoch or run.epochs[-1]
    lines = [heading(run, epoch)]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        lines += writing_table(run, network_maps(run, epoch, options.pictures), Path(folder))
        big = repeated(run, epoch, options.repeat, Path(folder)) if options.repeat else run
        lines += reading_table(big)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


def heading(run: Run, epoch: int) -> str:
    """Where and when this was measured."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in facts if "model name" in line), "unknown")
    return (
        f"Maps of epoch {epoch} of the run {run.name!r} ({len(run.classes)} classes, {run.map_shape[0]} x "
        f"{run.map_shape[1]} cells). {os.cpu_count()} cores ({cpu}), load {os.getloadavg()[0]:.1f}, Python "
        f"{platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}.\n"
    )


def network_maps(run: Run, epoch: int, count: int) -> Maps:
    """Maps (n, C, H, W) float32 of whole stretches of images, as the network gives them."""
    predictor = load_predictor(run.path, epoch)
    count = min(count, len(run.labels)) // BATCH * BATCH
    starts = np.linspace(0, len(run.labels) - BATCH, count // BATCH).astype(int)
    return np.concatenate([predictor.predict(run.pictures(slice(start, start + BATCH)))[0] for start in starts])


# -- writing ----------------------------------------------------------------------------------------------------------


def writing_table(run: Run, maps: Maps, folder: Path) -> list[str]:
    """Lines of a table: pictures a second, bytes a picture, and that as a share of float16 with gzip 4."""
    writers: dict[str, Callable[[Path], float]] = {
        "float16, uncompressed HDF5": lambda path: plain_hdf5(path, maps),
        "float16, HDF5 gzip 4": lambda path: plain_hdf5(path, maps, compression="gzip", compression_opts=4),
        "float16, HDF5 gzip 4 + shuffle": lambda path: plain_hdf5(
            path, maps, compression="gzip", compression_opts=4, shuffle=True
        ),
        "float16, Zarr 3 default": lambda path: plain_zarr(path, maps),
    }
    rows = []
    for name, write in writers.items():
        worked = time.process_time()
        seconds = write(folder / "alternative")
        worked = time.process_time() - worked
        rows.append((name, len(maps) / seconds, worked / len(maps), size_of(folder / "alternative") / len(maps)))
        remove(folder / "alternative")
    reference = rows[1][3]
    for precision in PRECISIONS:
        for threads in (1, 2, 4) if precision == "picture" else (1,):
            worked = time.process_time()
            seconds, size = this_store(run, maps, folder / "run", precision=precision, threads=threads)
            worked = time.process_time() - worked
            name = f"this store, {precision}, {threads} thread{'s' if threads > 1 else ''}"
            rows.append((name, len(maps) / seconds, worked / len(maps), size))
            remove(folder / "run")
    lines = ["| form | pictures/s | CPU µs/picture | B/picture | of float16 gzip 4 |", "|---|---:|---:|---:|---:|"]
    for name, rate, worked, size in rows:
        lines.append(f"| {name} | {rate:,.0f} | {1e6 * worked:,.0f} | {size:,.0f} | {size / reference:.2f} |")
    return [*lines, "", "This store's bytes are those of maps and steps; its rate includes every summary column.", ""]


def plain_hdf5(path: Path, maps: Maps, **filters: object) -> float:
    """Seconds to write the maps as float16 in chunks of the same pictures."""
    chunk = (max(1, CHUNK_BYTES // maps[0].size), *maps.shape[1:])
    began = time.perf_counter()
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("maps", maps.shape, np.float16, chunks=chunk, **filters)
        for start in range(0, len(maps), BATCH):
            dataset[start : start + BATCH] = maps[start : start + BATCH].astype(np.float16)
    return time.perf_counter() - began


def plain_zarr(path: Path, maps: Maps) -> float:
    """Seconds to write the maps as float16 in chunks of the same pictures."""
    chunk = (max(1, CHUNK_BYTES // maps[0].size), *maps.shape[1:])
    began = time.perf_counter()
    array = zarr.create_array(path, shape=maps.shape, chunks=chunk, dtype="float16")
    for start in range(0, len(maps), BATCH):
        array[start : start + BATCH] = maps[start : start + BATCH].astype(np.float16)
    return time.perf_counter() - began


def this_store(run: Run, maps: Maps, path: Path, *, precision: str, threads: int) -> tuple[float, float]:
    """Seconds to write and seal an epoch of the maps, and bytes of maps and steps a picture."""
    count = len(maps)
    description = RunDescription(
        name="bench",
        classes=run.description.classes,
        variants=("clean",),
        labels=np.sort(np.arange(count) % len(run.classes)),
        image_names=tuple(map(str, range(count))),
        picture_shape=(1, 1),
        map_shape=run.map_shape,
        signed=run.signed,
        precision=precision,
    )
    with create_run(path, description) as new:
        new.write_pictures("clean", 0, np.zeros((count, 1, 1, 3), np.uint8))
    began = time.perf_counter()
    with resume_run(path).epoch(1, threads=threads) as recording:
        for start in range(0, count, BATCH):
            recording.write("clean", start, maps[start : start + BATCH])
    seconds = time.perf_counter() - began
    with h5py.File(path / epoch_file(1), "r", locking=False) as file:
        stored = sum(file[name].id.get_storage_size() for name in ("maps", "map_step"))
    return seconds, stored / count


def size_of(path: Path) -> int:
    """Bytes of a file or folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def remove(path: Path) -> None:
    """Remove a file or folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


# -- reading ----------------------------------------------------------------------------------------------------------


def repeated(run: Run, epoch: int, count: int, folder: Path) -> Run:
    """A run of `count` epochs that are copies of one."""
    target = folder / "big"
    (target / "epochs").mkdir(parents=True)
    shutil.copyfile(run.path / "run.h5", target / "run.h5")
    for number in range(1, count + 1):
        shutil.copyfile(run.path / epoch_file(epoch), target / epoch_file(number))
        with h5py.File(target / epoch_file(number), "r+", locking=False) as file:
            file.attrs["epoch"] = number
    write_receipt(target, None, run.id)
    return open_run(target)


def queries(run: Run) -> dict[str, Callable[[np.random.Generator], object]]:
    """What the pages ask, each with random places."""
    count, classes = len(run.labels), len(run.classes)

    def at(random: np.random.Generator) -> dict[str, object]:
        return {"epoch": int(random.choice(run.epochs)), "variant": str(random.choice(run.variants))}

    def few(random: np.random.Generator) -> NDArray[np.int64]:
        return random.integers(0, count, 50)

    def stretch(random: np.random.Generator) -> slice:
        start = int(random.integers(0, max(1, count - 50)))
        return slice(start, start + 50)

    def each_variant(random: np.random.Generator) -> list[object]:
        epoch, image = int(random.choice(run.epochs)), random.integers(0, count, 1)
        return [run.maps(epoch=epoch, variant=variant, images=image, classes=[0, 1]) for variant in run.variants]

    return {
        "predictions table": lambda r: run.predictions(**at(r)),
        "one column": lambda r: run.column("confidence", **at(r)),
        "one column over all epochs": lambda r: run.columns("prediction", variant=str(r.choice(run.variants))),
        "confusion": lambda r: run.confusion(**at(r)),
        "class table": lambda r: run.class_table(**at(r)),
        "class patterns": lambda r: run.patterns(**at(r)),
        "all maps of one picture": lambda r: run.maps(images=r.integers(0, count, 1), **at(r)),
        "one picture's maps under every variant": each_variant,
        "all maps of 50 neighbours": lambda r: run.maps(images=stretch(r), **at(r)),
        "own maps of 50 pictures": lambda r: run.own_maps(images=few(r), **at(r)),
        "own maps of a class": lambda r: run.own_maps(images=stretch(r), **at(r)),
        "own maps of all pictures": lambda r: run.own_maps(**at(r)),
        "50 scattered pictures": lambda r: run.pictures(few(r)),
        "50 neighbouring pictures": lambda r: run.pictures(stretch(r)),
        "timeline over all epochs": lambda r: run.timeline(
            image=int(r.integers(count)), class_index=int(r.integers(classes)), variant=str(r.choice(run.variants))
        ),
        "layers of one picture": lambda r: run.layers(epoch=int(r.choice(run.epochs)), images=r.integers(0, count, 1)),
        "metrics of all epochs": lambda r: run.metrics(),
    }


def reading_table(run: Run, *, warm: int = 40, cold: int = 12) -> list[str]:
    """Lines of a table: median and 95th percentile of each query, milliseconds, warm and cold."""
    files = [run.path / "run.h5", *(run.path / epoch_file(epoch) for epoch in run.epochs)]
    lines = [
        f"{len(run.epochs)} epochs x {len(run.variants)} variants x {len(run.labels):,} pictures x {len(run.classes)} "
        f"classes, {size_of(run.path) / 1e9:.1f} GB.",
        "",
        "| query | CPU p50 | warm p50 | warm p95 | cold p50 | cold p95 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, query in queries(run).items():
        random = np.random.default_rng(0)
        query(random)
        hot = np.array([_milliseconds(query, random) for _ in range(warm)])
        chilled = []
        for _ in range(cold):
            drop(files)
            chilled.append(_milliseconds(query, random)[0])
        shown = [np.median(hot[:, 1]), *np.percentile(hot[:, 0], [50, 95]), *np.percentile(chilled, [50, 95])]
        lines.append(f"| {name} | {' | '.join(f'{value:.1f}' for value in shown)} |")
    return [*lines, "", "Milliseconds; cold: the files were dropped from the page cache before each query.", ""]


def _milliseconds(query: Callable[[np.random.Generator], object], random: np.random.Generator) -> tuple[float, float]:
    """Time by the clock and time of a core's work."""
    began, worked = time.perf_counter(), time.process_time()
    query(random)
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - worked)


def drop(files: list[Path]) -> None:
    """Take files out of the page cache."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


if __name__ == "__main__":
    main()
