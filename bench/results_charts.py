"""The two images of a results page: Fig. 2 as a chart, and the pattern of every class as a wall. No photographs."""

from __future__ import annotations

import io
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from PIL import Image

from dashboard.charts.axes import epoch_axis
from dashboard.charts.training import training_series
from dashboard.images.maps import colour_map, scale_maps
from dashboard.images.sheet import SheetTile, sheet
from dashboard.shared.theme import LIGHT
from store import Run

COLUMNS, TILE = 20, 68
PAPER = "the paper's author, validation"


def write_figure_2(table: pd.DataFrame, path: Path) -> Path:
    """Fig. 2 as SVG: loss and accuracy per epoch, with the accuracies that the paper's author lists as rings."""
    series = training_series(table)
    known = table.dropna(subset=["paper_validation_top1"])
    paper = pd.DataFrame({"epoch": known["epoch"], "value": known["paper_validation_top1"], "part": PAPER})
    made = alt.hconcat(_curves(series, "loss"), _curves(series, "accuracy", paper))
    spec = made.resolve_scale(color="independent").to_dict()
    spec["config"] = {**spec.get("config", {}), "background": "white", "padding": 12, "font": "sans-serif"}
    path.write_text(vl_convert.vegalite_to_svg(spec), "utf-8")
    return path


def _curves(series: pd.DataFrame, quantity: str, rings: pd.DataFrame | None = None) -> alt.LayerChart | alt.FacetChart:
    """One half of Fig. 2."""
    parts = ["training", "validation"] + (["validation top-5", PAPER] if rings is not None else [])
    colours = alt.Scale(
        domain=parts, range=[LIGHT.neutral, LIGHT.true_class, LIGHT.series[3], LIGHT.prediction][: len(parts)]
    )
    shares = rings is not None
    y = alt.Y(
        "value:Q",
        title="accuracy" if shares else "cross entropy (Eq. 9)",
        axis=alt.Axis(format=".0%" if shares else "~g"),
        scale=alt.Scale(zero=shares),
    )
    colour = alt.Color(
        "part:N", title=None, scale=colours, legend=alt.Legend(orient="top", columns=2, symbolType="circle")
    )
    lines = alt.Chart(series[series.quantity == quantity]).encode(x=epoch_axis(), y=y, color=colour)
    layers = [lines.mark_line(strokeWidth=2), lines.mark_point(filled=True, size=42, opacity=1)]
    if rings is not None:
        ringed = alt.Chart(rings).mark_point(size=70, strokeWidth=2, filled=False)
        layers.append(ringed.encode(x=epoch_axis(), y=y, color=colour))
    return alt.layer(*layers).properties(title=quantity.capitalize(), width=380, height=260)


def write_patterns(run: Run, path: Path) -> Path:
    """Every class's pattern (mean map of its clean images) after the last epoch as one WebP sheet, in class order."""
    epoch = run.epochs[-1]
    scaled = scale_maps(run.patterns(epoch=epoch, variant=run.variants[0]), signed=run.signed)
    colours = "berlin" if run.signed else "magma"
    images = colour_map(colours)[scaled.codes]
    table = run.class_table(epoch=epoch, variant=run.variants[0])
    names = run.classes["name"].to_numpy()
    tiles = [
        SheetTile((image,), (str(name), f"{accuracy:.0%}"))
        for image, name, accuracy in zip(images, names, np.asarray(table["accuracy"]), strict=True)
    ]
    title = f"The pattern of every class after epoch {epoch} of {run.name}, and the class's accuracy"
    png = sheet(tiles, title=title, size=TILE, columns=COLUMNS, legends=[(colours, scaled.label)])
    with Image.open(io.BytesIO(png)) as image:
        image.save(path, "WEBP", lossless=True, method=6)
    return path
