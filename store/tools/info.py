"""What a run is and what it weighs, in words: `python -m store info RUN`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from store.check.verify import expected_datasets
from store.errors import StoreError
from store.format import layout
from store.read.run import Run
from store.read.sealed_file import SealedFile

Weights = dict[str, tuple[int, int]]  # dataset or group -> bytes on disk, bytes decoded


def describe(run: Run) -> str:
    """Several lines about a run: what it holds, its latest numbers, its bytes by dataset."""
    lines = [
        f"{run.name}  ({run.path})",
        f"  id          {run.id}",
        f"  epochs      {_epochs(run)}",
        f"  images      {len(run.labels):,} of {len(run.classes):,} classes, {_size(run.image_shape)} pixels",
        f"  variants    {', '.join(run.variants)}",
        f"  maps        {_size(run.map_shape)} cells a class, {'signed' if run.signed else 'not negative'}{_kept(run)}",
        f"  layers      {', '.join((*run.layer_names, *run.stage_names)) or 'none'}",
        f"  codec       {run.codec}, precision {run.precision}",
    ]
    settings = [key for key in ("profile", "model", "data") if key in run.configuration]
    lines += [f"  {key:<11} {_named(run.configuration[key])}" for key in settings]
    lines += _latest(run)
    lines += [f"  damaged     epoch {epoch}: {why}" for epoch, why in sorted(run.damaged.items())]
    return "\n".join([*lines, "", *_weights(run)])


def _epochs(run: Run) -> str:
    count = len(run.epochs)
    span = f", {run.epochs[0]} to {run.epochs[-1]}" if count else ""
    return f"{count} of {run.planned_epochs or 'an unknown number'} planned{span}"


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _kept(run: Run) -> str:
    return f", the {run.kept_maps} strongest of each image and the true class's" if run.kept_maps else ""


def _named(value: object) -> object:
    """A setting in short: of a table of options, the one that names it."""
    return value.get("name") or value.get("source") or value if isinstance(value, dict) else value


def _latest(run: Run) -> list[str]:
    """The numbers of the last epoch, four a line."""
    if not run.epochs:
        return []
    numbers = run.metrics().iloc[-1]
    shown = [f"{name} {numbers[name]:.4g}" for name in numbers.index if name != "epoch"]
    pieces = [", ".join(shown[at : at + 4]) for at in range(0, len(shown), 4)] or ["no numbers"]
    return [f"  epoch {run.epochs[-1]:<5} {pieces[0]}", *(f"{'':14}{piece}" for piece in pieces[1:])]


def _weights(run: Run) -> list[str]:
    """A table: bytes on disk, decoded, their ratio, and bytes per image and variant; small datasets as a group."""
    stored: Weights = {}
    for file in (run.path / layout.RUN_FILE, *sorted((run.path / layout.EPOCHS).glob("*.h5"))):
        _add_file(run, file, stored)
    passes = len(run.labels) * len(run.variants)
    lines = [f"  {'dataset':<26}{'on disk':>12}{'decoded':>12}{'ratio':>8}{'B/image':>12}"]
    for name, (disk, raw) in stored.items():
        each = disk / passes / (1 if name.startswith("run") else max(1, len(run.epochs)))
        lines.append(f"  {name:<26}{_bytes(disk):>12}{_bytes(raw):>12}{raw / max(disk, 1):>8.2f}{each:>12,.1f}")
    total = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
    weights = sum(file.stat().st_size for file in run.path.glob("checkpoints/*"))
    note = f"  {_bytes(total)} in all, {_bytes(weights)} of it checkpoints; B/image is per variant and epoch"
    return [*lines, "", note]


def _add_file(run: Run, path: Path, stored: Weights) -> None:
    kind = "run" if path.name == layout.RUN_FILE else "epoch"
    try:
        sealed = SealedFile(path, kind)
        for name in expected_datasets(sealed, run.description):
            shape, dtype = sealed.shape_and_type(name)
            shown = _group(kind, name)
            disk, raw = stored.get(shown, (0, 0))
            decoded = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            stored[shown] = (disk + sealed.stored_bytes(name), raw + decoded)
    except (StoreError, FileNotFoundError):
        return  # it is listed as damaged already


def _group(kind: str, name: str) -> str:
    """How a dataset is listed: alone where it weighs, else with its like."""
    if kind == "run":
        return f"run: {name}" if name in ("pixels", "masks", "boxes") else "run: everything else"
    first, _, rest = name.partition("/")
    return f"{first}/*" if rest and first in ("cached", "images", "classes", "stages", "variant_metrics") else name


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
