"""The glossary tells every word once, with an equation that can be set and a meaning in a sentence."""

from __future__ import annotations

import pytest

from dashboard.views.about.parts import GLOSSARY

WORDS = [word for words in GLOSSARY.values() for word in words]


def test_every_word_is_told_once():
    names = [word.name for word in WORDS]
    assert len(names) == len(set(names)) >= 25


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.name)
def test_a_word_has_an_equation_with_matching_braces_and_a_sentence(word):
    assert word.equation.count("{") == word.equation.count("}")
    assert word.equation.count(r"\left(") == word.equation.count(r"\right)")
    assert word.meaning.endswith(".") and word.meaning[0].isupper()


@pytest.mark.parametrize(
    "word", ["ECE", "FPR95", "AUGRC", "Sharpness", "Persistence", "Minimal correction k*", "Formation"]
)
def test_what_the_pages_show_is_explained(opened, tiny_run, word):
    reported = "\n".join(part.value for part in opened(tiny_run.parent, "about").markdown)
    assert f"**{word}" in reported
