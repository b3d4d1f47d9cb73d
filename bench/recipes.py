"""Which recipe earns its place: several arms trained one after the other, scored on the clean validation images.

    python -m bench.recipes --data DATA --weights FILE --arms paper fast --epochs 3 --folder FOLDER [--classes K]
                            [--record RUNS]

The arms are those of bench/recipes.toml. FOLDER gets recipes.csv (a row per arm and epoch), recipes.md (a row per arm)
and, for each arm, its settings and which images it got right. Intervals are 95 %: Wilson's for an accuracy, paired
over the images for a difference to the first arm. They say how far the *images* were chance; what another seed
would have given, they do not say (repeat with --set training.seed=1 in another folder). A part of the images is
asked for with --classes, or with --set data.train_per_class=100.

Without --record, nothing but accuracy is kept, and an arm that was stopped begins anew. With it, each arm is the run
RUNS/<arm>: trained, recorded and analysed as by `python -m compute train`, resumed where it stopped, and its rows are
read back from the record. A finished arm is not trained again either way. Seconds are those of training alone;
processor seconds are the whole process's in them, so with --record they hold what the writer's threads had left to do.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bench import surroundings
from bench.recipes_table import ARMS, Row, next_row, read_arm, write_arm, write_tables
from compute import cli
from compute.config.profile import load_profile, override
from compute.config.settings import Profile
from compute.errors import BadOption, ComputeError
from compute.models import ClassMapNetwork
from compute.recording.recorder import class_maps
from compute.runs.device import describe_device, use_threads
from compute.runs.prepare import PreparedRun, prepare
from compute.training.trainer import Trainer
from compute.training.weights import WeightsReport
from store import StoreError, open_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the arms asked for, write the tables and return the exit code: 0 done, else as of `python -m compute`."""
    options = _parser().parse_args(arguments)
    try:
        profiles = {arm: arm_profile(arm, options) for arm in options.arms}
        use_threads(options.threads)
        for arm, profile in profiles.items():
            if options.record:
                code = cli.main(train_command(arm, options))
                if code:
                    return code
                read_back(arm, options.record, options.folder)
            else:
                train_arm(arm, profile, options.folder, device=options.device)
            write_tables(options.folder, list(profiles), reported=_told(options))
    except (ComputeError, StoreError) as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)
        return cli.REFUSED
    print((options.folder / "recipes.md").read_text("utf-8"))
    return 0


def arm_profile(arm: str, options: argparse.Namespace) -> Profile:
    """The settings of an arm under the options that hold for all of them.

    Raises:
        BadOption: there is no such arm, or an option means nothing.
    """
    base, sets = settings_of(arm, options)
    profile = load_profile(base, sets)
    for key, value in (("data.source", options.data), ("weights.source", options.weights)):
        profile = override(profile, f"{key}='{value}'") if value else profile
    return profile


def settings_of(arm: str, options: argparse.Namespace) -> tuple[str, list[str]]:
    """The profile under an arm, and all settings on top of it in order: its own, then those of all arms.

    Raises:
        BadOption: there is no such arm.
    """
    base, own = resolved(arm, tomllib.loads(ARMS.read_text("utf-8")))
    return base, [*own, f"training.epochs={options.epochs}", f"data.classes={options.classes}", *options.set]


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


def train_command(arm: str, options: argparse.Namespace) -> list[str]:
    """What python -m compute is asked to do for an arm that is recorded."""
    base, sets = settings_of(arm, options)
    words = ["train", "--profile", base, "--run", arm, "--runs-dir", str(options.record)]
    words += ["--device", options.device, "--threads", str(options.threads)]
    for name in ("data", "weights"):
        words += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    return words + [part for text in sets for part in ("--set", text)]


def read_back(arm: str, runs: Path, folder: Path) -> None:
    """Leaves in the folder what the record of an arm says of it."""
    run, rows = open_run(runs / arm), list[Row]()
    for metrics in run.metrics().to_dict("records"):
        rank = run.column("label_rank", epoch=int(metrics["epoch"]), variant="clean")
        rows.append(next_row(arm, rows[-1] if rows else None, metrics, rank))
    weights = WeightsReport(**run.provenance["initial_weights"])
    reported = [run.provenance["machine"]["device_name"], weights.summary()]
    write_arm(folder, rows, rank == 1, settings=run.configuration, reported=reported)


def train_arm(arm: str, profile: Profile, folder: Path, *, device: str = "auto") -> None:
    """Train one arm and leave its settings, rows and correct predictions in the folder.

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
    labels = torch.from_numpy(prepared.dataset.validation.labels)
    rows: list[Row] = []
    for epoch in range(1, profile.training.epochs + 1):
        metrics = trainer.train_epoch(epoch, material)
        logits = torch.from_numpy(clean_logits(recorded_network(trainer), prepared))
        metrics["validation_loss"] = float(functional.cross_entropy(logits.double(), labels))
        rank = 1 + (logits > logits.gather(1, labels[:, None])).sum(1).numpy()
        rows.append(next_row(arm, rows[-1] if rows else None, metrics, rank))
        reported = [describe_device(prepared.device), prepared.weights.summary(), f"load {surroundings.load()}"]
        write_arm(folder, rows, rank == 1, settings=settings, reported=reported)
        print(f"{arm}: epoch {epoch}, top-1 {rows[-1].top1:.2%}, top-5 {rows[-1].top5:.2%}", flush=True)


def recorded_network(trainer: Trainer) -> ClassMapNetwork:
    """The network as a run would record it: the moving average where that is on."""
    if trainer.averaged is None:
        return trainer.network
    network = copy.deepcopy(trainer.network)
    network.load_state_dict(trainer.recorded_state())
    return network


def clean_logits(network: ClassMapNetwork, prepared: PreparedRun) -> NDArray[np.float32]:
    """S (N, C) float32 of the unperturbed validation images."""
    validation, found = prepared.validation(), []
    network.eval()
    with torch.inference_mode():
        for images in validation.images.split(prepared.profile.recording.batch):
            maps = class_maps(network, prepared.normaliser(images), prepared.profile.training.precision)
            found.append(maps.mean((-1, -2)))
    return torch.cat(found).cpu().numpy()


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
    parser.add_argument("--record", type=Path, metavar="RUNS", help="also record each arm as the run RUNS/<arm>")
    parser.add_argument("--data", help="as for python -m compute")
    parser.add_argument("--weights", help="as for python -m compute")
    parser.add_argument("--classes", type=int, default=0, metavar="K", help="only K of the classes (default: all)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0 (default: auto)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the network (default: all cores)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="in every arm; may be repeated")
    return parser


if __name__ == "__main__":
    sys.exit(main())
