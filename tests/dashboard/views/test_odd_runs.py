"""Runs that are unlike others: every page shows something sensible, and never an exception."""

import re
from itertools import pairwise

import numpy as np
import pytest

from dashboard.report import write_report
from dashboard.shared.one_image import film_epochs
from dashboard.shell import navigation
from store import Run, open_run
from store.analysis import from_table, read_analysis
from store.analysis.analyse import analyse
from store.queries import epoch_metrics
from store.synthetic import create_synthetic_run, synthetic_description, synthetic_maps, write_synthetic_run
from tests.dashboard.app import PAGES, assert_no_errors, open_page, texts, write_named_run

HOSTILE = (
    "<b>bold</b> *and* [a](link) $x$ `code` :red[no] </script>",
    "say \"hi\" & 'bye'",
    "**stars** _lines_ `ticks`",
    "$x^2$ :red[no]",
    "鳥 und Vögel 🐦",
    "a" * 120,
)
COARSE = {"layers": {}, "stages": {}}
UNKNOWN = {**COARSE, "masks": None, "boxes": None, "configuration": {"data": {"source": "photos"}}}
RUNS = {
    "one-class": {"classes": 1, "images_per_class": 6},
    "two-classes": {"classes": 2, "images_per_class": 6},
    "one-class-one-epoch": {"classes": 1, "epochs": 1, "masks": None, "boxes": None},
    "one-epoch": {"epochs": 1},
    "signed": {"signed": True, "map_shape": (2, 2), **COARSE},
    "many-classes": {"classes": 300, "images_per_class": 1, "variants": ("clean", "gray"), "map_shape": (4, 4)}
    | COARSE,
    "clean-only": {"variants": ("clean",), "masks": None, "boxes": None},
    "not-analysed": {},
    "classes-without-images": {"classes": 6, "labels": np.repeat([0, 2, 5], 8), **COARSE},
    "few-maps": {"kept_maps": 1},
    "predictions-only": {"classes": 7, "evidence": "none", "signed": True, "map_shape": (1, 1), **UNKNOWN},
    "estimate": {"classes": 3, "evidence": "linearised", "evidence_error": 2e-6, "signed": True, **UNKNOWN}
    | {"image_shape": (24, 16), "map_shape": (3, 2), "variants": ("clean", "fog"), "kept_maps": 1},
    "no-groups": ["ant", "bee", "cow", "dog", "elk", "fly"],
    "same-names": ["twin", "twin", "other", "other"],
    "hostile": HOSTILE,
}


@pytest.fixture(scope="module")
def odd_runs(tmp_path_factory):
    """A folder of runs, each odd in one way; all but 'not-analysed' are analysed."""
    folder = tmp_path_factory.mktemp("odd")
    for name, options in RUNS.items():
        if isinstance(options, dict):
            write_synthetic_run(folder / name, **{"epochs": 2, **options})
        else:
            group = {"hostile": "<i>group</i> **x**", "same-names": "all"}.get(name, "")
            write_named_run(folder / name, options, group=group, images_per_class=1 if name == "same-names" else 4)
        if name != "not-analysed":
            analyse(open_run(folder / name))
    return folder


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_an_odd_run(opened, odd_runs, page, run):
    app = opened(odd_runs, page, run=run)
    assert_no_errors(app, warnings=False)
    assert app.title[0].value == navigation.page_info(page).title


@pytest.mark.parametrize("run", [name for name in RUNS if name != "many-classes"])
def test_the_report_of_an_odd_run_is_complete(odd_runs, tmp_path, run):
    text = write_report(open_run(odd_runs / run), tmp_path / "report.html").read_text("utf-8")
    assert text.endswith("</html>") and not re.search(r"\bNaN\b|\bnan\b", re.sub(r"base64,[^\"]*", "", text))
    assert "<b>bold</b>" not in text and "<i>group</i>" not in text


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("compare", {"third": "hostile", "third_class": "c2", "class": "c1"}),
        ("gallery", {"class": "c0", "compare_with": "c1|c2|c5", "maps": "both"}),
        ("confusion", {"class": "c1", "prediction": "c2"}),
        ("image", {"image": "1"}),
        ("robustness", {"class": "c2", "variant": "gray"}),
        ("trust", {"confidence": "0-0.5", "accepted": "sharpness.100"}),
    ],
)
def test_hostile_names_are_shown_as_they_are(opened, odd_runs, page, link):
    app = opened(odd_runs, page, run="hostile", **link)
    assert_no_errors(app, warnings=False)
    shown = texts(app)
    assert "<b>" not in shown, "a name reached Markdown unescaped"
    if page == "image":
        assert r"\<b\>bold\</b\> \*and\* \[a\](link) \$x\$ \`code\` \:" "\u2060" r"red\[no\]" in shown


@pytest.mark.parametrize("page", ["findings", "failures", "learning", "trust"])
def test_a_page_that_needs_the_analysis_names_the_command(opened, odd_runs, page):
    shown = texts(opened(odd_runs, page, run="not-analysed"))
    assert f"python -m compute analyse {odd_runs / 'not-analysed'}" in shown


@pytest.mark.parametrize("page", ["overview", "findings", "image", "search", "failures", "learning"])
def test_a_page_opens_although_the_analysis_is_damaged(opened, tmp_path, page):
    run = write_synthetic_run(tmp_path / "damaged", epochs=2)
    (run / "analysis.h5").write_bytes(b"not HDF5")
    app = opened(tmp_path, page)
    assert not app.exception
    assert page in ("overview", "image", "search") or "analysis.h5" in texts(app)


@pytest.mark.parametrize("page", [name for name in PAGES if name != "live"])
def test_a_damaged_epoch_leaves_the_page_with_the_others(opened, tmp_path, page):
    path = write_synthetic_run(tmp_path / "damaged", epochs=3) / "epochs" / "0002.h5"
    path.write_bytes(path.read_bytes()[:2000])
    app = opened(tmp_path, page)
    assert_no_errors(app)
    assert any("Epoch 2" in warning.value for warning in app.warning)


def test_classes_without_images_are_left_out_where_patterns_are_compared(opened, odd_runs):
    run = "classes-without-images"
    assert "Left out: 3 classes without images." in texts(opened(odd_runs, "patterns", run=run))
    compared = opened(odd_runs, "compare", run=run, with_epoch="1")
    changes = next(each.value for each in compared.dataframe if "change" in each.value)
    assert len(changes) == 3 and changes.notna().all().all()


@pytest.mark.parametrize("image", [3, 7])
def test_predictions_are_explained_from_few_maps(opened, odd_runs, image):
    assert_no_errors(opened(odd_runs, "image", run="few-maps", image=str(image)), warnings=False)


def test_a_run_of_predictions_alone_says_so_and_shows_nothing_of_maps(opened, odd_runs):
    for page in ("patterns", "search"):
        assert "It has no class maps" in texts(opened(odd_runs, page, run="predictions-only"))
    shown = "".join(texts(opened(odd_runs, page, run="predictions-only")) for page in ("image", "failures", "trust"))
    for word in ("k*", "minimal correction", "sharpness", "class map", "Localisation", "most similar maps"):
        assert word not in shown.replace("It has no class maps", "").replace(r"k\*", "k*"), word
    ranking = read_analysis(open_run(odd_runs / "predictions-only")).table("failure_ranking")
    assert "map" not in set(ranking["kind"])


def test_an_estimate_is_called_one_wherever_cells_are_removed(opened, odd_runs):
    assert "An estimate: this run's maps add up" in texts(opened(odd_runs, "image", run="estimate"))
    shown = texts(opened(odd_runs, "failures", run="estimate"))
    assert r"k\* (estimate)" in shown.replace(r"\(", "(").replace(r"\)", ")")
    found = from_table(read_analysis(open_run(odd_runs / "estimate")).table("findings"))
    assert [finding.text[:12] for finding in found if finding.kind == "correction"] == ["An estimate:"]
    overview = texts(opened(odd_runs, "overview", run="estimate"))
    assert "linear approximation" in overview and "2.0e-06" in overview and "relative to the mean map" in overview
    for page in ("image", "failures"):
        assert "estimate" not in texts(opened(odd_runs, page, run="two-classes"))


def test_what_a_run_does_not_have_is_not_spoken_of(opened, odd_runs):
    overview = opened(odd_runs, "overview", run="estimate")
    labels = [metric.label for metric in overview.metric]
    assert "Top-1" in labels and "Top-5" not in labels and "Table 1" not in texts(overview)
    robustness = texts(opened(odd_runs, "robustness", run="estimate"))
    for sentence in ("colour map", "A cell without colour"):
        robustness = robustness.replace(sentence, "")
    assert "colour" not in robustness
    assert "Changed no image of this run, so nothing below is an effect of it: fog" in robustness
    assert "relies on colour" in texts(opened(odd_runs, "robustness", run="one-epoch"))


def test_the_paper_s_rows_stand_beside_runs_on_its_images_only(opened, tmp_path):
    for name, source in (("theirs", "/data/tiny-imagenet-200.zip"), ("other", "imagenet")):
        write_synthetic_run(tmp_path / name, epochs=1, configuration={"data": {"source": source}}, **COARSE)
    assert "the paper's Table 1" in texts(opened(tmp_path, "overview", run="theirs"))
    assert "Table 1" not in texts(opened(tmp_path, "overview", run="other"))


def test_a_run_without_figures_of_training_shows_those_of_its_images(opened, tmp_path):
    description = synthetic_description("run", 3, 4, epochs=2, options={**UNKNOWN, "variants": ("clean",)})
    writer = create_synthetic_run(tmp_path / "run", description)
    for epoch, label in ((4, "step 4000"), (9, "best")):
        with writer.epoch(epoch, {}, label=label) as recording:
            recording.write("clean", 0, synthetic_maps(description, epoch, "clean"))
    app = opened(tmp_path, "overview")
    assert_no_errors(app, warnings=False)
    assert "The run has no figures of training" in texts(app) and "epoch **9 (best)**" in texts(app)
    metrics = epoch_metrics(open_run(tmp_path / "run"))
    clean = [open_run(tmp_path / "run").variant_metrics(epoch=epoch).iloc[0] for epoch in (4, 9)]
    assert metrics["validation_loss"].tolist() == [row["nll"] for row in clean]
    assert metrics["validation_top1"].tolist() == [row["top1"] for row in clean]


def test_one_class_has_no_minimal_correction(opened, odd_runs):
    heading = "Which cells decide the prediction?"
    assert heading not in texts(opened(odd_runs, "image", run="one-class"))
    assert heading in texts(opened(odd_runs, "image", run="two-classes", image="0"))


def test_an_analysis_of_fewer_epochs_than_the_run_has_is_reported(opened, tmp_path):
    run = write_synthetic_run(tmp_path / "grown", epochs=3)
    last = [run / "epochs" / f"0003.{ending}" for ending in ("h5", "json")]
    contents = [path.read_bytes() for path in last]
    for path in last:
        path.unlink()
    analyse(open_run(run))
    for path, content in zip(last, contents, strict=True):
        path.write_bytes(content)
    app = opened(tmp_path, "findings")
    assert_no_errors(app)
    shown = texts(app)
    assert "epochs 1 to 2" in shown and "epochs 1 to 3" in shown


@pytest.mark.parametrize(("paint", "said"), [("8888", "The pattern is empty"), ("0f88", "maps compared")])
def test_a_signed_pattern_is_painted_with_zero_in_the_middle(opened, odd_runs, paint, said):
    app = opened(odd_runs, "search", run="signed", paint=paint, **{"from": "painted"})
    assert_no_errors(app)
    assert said in texts(app)


def test_a_long_run_shows_some_epochs_of_an_image_and_reads_the_others_only_on_request(tmp_path, monkeypatch):
    run = open_run(write_synthetic_run(tmp_path / "long", epochs=60, classes=2, images_per_class=2))
    read, original = [], Run.timeline
    monkeypatch.setattr(Run, "timeline", lambda self, **asked: read.append(asked["epochs"]) or original(self, **asked))
    app = open_page(monkeypatch, tmp_path, "image", timeout=120, epoch="18")
    assert_no_errors(app, warnings=False)
    assert len(read) == 17 and {(1,), (18,), (60,)} <= set(read)
    app.query_params["epochs"] = "all"
    app.run()
    assert not app.exception and sorted(read) == [(epoch,) for epoch in run.epochs]


def test_the_epochs_shown_of_a_long_run_are_spread_evenly_and_hold_the_chosen_one():
    assert film_epochs(range(1, 17), 3) == tuple(range(1, 17))
    shown = film_epochs(range(1, 81), 50)
    assert shown[0] == 1 and shown[-1] == 80 and 50 in shown and len(shown) <= 17
    assert max(later - earlier for earlier, later in pairwise(shown)) <= 6
