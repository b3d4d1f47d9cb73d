"""Tables and maps for other tools: `python -m store export RUN FOLDER`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from store.format.hdf5_file import atomic_path
from store.read.run import Run, Selection
from store.tools.csv_table import to_csv
from store.tools.new_place import chosen_epochs, local_folder, unused

FORMATS = ("parquet", "csv")


def export_tables(
    run: Run,
    folder: str | Path,
    *,
    file_format: str = "parquet",
    epochs: Sequence[int] | None = None,
    variants: tuple[str, ...] = (),
) -> list[Path]:
    """Paths of the tables written: predictions (a row per epoch, variant and image), classes (per epoch, variant and
    class) and metrics (per epoch).

    Args:
        epochs: numbers of epochs; None for all.
        variants: names; none for all.

    Raises:
        NotInRun: an epoch or variant is not in the run.
        StoreError: a file of that name exists already, or `folder` is a URL.
    """
    if file_format not in FORMATS:
        raise ValueError(f"Format {file_format!r} is unknown: choose one of {', '.join(FORMATS)}.")
    folder, chosen = local_folder(folder), chosen_epochs(run, epochs)
    for variant in variants:
        run.variant_index(variant)
    pairs = [(epoch, variant) for epoch in chosen for variant in variants or run.variants]
    metrics = run.metrics()
    tables: dict[str, Iterable[pd.DataFrame]] = {
        "predictions": (_labelled(run.predictions(epoch=e, variant=v), e, v) for e, v in pairs),
        "classes": (_labelled(run.class_table(epoch=e, variant=v).reset_index(), e, v) for e, v in pairs),
        "metrics": [metrics[metrics["epoch"].isin(chosen)]],
    }
    targets = {name: unused(folder / f"{name}.{file_format}") for name in tables}
    for name, pieces in tables.items():
        with atomic_path(targets[name]) as part, _table_writer(part, file_format) as write:
            for piece in pieces:  # one at a time: a whole run's table may not fit into memory
                write(piece)
    return list(targets.values())


def _labelled(table: pd.DataFrame, epoch: int, variant: str) -> pd.DataFrame:
    table.insert(0, "epoch", epoch)
    table.insert(1, "variant", variant)
    return table


@contextmanager
def _table_writer(path: Path, file_format: str) -> Iterator[Callable[[pd.DataFrame], object]]:
    """The function that appends a part of a table to the file at `path`."""
    if file_format == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            yield lambda piece: to_csv(piece, file, header=file.tell() == 0)
        return
    with ExitStack() as opened:
        writer: pq.ParquetWriter | None = None

        def append(piece: pd.DataFrame) -> None:
            nonlocal writer
            # The first part fixes the types: a column that is all NaN in a later one must not change them.
            rows = pa.Table.from_pandas(piece, preserve_index=False, schema=writer.schema if writer else None)
            if writer is None:
                writer = opened.enter_context(pq.ParquetWriter(path, rows.schema))
            writer.write_table(rows)

        yield append


def export_maps(run: Run, path: str | Path, *, epoch: int, variant: str, images: Selection) -> Path:
    """Path of an NPZ file with the maps (n, C, H, W) of some images, their stated error, probabilities and labels.

    Maps of a signed run are relative to `mean_maps` (n, H, W), which are 0 otherwise.

    Raises:
        NotInRun: the epoch, the variant or an image is not in the run.
        StoreError: a file of that name exists already, or `path` is a URL.
    """
    path, rows = unused(local_folder(path)), run.image_rows(images)
    arrays = {
        "maps": run.maps(epoch=epoch, variant=variant, images=rows),
        "mean_maps": run.mean_maps(epoch=epoch, variant=variant, images=rows),
        "error": run.map_error(epoch=epoch, variant=variant, images=rows),
        "probabilities": run.probabilities(epoch=epoch, variant=variant, images=rows),
        "images": rows,
        "labels": run.labels[rows],
        "image_names": np.array([run.image_names[row] for row in rows]),
        "classes": run.classes["name"].to_numpy(dtype=str),
    }
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path
