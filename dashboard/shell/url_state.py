"""The state of the dashboard, which is its URL: the only module that reads or writes the address.

A control shows what the URL says and writes it back when it is moved, so a copied link opens the same view and the
browser's Back undoes the last step. An invalid value never reaches the store: the page says what it was, what is
allowed and what is shown instead. A run is chosen by its name in the folder of runs; no path is taken from a link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode

import streamlit as st

from dashboard import data
from dashboard.images.maps import COLOUR_MAPS, EQ10, SCALES
from dashboard.shared.theme import epoch_list
from store import Run

T = TypeVar("T")
SHARED = ("run", "epoch", "variant", "class", "image", "scale", "colours", "pin")
MOST_PINNED, MOST_CORNERS = 2, 64
LONGEST_QUOTE = 80  # characters of an invalid value
SEPARATOR = "|"  # of a list of words: a class's identifier may be a folder's name, which may well hold a comma
HOME = "overview"  # served at the root, not under its name
_CHECK = "classprint.link_check"
_SELECTION = "classprint.selection"


@dataclass(frozen=True)
class Selection:
    """What every page shows.

    Attributes:
        run: the open run.
        epoch: a recorded epoch of the run.
        variant: one of the run's variants.
        class_index: the chosen class, None where none was chosen.
        image: the chosen image, None where none was chosen.
        scale: a key of `SCALES`: how bright maps are drawn.
        colours: the name of the colour map.
        pinned: (epoch, variant) of the state to compare with, None where none is pinned.
        third: (epoch, variant) of a third state, None where none is pinned.
    """

    run: Run
    epoch: int
    variant: str
    class_index: int | None
    image: int | None
    scale: str
    colours: str
    pinned: tuple[int, str] | None
    third: tuple[int, str] | None = None

    @property
    def name(self) -> str:
        """The run's name in the sidebar and in links."""
        return data.run_name(self.run)

    @property
    def key(self) -> tuple[Run, int, str]:
        """Run, epoch and variant: the arguments of the cached queries."""
        return self.run, self.epoch, self.variant

    @property
    def variant_label(self) -> str:
        """The variant's name for people."""
        return self.run.variant(self.variant).label


@dataclass
class _LinkCheck:
    """What one run of the script found out about the link."""

    problems: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    invalid: set[str] = field(default_factory=set)


def _link_check() -> _LinkCheck:
    return st.session_state.setdefault(_CHECK, _LinkCheck())


def start_link_check() -> None:
    """Forget what the last run of the script found out about the link. Called first in each run."""
    st.session_state[_CHECK] = _LinkCheck()


def accept_unread(names: Iterable[str]) -> None:
    """Take parameters as known that nothing reads on this page, so that they are not reported as unknown."""
    _link_check().known.update(names)


def report_problem(text: str) -> None:
    """Note a sentence for the top of the page, as plain text: what a link holds is never formatted."""
    _link_check().problems.append(text)


def problems() -> list[str]:
    """What is wrong with the link, in the order found, unknown parameters last."""
    unknown = [name for name in st.query_params if name not in _link_check().known]
    return _link_check().problems + [
        f"The link has a parameter “{name[:LONGEST_QUOTE]}” that this page does not know; it has no effect."
        for name in unknown
    ]


def remove_invalid() -> None:
    """Remove from the URL whatever this page could not use."""
    check = _link_check()
    write({name: None for name in st.query_params if name in check.invalid or name not in check.known})


def parameter(name: str) -> str | None:
    """A parameter as the URL has it."""
    _link_check().known.add(name)
    return st.query_params.get(name)


def _report_invalid(name: str, value: str, allowed: str, instead: str) -> None:
    if name in _link_check().invalid:
        return  # the sidebar and the page's own control read the same parameter: one message is enough
    _link_check().invalid.add(name)
    value = value if len(value) <= LONGEST_QUOTE else f"{value[:LONGEST_QUOTE]}…"
    report_problem(f"The link asks for {name} “{value}”; {allowed}. Shown instead: {instead}.")


def _read(name: str, default: T, parse: Callable[[str], T | None], allowed: str, instead: str) -> T:
    """A parameter as `parse` reads it; the default where it is missing, or invalid, which is reported."""
    value = parameter(name)
    if value is None:
        return default
    parsed = parse(value)
    if parsed is None:
        _report_invalid(name, value, allowed, instead)
        return default
    return parsed


def choice(name: str, options: Sequence[str], default: str) -> str:
    """A parameter that is one of some words; the default where it is missing or invalid."""
    shown = ", ".join(options[:8]) + (f" and {len(options) - 8} more" if len(options) > 8 else "")
    allowed = f"allowed are {shown}" if options else "there is nothing to choose from"
    return _read(name, default, lambda value: value if value in options else None, allowed, default or "none")


def words(name: str, options: Sequence[str], *, most: int) -> list[str]:
    """A parameter that lists words, 'a|b|c', at most so many; invalid ones are reported and left out."""
    value = parameter(name)
    if not value:
        return []
    known = set(options)
    valid = list(dict.fromkeys(word for word in value.split(SEPARATOR) if word in known))[:most]
    text = SEPARATOR.join(valid)
    if text != value:
        _report_invalid(name, value, f"only {text} is valid" if valid else "none of it is valid", text or "none")
    return valid


def _is_whole_number(text: str) -> bool:
    """Whether a text is a whole number, and not one so long that Python refuses to read it."""
    return text.isdecimal() and len(text) < 10


def integer(name: str, low: int, high: int, default: int) -> int:
    """A whole number between two bounds; the default where it is missing or invalid."""

    def parse(text: str) -> int | None:
        return int(text) if _is_whole_number(text.strip()) and low <= int(text) <= high else None

    instead = str(default) if default >= low else "none"
    return _read(name, default, parse, f"it must be a whole number from {low} to {high}", instead)


def _float(text: str) -> float:
    """A number, NaN where the text is none: it then lies outside of every range."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def number(name: str, low: float, high: float, default: float) -> float:
    """A number between two bounds; the default where it is missing or invalid."""

    def parse(text: str) -> float | None:
        return _float(text) if low <= _float(text) <= high else None

    return _read(name, default, parse, f"it must be a number from {low:g} to {high:g}", f"{default:g}")


def value_range(name: str, default: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float]:
    """A range within the default one, written '0.5-0.9'; the default where it is missing or invalid."""

    def parse(text: str) -> tuple[float, float] | None:
        ends = [_float(end) for end in text.split("-")]
        return (ends[0], ends[1]) if len(ends) == 2 and default[0] <= ends[0] <= ends[1] <= default[1] else None

    whole = f"{default[0]:g}-{default[1]:g}"
    allowed = f"it must be two numbers between {default[0]:g} and {default[1]:g}, as in “{whole}”"
    return _read(name, default, parse, allowed, whole)


def area(name: str) -> tuple[tuple[int, int], ...]:
    """The corners of an area of a plane, in thousandths of it, written '100.200,300.200,300.400'; empty for none."""

    def parse(text: str) -> tuple[tuple[int, int], ...] | None:
        corners = [corner.split(".") for corner in text.split(",")]
        numbers = [number for corner in corners for number in corner]
        valid = all(len(corner) == 2 for corner in corners) and 3 <= len(corners) <= MOST_CORNERS
        valid = valid and all(_is_whole_number(number) and int(number) <= 1000 for number in numbers)
        return tuple((int(x), int(y)) for x, y in corners) if valid else None

    allowed = f"it must be 3 to {MOST_CORNERS} corners in thousandths, such as “100.200,300.200,300.400”"
    return _read(name, (), parse, allowed, "no area")


def area_text(corners: Iterable[tuple[int, int]]) -> str:
    """Corners as the URL writes them."""
    return ",".join(f"{x}.{y}" for x, y in corners)


def write(changes: Mapping[str, Any]) -> None:
    """Write parameters into the URL, one step of the browser's history; None removes one."""
    # All at once: each assignment alone would be a step of the browser's history.
    params = {name: value for name, value in st.query_params.to_dict().items() if name not in changes}
    params |= {name: str(value) for name, value in changes.items() if value is not None}
    st.query_params.from_dict(params)


def shared_parameters(changes: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The parameters that follow the reader from page to page, with changes."""
    present = st.query_params.to_dict()  # read once: each access takes the session's lock
    params = {name: present[name] for name in SHARED if name in present}
    for name, value in (changes or {}).items():
        params.pop(name, None)
        if value is not None:
            params[name] = str(value)
    return params


def link(page: str, changes: Mapping[str, Any] | None = None) -> str:
    """A page's address with the whole selection, relative to the dashboard's root."""
    params = shared_parameters(changes)
    address = "./" if page == HOME else page
    return f"{address}?{urlencode(params)}" if params else address


def linker(page: str, name: str, changes: Mapping[str, Any] | None = None) -> Callable[[Any], str]:
    """A function that gives, for each value of a parameter, `link(page, {**changes, name: value})`: for many tiles."""
    # Encoded once: a page of 200 classes has 200 links that differ in their last parameter only.
    start = link(page, {**(changes or {}), name: None})
    start += "&" if "?" in start else "?"
    return lambda value: f"{start}{name}={quote_plus(str(value))}"


def open_page(page: str, changes: Mapping[str, Any] | None = None) -> None:
    """Switch to a page with the same selection."""
    st.switch_page(f"views/{page}/page.py", query_params=shared_parameters(changes))


def look_text(image: int, state: tuple[int, str] | None = None) -> str:
    """An image in the quick look as the URL writes it: '17', or '17.3.gray' in a state other than the selection's."""
    return str(image) if state is None else f"{image}.{state[0]}.{state[1]}"


def read_look(selection: Selection) -> Selection | None:
    """The image, epoch and variant in the quick look, as a selection of its own; None where it is closed."""
    run = selection.run

    def parse(text: str) -> Selection | None:
        image, _, state = text.partition(".")
        epoch, _, variant = state.partition(".")
        if not _is_whole_number(image) or int(image) >= len(run.labels):
            return None
        if not state:
            return replace(selection, image=int(image))
        known = _is_whole_number(epoch) and int(epoch) in run.epochs and variant in run.variants
        return replace(selection, image=int(image), epoch=int(epoch), variant=variant) if known else None

    allowed = f"it must be an image from 0 to {len(run.labels) - 1}, with or without a state, such as “17.1.clean”"
    return _read("look", None, parse, allowed, "no image")


def open_class(identifier: str) -> None:
    """Open the Gallery page of a class."""
    open_page("gallery", {"class": identifier, "image": None})


def read_selection(run_names: Sequence[str], default_run: str) -> Selection | str:
    """The selection that the URL asks for, made valid against the run.

    Returns:
        The selection, also for `current_selection`; or the run's name where it has no complete epoch yet.
    """
    name = choice("run", list(run_names), default_run)
    run = data.open_named_run(name)
    if not run.epochs:
        accept_unread(SHARED)
        return name
    identifiers = data.class_ids(run)
    identifier = choice("class", identifiers, "")
    image = integer("image", 0, len(run.labels) - 1, -1)
    second, third = (*_pinned(run), None, None)[:2]
    selection = Selection(
        run=run,
        epoch=_epoch(run),
        variant=choice("variant", list(run.variants), run.variants[0]),
        class_index=identifiers.index(identifier) if identifier else None,
        image=image if image >= 0 else None,
        scale=choice("scale", list(SCALES), EQ10),
        colours=choice("colours", list(COLOUR_MAPS), COLOUR_MAPS[0]),
        pinned=second,
        third=third,
    )
    st.session_state[_SELECTION] = selection
    return selection


def _epoch(run: Run) -> int:
    value = parameter("epoch")
    if value is None:
        return run.epochs[-1]
    number = int(value) if _is_whole_number(value) else -1
    if number in run.epochs:
        return number
    reason = run.damaged.get(number)
    allowed = (
        f"its file is damaged ({reason})" if reason else f"run “{data.run_name(run)}” has {epoch_list(run.epochs)}"
    )
    _report_invalid("epoch", value, allowed, f"epoch {run.epochs[-1]}")
    return run.epochs[-1]


def _pinned(run: Run) -> tuple[tuple[int, str], ...]:
    """The pinned states, none, one or two: written '1.clean' or '1.clean,3.gray'."""
    value = parameter("pin")
    if value is None:
        return ()
    parts = [part.partition(".")[::2] for part in value.split(",")]
    states = [(int(epoch), variant) for epoch, variant in parts if _is_whole_number(epoch) and variant in run.variants]
    valid = tuple(dict.fromkeys(state for state in states if state[0] in run.epochs))[:MOST_PINNED]
    if len(valid) < len(parts):
        allowed = "one or two states can be pinned, an epoch and a variant of the run each, such as “1.clean”"
        _report_invalid("pin", value, allowed, pinned_text(valid) or "nothing pinned")
    return valid


def pinned_text(pinned: Iterable[tuple[int, str]]) -> str:
    """Pinned states as the URL writes them; empty for none."""
    return ",".join(f"{epoch}.{variant}" for epoch, variant in pinned)


def current_selection() -> Selection:
    """The selection of this run of the script."""
    return st.session_state[_SELECTION]
