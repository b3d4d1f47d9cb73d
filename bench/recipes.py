"""Which recipe earns its place: several arms trained one after the other, scored on the clean validation pictures.

    python -m bench.recipes --data DATA --weights FILE --arms paper fast --epochs 3 --folder FOLDER [--classes K]

The arms are those of bench/recipes.toml. Nothing is recorded but accuracy: FOLDER gets recipes.csv (a row per arm and
epoch), recipes.md (a row per arm) and, for each arm, its settings and which pictures it got right. Intervals are 95 %:
Wilson's for an accuracy, paired over the pictures for a difference to the first arm. They say how far the *pictures*
were chance; what another seed would have given, they do not say (repeat with --set training.seed=1 in another folder).
An arm that is finished in FOLDER is not trained again.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench import surroundings
from compute.device import describe_device, use_threads
from compute.errors import BadOption, ComputeError
from compute.models import ClassMapNetwork
from compute.preparation import Prepared, prepare
from compute.profile import load_profile, override
from compute.record import forward
from compute.settings import Profile
from compute.train import Trainer
from store.measures.intervals import mean_interval, wilson

ARMS = Path(__file__).with_name("recipes.toml")
Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """An arm after one epoch; seconds and pictures are those of all its epochs so far, training alone."""

    arm: str
    epoch: int
    pictures: int
    seconds: float
    processor_seconds: float
    pictures_per_second: float
    train_loss: float
    train_top1: float
    validation_loss: float
    top1: float
    top1_low: float
    top1_high: float
    top5: float
    top5_low: float
    top5_high: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the arms asked for and write the tables; 2 when something was refused."""
    options = _parser().parse_args(arguments)
    try:
        profiles = {arm: arm_profile(arm, options) for arm in options.arms}
        use_threads(options.threads)
        for arm, profile in profiles.items():
            train_arm(arm, profile, options.folder, device=options.device)
            write_tables(options.folder, list(profiles), told=_told(options))
    except ComputeError as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)
        return 2
    print((options.folder / "recipes.md").read_text("utf-8"))
    return 0


def arm_profile(arm: str, options: argparse.Namespace) -> Profile:
    """The settings of an arm under the options that hold for all of them.

    Raises:
        BadOption: there is no such arm, or an option means nothing.
    """
    arms = tomllib.loads(ARMS.read_text("utf-8"))
    base, sets = resolved(arm, arms)
    everywhere = [f"training.epochs={options.epochs}", f"data.classes={options.classes}", *options.set]
    profile = load_profile(base, [*sets, *everywhere])
    for key, value in (("data.source", options.data), ("weights.source", options.weights)):
        profile = override(profile, f"{key}='{value}'") if value else profile
    return profile


def resolved(arm: str, arms: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The profile under an arm, and every setting on top of it in order.

    Raises:
        BadOption: there is no such arm.
    """
    if arm not in arms:
        raise BadOption(f"There is no arm '{arm}'. There are: {', '.join(arms)}.")
    own = list(arms[arm].get("set", ()))
    if "like" not in arms[arm]:
        return str(arms[arm]["profile"]), own
    base, below = resolved(str(arms[arm]["like"]), arms)
    return base, below + own


def train_arm(arm: str, profile: Profile, folder: Path, *, device: str = "auto") -> None:
    """Train one arm and leave <arm>.json (settings, rows) and <arm>.npy (right answers, (N,) bool) in the folder.

    Raises:
        BadOption: the folder holds this arm under other settings.
    """
    prepared = prepare(profile, device=device)
    settings = json.loads(json.dumps(prepared.configuration()))
    done = read_arm(folder, arm)
    if done and done["settings"] != settings:
        raise BadOption(f"'{folder}' holds the arm '{arm}' under other settings or data. Choose another --folder.")
    if done and len(done["rows"]) == profile.training.epochs:
        print(f"{arm}: finished in '{folder}' already")
        return
    trainer = Trainer(prepared.network, settings=profile.training, augment=prepared.augmenter)
    material = prepared.material()
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for epoch in range(1, profile.training.epochs + 1):
        worked = time.process_time()
        metrics = trainer.train_epoch(epoch, material)
        metrics["processor_seconds"] = time.process_time() - worked
        logits = clean_logits(recorded_network(trainer), prepared)
        rows.append(_row(arm, epoch, metrics, rows[-1] if rows else None, logits, prepared))
        np.save(folder / f"{arm}.npy", logits.argmax(1) == prepared.dataset.validation.labels)
        document = {"arm": arm, "settings": settings, "rows": [asdict(row) for row in rows]}
        document["told"] = [describe_device(prepared.device), prepared.weights.summary(), f"load {surroundings.load()}"]
        (folder / f"{arm}.json").write_text(json.dumps(document, indent=1), "utf-8")
        print(f"{arm}: epoch {epoch}, top-1 {rows[-1].top1:.2%}, top-5 {rows[-1].top5:.2%}", flush=True)


def recorded_network(trainer: Trainer) -> ClassMapNetwork:
    """The network as a run would record it: the moving average where that is on."""
    if trainer.averaged is None:
        return trainer.network
    network = copy.deepcopy(trainer.network)
    network.load_state_dict(trainer.recorded_state())
    return network


def clean_logits(network: ClassMapNetwork, prepared: Prepared) -> NDArray[np.float32]:
    """S (N, C) float32 of the unperturbed validation pictures."""
    validation, found = prepared.validation(), []
    network.eval()
    with torch.inference_mode():
        for pictures in validation.pictures.split(prepared.profile.recording.batch):
            trace = forward(network, prepared.normaliser(pictures), prepared.profile.training.precision)
            found.append(trace.maps.mean((-1, -2)))
    return torch.cat(found).cpu().numpy()


def _row(
    arm: str,
    epoch: int,
    metrics: Mapping[str, float],
    before: Row | None,
    logits: NDArray[np.float32],
    prepared: Prepared,
) -> Row:
    """What one more epoch made of an arm."""
    labels = prepared.dataset.validation.labels
    own = np.take_along_axis(logits, labels[:, None], 1)
    rank = (logits > own).sum(1)
    shares = {}
    for name, hits in (("top1", int((rank < 1).sum())), ("top5", int((rank < 5).sum()))):
        low, high = wilson(hits, len(labels))
        shares |= {name: hits / len(labels), f"{name}_low": float(low), f"{name}_high": float(high)}
    largest = logits.max(1, keepdims=True)
    losses = np.log(np.exp(logits - largest).sum(1, dtype=np.float64)) + largest[:, 0] - own[:, 0]
    seconds = metrics["train_seconds"] + (before.seconds if before else 0)
    pictures = round(metrics["train_seconds"] * metrics["train_pictures_per_second"])
    pictures += before.pictures if before else 0
    return Row(
        arm=arm,
        epoch=epoch,
        pictures=pictures,
        seconds=seconds,
        processor_seconds=metrics["processor_seconds"] + (before.processor_seconds if before else 0),
        pictures_per_second=pictures / seconds,
        train_loss=metrics["train_loss"],
        train_top1=metrics["train_top1"],
        validation_loss=float(losses.mean()),
        **shares,
    )


def read_arm(folder: Path, arm: str) -> dict[str, Any]:
    """What the folder holds of an arm; empty where it holds nothing."""
    path = folder / f"{arm}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def write_tables(folder: Path, arms: Sequence[str], *, told: Sequence[str]) -> None:
    """recipes.csv and recipes.md of the arms that the folder holds, in the order given, the first the reference."""
    found = {arm: document for arm in arms if (document := read_arm(folder, arm))}
    rows = pd.DataFrame([row for document in found.values() for row in document["rows"]])
    rows.to_csv(folder / "recipes.csv", index=False, float_format="%.6g")
    right = {arm: np.load(folder / f"{arm}.npy", allow_pickle=False) for arm in found}
    reference = next(iter(found))
    facts = dict.fromkeys(fact for document in found.values() for fact in document["told"][:2])
    lines = [*told, "  \n".join(facts) + ".", "", *_table(rows, right, reference), ""]
    about = tomllib.loads(ARMS.read_text("utf-8"))
    lines += [f"- `{arm}`: {about[arm]['about']}" for arm in found]
    (folder / "recipes.md").write_text("\n".join(lines) + "\n", "utf-8")


def _table(rows: pd.DataFrame, right: Mapping[str, Right], reference: str) -> list[str]:
    lines = [
        "| arm | epochs | pictures | training, s | pictures/s | top-1 % by epoch | last top-1 % [95 %] | last top-5 % "
        f"[95 %] | against `{reference}`, points [95 %, paired] |",
        "|---|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for arm, values in right.items():
        own = rows[rows["arm"] == arm]
        last = own.iloc[-1]
        path = " ".join(f"{100 * value:.1f}" for value in own["top1"])
        shares = [_share(last, name) for name in ("top1", "top5")]
        lines.append(
            f"| {arm} | {last['epoch']} | {last['pictures']:,} | {last['seconds']:.0f} | "
            f"{last['pictures_per_second']:.0f} | {path} | {shares[0]} | {shares[1]} | "
            f"{'' if arm == reference else difference(values, right[reference])} |"
        )
    return lines


def difference(first: Right, second: Right) -> str:
    """Accuracy of the first answers minus that of the second on the same pictures, points, with its paired interval."""
    if len(first) != len(second):
        return "other pictures"
    value, low, high = mean_interval(first.astype(np.float64) - second)
    return f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _share(row: pd.Series, name: str) -> str:
    return f"{100 * row[name]:.2f} [{100 * row[f'{name}_low']:.1f}, {100 * row[f'{name}_high']:.1f}]"


def _told(options: argparse.Namespace) -> list[str]:
    """Command, time and machine, for the head of the table."""
    words = ["python -m bench.recipes", "--arms", *options.arms, "--epochs", str(options.epochs)]
    words += ["--data", Path(options.data).name] if options.data else []
    words += ["--weights", Path(options.weights).name] if options.weights else []
    words += ["--classes", str(options.classes)] if options.classes else []
    words += [part for text in options.set for part in ("--set", text)]
    return [
        f"`{' '.join(words)}`, {surroundings.now()}.  ",
        f"{surroundings.machine()}.  ",
        surroundings.versions() + ".  ",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.recipes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = ", ".join(tomllib.loads(ARMS.read_text("utf-8")))
    parser.add_argument("--arms", nargs="+", required=True, metavar="ARM", help=f"of {known}")
    parser.add_argument("--epochs", type=int, required=True, help="of every arm; schedules are pressed into them")
    parser.add_argument("--folder", type=Path, required=True, help="where the tables go")
    parser.add_argument("--data", help="as for python -m compute")
    parser.add_argument("--weights", help="as for python -m compute")
    parser.add_argument("--classes", type=int, default=0, metavar="K", help="only the first K classes (default: all)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0 (default: auto)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the network (default: all cores)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="in every arm; may be repeated")
    return parser


if __name__ == "__main__":
    sys.exit(main())
