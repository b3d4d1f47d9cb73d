"""What a run is and what it weighs, in words: `python -m store info RUN`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from store import layout
from store.errors import StoreError
from store.handles import SealedFile
from store.reader import Run
from store.verify import expected_datasets


def describe(run: Run) -> str:
    """Several lines about a run: what it holds, its latest numbers, its bytes by dataset."""
    lines = [
        f"{run.name}  ({run.path})",
        f"  id          {run.id}",
        f"  epochs      {_epochs(run)}",
        f"  images      {len(run.labels):,} of {len(run.classes):,} classes, {_size(run.picture_shape)} pixels",
        f"  variants    {', '.join(run.variants)}",
        f"  maps        {_size(run.map_shape)} cells a class, {'signed' if run.signed else 'not negative'}",
        f"  layers      {', '.join((*run.layer_names, *run.stage_names)) or 'none'}",
        f"  codec       {run.codec}, precision {run.precision}",
    ]
    lines += [
        f"  {key:<11} {run.configuration[key]}" for key in ("profile", "model", "data") if key in run.configuration
    ]
    if run.epochs:
        numbers = run.metrics().iloc[-1]
        shown = [f"{name} {numbers[name]:.4g}" for name in numbers.index if name != "epoch"]
        lines.append(f"  epoch {int(numbers['epoch']):<5} {', '.join(shown)}")
    lines += [f"  damaged     epoch {epoch}: {why}" for epoch, why in sorted(run.damaged.items())]
    return "\n".join([*lines, "", *_weights(run)])


def _epochs(run: Run) -> str:
    count = len(run.epochs)
    span = f", {run.epochs[0]} to {run.epochs[-1]}" if count else ""
    return f"{count} of {run.planned_epochs or 'an unknown number'} planned{span}"


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _weights(run: Run) -> list[str]:
    """A table: bytes on disk, bytes decoded, their ratio, and bytes per picture and variant."""
    stored: dict[str, list[int]] = {}
    for file in (run.path / layout.RUN_FILE, *sorted((run.path / layout.EPOCHS).glob("*.h5"))):
        _add_file(run, file, stored)
    passes = len(run.labels) * len(run.variants)
    lines = [f"  {'dataset':<28}{'on disk':>12}{'decoded':>12}{'ratio':>8}{'B/picture/epoch':>17}"]
    for name, (disk, raw, files) in stored.items():
        each = f"{disk / passes / files:,.1f}" if files else ""
        lines.append(f"  {name:<28}{_bytes(disk):>12}{_bytes(raw):>12}{raw / max(disk, 1):>8.2f}{each:>17}")
    total = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
    weights = sum(file.stat().st_size for file in run.path.glob("checkpoints/*"))
    return [*lines, "", f"  {_bytes(total)} in all, {_bytes(weights)} of it checkpoints"]


def _add_file(run: Run, path: Path, stored: dict[str, list[int]]) -> None:
    kind = "run" if path.name == layout.RUN_FILE else "epoch"
    try:
        sealed = SealedFile(path, kind)
        for name in expected_datasets(sealed, run.description):
            shape, dtype = sealed.shape_and_type(name)
            entry = stored.setdefault(name if kind == "epoch" else f"run: {name}", [0, 0, 0])
            entry[0] += sealed.stored_bytes(name)
            entry[1] += int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            entry[2] += 1
    except StoreError:
        return  # it is listed as damaged already


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
