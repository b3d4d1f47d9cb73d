"""The paper's other figures: Table 1, the network (Fig. 1), and loss and accuracy over the epochs (Fig. 2)."""

from __future__ import annotations

from math import log2

import pandas as pd

from dashboard.charts.figure import render
from dashboard.paper.canvas import INK, PAGE, Canvas
from dashboard.shared.run_facts import is_tiny_imagenet
from dashboard.shared.theme import LIGHT
from dashboard.views.about.charts import layers
from dashboard.views.overview.charts import training_curve, training_series
from store import Run, queries
from store.queries.table1 import recorded_result, table1
from store.rates import percent


def results_table(run: Run, *, best: bool = True) -> Canvas:
    """Table 1: the run, with 95 % Wilson intervals, and the paper's rows where the data are the paper's."""
    rows = table1([recorded_result(run, best=best)], paper=is_tiny_imagenet(run))
    heads, ends = ("Model", "Network", "Data", "Accuracy@1", "Accuracy@5"), (0.0, 130.0, 230.0, 418.0, PAGE)
    canvas, size, pitch = Canvas(PAGE), 8.0, 13.0
    canvas.line((0, 1), (PAGE, 1), colour=INK, width=0.9)
    cells = [heads, *(_cells(row) for row in rows.to_dict("records"))]
    for number, words in enumerate(cells):
        for column, text in enumerate(words):
            style = f"{'end' if column > 2 else ''} {'bold' if number == 0 else ''}"
            canvas.text(
                ends[column], 12 + number * pitch, text, size=size, style=style, room=125 if column == 0 else 95
            )
        if number == 0:
            canvas.line((0, 16), (PAGE, 16), colour=INK, width=0.5)
    bottom = 16 + (len(cells) - 1) * pitch
    canvas.line((0, bottom), (PAGE, bottom), colour=INK, width=0.9)
    return canvas


def _cells(row: dict) -> tuple[str, ...]:
    name = str(row["name"]) if row["source"] == "paper" else f"{row['name']}, epoch {row['epoch']}"

    def share(of: str) -> str:
        if pd.isna(row[f"{of}_low"]):
            return percent(row[of], 2)
        return f"{percent(row[of], 2)} [{100 * row[f'{of}_low']:.1f}, {100 * row[f'{of}_high']:.1f}]"

    return name, str(row["network"] or "–"), str(row["data"] or "–"), share("top1"), share("top5")


def network(run: Run) -> Canvas:
    """Fig. 1: a square for each layer, its edge the logarithm of its maps' edge, with the shapes of this run."""
    steps, canvas = layers(run), Canvas(PAGE)
    pitch, middle = PAGE / len(steps), 34.0
    largest = log2(max(2, *(step.edge for step in steps)))
    sides = [5 + (pitch - 16) * log2(max(step.edge, 1)) / largest for step in steps]
    stages, inner = set(run.stage_names), set(run.layer_names)
    for place, (step, side) in enumerate(zip(steps, sides, strict=True)):
        centre = pitch * (place + 0.5)
        colour = LIGHT.prediction if step.name in stages else LIGHT.true_class
        colour = colour if 0 < place < len(steps) - 2 else LIGHT.neutral
        left, top = centre - side / 2, middle - side / 2
        canvas.path(
            f"M{left:.2f} {top:.2f}h{side:.2f}v{side:.2f}h{-side:.2f}z", colour=colour, width=0.8, fill=_light(colour)
        )
        canvas.text(centre, 70, step.name, style="bold middle", size=6.2, room=pitch - 2)
        canvas.text(centre, 78, step.shape, style="middle", size=6.2, room=pitch - 1)
        if place + 1 < len(steps):
            start, end = centre + side / 2 + 1.5, centre + pitch - sides[place + 1] / 2 - 2
            canvas.path(f"M{start:.2f} {middle}H{end:.2f}m-2.5 -2l2.5 2l-2.5 2", colour=INK, width=0.6)
    _bracket(canvas, [n for n, step in enumerate(steps) if step.name in stages], pitch, "backbone")
    own = [n for n, step in enumerate(steps) if step.name in inner or n == len(steps) - 3]
    _bracket(canvas, own, pitch, "layers after the backbone" if inner else "one map per class")
    return canvas


def _light(colour: str) -> str:
    """A colour mixed with three parts of white."""
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{(part + 3 * 255) // 4:02X}" for part in parts)


def _bracket(canvas: Canvas, places: list[int], pitch: float, words: str) -> None:
    """A bracket under some layers that says what they are."""
    if not places:
        return
    left, right = places[0] * pitch + 4, (places[-1] + 1) * pitch - 4
    canvas.path(f"M{left:.2f} 83v4H{right:.2f}v-4", colour=LIGHT.neutral, width=0.6)
    canvas.text((left + right) / 2, 96, words, size=6.2, style="middle faint", room=max(right - left, 90))


def training(run: Run) -> Canvas:
    """Fig. 2: loss and accuracy of training and validation over the epochs, side by side."""
    series = training_series(queries.epoch_metrics(run))
    series = series[series["part"] != "validation top-5"]  # the paper's has top-1 alone
    canvas, width = Canvas(PAGE), (PAGE - 12) / 2
    for place, quantity in enumerate(("loss", "accuracy")):
        chart = render(training_curve(series, quantity=quantity, epoch=None), "svg", width=330).decode()
        canvas.drawing(place * (width + 12), 0, chart, (width, width), prefix=quantity)
    return canvas
