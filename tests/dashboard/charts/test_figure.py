"""Figures: drawings that are made once, tables that are filled in, image files."""

import re

import numpy as np
import pandas as pd
import pytest

from dashboard.charts.figure import Figure, digest, render
from dashboard.shared.theme import DARK, count
from dashboard.views.learning.charts import epoch_lines, history_bars
from dashboard.views.trust.charts import reliability_diagram, removal_chart

BINS = pd.DataFrame(
    [(0.0, 0.5, 0, np.nan, np.nan, 0.0, 1.0), (0.5, 1.0, 10, 0.8, 0.7, 0.4, 0.9)],
    columns=["lower", "upper", "count", "confidence", "accuracy", "low", "high"],
)
TABLE = pd.DataFrame({"epoch": [1, 1, 2], "name": list("xyz"), "accuracy": [0, 1, 0.2]})


def test_a_drawing_is_made_once_and_its_values_each_time():
    first, second = (reliability_diagram(BINS.assign(accuracy=value)) for value in (0.5, 0.7))
    assert first.drawing is second.drawing
    assert first.drawing is not reliability_diagram(BINS, palette=DARK).drawing
    named = [set(figure.specification(clickable=True)["datasets"]) for figure in (first, second)]
    assert len(named[0] & named[1]) == 1 and len(named[0] | named[1]) == 3  # the diagonal is the same
    sent = [figure.specification() for figure in (first, second)]
    assert {**sent[0], "datasets": 0} == {**sent[1], "datasets": 0}  # the browser fills in the values
    assert first.specification() == reliability_diagram(BINS.assign(accuracy=0.5)).specification()


def test_naming_the_tables_leaves_the_shared_drawing_alone():
    layers = [{"data": {"name": "a"}, "title": "c"}, {"layer": [{"data": {"name": "b"}}]}]
    figure = Figure({"layer": layers}, {"a": TABLE, "b": TABLE.iloc[:1]}, replacements={"c": "name of a class"})
    sent = figure.specification()
    names = [sent["layer"][0]["data"]["name"], sent["layer"][1]["layer"][0]["data"]["name"]]
    assert names == list(sent["datasets"])
    assert sent["layer"][0]["title"] == figure.to_dict()["layer"][0]["title"] == "name of a class"
    assert figure.drawing["layer"][0] == {"data": {"name": "a"}, "title": "c"}


def test_a_digest_stands_for_names_types_and_values_of_a_table():
    same = TABLE.copy()
    assert digest(TABLE) == digest(same)
    assert digest(TABLE) == digest(TABLE.set_axis(TABLE.index + 1))
    assert digest(TABLE) != digest(TABLE.rename(columns={"name": "other"}))
    assert digest(TABLE) != digest(TABLE.iloc[::-1])
    assert digest(TABLE) != digest(TABLE.astype({"epoch": float}))


@pytest.mark.parametrize(("form", "starts"), [("png", b"\x89PNG"), ("svg", b"<svg")])
def test_a_chart_can_be_downloaded_as_an_image(form, starts):
    chart = reliability_diagram(BINS)
    assert render(chart, form).startswith(starts)


def axis_texts(figure, width):
    """All texts of a chart drawn so many pixels wide."""
    return re.findall(r"<text[^>]*>([^<]*)", render(figure, "svg", width=width).decode())


def test_an_axis_writes_numbers_as_the_texts_beside_it_and_not_too_many_of_them():
    texts = axis_texts(
        history_bars(pd.DataFrame({"history": ["learned", "forgotten"], "images": [12_000, 3_500]})), 900
    )
    assert count(12_000) in texts
    assert sum(text.replace("\u202f", "").isdigit() for text in texts) <= 14


def test_an_axis_of_shares_writes_percent_as_the_texts_beside_it():
    table = pd.DataFrame({"measure": "deletion", "order": ["map", "random"], "share": [0.0, 1.0], "probability": 0.5})
    assert {"0\xa0%", "100\xa0%"} <= set(axis_texts(removal_chart(table), 560))


def test_an_axis_of_epochs_names_each_epoch_once():
    table = pd.DataFrame({"epoch": [1, 2], "line": "a", "value": [0.0, 40.0]})
    texts = axis_texts(epoch_lines(table, title="value", epoch=1), 150)
    assert texts.count("1") == texts.count("2") == 1
    assert "40" in texts  # not 4e+1
