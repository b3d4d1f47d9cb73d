"""Marks as files for others: a table as CSV, read again, and the images' paths for a shell."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterable

import pandas as pd

from dashboard.marks.marks_file import Mark, MarksError
from store.tools.csv_table import read_csv, to_csv

# column of the table -> field of a mark
COLUMNS = {
    "image_name": "name",
    "content_sha256": "image",
    "class": "class_name",
    "mark": "mark",
    "note": "note",
    "reader": "reader",
    "time": "time",
}
_NEEDED = ("content_sha256", "mark")
MOST_BYTES, MOST_ROWS = 20_000_000, 100_000
_HASH = re.compile("[0-9a-fA-F]{64}")
_LINE_ENDS = re.compile(r"[\0\r\n]")


def marks_csv(marks: Iterable[Mark]) -> bytes:
    """Marks as CSV with the columns of `COLUMNS`, which a spreadsheet cannot run as formulas."""
    rows = [[mark.image.hex() if own == "image" else getattr(mark, own) for own in COLUMNS.values()] for mark in marks]
    return to_csv(pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)).encode("utf-8-sig")


def read_marks_csv(content: bytes, *, reader: str = "") -> list[Mark]:
    """The marks in a table that `marks_csv` wrote, perhaps edited since and saved by a spreadsheet.

    Cells may be separated by commas, semicolons or tabs; the text is UTF-8, or UTF-16 with a byte order mark.

    Args:
        content: of the file.
        reader: who is said to have marked what the table names nobody for.

    Raises:
        MarksError: it is not such a table; the message names the first row that is at fault.
    """
    if len(content) > MOST_BYTES:
        raise MarksError(f"The table has {len(content):,} bytes, at most {MOST_BYTES:,} are read. Split it.")
    try:
        text = content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
        separator = max(",;\t", key=text.partition("\n")[0].count)
        table = read_csv(io.StringIO(text), texts=COLUMNS, separator=separator)
    except (ValueError, pd.errors.ParserError) as error:  # another encoding, no table, rows of different lengths
        raise MarksError(
            f"The file is not a table in CSV and UTF-8: {error}. Nothing was imported. A spreadsheet saves such a "
            "table as “CSV UTF-8”."
        ) from error
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise MarksError(
            f"The table has no column {missing[0]!r}; its columns are {', '.join(map(str, table.columns))[:300]}. "
            f"Export marks to see how such a table looks. Nothing was imported."
        )
    if len(table) > MOST_ROWS:
        raise MarksError(f"The table has {len(table):,} rows, at most {MOST_ROWS:,} are read. Split it.")
    marks = []
    for number, row in enumerate(table.to_dict("records"), start=2):
        content_hash = str(row["content_sha256"]).strip()
        if not _HASH.fullmatch(content_hash):
            raise MarksError(
                f"Row {number}: content_sha256 is {content_hash[:80]!r}, not 64 hexadecimal digits. "
                "Nothing was imported."
            )
        texts = {own: str(row.get(name, "")) for name, own in COLUMNS.items() if own != "image"}
        marks.append(Mark(bytes.fromhex(content_hash), **texts)._replace(reader=texts["reader"] or reader))
    return marks


def shell_paths(names: Iterable[str]) -> str:
    """Paths of images, one a line, quoted for a shell and for xargs; those with a line end in them are left out."""
    # A name such as -rf would be an option.
    safe = (f"./{name}" if name.startswith("-") else name for name in names if not _LINE_ENDS.search(name))
    return "".join(f"{shlex.quote(name)}\n" for name in dict.fromkeys(safe))
