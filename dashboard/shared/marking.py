"""Marks and notes on a page: on tiles, for all images of a filter, on one image, and as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial, wraps
from typing import Any, ParamSpec

import pandas as pd
import streamlit as st

from dashboard.components.tiles import TileSet
from dashboard.marks import exchange, marked_images
from dashboard.marks.marked_images import ANY, SUGGESTED, WITHOUT, MarkedImages, words_of
from dashboard.marks.marks_file import MARK_LENGTH, NOTE_LENGTH, Mark, MarksError
from dashboard.shared.downloads import file_button
from dashboard.shared.theme import count, escape_markdown, plural
from dashboard.shell import controls

P = ParamSpec("P")
_MESSAGES = "classprint.marks.messages"
_FIRST = "+"  # of the filter: all images, the marked ones first
_NAMES = {
    "": "any or none",
    _FIRST: "all, marked ones first",
    ANY: "marked",
    WITHOUT: "not marked",
}


def reader() -> str:
    """Who is logged in, '' where nobody has to."""
    user = st.user.to_dict()
    return str(user.get("email") or user.get("name") or "") if user.get("is_logged_in") else ""


def with_marks(source: MarkedImages, content: TileSet) -> TileSet:
    """Tiles whose ids are images, with their marks, and with what they can be marked as."""
    found = source.marks()
    if found:
        tiles = tuple(
            replace(tile, marks=words_of(found[int(tile.id)])) if int(tile.id) in found else tile
            for tile in content.tiles
        )
        content = replace(content, tiles=tiles)
    return replace(content, marking=None if source.obstacle() else SUGGESTED)


def on_mark(source: MarkedImages, content: TileSet) -> Callable[[dict[str, Any]], None]:
    """What happens when tiles are marked in the browser."""
    shown = {tile.id for tile in content.tiles}

    def mark(request: dict[str, Any]) -> None:
        images = [int(image) for image in request.get("images", ()) if image in shown]
        word, note = str(request.get("mark", "")), str(request.get("note", ""))
        (_remove if request.get("remove") else _add)(source, images, word, note)

    return mark


def _reported(act: Callable[P, None]) -> Callable[P, None]:
    """The callback with an error of the marks shown as a message."""

    @wraps(act)
    def callback(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            act(*args, **kwargs)
        except MarksError as error:
            _say(escape_markdown(str(error)), icon=":material/error:", duration="infinite")

    return callback


@_reported
def _add(source: MarkedImages, images: Sequence[int], word: str, note: str = "") -> None:
    source.add(images, word, note=note, reader=reader())
    _say(f"{plural(len(images), 'image')} marked “{escape_markdown(word)}”", icon=":material/label:")


@_reported
def _remove(source: MarkedImages, images: Sequence[int], word: str, note: str = "") -> None:
    # Somebody who is logged in takes back what he said himself; without a login nobody is known.
    removed = source.remove(images, word, note=note or None, reader=reader() or None)
    others = "" if removed else ", because only others have set it"
    text = f"“{escape_markdown(word)}” was removed from {plural(len(images) if removed else 0, 'image')}{others}"
    _say(text, icon=":material/label_off:")


def _say(text: str, **options: Any) -> None:
    # Not shown at once: this is a callback, and what a callback of a fragment draws replaces the top of the page.
    st.session_state.setdefault(_MESSAGES, []).append((text, options))


def show_messages() -> None:
    """Say what became of the marks that were set since this was last called."""
    for text, options in st.session_state.pop(_MESSAGES, []):
        st.toast(text, **options)


# Filter and order


def choose_mark(source: MarkedImages, rows: pd.DataFrame) -> pd.DataFrame:
    """A control for the mark of the images, with how many of these rows have each; returns the rows that it leaves."""
    problem = marked_images.problem()
    if problem:
        st.warning(escape_markdown(problem), icon=":material/label_off:")
    images = rows["image"].tolist()
    found = source.marks()
    marked = sum(image in found for image in images)
    totals = source.counts(found) | source.counts(images)
    counts = {ANY: marked, WITHOUT: len(images) - marked} | totals

    named = {option: f"{_NAMES.get(option, option)} ({count(number)})" for option, number in counts.items()}
    chosen = controls.select("Mark", "mark", {"": _NAMES[""], _FIRST: _NAMES[_FIRST]} | named, resets=("page",))
    if chosen == _FIRST:
        # Texts from last to first, so that those without a mark, which are empty, come last.
        marks = pd.Series(source.column(images), index=rows.index, dtype=object)
        return rows.loc[marks.sort_values(ascending=False, kind="stable").index]
    return rows[source.have(images, chosen)] if chosen else rows


# All images of a filter, and files


def menu(source: MarkedImages, rows: pd.DataFrame, *, key: str) -> None:
    """A menu that marks all images of these rows, and exports and imports marks."""
    images = rows["image"].tolist()
    with st.popover("Marks", icon=":material/label:", help="Mark all images of this list; export and import marks."):
        obstacle = source.obstacle()
        if obstacle:
            st.caption(escape_markdown(obstacle))
        else:
            _mark_all(source, images, key)
        _downloads(source, images, key)
        if not obstacle:
            _import(source, key)


def _mark_all(source: MarkedImages, images: list[int], key: str) -> None:
    words = list(source.counts(source.marks()))
    word = st.selectbox(
        "Mark",
        words,
        accept_new_options=True,
        key=f"mark-word-{key}",
        help=f"Choose a mark or type your own words, at most {MARK_LENGTH} characters.",
    )
    note = st.text_input("Note", max_chars=NOTE_LENGTH, key=f"mark-note-{key}", placeholder="optional")
    with st.container(horizontal=True):
        for label, act, arguments in (("Mark", _add, (note,)), ("Remove from", _remove, ())):
            st.button(
                f"{label} {'all ' if len(images) > 1 else ''}{plural(len(images), 'image')}",
                key=f"mark-{label}-{key}",
                on_click=act,
                args=(source, images, word or "", *arguments),
                disabled=not images or not word,
            )


def _downloads(source: MarkedImages, images: list[int], key: str) -> None:
    found = source.marks()
    marked = [image for image in images if image in found]

    def listed_marks() -> bytes:
        return exchange.marks_csv(dict.fromkeys(mark for image in marked for mark in found[image]))

    def all_marks() -> bytes:
        return exchange.marks_csv(marked_images.all_marks().rows)

    def paths() -> str:
        names = source.names()
        return exchange.shell_paths(str(names[image]) for image in (marked or images))

    listed = plural(len(marked), "marked image") if marked else plural(len(images), "image")
    for label, content, name, mime in (
        (f"CSV of the {plural(len(marked), 'marked image')} in this list", listed_marks, "csv", "text/csv"),
        ("CSV of all marks", all_marks, "all.csv", "text/csv"),
        (f"Paths of the {listed}, for a shell", paths, "txt", "text/plain"),
    ):
        file_button(label, content, f"{source.run.path.name}-marks.{name}", mime, key=f"marks-{name}-{key}")


def _import(source: MarkedImages, key: str) -> None:
    upload = st.file_uploader(
        "Import a CSV of marks", type=["csv", "tsv", "txt"], key=f"marks-import-{key}", max_upload_size=20
    )
    if upload is None:
        return
    try:
        marks = exchange.read_marks_csv(upload.getvalue(), reader=reader())
    except MarksError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    known = set(source.hashes)
    here = plural(len({mark.image for mark in marks if mark.image in known}), "image")
    st.caption(f"{plural(len(marks), 'mark')} in the table, of {here} in this run.")
    st.button(f"Import {plural(len(marks), 'mark')}", key=f"marks-add-{key}", on_click=_add_all, args=(marks,))


@_reported
def _add_all(marks: Iterable[Mark]) -> None:
    _say(f"{plural(marked_images.add_marks(marks), 'new mark')} imported", icon=":material/label:")


# One image


def of_image(source: MarkedImages, image: int, *, key: str, keys: bool = False) -> None:
    """The marks and notes of one image, and fields for another one; with `keys`, 1, 2 and 3 set the suggested ones."""
    show_messages()
    marks = source.marks().get(image, ())
    allowed = not source.obstacle()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for number, mark in enumerate(marks):
            _said(source, image, mark, allowed, f"{key}-{number}")
        if not allowed:
            return
        set_already = words_of(marks)
        for number, word in enumerate(SUGGESTED, start=1):
            if word not in set_already:
                st.button(
                    word,
                    icon=":material/label:",
                    type="tertiary",
                    key=f"mark-{word}-{key}",
                    on_click=partial(_add, source, [image], word),
                    shortcut=str(number) if keys else None,
                )
        with st.popover("Own words, note", icon=":material/edit_note:", type="tertiary"):
            _own_words(source, image, key)


def _own_words(source: MarkedImages, image: int, key: str) -> None:
    words = list(source.counts(source.marks()))
    with st.form(f"mark-form-{key}", border=False):
        st.selectbox("Mark", words, accept_new_options=True, key=f"own-word-{key}")
        st.text_area("Note", max_chars=NOTE_LENGTH, key=f"own-note-{key}")
        st.form_submit_button("Save", on_click=_save_typed, args=(source, image, key))


def _save_typed(source: MarkedImages, image: int, key: str) -> None:
    _add(source, [image], st.session_state[f"own-word-{key}"] or "", st.session_state[f"own-note-{key}"])
    st.session_state[f"own-note-{key}"] = ""  # not to be said of the next image, too


def _said(source: MarkedImages, image: int, mark: Mark, allowed: bool, key: str) -> None:
    """One statement, with a button that takes it back for whoever may."""
    who = f" — {escape_markdown(mark.reader)}" if mark.reader else ""
    note = f": {escape_markdown(mark.note)}" if mark.note else ""
    st.markdown(f":material/label: **{escape_markdown(mark.mark)}**{note}{who}", width="content")
    if allowed and reader() in ("", mark.reader):
        st.button(
            "Remove",
            icon=":material/close:",
            type="tertiary",
            key=f"unmark-{key}",
            on_click=_take_back,
            args=(source, image, mark),
        )


@_reported
def _take_back(source: MarkedImages, image: int, mark: Mark) -> None:
    source.remove([image], mark.mark, note=mark.note, reader=mark.reader)
