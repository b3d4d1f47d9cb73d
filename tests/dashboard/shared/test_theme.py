"""Numbers and names as they are shown."""

import math
import re

import pytest

from dashboard.shared import theme


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.50"), (0.999, ">0.99"), (1.0, "1.00"), (0.001, "<0.01"), (0.0, "0.00"), (math.nan, "–")],
)
def test_probabilities_never_round_to_a_false_certainty(value, shown):
    assert theme.probability(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(45, "45 s"), (720, "12 min"), (12000, "3 h 20 min"), (math.nan, "–")])
def test_durations_are_shown_in_the_unit_that_fits(seconds, shown):
    assert theme.duration(seconds) == shown


def test_counts_are_grouped_and_nouns_agree():
    assert theme.count(10000) == "10\u202f000"
    assert theme.plural(1, "class", "classes") == "1 class"
    assert theme.plural(2, "class", "classes") == "2 classes"


def _contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        linear = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
            for part in (value / 255 for value in theme.rgb(colour))
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("palette", "background"), [(theme.LIGHT, "#FFFFFF"), (theme.DARK, "#0E1115")])
def test_colours_with_a_meaning_stand_out_from_the_background(palette, background):
    for name in ("correct", "wrong", "true_class", "neutral"):
        assert _contrast(getattr(palette, name), background) >= 3, name
    assert _contrast(palette.ink, background) >= 12


LINE_ENDS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\t", "\x00")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("# 1", r"\# 1"),
        ("-rf", r"\-rf"),
        ("+ more", r"\+ more"),
        ("1. FC", r"1\. FC"),
        ("12) b", r"12\) b"),
        *((f"a{end}- b{end}===", "a - b ===".replace("===", "=\u2060=\u2060=")) for end in LINE_ENDS),
        ("\u202eevil\u202c \u200f", "evil"),
        (":material/home: :smile: :red[x]", "\\:\u2060material/home\\: \\:\u2060smile\\: \\:\u2060red\\[x\\]"),
        ("a->b", "a-\u2060\\>b"),
        ("$x$ ![i](http://h/i)", "\\$x\\$ !\\[i\\](http\\:\u2060//h/i)"),
        ("*x* [y](z)", r"\*x\* \[y\](z)"),
        ("well-known 2.5", "well-known 2.5"),
    ],
)
def test_no_mark_of_a_name_becomes_formatting(name, shown):
    assert theme.escape_markdown(name) == shown


@pytest.mark.parametrize("name", ["www.example.com", "WWW.example.com", "https://example.com", "someone@example.com"])
def test_no_name_becomes_a_link_and_all_of_it_is_still_there(name):
    shown = theme.escape_markdown(name)
    assert not re.search(r"(?i)www\.|://|\w@\w", shown)
    assert shown.replace("\\", "").replace("\u2060", "") == name


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a", "`a`"), ("", "` `"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a\r\n# b", "`a # b`")],
)
def test_a_text_stays_within_its_code_span(text, shown):
    assert theme.code_span(text) == shown


def test_a_name_written_from_right_to_left_is_isolated_from_the_numbers_beside_it():
    assert theme.escape_markdown("كلب") == "\u2068كلب\u2069"
    assert theme.escape_markdown("bus") == "bus" and theme.escape_markdown("汉字") == "汉字"


def test_markdown_in_a_name_is_escaped():
    assert theme.escape_markdown("a_b*c [d](e) <i> $x$") == r"a\_b\*c \[d\](e) \<i\> \$x\$"


@pytest.mark.parametrize("shown", [theme.one_line, theme.escape_markdown, theme.code_span])
def test_bytes_that_are_no_text_do_not_reach_a_page(shown):
    assert shown("a\udcffb").encode()
