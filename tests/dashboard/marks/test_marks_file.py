import os
import resource
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from dashboard.marks import marks_file
from dashboard.marks.marks_file import MARK_LENGTH, NOTE_LENGTH, Mark, MarksError, MarksFile
from tests.dashboard.marks import load

CAT, DOG = b"c" * 32, b"d" * 32


@pytest.fixture
def file(tmp_path):
    return MarksFile(tmp_path / "marks #1?.sqlite")  # a name that means something in a URI


def said(file):
    return [(mark.image, mark.mark, mark.note, mark.reader) for mark in file.read().rows]


def test_nothing_is_written_before_the_first_mark(file):
    assert file.read().rows == ()
    assert file.remove([CAT], "wrong label") == 0
    assert not file.path.exists()


def test_a_mark_is_there_once_with_what_was_known_when_it_was_set(file):
    mark = Mark(CAT, "wrong label", "", "anna", "dog", "val/1.png")
    assert file.add([mark, mark]) == 1
    assert file.add([mark]) == 0
    (found,) = file.read().rows
    assert found._replace(time="") == mark
    assert found.time.endswith("Z")
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]  # one file


def test_a_note_takes_the_place_of_the_same_readers_mark_without_one(file):
    file.add([Mark(CAT, "ambiguous", "", "anna"), Mark(CAT, "ambiguous", "", "ben")])
    file.add([Mark(CAT, "ambiguous", "a cat and a dog", "anna")])
    file.add([Mark(CAT, "ambiguous", "", "anna")])
    assert said(file) == [(CAT, "ambiguous", "a cat and a dog", "anna"), (CAT, "ambiguous", "", "ben")]


def test_a_mark_is_removed_from_the_images_named_and_for_the_reader_named(file):
    file.add(
        [Mark(image, "bad image", note, reader) for image in (CAT, DOG) for note, reader in (("", "a"), ("x", "b"))]
    )
    assert file.remove([CAT], "bad image", reader="b") == 1
    assert file.remove([DOG], "bad image", note="") == 1
    assert file.remove([DOG], "ambiguous") == 0
    assert said(file) == [(CAT, "bad image", "", "a"), (DOG, "bad image", "x", "b")]
    assert file.remove([CAT, DOG], "bad image") == 2
    assert said(file) == []


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (Mark(CAT, " … "), "at least one letter"),
        (Mark(CAT, "x" * (MARK_LENGTH + 1)), "61 characters"),
        (Mark(CAT, "x", "n" * (NOTE_LENGTH + 1)), "2001 characters"),
        (Mark(b"short", "x"), "has 32 bytes, this one has 5"),
    ],
)
def test_an_invalid_mark_is_refused_and_none_of_its_neighbours_is_saved(file, mark, message):
    with pytest.raises(MarksError, match=message):
        file.add([Mark(DOG, "fine"), mark])
    assert said(file) == []


def test_texts_are_kept_as_they_are_but_for_what_no_database_takes(file):
    hostile = "<img src=x onerror=alert(1)>'; DROP TABLE marks; --"
    file.add([Mark(CAT, f" {hostile}\n", "two\nlines \udc80\0", hostile)])
    assert said(file) == [(CAT, hostile, "two\nlines ?", hostile)]


def test_the_same_object_is_read_until_another_process_saves_something(file):
    file.add([Mark(CAT, "x")])
    before = file.read()
    assert file.read() is before
    code = (
        "import sys; from pathlib import Path; from dashboard.marks.marks_file import *;"
        "MarksFile(Path(sys.argv[1])).add([Mark(b'd' * 32, 'y')])"
    )
    subprocess.run([sys.executable, "-c", code, file.path], check=True)
    assert [mark.mark for mark in file.read().rows] == ["x", "y"]


def test_a_file_that_was_deleted_or_replaced_is_noticed(file, tmp_path):
    file.add([Mark(CAT, "x")])
    file.read()
    other = MarksFile(tmp_path / "other")
    other.add([Mark(DOG, "y")])
    other.path.replace(file.path)
    assert said(file) == [(DOG, "y", "", "")]
    file.path.unlink()
    assert said(file) == []


# -- files from elsewhere ---------------------------------------------------------------------------------------------


def test_a_file_too_large_for_marks_is_not_opened(file):
    file.add([Mark(CAT, "x")])
    os.truncate(file.path, 128_000_001)  # with a hole, which takes no room
    for ask in (file.read, lambda: file.add([Mark(CAT, "y")])):
        with pytest.raises(MarksError, match=r"is too large for marks: 128,000,001 bytes\. Move it away"):
            ask()


def foreign(path, *statements):
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def changed_schema(path):
    MarksFile(path).add([Mark(CAT, "x")])
    foreign(path, "CREATE TRIGGER spy AFTER INSERT ON marks BEGIN DELETE FROM marks; END")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 300), "not a database"),
        (lambda path: foreign(path, "CREATE TABLE marks (image, mark)"), "is not a file of Classprint's marks"),
        (lambda path: foreign(path, "PRAGMA application_id = 7"), "is not a file of Classprint's marks"),
        (changed_schema, "is not a file of Classprint's marks"),
        (lambda path: path.mkdir(), "is not a file"),
        (os.mkfifo, "is not a file"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_and_left_as_it_is(file, make, message):
    make(file.path)
    before = file.path.read_bytes() if file.path.is_file() else None
    for act in (file.read, lambda: file.add([Mark(CAT, "x")]), lambda: file.remove([CAT], "x")):
        with pytest.raises(MarksError, match=message):
            act()
    assert before is None or file.path.read_bytes() == before


def test_a_file_of_a_later_version_is_refused(file):
    file.add([Mark(CAT, "x")])
    foreign(file.path, "PRAGMA user_version = 2")
    with pytest.raises(MarksError, match="version 2, this dashboard reads version 1"):
        file.read()


def test_values_that_this_program_would_not_write_are_read_without_harm(file):
    file.add([Mark(CAT, "x")])
    foreign(
        file.path,
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO marks VALUES (x'00', 'short', '', '', '', '', '')",
        "INSERT INTO marks VALUES (zeroblob(32), 5, 1.5, CAST(x'ff' AS TEXT), x'ff', '', '')",
        f"INSERT INTO marks VALUES (zeroblob(32), '{'y' * 9999}', '', '', '', '', '')",
    )
    assert said(file) == [
        (bytes(32), "5", "�", "1.5"),
        (bytes(32), "y" * MARK_LENGTH, "", ""),
        (CAT, "x", "", ""),
    ]


def test_every_cut_of_a_file_is_read_or_refused_in_words(file, tmp_path):
    file.add([Mark(bytes([number]) * 32, "x", "n" * 500) for number in range(40)])
    content = file.path.read_bytes()
    for length in range(0, len(content), 1500):
        cut = MarksFile(tmp_path / f"cut-{length}")
        cut.path.write_bytes(content[:length])
        try:
            assert set(cut.read().rows) <= set(file.read().rows)
        except MarksError as error:
            assert "Move" in str(error)


# -- several at once, killed, out of room -----------------------------------------------------------------------------


def test_threads_that_mark_and_read_at_once_lose_nothing(file):
    def mark(number):
        file.add([Mark(bytes([number]) * 32, "x", "", f"{number % 3}")])
        return len(file.read().rows)

    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(mark, range(60)))
    assert len(file.read().rows) == 60 and min(seen) >= 1


@pytest.mark.slow
def test_processes_that_mark_at_once_and_are_killed_lose_and_double_nothing(tmp_path):
    outcome = load.run(tmp_path / "marks.sqlite", processes=5, marks=20, kills=2)
    assert outcome.killed >= 1 and outcome.saved == 100
    assert (outcome.lost, outcome.doubled) == (0, 0)


@contextmanager
def locked(path):
    """Another program holds the file, as a backup or a debugger may."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_while_another_program_locks_the_file_the_last_marks_are_read_and_writing_says_so(file, monkeypatch):
    monkeypatch.setattr(marks_file, "PATIENCE", 0.1)
    file.add([Mark(CAT, "x")])
    file.read()
    file.add([Mark(DOG, "y")])
    stranger = MarksFile(file.path)
    with locked(file.path):
        assert said(file) == [(CAT, "x", "", "")]
        for _ in range(2):  # the second time without another wait
            with pytest.raises(MarksError, match="is locked; pages show none"):
                stranger.read()
        with pytest.raises(MarksError, match="nothing was saved"):
            file.add([Mark(CAT, "z")])
    file.add([Mark(CAT, "z")])
    assert [mark.mark for mark in file.read().rows] == ["x", "z", "y"]


def test_a_full_disk_is_told_and_leaves_the_marks_from_before(file):
    file.add([Mark(CAT, "before")])

    def little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    code = (
        "import sys; from pathlib import Path; from dashboard.marks.marks_file import *\n"
        "try: MarksFile(Path(sys.argv[1])).add([Mark(bytes([n]) * 32, 'x', 'n' * 1900) for n in range(99)])\n"
        "except MarksError as error: print(error)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, file.path], check=True, capture_output=True, text=True, preexec_fn=little_room
    )
    assert "nothing was saved, and all marks from before are kept. Free space" in process.stdout
    assert said(file) == [(CAT, "before", "", "")]
    assert file.add([Mark(DOG, "after")]) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_only_be_read_is_read(file):
    file.add([Mark(CAT, "x")])
    file.path.chmod(0o444)
    file.path.parent.chmod(0o555)
    try:
        assert said(file) == [(CAT, "x", "", "")]
        with pytest.raises(MarksError, match="may read and write"):
            file.add([Mark(DOG, "y")])
    finally:
        file.path.parent.chmod(0o755)
