"""The file of marks: one SQLite database, the only place where the dashboard writes anything.

A row is one statement: this reader gave the image of this content this mark, with this note. Rows are added and
removed, never changed, so two readers who mark the same image at once both keep what they said, and saying it twice is
saying it once. Images are known by the SHA-256 of their pixels: marks follow an image from run to run.
"""

from __future__ import annotations

import random
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from dashboard.shared.theme import one_line

MARK_LENGTH, NOTE_LENGTH, NAME_LENGTH = 60, 2000, 1000
PATIENCE = 30.0  # seconds that a write waits for another one
_READ_PATIENCE, _PAUSE = 2.0, 5.0  # that a page waits to read a locked file, and until it tries again
_APPLICATION, _VERSION = 0x436C704D, 1  # "ClpM"
_LARGEST = 128_000_000  # bytes; some 700,000 marks
_TABLE = (
    "CREATE TABLE marks (image BLOB NOT NULL CHECK (length(image) = 32), mark TEXT NOT NULL CHECK (length(mark) > 0), "
    "reader TEXT NOT NULL, note TEXT NOT NULL, class TEXT NOT NULL, name TEXT NOT NULL, time TEXT NOT NULL, "
    "PRIMARY KEY (image, mark, reader, note)) WITHOUT ROWID"
)
_SELECT = (
    "SELECT image, mark, note, reader, class, name, time FROM marks WHERE typeof(image) = 'blob' ORDER BY image, mark"
)


class MarksError(Exception):
    """Marks could not be read or saved; the text can be shown to the user as it is."""


class _Locked(MarksError):
    """Another process held the file for longer than anybody waits."""


class Mark(NamedTuple):
    """One statement about an image.

    Attributes:
        image: SHA-256 of the image's pixels, 32 bytes.
        mark: in a few words, such as "wrong label".
        note: further words, or nothing.
        reader: who said so, where the server knows it.
        class_name: the class's name when it was said.
        name: the image's name when it was said.
        time: when, in UTC, as in 2026-11-26T21:50:00Z.
    """

    image: bytes
    mark: str
    note: str = ""
    reader: str = ""
    class_name: str = ""
    name: str = ""
    time: str = ""


@dataclass(frozen=True, eq=False)
class Marks:
    """All marks of a file at one moment, by image and mark; two moments with the same content are two objects."""

    # Compared by identity: a cache that hashed ten thousand texts at each look would take longer than it saves.
    rows: tuple[Mark, ...] = ()


@dataclass
class MarksFile:
    """The marks in one file, which need not exist yet. Threads may share it."""

    path: Path
    _lock: Lock = field(default_factory=Lock)
    _reading: sqlite3.Connection | None = None
    _identity: tuple[int, int] = (0, 0)
    _version: int = -1
    _marks: Marks = field(default_factory=Marks)
    _locked: tuple[float, MarksError | None] = (0.0, None)  # until when nobody asks again, and the error until then

    def read(self) -> Marks:
        """All marks; the same object until another one is saved, by whatever process.

        While another process locks the file for long, they are those of the last reading, if there was one.

        Raises:
            MarksError: the file is damaged, of another program, or cannot be read.
        """
        with self._lock:
            until, refusal = self._locked
            if time.monotonic() >= until:
                try:
                    with self._explained("read"):
                        self._read()
                except _Locked as error:
                    self._end_reading()
                    # A page asks some ten times, and each question would wait.
                    refusal = None if self._version >= 0 else error
                    self._locked = time.monotonic() + _PAUSE, refusal
                except MarksError:
                    self._forget()
                    raise
            if refusal is not None:
                raise refusal
            return self._marks

    def _read(self) -> None:
        """Bring `_marks` up to date."""
        found = self._stat()
        if found is None:
            self._forget()
            return
        if self._reading is None or found != self._identity:
            self._forget()
            self._reading = self._connect("rw", _READ_PATIENCE)
            self._identity = found
        # It changes with every commit of another connection, and this one commits nothing.
        version = self._reading.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._reading.execute("BEGIN")  # what is checked is what is read
            _check(self._reading, self.path)
            _check_length(self._reading, self.path)
            self._marks = Marks(tuple(_marks(self._reading)))
            self._end_reading()
            self._version = version

    def add(self, marks: Iterable[Mark]) -> int:
        """Save marks, all of them or none; returns how many are new.

        A mark with a note replaces the same reader's mark of this image without one; without a note it adds nothing
        where the reader has said it already.

        Raises:
            MarksError: a mark is not valid, or they cannot be saved.
        """
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = [_valid(mark)._replace(time=mark.time or now) for mark in marks]
        with self._writing() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO marks (image, mark, note, reader, class, name, time) "
                "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE ?3 <> '' OR NOT EXISTS "
                "(SELECT 1 FROM marks WHERE image = ?1 AND mark = ?2 AND reader = ?4)",
                rows,
            )
            added = connection.total_changes - before
            noted = [(row.image, row.mark, row.reader) for row in rows if row.note]
            connection.executemany("DELETE FROM marks WHERE image = ? AND mark = ? AND reader = ? AND note = ''", noted)
        return added

    def remove(self, images: Iterable[bytes], mark: str, *, note: str | None = None, reader: str | None = None) -> int:
        """Remove a mark from images, all of them or none; returns how many were removed.

        Args:
            images: SHA-256 of each.
            mark: the one to remove.
            note: only with this note; None removes them with any.
            reader: only what this reader said; None removes what anybody said.

        Raises:
            MarksError: nothing could be removed.
        """
        with self._explained("changed"):
            if self._stat() is None:
                return 0
        with self._writing() as connection:
            before = connection.total_changes
            connection.executemany(
                "DELETE FROM marks WHERE image = ?1 AND mark = ?2 AND (?3 IS NULL OR note = ?3) "
                "AND (?4 IS NULL OR reader = ?4)",
                [(image, mark, note, reader) for image in images],
            )
            return connection.total_changes - before

    def _stat(self) -> tuple[int, int] | None:
        """Device and number of the file; None where there is none."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(found.st_mode):
            raise MarksError(f"{str(self.path)!r} is not a file, so it holds no marks. Move it away.")
        if found.st_size > _LARGEST:
            raise MarksError(f"{str(self.path)!r} is too large for marks: {found.st_size:,} bytes. Move it away.")
        return found.st_dev, found.st_ino

    def _end_reading(self) -> None:
        if self._reading is not None and self._reading.in_transaction:
            self._reading.execute("ROLLBACK")

    def _forget(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading, self._version, self._marks = None, -1, Marks()

    def _connect(self, mode: str, patience: float) -> sqlite3.Connection:
        # Reading, too, opens for writing where it may: what a killed process left half-written is put right by that.
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=patience,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            # A file that somebody else made may run no code of its own and lead no reading astray.
            for setting in ("trusted_schema = OFF", "cell_size_check = ON", "synchronous = FULL"):
                connection.execute(f"PRAGMA {setting}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: everything in the block is saved, or nothing is."""
        # One journal beside the file, not a write-ahead log: a log needs shared memory, which network file systems
        # and folders that may only be read do not have, and a mark is one short write.
        with self._explained("changed"):
            self._stat()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect("rwc", PATIENCE)) as connection:
                _begin(connection)
                try:
                    if _is_empty(connection):
                        connection.execute(_TABLE)
                        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                        connection.execute(f"PRAGMA user_version = {_VERSION}")
                    _check(connection, self.path)
                    yield connection
                    connection.execute("COMMIT")
                    self._locked = (0.0, None)
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Say in words what of SQLite or the file system stands in the way of "read" or "changed"."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            kept = "nothing was saved, and all marks from before are kept" if done == "changed" else "pages show none"
            locked = isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            raise (_Locked if locked else MarksError)(
                f"The marks in {str(self.path)!r} could not be {done}: {reason}; {kept}. {_remedy(str(reason))}"
            ) from error


def _begin(connection: sqlite3.Connection) -> None:
    """Begin to write, once no other process does."""
    # SQLite itself waits longer the longer it has waited, up to 0.1 s: of 20 processes that write all the time, some
    # then wait in vain for more than 30 s. Here all that wait have the same chance.
    connection.execute("PRAGMA busy_timeout = 0")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.002, 0.01))
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * PATIENCE)}")  # for the commit, which waits for readers


def _remedy(reason: str) -> str:
    if "locked" in reason:
        return "Another process has been writing for long: try again."
    if "full" in reason or "disk I/O" in reason:
        return "Free space on the disk and try again."
    if "malformed" in reason or "not a database" in reason:
        return "Move the file away, or put a copy of it back."
    return "Check that this process may read and write the file and its folder."


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Whether nothing is in the database yet, into which the first mark may go."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not tables and not connection.execute("PRAGMA application_id").fetchone()[0]


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database of another program, or one with anything beside the one table of marks."""
    if _is_empty(connection):
        return
    # The whole schema is compared: a view or a trigger would be code of whoever made the file.
    schema = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL LIMIT 2").fetchall()
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application != _APPLICATION or schema != [(_TABLE,)]:
        raise MarksError(
            f"{str(path)!r} is not a file of Classprint's marks, so it is neither read nor changed. "
            "Move it away, or name another file in CLASSPRINT_MARKS."
        )
    if version != _VERSION:
        raise MarksError(f"{str(path)!r} has version {version}, this dashboard reads version {_VERSION}. Update it.")


def _check_length(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file whose end is missing, where SQLite itself would read zeros."""
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    if path.stat().st_size < pages * size:
        raise MarksError(f"{str(path)!r} is cut off. Move it away, or put a copy of it back.")


def _marks(connection: sqlite3.Connection) -> Iterator[Mark]:
    if _is_empty(connection):
        return
    for image, *texts in connection.execute(_SELECT):
        # The types and lengths in a file from elsewhere need not be those that this module writes.
        mark, note, reader, class_name, name, time = (str(text)[:NOTE_LENGTH] for text in texts)
        if len(image) == 32 and mark:
            yield Mark(image, mark[:MARK_LENGTH], note, reader[:NAME_LENGTH], class_name[:NAME_LENGTH], name, time)


def _valid(mark: Mark) -> Mark:
    """The mark as it is saved: on one line, its texts no longer than allowed.

    Raises:
        MarksError: it has no words, too many, or no image.
    """
    words = one_line(mark.mark)
    if not any(character.isalnum() for character in words):
        raise MarksError("A mark needs at least one letter or digit. Choose one, or type your own words.")
    for what, text, most in (("mark", words, MARK_LENGTH), ("note", mark.note, NOTE_LENGTH)):
        if len(text) > most:
            raise MarksError(f"The {what} has {len(text)} characters; at most {most} can be saved. Shorten it.")
    if len(mark.image) != 32:
        raise MarksError(f"A content hash has 32 bytes, this one has {len(mark.image)}. Use the SHA-256 of the pixels.")
    return mark._replace(
        mark=words,
        note=_clean(mark.note),
        reader=one_line(mark.reader)[:NAME_LENGTH],
        class_name=_clean(mark.class_name)[:NAME_LENGTH],
        name=_clean(mark.name)[:NAME_LENGTH],
        time=one_line(mark.time)[:40],
    )


def _clean(text: str) -> str:
    """Texts as SQLite takes them: without the halves of characters that UTF-8 cannot write, and without NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "").strip()
