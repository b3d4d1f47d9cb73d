"""About: the glossary and the drawing of the network."""

import xml.etree.ElementTree as ElementTree

import pytest

from dashboard.views.about import charts as about_charts
from dashboard.views.about.parts import GLOSSARY

TERMS = [term for terms in GLOSSARY.values() for term in terms]


def test_every_term_is_explained_once():
    names = [term.name for term in TERMS]
    assert len(names) == len(set(names)) >= 25


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_a_term_has_an_equation_with_matching_braces_and_a_sentence(term):
    assert term.equation.count("{") == term.equation.count("}")
    assert term.equation.count(r"\left(") == term.equation.count(r"\right)")
    assert term.meaning.endswith(".") and term.meaning[0].isupper()


@pytest.mark.parametrize(
    "word", ["ECE", "FPR95", "AUGRC", "Sharpness", "Persistence", "Minimal correction k*", "Formation"]
)
def test_what_the_pages_show_is_explained(opened, tiny_run, word):
    reported = "\n".join(part.value for part in opened(tiny_run.parent, "about").markdown)
    assert f"**{word}" in reported


def test_the_network_is_drawn_in_order_with_its_shapes(run):
    steps = [(layer.name, layer.shape) for layer in about_charts.layers(run)]
    assert steps[0] == ("image", "3 × 16 × 16")
    assert [name for name, _ in steps[1:6]] == ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert ("class maps f", "5 × 8 × 8") in steps
    drawing = ElementTree.fromstring(about_charts.network_svg(run, ink="#000000", accent="#0072B2"))
    assert len(drawing.findall("{http://www.w3.org/2000/svg}rect")) == len(steps)
