"""Names and groups of classes: from a classes.csv, from WordNet, or from the names of the folders."""

from __future__ import annotations

import csv
import io
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from compute.errors import BadLayout
from store.format.description import ClassInfo

CLASS_TABLE, WORD_LIST = "classes.csv", "words.txt"
NO_GROUP, OTHER_GROUP = "all", "other"
_DELIMITERS = ",;\t|"
UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # Control characters, and bytes that are not UTF-8.
_WORDNET_ID = re.compile(r"n\d{8}")
_GROUPS_FILE, _NAMES_FILE = (
    Path(__file__).with_name(name) for name in ("tiny_imagenet_groups.toml", "imagenet_names.toml")
)


def class_infos(folders: Iterable[Path], ids: Sequence[str]) -> tuple[ClassInfo, ...]:
    """The classes with names and groups, which a file in the first of `folders` that has one may give.

    Without one a class is named after its folder, with spaces for underscores, and the folder above it is its group.

    Raises:
        BadLayout: the file can't be read, or has no name for a class.
    """
    folders = list(folders)
    for folder in folders:
        if (folder / CLASS_TABLE).is_file():
            return _read_class_table(folder / CLASS_TABLE, ids)
    if all(_WORDNET_ID.fullmatch(each) for each in ids):
        lists = [folder for folder in folders if (folder / WORD_LIST).is_file()]
        if lists or set(ids) & set(_wordnet_names()):
            return wordnet_classes(lists[0] if lists else None, ids)
    names = [each.rpartition("/")[2].replace("_", " ") for each in ids]
    unique = names if len(set(names)) == len(names) else ids
    groups = [each.rpartition("/")[0].replace("_", " ") or NO_GROUP for each in ids]
    return tuple(ClassInfo(*row) for row in zip(ids, unique, groups, strict=True))


def natural_order(names: Iterable[str]) -> list[str]:
    """The names sorted so that 2 comes before 10."""

    def key(name: str) -> list[tuple[int, int, str]]:
        parts = re.split(r"([0-9]+)", name)
        return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]

    return sorted(names, key=key)


# --- A table ---------------------------------------------------------------------------------------------------------


def _read_class_table(path: Path, ids: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Names and groups of classes from a CSV file with the columns id, name and, if wanted, group, in order of `ids`.

    Spreadsheets of the world write commas, semicolons or tabs, capitals and spaces, and drop leading zeros of an id;
    all of it is read where only one reading is possible.
    """
    rows = _table_rows(path)
    repeated = repetitions(row["id"] for row in rows)
    table = {row["id"]: row for row in rows}
    found = dict(zip(ids, _matches(ids, table), strict=True))
    unnamed = [each for each in ids if found[each] is None or not table[found[each] or ""]["name"]]
    if unnamed:
        raise BadLayout(
            f"'{path}' has no name for the classes {quote(unnamed)}; its ids are {quote(list(table))}. "
            "Add a line for each: the id is the name of the class folder."
        )
    infos = tuple(
        ClassInfo(each, table[found[each] or ""]["name"], table[found[each] or ""].get("group") or NO_GROUP)
        for each in ids
    )
    repeated = repeated or repetitions(info.name for info in infos)
    if repeated:
        raise BadLayout(f"'{path}' has an id or a name twice: {quote(repeated)}. Make it unique.")
    unusable = [info for info in infos if UNUSABLE.search(info.name + info.group)]
    if unusable:
        raise BadLayout(f"'{path}' has control characters in {unusable[0].name!r}, {unusable[0].group!r}. Remove them.")
    return infos


def _table_rows(path: Path) -> list[dict[str, str]]:
    """The rows of the table by the names of their columns in lower case, without spaces around the cells."""
    lines = re.split(r"\r\n|\r|\n", read_text(path))  # splitlines would also split at characters inside a name
    if lines and lines[0].lower().startswith("sep="):  # which spreadsheets write to say what follows
        lines = lines[1:]
    header = next((line for line in lines if line.strip()), "")
    columns: list[str] = []
    try:
        for delimiter in _DELIMITERS:
            reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=delimiter, skipinitialspace=True)
            columns = (
                [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter))] if header else []
            )
            if {"id", "name"} <= set(columns):
                repeated = set(repetitions(columns)) & {"id", "name", "group"}
                if repeated:
                    raise BadLayout(f"'{path}' has several columns {quote(sorted(repeated))}. Rename all but one.")
                cells = [[" ".join(cell.split()) for cell in row] for row in reader if any(map(str.strip, row))][1:]
                return [dict(zip(columns, [*row, *[""] * len(columns)], strict=False)) for row in cells]
    except csv.Error as err:
        raise BadLayout(f"'{path}' is not a CSV file: {err}. It needs the columns id, name, group.") from err
    raise BadLayout(
        f"'{path}' lacks the columns id and name. Its first line is {header[:100]!r}; it must be "
        "'id,name,group' (the group may be left out), with commas, semicolons or tabs."
    )


def _matches(ids: Sequence[str], keys: Iterable[str]) -> list[str | None]:
    """For each id the key that means it, or None: letter by letter, else but for capitals, else as a number."""
    keys = list(keys)
    forms: tuple[Callable[[str], str], ...] = (
        plain_form,
        lambda text: plain_form(text).casefold(),
        lambda text: str(int(text)) if text.isascii() and text.isdecimal() else text,
    )
    found: dict[str, str] = {}
    for form in forms:
        counts = Counter(map(form, keys)), Counter(map(form, ids))
        by_form = {form(key): key for key in keys if counts[0][form(key)] == 1}
        for each in ids:
            if each not in found and form(each) in by_form and counts[1][form(each)] == 1:
                found[each] = by_form[form(each)]
    return [found.get(each) for each in ids]


# --- WordNet ---------------------------------------------------------------------------------------------------------


def wordnet_classes(folder: Path | None, ids: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Names of classes whose ids are WordNet's, from the words.txt in `folder` or ImageNet's own; groups of 200."""
    words: Mapping[str, str] = _wordnet_names()
    if folder is not None:
        words = dict(line.split("\t", 1) for line in read_lines(folder / WORD_LIST) if "\t" in line)
    names = _unique_names({each: [word.strip() for word in words.get(each, each).split(",")] for each in ids})
    groups = wordnet_groups()
    other = OTHER_GROUP if set(groups) & set(ids) else NO_GROUP
    return tuple(ClassInfo(each, names[each], groups.get(each, other)) for each in ids)


@cache
def _wordnet_names() -> dict[str, str]:
    """The words of each of ImageNet's 1,000 WordNet ids."""
    return tomllib.loads(_NAMES_FILE.read_text(encoding="utf-8"))


def wordnet_groups() -> dict[str, str]:
    """The group of each of Tiny ImageNet's 200 WordNet ids, from a table made by hand."""
    with _GROUPS_FILE.open("rb") as table:
        return {wordnet_id: group for group, ids in tomllib.load(table).items() for wordnet_id in ids}


def _unique_names(synonyms: dict[str, list[str]]) -> dict[str, str]:
    """The first synonym; classes that share it are distinguished by the last synonym or the id in brackets."""
    names = {each: words[0] for each, words in synonyms.items()}
    for bracket in ({each: words[-1] for each, words in synonyms.items()}, {each: each for each in synonyms}):
        shared = set(repetitions(names.values()))
        names |= {each: f"{synonyms[each][0]} ({bracket[each]})" for each in synonyms if names[each] in shared}
    return names


# --- Texts and messages ----------------------------------------------------------------------------------------------


def plain_form(name: str) -> str:
    """The name in one Unicode form: macOS writes the accents of a name apart, other systems together."""
    return unicodedata.normalize("NFC", name)


def read_text(path: Path) -> str:
    """The text of a small file in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Raises:
        BadLayout: it can't be read, or is in another encoding or binary.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as err:
        raise BadLayout(f"'{path}' is not UTF-8 text: byte {err.start} is invalid. Save it as UTF-8.") from err
    except OSError as err:
        raise BadLayout(f"'{path}' can't be read: {err.strerror}. Check its permissions.") from err
    if "\0" in text:
        raise BadLayout(f"'{path}' contains zero bytes, so it is not a text file. Save it as UTF-8.")
    return text


def read_lines(path: Path) -> list[str]:
    """The lines of one of Tiny ImageNet's lists, without blank ones.

    Raises:
        BadLayout: there is no such file, or it is not UTF-8 text.
    """
    if not path.is_file():
        raise BadLayout(f"'{path}' is missing: the folder is not a complete Tiny ImageNet. Unpack the archive again.")
    return [line.rstrip() for line in read_text(path).splitlines() if line.strip()]


def quote(names: Sequence[str], most: int = 5) -> str:
    """The first few names in quotes, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def similar_names(names: Sequence[str]) -> list[list[str]]:
    """Names that look alike: they differ only in capitals, spaces, punctuation or characters that are not shown."""
    alike: dict[str, list[str]] = {}
    for name in names:
        key = "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if each.isalnum())
        alike.setdefault(key or name, []).append(name)
    return [each for each in alike.values() if len(each) > 1]


def repetitions(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, sorted."""
    return sorted(name for name, times in Counter(names).items() if times > 1)
