"""Training set: the map, the suspects with their thumbnails, one image, and a run without a ledger."""

import numpy as np
import pytest

from dashboard.marks.marked_images import MarkedImages
from dashboard.views.training_set import parts
from dashboard.views.training_set.parts import forgetting_counts, points
from store import Variant, open_run, resume_run
from store.queries import training_images
from store.synthetic import write_synthetic_run

IMAGES = 30


@pytest.fixture(scope="module")
def with_ledger(tmp_path_factory):
    """The folder of a run with a ledger of 30 images, of which the label of the last was exchanged."""
    path = tmp_path_factory.mktemp("runs") / "run"
    writer = resume_run(write_synthetic_run(path, epochs=3, variants=(Variant("clean", "clean"),)))
    labels = np.arange(IMAGES) % 5
    original = labels.copy()
    original[-1] = 0
    hashes = np.repeat(np.arange(IMAGES, dtype=np.uint8)[:, None], 32, axis=1)
    writer.write_training_images([f"<b>{number}</b>" for number in range(IMAGES)], labels, hashes, original)
    for epoch in (1, 2, 3):
        probability = np.linspace(0.9, 0.01, IMAGES)
        prediction = np.where((labels == 1) & (epoch == 2), 0, np.where(probability > 0.2, labels, (labels + 1) % 5))
        columns = {"prediction": prediction, "label_probability": probability, "margin": 5 * probability - 2}
        writer.write_training_epoch(epoch, {**columns, "loss": -np.log(probability)})
    shape = writer.facts.description.image_shape
    kept = np.array([28, 29])
    writer.write_training_thumbnails(kept, np.full((2, *shape, 3), 99, np.uint8))
    return path


def text_of(app):
    """All Markdown and captions of a page."""
    return "\n".join(part.value for part in [*app.markdown, *app.caption])


def test_the_page_shows_suspects_and_how_well_exchanged_labels_are_found(opened, with_ledger):
    app = opened(with_ledger.parent, "training_set")
    assert not app.exception and not app.warning
    text = text_of(app)
    assert "**Labels exchanged on purpose: 1.**" in text
    assert "AUROC of 1" in text and "28 images of this list without a thumbnail" in text
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Training images"] == "30" and shown["Forgotten"] != "0"


def test_an_image_of_the_map_opens_with_its_history_and_its_name_is_text(opened, with_ledger):
    app = opened(with_ledger.parent, "training_set", training_image="29")
    assert not app.exception and not app.warning
    assert "<b>" not in text_of(app)
    next(button for button in app.button if button.label == "Close").click().run()
    assert "training_image" not in app.query_params


def test_a_number_that_no_image_has_is_reported(opened, with_ledger):
    app = opened(with_ledger.parent, "training_set", training_image="30")
    assert not app.exception and "“30”" in app.warning[0].value


def test_a_class_without_training_images_is_said(opened, with_ledger):
    identifier = open_run(with_ledger).classes["id"].iloc[0]
    app = opened(with_ledger.parent, "training_set", **{"class": str(identifier)})
    assert not app.exception and not app.warning


def test_a_run_without_ledger_explains_why(opened, tiny_run):
    app = opened(tiny_run.parent, "training_set")
    assert not app.exception
    assert "no ledger of its training images" in app.info[0].value


def test_the_map_has_every_suspect_and_says_what_became_of_each(with_ledger):
    table = training_images(open_run(with_ledger))
    shown = points(table)
    assert len(shown) == IMAGES and shown["mark"].tolist()[-1] == "label exchanged"
    kinds = shown.set_index("training_image")["kind"]
    assert kinds[29] == "never learned" and kinds[0] == "learned and kept" and kinds[1] == "forgotten"
    counts = forgetting_counts(table).set_index("times")["images"]
    assert counts.sum() == IMAGES and counts["never learned"] == int((table["first_learned"] == 0).sum())


def test_training_images_are_marked_and_filtered_by_mark_also_beyond_the_first_suspects(
    opened, with_ledger, monkeypatch, tmp_path
):
    monkeypatch.setenv("CLASSPRINT_MARKS", str(tmp_path / "marks.sqlite"))
    app = opened(with_ledger.parent, "training_set", training_image="3")
    app.button(key="mark-wrong label-training").click().run()
    assert not app.exception
    monkeypatch.setattr(parts, "SUSPECTS", 2)
    app = opened(with_ledger.parent, "training_set", mark="wrong label")
    assert not app.exception and not app.warning
    assert "wrong label (1)" in app.selectbox(key="control-mark").options
    assert MarkedImages(open_run(with_ledger), training=True).column([3, 4]) == ["wrong label", ""]
    assert app.button(key="mark-Mark-training").label == "Mark 1 image"
