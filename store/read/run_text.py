"""A run in a line of text and, for notebooks, in a table of HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from store.errors import StoreError
from store.rates import percent

if TYPE_CHECKING:
    from store.read.opened_run import OpenedRun

_MOST_NAMES = 8


def run_text(run: OpenedRun) -> str:
    """One line: what was recorded, and how much of it."""
    return f"Run {run.name!r}: {', '.join(words for _, words in _facts(run))}"


def _facts(run: OpenedRun) -> list[tuple[str, str]]:
    maps = f"maps {_size(run.map_shape)}" if run.has_maps else "no maps"
    planned = f" of {run.planned_epochs}" if run.planned_epochs else ""
    if not run.epochs:
        epochs = "no epoch yet"
    elif len(run.epochs) == 1:
        epochs = f"epoch {run.epochs[0]}{planned}"
    else:
        gaps = "" if len(run.epochs) == run.epochs[-1] - run.epochs[0] + 1 else f" ({len(run.epochs)} of them)"
        epochs = f"epochs {run.epochs[0]} to {run.epochs[-1]}{gaps}{planned}"
    damaged = [("damaged", f"{len(run.damaged)} damaged")] if run.damaged else []
    return [
        ("classes", f"{len(run.classes)} classes"),
        ("images", f"{len(run.labels)} images of {_size(run.image_shape)}"),
        ("maps", maps),
        ("variants", f"{len(run.variants)} variant{'s' * (len(run.variants) != 1)}"),
        ("epochs", epochs),
        *damaged,
    ]


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]}×{shape[1]}"


def run_html(run: OpenedRun) -> str:
    """The same facts, the first classes, and the accuracy under every variant, as a table whose texts are escaped."""
    names = [str(name) for name in run.classes["name"]]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    rows = dict(_facts(run))
    rows["classes"] += f": {', '.join(names[:_MOST_NAMES])}{more}"
    rows |= {"folder": str(run.path), "identity": run.id}
    if run.epochs and run.source.is_local:  # of a run at a URL, a look at it would fetch an epoch
        rows["top-1"] = _accuracies(run)
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    return f"<table><caption><b>Run {escape(run.name)}</b></caption>{cells}</table>"


def _accuracies(run: OpenedRun) -> str:
    """Top-1 under every variant at the last epoch, or why it cannot be read."""
    try:
        shares = run.read(-1, lambda data: data.all_rows("variant_metrics/top1"))
    except StoreError as error:
        return str(error)
    labels = [run.variant(name).label for name in run.variants]
    return ", ".join(f"{label} {percent(float(share))}" for label, share in zip(labels, shares, strict=True))
