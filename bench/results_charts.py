"""The two images of a results page: Fig. 2 as a chart, and the pattern of every class as a sheet. No photographs."""

from __future__ import annotations

import io
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from PIL import Image

from dashboard.charts.figure import epoch_axis
from dashboard.images.maps import colour_map, scale_maps
from dashboard.images.sheet import SheetTile, sheet
from dashboard.shared.theme import LIGHT
from dashboard.views.overview.charts import training_series
from store import Run
from store.rates import percent

COLUMNS, TILE = 20, 68
COLOURS = {
    "training": LIGHT.neutral,
    "validation": LIGHT.true_class,
    "validation top-5": LIGHT.series[3],
    "the paper's author, validation": LIGHT.prediction,
}


def write_figure_2(table: pd.DataFrame, path: Path) -> None:
    """Fig. 2 as SVG: loss and accuracy per epoch, beside the accuracies that the paper's author lists."""
    known = table.dropna(subset=["paper_validation_top1"])
    paper = pd.DataFrame({"epoch": known["epoch"], "value": known["paper_validation_top1"]})
    series = pd.concat([training_series(table), paper.assign(part=list(COLOURS)[-1], quantity="accuracy")])
    charts = []
    for quantity, title, form in (("loss", "cross entropy (Eq. 9)", "~g"), ("accuracy", "accuracy", ".0%")):
        own = series[series["quantity"] == quantity]
        parts = [part for part in COLOURS if part in set(own["part"])]
        colours = alt.Scale(domain=parts, range=[COLOURS[part] for part in parts])
        legend = alt.Legend(orient="top", columns=2, symbolType="circle")
        y = alt.Y("value:Q", title=title, axis=alt.Axis(format=form), scale=alt.Scale(zero=quantity == "accuracy"))
        base = alt.Chart(own).encode(
            x=epoch_axis(), y=y, color=alt.Color("part:N", title=None, scale=colours, legend=legend)
        )
        layers = alt.layer(base.mark_line(strokeWidth=2), base.mark_point(filled=True, size=42, opacity=1))
        charts.append(layers.properties(title=quantity.capitalize(), width=380, height=260))
    spec = alt.hconcat(*charts).resolve_scale(color="independent").to_dict()
    spec["config"] = {**spec.get("config", {}), "background": "white", "padding": 12, "font": "sans-serif"}
    path.write_text(vl_convert.vegalite_to_svg(spec), "utf-8")


def write_patterns(run: Run, path: Path) -> Path:
    """Every class's pattern (mean map of its clean images) after the last epoch as one WebP sheet, in class order."""
    epoch = run.epochs[-1]
    scaled = scale_maps(run.patterns(epoch=epoch, variant=run.variants[0]), signed=run.signed)
    colours = "berlin" if run.signed else "magma"
    images = colour_map(colours)[scaled.codes]
    table = run.class_table(epoch=epoch, variant=run.variants[0])
    names = run.classes["name"].to_numpy()
    tiles = [
        SheetTile((image,), (str(name), percent(accuracy, 0)))
        for image, name, accuracy in zip(images, names, np.asarray(table["accuracy"]), strict=True)
    ]
    title = f"The pattern of every class after epoch {epoch} of {run.name}, and the class's accuracy"
    png = sheet(tiles, title=title, size=TILE, columns=COLUMNS, legends=[(colours, scaled.label)])
    with Image.open(io.BytesIO(png)) as image:
        image.save(path, "WEBP", lossless=True, method=6)
    return path
