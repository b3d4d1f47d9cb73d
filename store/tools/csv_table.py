"""Tables as CSV that a spreadsheet cannot mistake for formulas, and read again as they were.

A text that a spreadsheet would run as a formula (it begins with =, +, -, @, a tab or a line end, perhaps after blanks
or apostrophes) is written with one more apostrophe in front. `read_csv` takes that apostrophe away again and leaves
texts such as NA, null and nan what they are. Numbers are written as they are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

TEXTS = ("name", "true_class", "predicted_class", "group", "predicted_group", "class", "id", "variant", "variant_label")
# Blanks and invisible marks in front are skipped by some; full-width forms are formulas in East Asian settings.
_FORMULA = re.compile(r"'*(?:[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")


def neutralise(value: Any) -> Any:
    """A text with an apostrophe in front where a spreadsheet would run it; anything else as it is."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def to_csv(table: pd.DataFrame, file: TextIO | None = None, *, header: bool = True) -> str:
    """The table as CSV with neutralised texts, written to `file` where one is given (then '' is returned)."""
    safe = table.rename(columns=neutralise)
    for place, kind in enumerate(safe.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            safe.isetitem(place, safe.iloc[:, place].map(neutralise))
    # All texts are quoted: Python before 3.13 leaves a carriage return bare, and the row would end there.
    return safe.to_csv(file, index=False, header=header, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC) or ""


def read_csv(path: str | Path | TextIO, *, texts: Collection[str] = TEXTS, separator: str = ",") -> pd.DataFrame:
    """A table that `to_csv` wrote: only an empty cell of a column of numbers is a missing value.

    Args:
        texts: columns that are texts even where all of their values are numbers, such as classes named 1, 2 and 10.
        separator: what stands between the cells; spreadsheets save semicolons in many countries.
    """
    is_text = set(texts)
    cells = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=separator)
    table = pd.DataFrame(index=cells.index)
    for name, column in cells.items():
        numbers = pd.to_numeric(column.mask(column == ""), errors="coerce")
        known = {"True": True, "False": False}
        if name in is_text:
            values = column.map(_restored)
        elif len(column) and column.isin(known).all():
            values = column.map(known).astype(bool)
        elif (numbers.notna() == (column != "")).all() and numbers.notna().any():
            values = numbers
        else:
            values = column.map(_restored)
        table[_restored(str(name))] = values
    return table


def _restored(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
