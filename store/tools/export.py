"""Tables and maps for other tools: `python -m store export RUN FOLDER`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from store.errors import NotInRun, StoreError
from store.format.hdf5_file import PART, writing
from store.format.selection import Selection
from store.read.run import Run

FORMATS = ("parquet", "csv")


def export_tables(
    run: Run,
    folder: str | Path,
    *,
    file_format: str = "parquet",
    epochs: Selection = None,
    variants: tuple[str, ...] = (),
) -> list[Path]:
    """Paths of the tables written: predictions (a row per epoch, variant and image), classes (per epoch, variant and
    class) and metrics (per epoch).

    Args:
        epochs: numbers of epochs; None for all.
        variants: names; none for all.

    Raises:
        NotInRun: an epoch or variant is not in the run.
        StoreError: there is a file of that name already.
    """
    if file_format not in FORMATS:
        raise ValueError(f"Format {file_format!r} is unknown: choose one of {', '.join(FORMATS)}.")
    chosen = run.epochs if epochs is None else tuple(int(epoch) for epoch in np.asarray(epochs))
    absent = [epoch for epoch in chosen if epoch not in run.epochs]
    if absent or not chosen:
        raise NotInRun(f"Epochs {absent or list(chosen)} cannot be exported: the run holds {list(run.epochs)}.")
    for variant in variants:
        run.variant_index(variant)
    at = [(epoch, variant) for epoch in chosen for variant in variants or run.variants]
    metrics = run.metrics()
    tables: dict[str, Iterable[pd.DataFrame]] = {
        "predictions": (_placed(run.predictions(epoch=e, variant=v), e, v) for e, v in at),
        "classes": (_placed(run.class_table(epoch=e, variant=v).reset_index(), e, v) for e, v in at),
        "metrics": [metrics[metrics["epoch"].isin(chosen)]],
    }
    targets = {name: _free(Path(folder) / f"{name}.{file_format}") for name in tables}
    for name, pieces in tables.items():
        _write_pieces(targets[name], pieces, file_format)
    return list(targets.values())


def _write_pieces(target: Path, pieces: Iterable[pd.DataFrame], file_format: str) -> None:
    """Write a table piece by piece, since a whole run's may not fit into memory; under its name only when complete."""
    part = target.with_name(target.name + PART)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with writing(target), _table_writer(part, file_format) as write:
            for piece in pieces:
                write(piece)
        with writing(target):
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _table_writer(path: Path, file_format: str) -> Iterator[Callable[[pd.DataFrame], None]]:
    """What appends a piece of a table to the file at `path`."""
    if file_format == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            yield lambda piece: piece.to_csv(file, index=False, header=file.tell() == 0)
        return
    with ExitStack() as opened:
        writer: pq.ParquetWriter | None = None

        def append(piece: pd.DataFrame) -> None:
            nonlocal writer
            rows = pa.Table.from_pandas(piece, preserve_index=False, schema=writer.schema if writer else None)
            if writer is None:
                writer = opened.enter_context(pq.ParquetWriter(path, rows.schema))
            writer.write_table(rows)

        yield append


def export_maps(run: Run, path: str | Path, *, epoch: int, variant: str, images: Selection) -> Path:
    """Path of an NPZ file with the maps (n, C, H, W) of some images, their stated error, probabilities and labels.

    Raises:
        NotInRun: something asked for is not in the run.
        StoreError: there is a file of that name already.
    """
    rows = run.image_rows(images)
    arrays = {
        "maps": run.maps(epoch=epoch, variant=variant, images=rows),
        "error": run.map_error(epoch=epoch, variant=variant, images=rows),
        "probabilities": run.probabilities(epoch=epoch, variant=variant, images=rows),
        "images": rows,
        "labels": run.labels[rows],
        "image_names": np.array([run.image_names[row] for row in rows]),
        "classes": run.classes["name"].to_numpy(dtype=str),
    }
    path = _free(Path(path))
    part = path.with_name(path.name + PART)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez_compressed(file, **arrays)
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path


def _placed(table: pd.DataFrame, epoch: int, variant: str) -> pd.DataFrame:
    table.insert(0, "epoch", epoch)
    table.insert(1, "variant", variant)
    return table


def _free(path: Path) -> Path:
    if path.exists():
        raise StoreError(f"{str(path)!r} is there already. Move it away, or choose another folder.")
    return path
