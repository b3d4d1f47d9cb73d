"""Runs that are not like the others: every page shows something sensible, and never an exception."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dashboard.report import write_report
from dashboard.shell import navigation
from store import ClassInfo, create_run, open_run, resume_run
from store.synthetic import (
    synthetic_description,
    synthetic_images,
    synthetic_layers,
    synthetic_maps,
    synthetic_metrics,
    write_synthetic_run,
)

NAMES = [page.name for page in navigation.available()]
HOSTILE = (
    "<b>bold</b>",
    "say \"hi\" & 'bye'",
    "**stars** _lines_ `ticks`",
    "$x^2$ :red[no]",
    "鳥 und Vögel 🐦",
    "a" * 120,
)
KINDS = {
    "one class, one epoch": {"classes": 1, "epochs": 1, "masks": None, "boxes": None},
    "two classes, clean only": {"classes": 2, "variants": ("clean",)},
    "signed coarse maps": {"signed": True, "layers": {}, "stages": {}, "map_shape": (2, 2)},
    "no groups": {"names": ["ant", "bee", "cow", "dog", "elk", "fly"], "group": ""},
    "hostile names": {"names": HOSTILE, "group": "<i>group</i> **x**"},
    "same names, one image each": {
        "names": ["twin", "twin", "other", "other"],
        "group": "all",
        "images_per_class": 1,
    },
}


def odd(path, options):
    """A synthetic run with these options; `names` and `group` say what its classes are called."""
    options = {"epochs": 2, **options}
    names, group = options.pop("names", None), options.pop("group", "")
    if names is None:
        return write_synthetic_run(path, **options)
    infos = tuple(ClassInfo(f"c{place}", name, group) for place, name in enumerate(names))
    described = synthetic_description("odd", len(infos), options.get("images_per_class", 4), epochs=2)
    description = replace(described, classes=infos)
    with create_run(path, description) as new:
        for variant in description.variant_names:
            new.write_images(variant, 0, synthetic_images(description, variant))
    for number in (1, 2):
        with resume_run(path).epoch(number, synthetic_metrics(number), threads=1) as recording:
            for variant in description.variant_names:
                recording.write(variant, 0, synthetic_maps(description, number, variant))
            recording.write_layers(0, *synthetic_layers(description, number))
    return path


def _made(folder):
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Each kind's run, in a folder of its own."""
    folder = tmp_path_factory.mktemp("odd")
    return {
        kind: odd(_made(folder / str(place)) / "odd", options) for place, (kind, options) in enumerate(KINDS.items())
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_every_page_opens_on_an_odd_run(opened, runs, name, kind):
    app = opened(runs[kind].parent, name)
    assert not app.exception, app.exception[0].value
    assert not app.error, app.error[0].value
    assert not app.warning, app.warning[0].value
    assert app.title[0].value == navigation.page_info(name).title


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_of_an_odd_run_is_whole(runs, tmp_path, kind):
    text = write_report(open_run(runs[kind]), tmp_path / "report.html").read_text("utf-8")
    assert text.endswith("</html>") and not re.search(r"\bNaN\b|\bnan\b", re.sub(r"base64,[^\"]*", "", text))
    assert "<b>bold</b>" not in text and "<i>group</i>" not in text


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("compare", {"third": "odd", "third_class": "c2", "class": "c1"}),
        ("gallery", {"class": "c0", "compare_with": "c1|c2|c5", "maps": "both"}),
        ("confusion", {"class": "c1", "prediction": "c2"}),
        ("robustness", {"class": "c2", "variant": "gray"}),
        ("trust", {"confidence": "0-0.5", "accepted": "sharpness.100"}),
    ],
)
def test_hostile_names_are_shown_as_they_are(opened, runs, name, link):
    app = opened(runs["hostile names"].parent, name, **link)
    assert not app.exception and not app.error and not app.warning
    said = "\n".join(part.value for kind in ("subheader", "markdown", "caption") for part in getattr(app, kind))
    assert "<b>" not in said, "a name reached Markdown with its marks alive"


def test_a_damaged_epoch_leaves_the_pages_that_span_epochs_whole(opened, tmp_path):
    path = write_synthetic_run(tmp_path / "hurt", epochs=3)
    middle = path / "epochs" / "0002.h5"
    middle.write_bytes(middle.read_bytes()[:2000])
    for name in ("compare", "patterns", "confusion", "robustness", "trust", "about"):
        app = opened(tmp_path, name)
        assert not app.exception and not app.error
        assert any("Epoch 2 is missing from all pages" in part.value for part in app.warning)


def test_pages_of_three_hundred_classes_open(opened, tmp_path):
    write_synthetic_run(tmp_path / "wide", epochs=1, classes=300, images_per_class=1, variants=("clean", "gray"))
    for name in ("compare", "gallery", "patterns", "confusion", "robustness", "trust", "about"):
        app = opened(tmp_path, name)
        assert not app.exception and not app.error and not app.warning


def test_what_was_never_analysed_says_how_to_do_so(opened, runs):
    app = opened(runs["two classes, clean only"].parent, "trust")
    assert any("python -m compute analyse" in part.value for part in app.info)
