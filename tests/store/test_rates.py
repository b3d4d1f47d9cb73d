"""Rates as text: no share is rounded to none or all, and few images are counted."""

import math

import pytest

from store.rates import digits_of, percent, rate, rate_among


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0, 0, "0 %"),
        (1, 0, "100 %"),
        (1, 2, "100.00 %"),
        (-1, 0, "-100 %"),
        (0.314, 0, "31 %"),
        (0.314, 1, "31.4 %"),
        (0.3325, 1, "33.3 %"),
        (0.999, 0, "99.9 %"),
        (0.9999, 1, "99.99 %"),
        (0.004, 0, "0.4 %"),
        (-0.0004, 1, "-0.04 %"),
        (1e-9, 1, "< 0.0001 %"),
        (-1e-9, 0, "< -0.0001 %"),
        (1 - 1e-9, 0, "> 99.9999 %"),
        (1.25, 0, "125 %"),
        (None, 1, "–"),
        (math.nan, 1, "–"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(share, digits, text):
    assert percent(share, digits) == text


@pytest.mark.parametrize(
    ("share", "count", "text"),
    [(0.75, 4, "3 of 4"), (2 / 3, 99, "66 of 99"), (0.83, 100, "83 %"), (0.999, 1000, "99.9 %"), (math.nan, 0, "–")],
)
def test_a_rate_of_few_is_counted(share, count, text):
    assert rate_among(share, count) == (f"{text} of {count}" if count > 99 else text)
    assert rate(share, count) == text


def test_a_column_has_digits_enough_for_all_of_its_shares():
    assert digits_of([0.5, 1, 0]) == 1 and digits_of([0.5, 0.9997], 0) == 2 and digits_of([], 2) == 2
    assert digits_of([math.nan, 0.25]) == 1
