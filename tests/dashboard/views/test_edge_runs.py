"""Pages that live on the analysis, on runs at the edges: analysed, not analysed, with one that is damaged or stale."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dashboard.shell import navigation
from dashboard.views.image.parts import film_epochs
from store import ClassInfo, Run, open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run
from tests.dashboard.app import open_page

MINE = ("overview", "findings", "image", "search", "failures", "learning")
HOSTILE = "<b>bold</b> *and* [a](link) $x$ `code` :red[no] </script>"


def classes(count, *, name="class {}", group="group"):
    """Classes with names and groups made to order."""
    return tuple(ClassInfo(f"n{number:08d}", name.format(number), group) for number in range(count))


@pytest.fixture(scope="module")
def odd_runs(tmp_path_factory):
    """A folder of runs, each odd in one way; all but 'bare' are analysed."""
    folder = tmp_path_factory.mktemp("odd")
    made = {
        "one-class": {"classes": 1, "images_per_class": 6},
        "two-classes": {"classes": 2, "images_per_class": 6},
        "one-epoch": {"epochs": 1},
        "signed": {"epochs": 2, "signed": True, "layers": {}, "stages": {}, "map_shape": (2, 2)},
        "no-masks": {"epochs": 2, "masks": None, "boxes": None},
        "no-groups": {"epochs": 2, "classes": 4} | {"description": {"classes": classes(4, group="")}},
        "many-classes": {"epochs": 2, "classes": 300, "images_per_class": 1, "variants": ("clean", "gray")}
        | {"layers": {}, "stages": {}, "map_shape": (4, 4)},
        "hostile": {"epochs": 2, "classes": 4}
        | {"description": {"classes": classes(4, name=HOSTILE + " {}", group="<i>group</i> *x*")}},
        "clean-only": {"epochs": 2, "variants": ("clean",)},
        "bare": {"epochs": 2},
    }
    for name, options in made.items():
        options = {**options, **options.pop("description", {})} if "description" in options else options
        _write(folder / name, options)
        if name != "bare":
            analyse(open_run(folder / name))
    return folder


def _write(path, options):
    described = options.get("classes")
    if isinstance(described, tuple):  # the size is given beside the description
        from store import create_run, resume_run
        from store.synthetic import (
            synthetic_description,
            synthetic_images,
            synthetic_layers,
            synthetic_maps,
            synthetic_metrics,
        )

        description = synthetic_description(path.name, len(described), 4, epochs=2, options={"classes": described})
        with create_run(path, description) as new:
            for variant in description.variant_names:
                new.write_images(variant, 0, synthetic_images(description, variant))
        for epoch in (1, 2):
            with resume_run(path).epoch(epoch, synthetic_metrics(epoch), threads=1) as recording:
                for variant in description.variant_names:
                    recording.write(variant, 0, synthetic_maps(description, epoch, variant))
                recording.write_layers(0, *synthetic_layers(description, epoch))
        return
    write_synthetic_run(path, **options)


def texts(app):
    """All that is said on the page."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind) if hasattr(element, "value"))


def sound(app):
    """No exception and no error box."""
    assert not app.exception, app.exception[0].value
    assert not app.error, app.error[0].value


ODD = (
    "one-class",
    "two-classes",
    "one-epoch",
    "signed",
    "no-masks",
    "no-groups",
    "many-classes",
    "hostile",
    "clean-only",
    "bare",
)


@pytest.mark.parametrize("page", MINE)
@pytest.mark.parametrize("name", ODD)
def test_a_page_shows_an_odd_run_without_an_exception(monkeypatch, odd_runs, name, page):
    app = open_page(monkeypatch, odd_runs, page, run=name)
    sound(app)
    assert app.title[0].value == navigation.page_info(page).title
    assert not [warning.value for warning in app.warning]


@pytest.mark.parametrize("page", ["findings", "failures", "learning"])
def test_a_page_that_needs_the_analysis_says_which_command_makes_it(monkeypatch, odd_runs, page):
    app = open_page(monkeypatch, odd_runs, page, run="bare")
    assert f"python -m compute analyse {odd_runs / 'bare'}" in texts(app)


@pytest.mark.parametrize("page", MINE)
def test_an_analysis_that_cannot_be_read_takes_no_page_with_it(monkeypatch, tmp_path, page):
    run = write_synthetic_run(tmp_path / "hurt", epochs=2)
    (run / "analysis.h5").write_bytes(b"not HDF5")
    app = open_page(monkeypatch, tmp_path, page, run="hurt")
    assert not app.exception
    assert page in ("overview", "image", "search") or "analysis.h5" in texts(app)


@pytest.mark.parametrize("page", MINE)
def test_a_damaged_epoch_leaves_the_page_with_the_others(monkeypatch, tmp_path, page):
    run = write_synthetic_run(tmp_path / "hurt", epochs=3)
    path = run / "epochs" / "0002.h5"
    path.write_bytes(path.read_bytes()[:2000])
    app = open_page(monkeypatch, tmp_path, page, run="hurt")
    sound(app)
    assert "Epoch 2" in "\n".join(warning.value for warning in app.warning)


def test_hostile_names_are_shown_as_they_are(monkeypatch, odd_runs):
    app = open_page(monkeypatch, odd_runs, "image", run="hostile", image="1")
    reported = texts(app)
    assert r"\<b\>bold\</b\> \*and\* \[a\](link) \$x\$ \`code\` \:red\[no\]" in reported
    assert "<b>bold</b>" not in reported.replace("\\<b\\>", "")


def test_one_class_has_no_anatomy_because_there_is_nothing_to_hold_it_against(monkeypatch, odd_runs):
    assert "Which cells decide the prediction?" not in texts(open_page(monkeypatch, odd_runs, "image", run="one-class"))
    assert "Which cells decide the prediction?" in texts(
        open_page(monkeypatch, odd_runs, "image", run="two-classes", image="0")
    )


def test_an_analysis_of_fewer_epochs_than_the_run_has_is_told(monkeypatch, tmp_path):
    whole = write_synthetic_run(tmp_path / "grown", epochs=3)
    last = (whole / "epochs" / "0003.h5").read_bytes()
    (whole / "epochs" / "0003.h5").unlink()
    receipt = whole / "epochs" / "0003.json"
    kept = receipt.read_bytes() if receipt.exists() else None
    receipt.unlink(missing_ok=True)
    analyse(open_run(whole))
    (whole / "epochs" / "0003.h5").write_bytes(last)
    if kept is not None:
        receipt.write_bytes(kept)
    app = open_page(monkeypatch, tmp_path, "findings", run="grown")
    sound(app)
    assert "derived from epochs 1 to 2; the run holds epochs 1 to 3" in texts(app)


def test_the_signed_runs_pattern_is_painted_with_zero_in_the_middle(monkeypatch, odd_runs):
    app = open_page(monkeypatch, odd_runs, "search", run="signed", **{"from": "painted", "paint": "8888"})
    sound(app)
    assert "The pattern is empty" in texts(app)
    app = open_page(monkeypatch, odd_runs, "search", run="signed", **{"from": "painted", "paint": "0f88"})
    assert "maps compared" in texts(app)


def test_a_long_run_shows_some_epochs_of_a_image_and_reads_no_others_until_all_are_asked_for(tmp_path, monkeypatch):
    run = open_run(write_synthetic_run(tmp_path / "long", epochs=60, classes=2, images_per_class=2))
    read, original = [], Run.timeline
    monkeypatch.setattr(Run, "timeline", lambda self, **asked: read.append(asked["epochs"]) or original(self, **asked))
    app = open_page(monkeypatch, tmp_path, "image", timeout=120, epoch="18")
    assert not app.exception and not app.warning
    assert len(read) == 17 and {(1,), (18,), (60,)} <= set(read)
    app.query_params["epochs"] = "all"
    app.run()
    assert not app.exception and sorted(read) == [(epoch,) for epoch in run.epochs]


def test_epochs_shown_of_a_long_run_are_spread_over_it_with_the_chosen_one_among_them():
    assert film_epochs(range(1, 17), 3) == tuple(range(1, 17))
    shown = film_epochs(range(1, 81), 50)
    assert shown[0] == 1 and shown[-1] == 80 and 50 in shown and len(shown) <= 17
    assert max(later - earlier for earlier, later in pairwise(shown)) <= 6
