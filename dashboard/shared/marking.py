"""Marks and notes on a page: on tiles, for all images of a filter, on one image, and as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.components.tiles import TileSet
from dashboard.marks import exchange, of_run
from dashboard.marks.marks_file import MARK_LENGTH, NOTE_LENGTH, Mark, MarksError
from dashboard.shared.theme import count, escape_markdown, plural
from dashboard.shell import controls
from store import Run

_MARKED, _MESSAGES = "classprint.marked", "classprint.marks.messages"
_FIRST = "+"  # of the filter: all images, the marked ones first
_NAMES = {"": "any or none", _FIRST: "all, marked ones first", of_run.ANY: "marked", of_run.WITHOUT: "not marked"}


def reader() -> str:
    """Who is logged in, '' where nobody has to."""
    user = st.user.to_dict()
    return str(user.get("email") or user.get("name") or "") if user.get("is_logged_in") else ""


def may_mark(run: Run) -> bool:
    """Whether images of this run can be marked here."""
    return not of_run.obstacle(run)


def with_marks(run: Run, content: TileSet) -> TileSet:
    """Tiles whose ids are images, with their marks, and with what they can be marked as."""
    found = of_run.marks_by_image(run)
    if found:
        tiles = tuple(
            replace(tile, marks=of_run.words_of(found[int(tile.id)])) if int(tile.id) in found else tile
            for tile in content.tiles
        )
        content = replace(content, tiles=tiles)
    return replace(content, marking=of_run.SUGGESTED if may_mark(run) else None)


def on_mark(run: Run, content: TileSet) -> Callable[[dict[str, Any]], None]:
    """What happens when tiles are marked in the browser."""
    shown = {tile.id for tile in content.tiles}

    def mark(request: dict[str, Any]) -> None:
        images = [int(image) for image in request.get("images", ()) if image in shown]
        word, note = str(request.get("mark", "")), str(request.get("note", ""))
        (_remove if request.get("remove") else _add)(run, images, word, note)
        st.session_state[_MARKED] = True

    return mark


def has_marked() -> bool:
    """Whether tiles have been marked since this was last asked."""
    return bool(st.session_state.pop(_MARKED, False))


def _add(run: Run, images: Sequence[int], word: str, note: str = "") -> None:
    try:
        of_run.add_mark(run, images, word, note=note, reader=reader())
    except MarksError as error:
        _report(error)
    else:
        _say(f"{plural(len(images), 'image')} marked “{escape_markdown(word)}”", icon=":material/label:")


def _remove(run: Run, images: Sequence[int], word: str, note: str | None = None) -> None:
    # Somebody who is logged in takes back what he said himself; without a login nobody is known.
    try:
        removed = of_run.remove_mark(run, images, word, note=note or None, reader=reader() or None)
    except MarksError as error:
        _report(error)
    else:
        others = "" if removed else ", because only others have set it"
        text = f"“{escape_markdown(word)}” was removed from {plural(len(images) if removed else 0, 'image')}{others}"
        _say(text, icon=":material/label_off:")


def _report(error: MarksError) -> None:
    _say(escape_markdown(str(error)), icon=":material/error:", duration="infinite")


def _say(text: str, **options: Any) -> None:
    # Not shown at once: this is a callback, and what a callback of a fragment draws replaces the top of the page.
    st.session_state.setdefault(_MESSAGES, []).append((text, options))


def show_messages() -> None:
    """Say what became of the marks that were set since this was last called."""
    for text, options in st.session_state.pop(_MESSAGES, []):
        st.toast(text, **options)


# Filter and order


def choose_mark(run: Run, rows: pd.DataFrame, *, resets: Sequence[str] = ("page",)) -> pd.DataFrame:
    """A control for the mark of the images, with how many of these rows have each; returns the rows that it leaves."""
    problem = of_run.problem(run)
    if problem:
        st.warning(escape_markdown(problem), icon=":material/label_off:")
    images = rows["image"].tolist()
    found = of_run.marks_by_image(run)
    marked = sum(image in found for image in images)
    totals = of_run.mark_counts(run, found) | of_run.mark_counts(run, images)
    counts = {of_run.ANY: marked, of_run.WITHOUT: len(images) - marked} | totals

    def named(option: str) -> str:
        return f"{_NAMES.get(option, option)} ({count(counts[option])})" if option in counts else _NAMES[option]

    chosen = controls.select("Mark", "mark", ["", _FIRST, *counts], names=named, resets=resets)
    if chosen == _FIRST:
        # Texts from last to first, so that those without a mark, which are empty, come last.
        marks = pd.Series(of_run.mark_column(run, images), index=rows.index, dtype=object)
        return rows.loc[marks.sort_values(ascending=False, kind="stable").index]
    return rows[of_run.has_mark(run, images, chosen)] if chosen else rows


# All images of a filter, and files


def menu(run: Run, rows: pd.DataFrame, *, key: str) -> None:
    """A menu that marks all images of these rows, and exports and imports marks."""
    images = rows["image"].tolist()
    with st.popover("Marks", icon=":material/label:", help="Mark all images of this list; export and import marks."):
        obstacle = of_run.obstacle(run)
        if obstacle:
            st.caption(escape_markdown(obstacle))
        else:
            _mark_all(run, images, key)
        _downloads(run, images, key)
        if not obstacle:
            _import(run, key)


def _mark_all(run: Run, images: list[int], key: str) -> None:
    words = list(of_run.mark_counts(run, of_run.marks_by_image(run)))
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
                args=(run, images, word or "", *arguments),
                disabled=not images or not word,
            )


def _downloads(run: Run, images: list[int], key: str) -> None:
    found = of_run.marks_by_image(run)
    marked = [image for image in images if image in found]

    def table(of_all: bool) -> bytes:
        marks = of_run.all_marks(run) if of_all else dict.fromkeys(mark for image in marked for mark in found[image])
        return exchange.marks_csv(marks)

    def paths() -> str:
        names = run.image_names
        return exchange.shell_paths(str(names[image]) for image in (marked or images))

    listed = plural(len(marked), "marked image") if marked else plural(len(images), "image")
    for label, content, name, mime in (
        (f"CSV of the {plural(len(marked), 'marked image')} in this list", partial(table, False), "csv", "text/csv"),
        ("CSV of all marks", partial(table, True), "all.csv", "text/csv"),
        (f"Paths of the {listed}, for a shell", paths, "txt", "text/plain"),
    ):
        st.download_button(
            label,
            content,
            file_name=f"{run.path.name}-marks.{name}",
            mime=mime,
            key=f"marks-{name}-{key}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )


def _import(run: Run, key: str) -> None:
    upload = st.file_uploader("Import a CSV of marks", type="csv", key=f"marks-import-{key}", max_upload_size=20)
    if upload is None:
        return
    try:
        marks = exchange.read_marks_csv(upload.getvalue(), reader=reader())
    except MarksError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    known = set(of_run.image_hashes(run))
    here = plural(len({mark.image for mark in marks if mark.image in known}), "image")
    st.caption(f"{plural(len(marks), 'mark')} in the table, of {here} in this run.")
    st.button(f"Import {plural(len(marks), 'mark')}", key=f"marks-add-{key}", on_click=_add_all, args=(run, marks))


def _add_all(run: Run, marks: Iterable[Mark]) -> None:
    try:
        added = of_run.add_marks(run, marks)
    except MarksError as error:
        _report(error)
    else:
        _say(f"{plural(added, 'new mark')} imported", icon=":material/label:")


# One image


def of_image(run: Run, image: int, *, key: str) -> None:
    """The marks and notes of one image, and fields for another one."""
    show_messages()
    marks = of_run.marks_by_image(run).get(image, ())
    allowed = may_mark(run)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for number, mark in enumerate(marks):
            _said(run, image, mark, allowed, f"{key}-{number}")
        if not allowed:
            return
        set_already = of_run.words_of(marks)
        for word in of_run.SUGGESTED:
            if word not in set_already:
                click = partial(_add, run, [image], word)
                st.button(word, icon=":material/label:", type="tertiary", key=f"mark-{word}-{key}", on_click=click)
        with st.popover("Own words, note", icon=":material/edit_note:", type="tertiary"):
            _own_words(run, image, key)


def _own_words(run: Run, image: int, key: str) -> None:
    words = list(of_run.mark_counts(run, of_run.marks_by_image(run)))
    with st.form(f"mark-form-{key}", border=False):
        st.selectbox("Mark", words, accept_new_options=True, key=f"own-word-{key}")
        st.text_area("Note", max_chars=NOTE_LENGTH, key=f"own-note-{key}")
        st.form_submit_button("Save", on_click=_save_typed, args=(run, image, key))


def _save_typed(run: Run, image: int, key: str) -> None:
    _add(run, [image], st.session_state[f"own-word-{key}"] or "", st.session_state[f"own-note-{key}"])
    st.session_state[f"own-note-{key}"] = ""  # not to be said of the next image, too


def _said(run: Run, image: int, mark: Mark, allowed: bool, key: str) -> None:
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
            args=(run, image, mark),
        )


def _take_back(run: Run, image: int, mark: Mark) -> None:
    try:
        of_run.remove_mark(run, [image], mark.mark, note=mark.note, reader=mark.reader)
    except MarksError as error:
        _report(error)
