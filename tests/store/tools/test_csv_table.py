"""CSV that a spreadsheet cannot run, and that is read again as it was."""

import io

import numpy as np
import pandas as pd
import pytest

from store.tools.csv_table import read_csv, to_csv

TEXTS = [
    "=1+1",
    "+1",
    "-1",
    "@a",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u2028+1",
    "a\r\nb",
    "'=1",
    "''-x",
    "'plain",
    "NA",
    "null",
    "nan",
    "None",
    "",
    "001",
    "a\nb",
    'q"q',
]


def test_no_cell_begins_as_a_formula_and_all_come_back():
    table = pd.DataFrame({"=name": TEXTS, "value": np.linspace(-1, 1, len(TEXTS))})
    text = to_csv(table)
    cells = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    assert not [
        cell
        for cell in [*cells.columns, *cells.iloc[:, 0]]
        if cell.strip(" \n\u00a0\ufeff\u2028")[:1] in ("=", "+", "-", "@", "\t", "\r")
    ]
    pd.testing.assert_frame_equal(read_csv(io.StringIO(text)), table, check_dtype=False)


@pytest.mark.parametrize("names", [["1", "2", "10"], ["001", "002", "003"], ["NA", "null", ""], ["True", "False", "x"]])
def test_names_stay_text(names):
    table = pd.DataFrame({"name": names, "value": [1.5, np.nan, -2.0], "correct": [True, False, True]})
    read = read_csv(io.StringIO("\ufeff" + to_csv(table)))
    assert read["name"].tolist() == names
    assert read["value"].isna().tolist() == [False, True, False] and read["value"][2] == -2
    assert read["correct"].tolist() == [True, False, True]
