"""Tables and maps for other tools: `python -m store export RUN FOLDER`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from store.errors import StoreError
from store.files import writing
from store.reader import Run
from store.selection import Selection

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
    for variant in variants:
        run.variant_index(variant)
    at = [(epoch, variant) for epoch in chosen for variant in variants or run.variants]
    predictions = [_placed(run.predictions(epoch=e, variant=v), e, v) for e, v in at]
    classes = [_placed(run.class_table(epoch=e, variant=v).reset_index(), e, v) for e, v in at]
    metrics = run.metrics()
    tables = {
        "predictions": pd.concat(predictions, ignore_index=True),
        "classes": pd.concat(classes, ignore_index=True),
        "metrics": metrics[metrics["epoch"].isin(chosen)],
    }
    folder = Path(folder)
    targets = {name: _free(folder / f"{name}.{file_format}") for name in tables}
    for name, table in tables.items():
        with writing(targets[name]):
            folder.mkdir(parents=True, exist_ok=True)
            if file_format == "csv":
                table.to_csv(targets[name], index=False)
            else:
                table.to_parquet(targets[name], index=False)
    return list(targets.values())


def export_maps(run: Run, path: str | Path, *, epoch: int, variant: str, images: Selection) -> Path:
    """Path of an NPZ file with the maps (n, C, H, W) of some images, their stated error, probabilities and labels.

    Raises:
        NotInRun: something asked for is not in the run.
        StoreError: there is a file of that name already.
    """
    at = {"epoch": epoch, "variant": variant, "images": images}
    rows = run.image_rows(images)
    arrays = {
        "maps": run.maps(**at),
        "error": run.map_error(**at),
        "probabilities": run.probabilities(**at),
        "images": rows,
        "labels": run.labels[rows],
        "image_names": np.array([run.image_names[row] for row in rows]),
        "classes": run.classes["name"].to_numpy(dtype=str),
    }
    path = _free(Path(path))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)
    return path


def _placed(table: pd.DataFrame, epoch: int, variant: str) -> pd.DataFrame:
    table.insert(0, "epoch", epoch)
    table.insert(1, "variant", variant)
    return table


def _free(path: Path) -> Path:
    if path.exists():
        raise StoreError(f"{str(path)!r} is there already. Move it away, or choose another folder.")
    return path
