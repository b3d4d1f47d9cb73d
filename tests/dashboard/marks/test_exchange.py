import csv
import io
import shlex
import subprocess

import pandas as pd
import pytest

from dashboard.marks.exchange import COLUMNS, marks_csv, read_marks_csv, shell_paths
from dashboard.marks.marks_file import Mark, MarksError

MARKS = [
    Mark(b"a" * 32, "wrong label", "=HYPERLINK(1)", "anna", "cat", "-1.png", "2026-01-02T03:04:05Z"),
    Mark(b"b" * 32, "@own, words", 'a "note"\nin two lines', "", "1", "+b.png", "2026-01-02T03:04:05Z"),
]


def test_marks_come_back_from_the_table_as_they_were():
    assert read_marks_csv(marks_csv(MARKS)) == MARKS
    assert read_marks_csv(marks_csv([])) == []


def test_no_cell_of_the_table_is_a_formula():
    cells = [cell for row in csv.reader(io.StringIO(marks_csv(MARKS).decode("utf-8-sig"))) for cell in row]
    assert cells[: len(COLUMNS)] == list(COLUMNS)
    assert "'=HYPERLINK(1)" in cells and "'@own, words" in cells and "'-1.png" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_a_table_needs_no_more_than_hash_and_mark_and_takes_the_readers_name():
    table = f"mark,content_sha256\nodd,{'AB' * 32}\n".encode()
    assert read_marks_csv(table, reader="ben") == [Mark(b"\xab" * 32, "odd", reader="ben")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_table_that_a_spreadsheet_saved_again_is_read(encoding, separator, line_end):
    marks = [
        *MARKS,
        Mark(b"c" * 32, "zweifelhaft, süß; 50 %", "a\ttab", "ben", "Käse", "ö.png", "2026-01-02T03:04:05Z"),
    ]
    rows = list(csv.reader(io.StringIO(marks_csv(marks).decode("utf-8-sig"))))
    saved = io.StringIO()
    csv.writer(saved, delimiter=separator, lineterminator=line_end).writerows(rows)  # quotes only where it must
    assert read_marks_csv(saved.getvalue().encode(encoding)) == marks


def test_a_table_that_pandas_wrote_with_its_index_is_read():
    table = pd.read_csv(io.BytesIO(marks_csv(MARKS))).to_csv().encode()
    assert [mark.mark for mark in read_marks_csv(table)] == ["wrong label", "@own, words"]
    assert read_marks_csv(table)[0].note == "=HYPERLINK(1)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"mark,note\nx,y\n", "no column 'content_sha256'; its columns are mark, note"),
        (b"content_sha256,mark\nabc,x\n", "Row 2: content_sha256 is 'abc'"),
        (b"\xff\xfe\x00", "not a table in CSV and UTF-8"),
        ("mark;content_sha256\nsüß;x\n".encode("cp1252"), "A spreadsheet saves such a table as “CSV UTF-8”"),
        (b"", "not a table in CSV and UTF-8"),
        (b'a,b\n"open', "not a table in CSV and UTF-8"),
        (b"x" * 20_000_001, "20,000,001 bytes, at most 20,000,000"),
    ],
)
def test_what_is_no_table_of_marks_is_refused_in_words(content, message):
    with pytest.raises(MarksError, match=message):
        read_marks_csv(content)


def test_a_shell_reads_every_path_as_one_word_and_runs_none_of_it():
    names = ["val/1.png", "a b.png", "$(touch x)'`\".png", "-rf", "line\nend.png", "val/1.png"]
    text = shell_paths(names)
    expected = ["val/1.png", "a b.png", "$(touch x)'`\".png", "./-rf"]
    assert shlex.split(text) == expected
    for command in (["sh", "-c", f"printf '%s\\n' {' '.join(text.split(chr(10)))}"],):
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines() == expected
