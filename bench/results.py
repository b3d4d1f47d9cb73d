"""A recorded run as tables and as a page: everything that the paper reports, and the cost of recording.

    python -m bench results RUN [--output FOLDER] [--note TEXT]

docs/results/RUN/ gets a page (README.md), every table behind it as CSV and two images. The run is read again, every
byte of it, and the page says what that found. `make experiment` trains, analyses and writes the page.

Shares and accuracies are fractions 0..1, times seconds, sizes bytes unless a column's name says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench import document
from bench.results_charts import write_figure_2, write_patterns
from compute.config.profile import as_dict, load_profile
from store import Run, open_run
from store.analysis import read_analysis
from store.check.verify import bytes_to_check, verify_run
from store.queries import accuracy_by_variant, table1
from store.rates import percent

LOSSES = ("train_loss", "validation_loss", "train_top1", "validation_top1", "train_top5", "validation_top5")
SETTINGS_COMPARED = ("model", "weights", "training", "augmentation")
WAITS = ("write_wait_seconds", "finish_wait_seconds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, its tables and images; 1 where the record is damaged."""
    parser = document.parser("results", __doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of an analysed run")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: docs/results/NAME of the run")
    parser.add_argument("--note", default="", help="a sentence for the page, for instance on the machine's other load")
    options = parser.parse_args(arguments)
    run = open_run(options.run)
    folder = options.output or document.ROOT / "docs" / "results" / run.path.name
    folder.mkdir(parents=True, exist_ok=True)
    verification = verify(run)
    tables = {name: section.table(run) for name, section in SECTIONS.items()}
    for name, table in {**tables, "verification": verification}.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    write_figure_2(tables["figure2"], folder / "figure2.svg")
    write_patterns(run, folder / "patterns.webp")
    (folder / "README.md").write_text(results_page(run, tables, verification, options.note), "utf-8")
    print(f"Written to {folder}/README.md")
    return int(is_damaged(verification))


def verify(run: Run) -> pd.DataFrame:
    """A row per problem that reading every byte of the run finds, or one that says "nothing": found, epochs, bytes,
    seconds.
    """
    started, size = time.perf_counter(), bytes_to_check(run.path)
    problems = [str(problem) for problem in verify_run(run.path)]
    facts = {"epochs": len(run.epochs), "bytes": size, "seconds": round(time.perf_counter() - started, 1)}
    return pd.DataFrame([{"found": text, **facts} for text in problems or ["nothing"]])


def is_damaged(verification: pd.DataFrame) -> bool:
    """Whether reading the run found problems."""
    return list(verification["found"]) != ["nothing"]


def results_page(run: Run, tables: Mapping[str, pd.DataFrame], verification: pd.DataFrame, note: str) -> str:
    """The whole page, of the tables by name; its links are the files beside it."""
    last = run.metrics().iloc[-1]
    title = f"# {run.path.name}: {percent(last['validation_top1'], 2)} top-1, "
    title += f"{percent(last['validation_top5'], 2)} top-5 after {sum(epoch > 0 for epoch in run.epochs)} epochs"
    parts = [title, "  \n".join(filter(None, [*_origin(run), _summary(verification), note]))]
    for name, section in SECTIONS.items():
        parts += [f"## {section.heading}", section.text(run, tables[name])]
    return "\n\n".join(parts) + "\n"


def _origin(run: Run) -> list[str]:
    recorded = run.provenance
    machine, data, code = (recorded.get(name, {}) for name in ("machine", "data", "code"))
    libraries = ", ".join(f"{name} {version}" for name, version in recorded.get("libraries", {}).items())
    return [
        f"`python -m bench results {run.path.name}`",
        f"Recorded {recorded.get('created', '?')} on {machine.get('device_name', '?')} "
        f"({machine.get('processor', '?')}), processes: {machine.get('processes', 1)}; {libraries}.",
        f"Code {str(code.get('commit') or code.get('sha256', '?'))[:12]}; data {data.get('name', '?')}, SHA-256 "
        f"{str(data.get('sha256', '?'))[:12]}: {data.get('training_images', 0):,} training and "
        f"{data.get('validation_images', 0):,} validation images.",
    ]


def _summary(verification: pd.DataFrame) -> str:
    first, count = verification.iloc[0], len(verification) if is_damaged(verification) else "no"
    text = f"Summarised {document.now()}. `store verify`: {count} problems found in {first['epochs']} epochs, "
    text += f"{first['bytes'] / 1e9:.2f} GB, read again in {first['seconds']:.0f} s"
    return f"{text}: {'; '.join(verification['found'][:3])}." if is_damaged(verification) else f"{text}."


def columns_table(table: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> str:
    """Columns of a frame as Markdown, by their headings and formats; missing values and columns stay out.

    Shares have the format "{:.1%}", with as many digits, but are never rounded to a 0 or 100 % that they are not.
    """

    def text(value: Any, form: str) -> str:
        return percent(value, int(form[3])) if form.endswith("%}") else form.format(value)

    shown = {name: form for name, (_, form) in columns.items() if name in table}
    rows = [
        ["" if pd.isna(row[name]) else text(row[name], form) for name, form in shown.items()]
        for row in table.to_dict("records")
    ]
    return document.table([columns[name][0] for name in shown], rows, text_columns=0)


def select_epochs(epochs: Sequence[int]) -> list[int]:
    """At most ten epochs, evenly spaced, the first and the last among them."""
    positions = np.unique(np.linspace(0, len(epochs) - 1, min(10, len(epochs))).round().astype(int))
    return [int(epochs[position]) for position in positions]


# -- each section: its table, and its text ----------------------------------------------------------------------------


def paper_table_1(run: Run) -> pd.DataFrame:
    """The paper's Table 1 with this run beside it, see `store.queries.table1.table1`."""
    return table1.table1([table1.recorded_result(run)])


def _table_1_text(run: Run, table: pd.DataFrame) -> str:
    last = run.metrics().iloc[-1]
    pairs = {"top1": table1.PROPOSED_TOP1, "top5": table1.PROPOSED_TOP5}
    gaps = {name: 100 * (last[f"validation_{name}"] - value) for name, value in pairs.items()}
    text = " and ".join(
        f"{abs(gap):.1f} points {'above' if gap >= 0 else 'below'} in top-{name[-1]}" for name, gap in gaps.items()
    )
    return (
        f"{table1.as_text(table, markdown=True, intervals=True)}\n\nAgainst the paper's "
        f"{percent(table1.PROPOSED_TOP1, 2)} and {percent(table1.PROPOSED_TOP5, 2)} this run is {text}. The "
        "recipes differ, as listed next. Intervals are Wilson's and cover the choice of images, not of the seed."
    )


def differences(run: Run) -> pd.DataFrame:
    """Every setting in which the run differs from the paper: setting, paper, run; then what no setting says."""
    paper, recorded = as_dict(load_profile("paper")), run.configuration
    rows = []
    for section in SETTINGS_COMPARED:
        theirs, ours = (pd.json_normalize(each.get(section, {})).to_dict("records")[0] for each in (paper, recorded))
        for key in [*theirs, *(key for key in ours if key not in theirs and key != "sha256")]:
            pair = ["" if value is None else str(value) for value in (theirs.get(key), ours.get(key))]
            if key in ours and pair[0] != pair[1]:
                rows.append((f"{section}.{key}", *pair))
    rows.append(("arithmetic", "float32", str(recorded.get("training", {}).get("precision", "?"))))
    loaded = run.provenance.get("initial_weights", {})
    if loaded.get("missing"):
        missing = ", ".join(name.removeprefix("encoder.") for name in loaded["missing"])
        drawn = f"{len(loaded['loaded'])} tensors loaded, {len(loaded['missing'])} drawn at random: {missing}"
        rows.append(("initial weights", "all of ResNet-18's encoder", drawn))
    rows.append(("validation images", table1.PAPER_VALIDATION_IMAGES, f"all {len(run.labels):,}"))
    return pd.DataFrame(rows, columns=["setting", "paper", "run"])


def _differences_text(run: Run, table: pd.DataFrame) -> str:
    return document.table(list(table), table.to_numpy().tolist(), text_columns=3)


def figure_2(run: Run) -> pd.DataFrame:
    """A row per epoch: epoch, losses and accuracies of training and validation (Fig. 2), paper_validation_top1."""
    metrics = run.metrics()
    table = metrics[["epoch", *(name for name in LOSSES if name in metrics)]]
    return table.assign(paper_validation_top1=[table1.PAPER_TOP1_BY_EPOCH.get(epoch) for epoch in table["epoch"]])


def _figure_2_text(run: Run, table: pd.DataFrame) -> str:
    columns = {
        "epoch": ("epoch", "{:.0f}"),
        "train_loss": ("loss, training", "{:.3f}"),
        "validation_loss": ("validation", "{:.3f}"),
        "train_top1": ("top-1, training", "{:.2%}"),
        "validation_top1": ("validation", "{:.2%}"),
        "validation_top5": ("top-5, validation", "{:.2%}"),
        "paper_validation_top1": ("paper", "{:.2%}"),
    }
    return (
        f"![Loss and accuracy over the epochs](figure2.svg)\n\n{columns_table(table, columns)}\n\nTraining figures are "
        "of augmented images while the network still changed. The last column is the top-1 that the paper's author "
        "lists for that epoch of 80."
    )


def variants(run: Run) -> pd.DataFrame:
    """A row per epoch and variant: epoch, variant, top1, top5, mean_confidence, nll, ece, flip_rate."""
    columns = ["epoch", "variant", "top1", "top5", "mean_confidence", "nll", "ece", "flip_rate"]
    return accuracy_by_variant(run)[columns]


def _variants_text(run: Run, table: pd.DataFrame) -> str:
    """Top-1 by epoch; top-5, confidence and changed predictions of the last epoch."""
    shown = select_epochs(run.epochs)
    last = {"top5": "last top-5 %", "mean_confidence": "confidence %", "flip_rate": "changed predictions %"}
    rows = []
    for variant in run.variants:
        own = table[table["variant"] == variant].set_index("epoch")
        values = [*(own.loc[epoch, "top1"] for epoch in shown), *(own.iloc[-1][name] for name in last)]
        rows.append((variant, *(f"{100 * value:.1f}" for value in values)))
    return document.table(("top-1 % by epoch", *map(str, shown), *last.values()), rows)


def formation(run: Run) -> pd.DataFrame:
    """A row per class, earliest first.

    formation: first epoch from which the class pattern keeps its final form; half_correct: first epoch with half of its
    images predicted correctly; stabilisation: median epoch after which its images' predictions no longer change;
    -1 = never. within_class and between_classes: mean cosine of two maps of the class, and of one inside and one
    outside. paper: by which epoch the paper saw the pattern (Sec. 5.1).
    """
    columns = ["name", "group", "formation", "half_correct", "stabilisation", "accuracy"]
    table = _analysis_table(run, "classes")[[*columns, "within_class", "between_classes"]]
    by_paper = [table1.PAPER_FORMATION.get(name.split(",")[0]) for name in table["name"]]
    order = table["formation"].where(table["formation"] > 0, np.inf)
    table = table.rename(columns={"name": "class"}).assign(paper=pd.array(by_paper, "Int64"))
    return table.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def formation_counts(classes: pd.DataFrame, epochs: Sequence[int]) -> pd.DataFrame:
    """A row per epoch: how many classes had their formation, half_correct and stabilisation (median) by then."""
    columns = ["formation", "half_correct", "stabilisation"]
    counts = {epoch: ((classes[columns] > 0) & (classes[columns] <= epoch)).sum() for epoch in epochs}
    return pd.DataFrame(counts).T.rename_axis("epoch").reset_index()


def _formation_text(run: Run, table: pd.DataFrame) -> str:
    headings = ("by epoch", "patterns in their final form", "classes with half their images correct", "stabilised")
    counts = formation_counts(table, select_epochs(run.epochs))
    named = [
        f"\n- {row['class']}: pattern {_epoch(row['formation'])}, half correct {_epoch(row['half_correct'])}; "
        f"the paper saw it by epoch {row['paper']} of 80"
        for row in table[table["paper"].notna()].to_dict("records")
    ]
    inside, outside = table["within_class"].mean(), table["between_classes"].mean()
    note = (
        f"Mean cosine of two maps of one class {inside:.3f}, of a map of the class and one outside {outside:.3f}. "
        "Stabilised: classes half of whose images keep their prediction from then on."
    )
    counted = document.table(headings, counts.to_numpy().tolist(), text_columns=0)
    return f"{counted}\n\n{note}\n{''.join(named)}\n\n![The pattern of every class](patterns.webp)"


def _epoch(value: float) -> str:
    return "not reached" if value < 0 else f"epoch {value:.0f}"


def failure_detection(run: Run) -> pd.DataFrame:
    """The failure-detection ranking of confidence scores with 95 % intervals, best AUROC first."""
    return _analysis_table(run, "failure_ranking")


def _failure_text(run: Run, table: pd.DataFrame) -> str:
    rows = []
    for row in table.to_dict("records"):
        gain = f"{row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]" if row["gain"] else ""
        auroc = f"{row['auroc']:.3f} [{row['auroc_low']:.3f}, {row['auroc_high']:.3f}]"
        rows.append((row["label"], row["kind"], auroc, gain, f"{row['fpr95']:.3f}", f"{row['aurc']:.3f}"))
    headings = ("score", "kind", "AUROC [95 %]", "against the maximum softmax [95 %, jointly]", "FPR95", "AURC")
    first = table.iloc[0]
    note = f"Of {first['images']:,} images on which nothing was fitted, {first['errors']:,} of them wrong."
    return f"{document.table(headings, rows, text_columns=2)}\n\n{note}"


def _analysis_table(run: Run, name: str) -> pd.DataFrame:
    analysis = read_analysis(run)
    if analysis is None:
        raise ValueError(f"The run '{run.path}' has no analysis. Compute it with: python -m compute analyse {run.path}")
    return analysis.table(name)


def throughput(run: Run) -> pd.DataFrame:
    """A row per epoch: images and passes a second, gigabytes, recording's share, share of time waiting for the disk.

    waiting_share: of the time of the epoch, that in which training or the network waited for the writer (its queue
    full, or the epoch before not yet complete); missing in runs that did not record it.
    """
    metrics = run.metrics()
    metrics = metrics[metrics["epoch"] > 0]  # before the first step nothing is trained
    sizes = [
        sum(path.stat().st_size for path in run.path.glob(f"epochs/{epoch:04d}*.h5")) for epoch in metrics["epoch"]
    ]
    seconds = metrics["train_seconds"] + metrics["record_seconds"]
    kept = ["epoch", "train_seconds", "record_seconds", *(name for name in ("checkpoint_seconds",) if name in metrics)]
    table = metrics[kept].assign(
        training_images_per_second=metrics["train_images_per_second"],
        recording_passes_per_second=len(run.labels) * len(run.variants) / metrics["record_seconds"],
        gigabytes=np.array(sizes) / 1e9,
        recording_share=metrics["record_seconds"] / seconds,
    )
    if all(name in metrics for name in WAITS):
        waits = {name: metrics[name] for name in WAITS}
        table = table.assign(**waits, waiting_share=sum(waits.values()) / seconds)
    return table


def throughput_text(run: Run, table: pd.DataFrame) -> str:
    """Rates and sizes by epoch, and the sums."""
    columns = {
        "epoch": ("epoch", "{:.0f}"),
        "training_images_per_second": ("training images/s", "{:,.0f}"),
        "recording_passes_per_second": ("recorded passes/s", "{:,.0f}"),
        "gigabytes": ("GB", "{:.2f}"),
        "train_seconds": ("training, s", "{:.0f}"),
        "record_seconds": ("recording, s", "{:.0f}"),
        "recording_share": ("recording's share", "{:.1%}"),
        "waiting_share": ("waiting for the disk", "{:.1%}"),
    }
    recording, seconds = table["record_seconds"].sum(), (table["record_seconds"] + table["train_seconds"]).sum()
    waits = "" if "waiting_share" in table else " This run did not record how long it waited for the disk."
    return (
        f"{columns_table(table, columns)}\n\n{seconds / 60:.0f} minutes in all, {table['gigabytes'].sum():.1f} GB of "
        f"epochs; recording took {percent(recording / seconds)} of the time.{waits} The paper: {table1.PAPER_MACHINE}, "
        "nothing recorded."
    )


@dataclass(frozen=True)
class Section:
    """A section of the page: its heading, its table (a CSV file as well), and the text made from it."""

    heading: str
    table: Callable[[Run], pd.DataFrame]
    text: Callable[[Run, pd.DataFrame], str]


SECTIONS = {  # by the name of the CSV file
    "table1": Section("Table 1", paper_table_1, _table_1_text),
    "differences": Section("Every difference to the paper", differences, _differences_text),
    "figure2": Section("Fig. 2: loss and accuracy", figure_2, _figure_2_text),
    "variants": Section("Accuracy of the variants", variants, _variants_text),
    "formation": Section("When the patterns form", formation, _formation_text),
    "failure_detection": Section("Which score detects wrong predictions best?", failure_detection, _failure_text),
    "throughput": Section("Time and disk", throughput, throughput_text),
}
