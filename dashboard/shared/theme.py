"""Colours, names and number formats: one visual language for every page.

The colours are those of Okabe and Ito, which colour-blind people can distinguish, and never the only sign: correct and
wrong also carry a tick or a cross. The true class is blue and the prediction orange on every page and in every chart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The colours with a meaning, as hex strings, for one background."""

    correct: str
    wrong: str
    true_class: str
    prediction: str
    neutral: str
    ink: str
    faint: str
    series: tuple[str, ...]


LIGHT = Palette(
    correct="#009E73",
    wrong="#D55E00",
    true_class="#0072B2",
    prediction="#E69F00",
    neutral="#7A828C",
    ink="#1B1F24",
    faint="#D9DDE2",
    series=("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C00", "#000000"),
)
DARK = Palette(
    correct="#1FBF92",
    wrong="#F0783A",
    true_class="#56B4E9",
    prediction="#E69F00",
    neutral="#98A1AB",
    ink="#E8EBEF",
    faint="#333A43",
    series=("#56B4E9", "#E69F00", "#1FBF92", "#CC79A7", "#4C8FD6", "#F0783A", "#F0E442", "#FFFFFF"),
)

CORRECT, WRONG, TRUE_CLASS, PREDICTION, NEUTRAL = "correct", "wrong", "true_class", "prediction", "neutral"


def tick_or_cross(correct: bool) -> str:
    """✓ or ✗."""
    return "✓" if correct else "✗"


def role(correct: bool) -> str:
    """The role whose colour frames a prediction: `CORRECT` or `WRONG`."""
    return CORRECT if correct else WRONG


def probability(value: float) -> str:
    """A probability with two digits that never rounds to a false certainty: '>0.99', '<0.01'."""
    if not math.isfinite(value):
        return "–"
    if 0.995 <= value < 1:
        return ">0.99"
    return "<0.01" if 0 < value < 0.005 else f"{value:.2f}"


def decimal(value: float, digits: int) -> str:
    """A number with so many digits and a minus sign as wide as a plus, "–" where there is none."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def signed_number(value: float, digits: int) -> str:
    """A number with its sign."""
    return ("+" if value >= 0 else "") + decimal(value, digits)


def count(number: int) -> str:
    """A count with thin thousands: 10 000."""
    return f"{number:,}".replace(",", "\u202f")


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """'1 image', '10 000 images'."""
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"


def frequencies(counts: Iterable[tuple[str, int]]) -> str:
    """Names with how often each occurs, as Markdown: 'ring (3×), circle (1×)'."""
    return ", ".join(f"{escape_markdown(name)} ({number}×)" for name, number in counts)


def epoch_list(numbers: Iterable[int]) -> str:
    """Whole numbers in words: 'epoch 3', 'epochs 1 to 3, 5'."""
    ordered, parts = sorted(numbers), []
    start = 0
    for position in range(1, len(ordered) + 1):
        if position == len(ordered) or ordered[position] != ordered[position - 1] + 1:
            first, last = ordered[start], ordered[position - 1]
            parts.append(str(first) if first == last else f"{first} to {last}")
            start = position
    return f"epoch{'s' if len(ordered) != 1 else ''} {', '.join(parts) or '–'}"


def duration(seconds: float) -> str:
    """Seconds in words: '45 s', '12 min', '3 h 20 min'."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>$~:&|#"})
# Line ends, control characters and blanks: a name is one line, so that no part of it may begin a heading or a list.
# Also half characters, which stand for bytes of a file's name that are no text: no page can hold them.
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # would turn the text around a name, too
# Read as a heading, a quote, a list or a rule at the beginning only.
_OPENING = re.compile(r"^(?:([-+=])|(\d+)([.)]))")
# Streamlit makes links, icons, emoji and arrows of these even where their marks are escaped: a joiner separates them.
_JOINED = re.compile(r"(?i)(?<=www)(?=\.)|(?<=:)(?=[\w+/-])|(?<=[\w.+-]@)(?=[\w-])|(?<=[-<>=~])(?=[-<>=])")
_JOINER = "\u2060"  # of no width, and no place to break a line
_FROM_THE_RIGHT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")  # Hebrew, Arabic and their kin
_ISOLATE, _END = "\u2068", "\u2069"


def one_line(text: str) -> str:
    """A text without line ends, control characters and invisible marks of direction."""
    return _BLANKS.sub(" ", _DIRECTIONS.sub("", text)).strip()


def escape_markdown(text: object) -> str:
    """A text, such as a class's name, that Streamlit's Markdown shows as it is, on one line.

    No mark of it becomes formatting, a link, an image, an icon, a formula or an emoji. One that is written from right
    to left is isolated, so that numbers beside it stay where they are.
    """
    separated = _JOINED.sub(_JOINER, one_line(str(text)))
    shown = _OPENING.sub(r"\2\\\1\3", separated.translate(_MARKS))
    return f"{_ISOLATE}{shown}{_END}" if _FROM_THE_RIGHT.search(shown) else shown


def code_span(text: object) -> str:
    """A text in Markdown's code style: between more backticks than it has in a row itself."""
    line = one_line(str(text))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line or ' '}{fence}"


def rgb(colour: str) -> tuple[int, int, int]:
    """'#0072B2' as (0, 114, 178)."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
