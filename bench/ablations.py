"""What makes the maps what they are? The paper's network with one part changed at a time. `python -m bench ablations`

Each network is trained as an ordinary run (profile `tiny`, few classes) below --runs-dir and stays there for the
dashboard; a command that was interrupted goes on where it stopped. The table of docs/ablations.md is replaced after
every training, so that it always shows those that are complete.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bench import document
from store import open_run
from store.analysis import read_analysis
from store.metrics.intervals import wilson
from store.rates import percent

QUANTITIES = ("within_class", "between_classes", "object_following", "shift_following")  # of the localisation table
# Few variants and no inner layers: the trainings take the time, and a run stays below 100 MB.
COMMON = ("recording.variants=['clean','shift']", "recording.layers=false", "recording.checkpoints=last")


@dataclass(frozen=True)
class Ablation:
    """One network: what differs from the first, and its settings."""

    text: str
    options: Mapping[str, object] = field(default_factory=dict)
    model: str = "paper"


# In the order in which they are trained: the decisive ones first.
ABLATIONS = {
    "paper": Ablation("the paper's, as profile `tiny` sets it (BatchNorm)"),
    "bilinear": Ablation("last kernel fixed to bilinear upsampling", {"kernel": "bilinear"}),
    "shared": Ablation("last kernel shared by all classes", {"kernel": "shared"}),
    "ungrouped": Ablation("last layer ungrouped", {"grouped": 0}),
    "two-grouped": Ablation("last two layers grouped (the paper's Fig. 1)", {"grouped": 2}),
    "two-bilinear": Ablation("last two layers bilinear: no kernel can draw", {"grouped": 2, "kernel": "bilinear"}),
    "instance-norm": Ablation("InstanceNorm after the encoder (the author's code)", {"encoder_norm": "instance"}),
    "no-dropout": Ablation("no dropout", {"dropout": 0.0}),
    "cam": Ablation("CAM: linear layer on the 2x2 features (paper, Eq. 6)", {"stem": "imagenet"}, "cam"),
}


def train(name: str, folder: Path, *, seed: int, arguments: Sequence[str]) -> Path:
    """The run of one network, trained now unless it is complete; a training that fails ends the command.

    Args:
        arguments: of `python -m compute train`, the same for every network.
    """
    ablation, run = ABLATIONS[name], f"{name}-seed{seed}"
    base = {"encoder_norm": "batch", "dropout": 0.1, "scale": 6.0} if ablation.model == "paper" else {}
    options = ", ".join(f"{key} = {_toml(value)}" for key, value in {**base, **ablation.options}.items())
    settings = (*COMMON, f"model.name={ablation.model}", f"model.options={{{options}}}", f"training.seed={seed}")
    command = ["-m", "compute", "train", "--profile", "tiny", "--run", run, "--runs-dir", str(folder), *arguments]
    for setting in settings:
        command += ["--set", setting]
    subprocess.run([sys.executable, *command], check=True)
    return folder / run


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def measures(path: Path) -> dict[str, float] | None:
    """Top-1, images and `QUANTITIES` of the last epoch of a run, NaN where it lacks one; None until it is complete."""
    if not (path / "run.h5").exists():
        return None
    run = open_run(path)
    analysis = read_analysis(run)
    if not run.complete or analysis is None:
        return None
    localisation: pd.Series = analysis.table("localisation").set_index("quantity")["value"]
    top1 = float((run.column("prediction", epoch=run.epochs[-1], variant="clean") == run.labels).mean())
    found = {name: float(localisation.get(name, float("nan"))) for name in QUANTITIES}
    return {"top1": top1, "images": len(run.labels), **found}


def ablation_table(folder: Path) -> str:
    """The networks of which a complete run is in `folder`, in Markdown; several seeds as mean and deviation."""
    rows = []
    for name, ablation in ABLATIONS.items():
        found = [each for path in sorted(folder.glob(f"{name}-seed*")) if (each := measures(path)) is not None]
        if found:
            rows.append((ablation.text, len(found), _accuracy(found), *(_figure(found, key) for key in QUANTITIES)))
    headings = ("network", "seeds", "top-1", "within a class", "across classes", "follows the object", "with a shift")
    return document.table(headings, rows)


def _accuracy(found: Sequence[Mapping[str, float]]) -> str:
    """Mean accuracy, with its deviation over seeds, or of a single training with its 95 % Wilson interval."""
    values = [each["top1"] for each in found]
    if len(values) > 1:
        return f"{percent(float(np.mean(values)))} (sd {100 * np.std(values, ddof=1):.1f})"
    low, high = wilson(round(values[0] * found[0]["images"]), found[0]["images"])
    return f"{percent(values[0])} ({percent(float(low))} to {percent(float(high))})"


def _figure(found: Sequence[Mapping[str, float]], key: str) -> str:
    values = [each[key] for each in found]
    return f"{np.mean(values):.3f}" + (f" (sd {np.std(values, ddof=1):.3f})" if len(values) > 1 else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing and refresh the document."""
    parser = document.parser("ablations", __doc__)
    parser.add_argument("--data", default="phantom", help="images, as for python -m compute (default: %(default)s)")
    parser.add_argument("--weights", default="none", help="initial weights of the encoder (default: %(default)s)")
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--per-class", type=int, default=0, help="training images of each class (default: all)")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=ABLATIONS, default=list(ABLATIONS), metavar="NAME")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs-ablations"))
    parser.add_argument("--output", type=Path, default=document.ROOT / "docs" / "ablations.md")
    options = parser.parse_args(arguments)
    common = ["--data", options.data, "--weights", options.weights, "--partial-weights"]
    common += ["--threads", str(options.threads)]
    sizes = (("data.classes", options.classes), ("data.train_per_class", options.per_class))
    for key, value in (*sizes, ("training.epochs", options.epochs)):
        common += ["--set", f"{key}={value}"]
    for seed in range(options.seeds):
        for name in options.only:
            train(name, options.runs_dir, seed=seed, arguments=common)
            _write(options.output, options.runs_dir)
    return 0


def _write(output: Path, folder: Path) -> None:
    run = open_run(next(path.parent for path in sorted(folder.glob("*/run.h5"))))
    data, training = (run.configuration[name] for name in ("data", "training"))
    body = (
        f"\n{ablation_table(folder)}\n\n`python -m bench ablations`, {document.now()}: {len(run.classes)} classes of "
        f"{run.provenance.get('data', {}).get('name', 'the data set')}, {data['train_per_class'] or 'all'} training "
        f"images of each, {training['epochs']} epochs, {len(run.labels)} validation images. {document.machine()}.\n"
    )
    document.refresh(output, {"ablations": body})
