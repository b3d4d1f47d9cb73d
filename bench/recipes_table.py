"""The tables of bench.recipes: an arm after each of its epochs, and the arms that a folder holds side by side."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.metrics.intervals import mean_interval, wilson

ARMS = Path(__file__).with_name("recipes.toml")
Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """An arm after one epoch; seconds and images are those of all its epochs so far, training alone."""

    arm: str
    epoch: int
    images: int
    seconds: float
    processor_seconds: float
    images_per_second: float
    train_loss: float
    train_top1: float
    validation_loss: float
    top1: float
    top1_low: float
    top1_high: float
    top5: float
    top5_low: float
    top5_high: float


def next_row(arm: str, before: Row | None, metrics: Mapping[str, float], rank: NDArray[np.int64]) -> Row:
    """What one more epoch made of an arm.

    Args:
        metrics: those of `compute.training.trainer.Trainer`, and validation_loss.
        rank: place of the true class among the scores of each clean validation image, (N,), 1 = top.
    """
    shares: dict[str, float] = {}
    for name, hits in (("top1", int((rank <= 1).sum())), ("top5", int((rank <= 5).sum()))):
        low, high = wilson(hits, len(rank))
        shares |= {name: hits / len(rank), f"{name}_low": float(low), f"{name}_high": float(high)}
    seconds = metrics["train_seconds"] + (before.seconds if before else 0)
    images = round(metrics["train_seconds"] * metrics["train_images_per_second"])
    images += before.images if before else 0
    return Row(
        arm=arm,
        epoch=before.epoch + 1 if before else 1,
        images=images,
        seconds=seconds,
        processor_seconds=metrics["train_processor_seconds"] + (before.processor_seconds if before else 0),
        images_per_second=images / seconds,
        train_loss=metrics["train_loss"],
        train_top1=metrics["train_top1"],
        validation_loss=metrics["validation_loss"],
        **shares,
    )


def write_arm(
    folder: Path, rows: Sequence[Row], right: Right, *, settings: Mapping[str, Any], reported: list[str]
) -> None:
    """Leaves <arm>.json (settings, rows) and <arm>.npy (correct predictions, (N,) bool) in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    arm = rows[-1].arm
    document = {"arm": arm, "settings": settings, "rows": [asdict(row) for row in rows], "reported": reported}
    np.save(folder / f"{arm}.npy", right)
    (folder / f"{arm}.json").write_text(json.dumps(document, indent=1), "utf-8")


def read_arm(folder: Path, arm: str) -> dict[str, Any]:
    """What the folder holds of an arm; empty where it holds nothing."""
    path = folder / f"{arm}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def write_tables(folder: Path, arms: Sequence[str], *, reported: Sequence[str]) -> None:
    """recipes.csv and recipes.md of the arms that the folder holds, in the order given, the first the reference."""
    found = {arm: document for arm in arms if (document := read_arm(folder, arm))}
    rows = pd.DataFrame([row for document in found.values() for row in document["rows"]])
    rows.to_csv(folder / "recipes.csv", index=False, float_format="%.6g")
    right = {arm: np.load(folder / f"{arm}.npy", allow_pickle=False) for arm in found}
    reference = next(iter(found))
    facts = dict.fromkeys(fact for document in found.values() for fact in document["reported"][:2])
    lines = [*reported, "  \n".join(facts) + ".", "", *_table(rows, right, reference), ""]
    about = tomllib.loads(ARMS.read_text("utf-8"))
    lines += [f"- `{arm}`: {about[arm]['about']}" for arm in found]
    (folder / "recipes.md").write_text("\n".join(lines) + "\n", "utf-8")


def _table(rows: pd.DataFrame, right: Mapping[str, Right], reference: str) -> list[str]:
    lines = [
        "| arm | epochs | images | training, s | images/s | top-1 % by epoch | last top-1 % [95 %] | last top-5 % "
        f"[95 %] | against `{reference}`, points [95 %, paired] |",
        "|---|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for arm, values in right.items():
        own = rows[rows["arm"] == arm]
        last = own.iloc[-1]
        path = " ".join(f"{100 * value:.1f}" for value in own["top1"])
        shares = [_share(last, name) for name in ("top1", "top5")]
        lines.append(
            f"| {arm} | {last['epoch']} | {last['images']:,} | {last['seconds']:.0f} | "
            f"{last['images_per_second']:.0f} | {path} | {shares[0]} | {shares[1]} | "
            f"{'' if arm == reference else difference(values, right[reference])} |"
        )
    return lines


def difference(first: Right, second: Right) -> str:
    """Accuracy of the first predictions minus that of the second on the same images, points, with its paired interval."""
    if len(first) != len(second):
        return "other images"
    value, low, high = mean_interval(first.astype(np.float64) - second)
    return f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _share(row: pd.Series, name: str) -> str:
    return f"{100 * row[name]:.2f} [{100 * row[f'{name}_low']:.1f}, {100 * row[f'{name}_high']:.1f}]"
