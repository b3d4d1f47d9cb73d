"""What the reader is looking at, and its address: the only reader and writer of the URL.

The URL is the state. A control shows what the URL says and, when moved, writes it back, so a copied link opens the
same view and the browser's Back undoes the last step. A value that does not hold is told, with what holds instead;
it is never swallowed and never reaches the store. A run is picked by its name from the folder of runs: no path is
ever taken from a link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

import streamlit as st

from dashboard import data
from dashboard.images import COLOUR_MAPS, RELIEF, SCALES
from dashboard.shared.theme import epoch_list
from store import Run

SHARED = ("run", "epoch", "variant", "class", "image", "scale", "colours", "pin")
MOST_PINNED = 2
LONGEST_TOLD = 80  # letters of a value that does not hold
HOME = "overview"  # served at the root, not under its name
_NOTES = "classprint.notes"
_SELECTION = "classprint.selection"


@dataclass(frozen=True)
class Selection:
    """What every page obeys.

    Attributes:
        run: the open run.
        epoch: a sealed epoch of the run.
        variant: one of the run's variants.
        class_index: the chosen class, None where none was chosen.
        image: the chosen image, None where none was chosen.
        scale: a key of `SCALES`: how bright maps are drawn.
        colours: the name of the colour map.
        pinned: (epoch, variant) of the second state to compare with, None where none is pinned.
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
        """The run's name: its folder's."""
        return self.run.path.name

    @property
    def variant_label(self) -> str:
        """The variant's name for people."""
        return self.run.variant(self.variant).label


@dataclass
class _Notes:
    """What one run of the script noticed about the link."""

    problems: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


def _notes() -> _Notes:
    return st.session_state.setdefault(_NOTES, _Notes())


def begin() -> None:
    """Forget what the last run of the script noticed. Called once, first thing."""
    st.session_state[_NOTES] = _Notes()


def leave_alone(names: Iterable[str]) -> None:
    """Take parameters as known where nothing reads them, so that nothing is told about them."""
    _notes().known.update(names)


def report_problem(text: str) -> None:
    """Note a sentence to be told at the top of the page, as plain text: what a link holds is never formatted."""
    _notes().problems.append(text)


def problems() -> list[str]:
    """What was wrong with the link, in the order found, unknown parameters last."""
    unknown = [name for name in st.query_params if name not in _notes().known]
    return _notes().problems + [
        f"The link has a parameter “{name[:LONGEST_TOLD]}” that this page does not know; it has no effect."
        for name in unknown
    ]


def forget_problems() -> None:
    """Drop from the URL whatever this page could not use."""
    notes = _notes()
    write({name: None for name in st.query_params if name in notes.refused or name not in notes.known})


def raw(name: str) -> str | None:
    """A parameter as the URL has it."""
    _notes().known.add(name)
    return st.query_params.get(name)


def _refuse(name: str, value: str, holds: str, instead: str) -> None:
    if name in _notes().refused:
        return  # the frame and the page's own control read the same parameter: told once
    _notes().refused.add(name)
    value = value if len(value) <= LONGEST_TOLD else f"{value[:LONGEST_TOLD]}…"
    report_problem(f"The link asks for {name} “{value}”; {holds}. Shown instead: {instead}.")


def choice(name: str, options: Sequence[str], default: str) -> str:
    """A parameter that is one of some words; anything else is told and the default taken."""
    value = raw(name)
    if value is None or value in options:
        return default if value is None else value
    shown = ", ".join(options[:8]) + (f" and {len(options) - 8} more" if len(options) > 8 else "")
    _refuse(name, value, f"there is {shown}" if options else "there is none", default or "none")
    return default


def _is_number(text: str) -> bool:
    """Whether a text is a whole number, and not one so long that Python refuses to read it."""
    return text.isdecimal() and len(text) < 10


def integer(name: str, low: int, high: int, default: int) -> int:
    """A whole number between two bounds; anything else is told and the default taken."""
    value = raw(name)
    if value is None:
        return default
    if _is_number(value.strip()) and low <= int(value) <= high:
        return int(value)
    _refuse(name, value, f"it must be a whole number from {low} to {high}", str(default) if default >= low else "none")
    return default


def level(name: str, low: float, high: float, default: float) -> float:
    """A number between two bounds; anything else is told and the default taken."""
    value = raw(name)
    if value is None:
        return default
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if low <= number <= high:
        return number
    _refuse(name, value, f"it must be a number from {low:g} to {high:g}", f"{default:g}")
    return default


def span(name: str, default: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float]:
    """A range within the default one, written '0.5-0.9'; anything else is told and the default taken."""
    value = raw(name)
    if value is None:
        return default
    ends = value.split("-")
    try:
        low, high = (float(end) for end in ends)
    except ValueError:
        low, high = 1.0, 0.0
    if default[0] <= low <= high <= default[1]:
        return low, high
    whole = f"{default[0]:g}-{default[1]:g}"
    _refuse(name, value, f"it must be two numbers between {default[0]:g} and {default[1]:g}, as in “{whole}”", whole)
    return default


def write(changes: Mapping[str, Any]) -> None:
    """Write parameters into the URL, one step of the browser's history; None drops one."""
    params = {name: value for name, value in st.query_params.to_dict().items() if name not in changes}
    params |= {name: str(value) for name, value in changes.items() if value is not None}
    st.query_params.from_dict(params)


def carried(changes: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The parameters that follow the reader from page to page, with changes."""
    there = st.query_params.to_dict()  # one look: each access takes the session's lock
    params = {name: there[name] for name in SHARED if name in there}
    for name, value in (changes or {}).items():
        params.pop(name, None)
        if value is not None:
            params[name] = str(value)
    return params


def link(page: str, changes: Mapping[str, Any] | None = None) -> str:
    """A page's address with the whole selection, relative to the dashboard's root."""
    params = carried(changes)
    address = "./" if page == HOME else page
    return f"{address}?{urlencode(params)}" if params else address


def linker(page: str, name: str, changes: Mapping[str, Any] | None = None) -> Callable[[Any], str]:
    """A function that gives, for each value of a parameter, `link(page, {**changes, name: value})`: for many tiles."""
    start = link(page, {**(changes or {}), name: None})
    start += "&" if "?" in start else "?"
    return lambda value: f"{start}{name}={quote_plus(str(value))}"


def go(page: str, changes: Mapping[str, Any] | None = None) -> None:
    """Switch to a page, taking the selection along."""
    st.switch_page(f"views/{page}/page.py", query_params=carried(changes))


def open_image(image: str | int) -> None:
    """Lead to an image's page."""
    go("image", {"image": image})


def open_class(identifier: str) -> None:
    """Lead to a class's gallery."""
    go("gallery", {"class": identifier, "image": None})


def select(run_names: Sequence[str], default_run: str) -> Selection | str:
    """The selection that the URL asks for, made valid against the run.

    Returns:
        The selection, also kept for `current`; or the run's name where it has no finished epoch yet.
    """
    run = data.open_named_run(choice("run", list(run_names), default_run))
    if not run.epochs:
        leave_alone(SHARED)
        return run.path.name
    identifiers = data.class_ids(run)
    identifier = choice("class", identifiers, "")
    image = integer("image", 0, len(run.labels) - 1, -1)
    second, third = (*_pinned(run), None, None)[:2]
    made = Selection(
        run=run,
        epoch=_epoch(run),
        variant=choice("variant", list(run.variants), run.variants[0]),
        class_index=identifiers.index(identifier) if identifier else None,
        image=image if image >= 0 else None,
        scale=choice("scale", scales(run), scales(run)[0]),
        colours=choice("colours", list(COLOUR_MAPS), COLOUR_MAPS[0]),
        pinned=second,
        third=third,
    )
    st.session_state[_SELECTION] = made
    return made


def scales(run: Run) -> list[str]:
    """The scales on which maps can be drawn, the run's default first: signed maps carry a constant that hides them."""
    return sorted(SCALES, key=lambda name: name != RELIEF) if run.signed else list(SCALES)


def _epoch(run: Run) -> int:
    value = raw("epoch")
    if value is None:
        return run.epochs[-1]
    if _is_number(value) and int(value) in run.epochs:
        return int(value)
    reason = run.damaged.get(int(value)) if _is_number(value) else None
    holds = f"its file is damaged ({reason})" if reason else f"run “{run.path.name}” holds {epoch_list(run.epochs)}"
    _refuse("epoch", value, holds, f"epoch {run.epochs[-1]}")
    return run.epochs[-1]


def _pinned(run: Run) -> tuple[tuple[int, str], ...]:
    """The pinned states, none, one or two: written '1.clean' or '1.clean,3.gray'."""
    value = raw("pin")
    if value is None:
        return ()
    asked = [part.partition(".")[::2] for part in value.split(",")]
    held = [(int(epoch), variant) for epoch, variant in asked if _is_number(epoch) and variant in run.variants]
    kept = tuple(dict.fromkeys(part for part in held if part[0] in run.epochs))[:MOST_PINNED]
    if len(kept) < len(asked):
        holds = "one or two states can be pinned, an epoch and a variant of the run each, such as “1.clean”"
        _refuse("pin", value, holds, pinned_text(kept) or "nothing pinned")
    return kept


def pinned_text(pinned: Iterable[tuple[int, str]]) -> str:
    """Pinned states as the URL writes them; empty for none."""
    return ",".join(f"{epoch}.{variant}" for epoch, variant in pinned)


def current() -> Selection:
    """The selection of this run of the script."""
    return st.session_state[_SELECTION]
