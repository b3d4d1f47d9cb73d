"""A description of a run, with the size of its datasets: `python -m store info RUN`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from store.errors import StoreError
from store.format import layout
from store.format.record_file import RecordFile
from store.format.schema import EVIDENCE
from store.queries.accuracy import balanced_accuracy, majority_share
from store.queries.health import degeneracies
from store.rates import percent
from store.read.run import Run


def describe(run: Run) -> str:
    """Several lines about a run: its contents, its latest metrics, the size of its datasets."""
    kept = f", of each image's {run.kept_maps} strongest classes and its true class" if run.kept_maps else ""
    trained = [epoch for epoch in run.epochs if epoch > 0]
    which = f", {trained[0]} to {trained[-1]}" if len(trained) > 1 else f", epoch {trained[0]}" if trained else ""
    facts = {
        "id": run.id,
        "epochs": f"{len(trained)} of {run.planned_epochs or 'an unknown number'} planned"
        + which
        + (", and epoch 0, before training" if 0 in run.epochs else ""),
        "images": f"{len(run.labels):,} of {len(run.classes):,} classes, {_shape(run.image_shape)} pixels",
        "variants": ", ".join(run.variants),
        "maps": f"{_shape(run.map_shape)} cells, {'signed' if run.signed else 'not negative'}{kept}",
        "evidence": f"{run.description.evidence}: {EVIDENCE[run.description.evidence]}",
        "layers": ", ".join((*run.layer_names, *run.stage_names)) or "none",
        **{key: _short(value) for key, value in run.configuration.items() if key in ("profile", "model", "data")},
    }
    lines = [f"{run.name}  ({run.path})", *(f"  {name:<11} {value}" for name, value in facts.items())]
    labels = ", ".join(f"{epoch} {label}" for epoch in run.epochs if (label := run.epoch_label(epoch)))
    lines += [f"  labels      {labels}"] if labels else []
    lines += [*_latest_metrics(run), *_accuracy(run)]
    lines += [f"  damaged     epoch {epoch}: {reason}" for epoch, reason in sorted(run.damaged.items())]
    return "\n".join([*lines, "", *_size_table(run)])


def _shape(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _short(value: object) -> object:
    """A setting in short: of a section, the value that names it."""
    return value.get("name") or value.get("source") or value if isinstance(value, dict) else value


def _latest_metrics(run: Run) -> list[str]:
    """The metrics of the last epoch, four per line, and what it took; the program's own timings stay out."""
    if not run.epochs:
        return []
    metrics = run.metrics().iloc[-1].drop("epoch")
    texts = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in metrics.items() if "second" not in str(name)]
    lines = [", ".join(texts[at : at + 4]) for at in range(0, len(texts), 4)] or ["no metrics"]
    work = {"train_seconds": "training", "record_seconds": "recording"}
    times = [f"{text} {metrics[name]:.0f} s" for name, text in work.items() if name in metrics]
    lines += [", ".join(times)] if times else []
    return [f"  epoch {run.epochs[-1]:<5} {lines[0]}", *(f"{'':14}{line}" for line in lines[1:])]


def _accuracy(run: Run) -> list[str]:
    """The accuracies of the last epoch, beside what always predicting the largest class would reach, and its faults."""
    if not run.epochs:
        return []
    epoch, labels = run.epochs[-1], run.labels
    top1 = float((run.column("prediction", epoch=epoch, variant=run.variants[0]) == labels).mean())
    shares = {
        "top-1": top1,
        "balanced over classes": balanced_accuracy(run, epoch=epoch),
        "always predicting the largest class": majority_share(run),
    }
    faults = [f"  caution     {problem.text}" for problem in degeneracies(run, epoch=epoch)]
    return ["  accuracy    " + ", ".join(f"{name} {percent(share)}" for name, share in shares.items()), *faults]


def _size_table(run: Run) -> list[str]:
    """Bytes on disk, decoded, their ratio, and bytes per image and variant; small datasets as a group."""
    sizes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for file in (run.path / layout.RUN_FILE, *sorted((run.path / layout.EPOCHS).glob("*.h5"))):
        _add_file(run, file, sizes)
    images = len(run.labels) * len(run.variants)
    lines = [f"  {'dataset':<26}{'on disk':>12}{'decoded':>12}{'ratio':>8}{'B/image':>12}"]
    for name, (disk, decoded) in sizes.items():
        per_image = disk / images / (1 if name.startswith("run") else max(1, len(run.epochs)))
        ratio = decoded / max(disk, 1)
        lines.append(f"  {name:<26}{_size(disk):>12}{_size(decoded):>12}{ratio:>8.2f}{per_image:>12,.1f}")
    total = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
    weights = sum(file.stat().st_size for file in run.path.glob("checkpoints/*"))
    note = f"  {_size(total)} in all, {_size(weights)} of it checkpoints; B/image is per variant and epoch"
    return [*lines, "", note]


def _add_file(run: Run, path: Path, sizes: dict[str, list[int]]) -> None:
    kind = "run" if path.name == layout.RUN_FILE else "epoch"
    try:
        file = RecordFile(path, kind)
        file.expect(run.description)
        for name, stored in file.stored.items():
            total = sizes[_group(kind, name)]
            total[0] += file.stored_bytes(name)
            total[1] += int(np.prod(stored.shape, dtype=np.int64)) * stored.dtype.itemsize
    except (StoreError, FileNotFoundError):
        return  # `describe` lists it as damaged


def _group(kind: str, name: str) -> str:
    """The line that counts a dataset: its own where it is large, else that of its group."""
    if kind == "run":
        return f"run: {name}" if name in ("pixels", "masks", "boxes") else "run: everything else"
    first, _, rest = name.partition("/")
    return f"{first}/*" if rest and first in ("cached", "images", "classes", "stages", "variant_metrics") else name


def _size(count: float) -> str:
    """Bytes in a unit that suits them, such as 6.92MB."""
    return tqdm.format_sizeof(count, "B")
