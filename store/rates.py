"""Rates as text: the one place that turns a share into a percentage, for pages, findings, tables and reports."""

from __future__ import annotations

import math
from collections.abc import Iterable

FEW = 100  # images: below, a percentage hides how few they are
_MOST_DIGITS = 4


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage, "–" where there is none: "31.2 %", "99.9 %".

    "0 %" and "100 %" stand for exactly none and all: digits are added until any other share differs from both, up to
    four, and then it is "< 0.0001 %" or "> 99.9999 %".

    Args:
        share: a fraction; negative ones (of what could be gained) may occur.
        digits: at least so many after the point.
    """
    if share is None or not math.isfinite(share):
        return "–"
    size = abs(share)
    if size in (0, 1):
        return f"{100 * share + 0:.{digits}f} %"
    # Python rounds 33.25 to 33.2, charts and tables in the browser to 33.3: a page says the same number everywhere.
    while float(text := f"{100 * share + math.copysign(1e-9, share):.{digits}f}") in (0, 100, -100):
        if digits == _MOST_DIGITS:
            return f"{'< ' if size < 0.5 else '> '}{'-' if share < 0 else ''}{'0.0001' if size < 0.5 else '99.9999'} %"
        digits += 1
    return f"{text} %"


def rate(share: float, count: int) -> str:
    """A share of so many by its counts where these are few, as a percentage would hide it: "2 of 3"; "83 %" of 100."""
    return percent(share, 0) if count >= FEW or not count else f"{round(share * count)} of {count}"


def rate_among(share: float, count: int) -> str:
    """`rate`, with the count where it gives a percentage: "2 of 3", "83 % of 416"."""
    return f"{rate(share, count)} of {count}" if count >= FEW else rate(share, count)


def digits_of(shares: Iterable[float], least: int = 1) -> int:
    """Digits after the point with which no share of a column is rounded to a 0 or 100 % that it is not."""
    texts = (percent(share, least) for share in shares)
    return max((len(text.removesuffix(" %").partition(".")[2]) for text in texts), default=least)
