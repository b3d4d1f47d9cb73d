"""Image: the minimal correction in words and in the browser, and which image the page starts with."""

import base64

import numpy as np

from dashboard.components.correction import CorrectionPanels, payload, strongest_other
from dashboard.images.maps import COMMON, scale_maps
from dashboard.images.sheet import atlas
from dashboard.views.image import parts as image_parts
from store import open_run
from store.metrics.correction import correction_cells, difference, logits_after_removal, removal_order
from store.queries import MinimalCorrection
from store.synthetic import write_synthetic_run
from tests.dashboard.app import texts

# Maps of 2x2 cells of three classes: "bus" wins with S 3; without one cell "van" is level, "car" ahead.
MAPS = np.array([[[6, 4], [2, 0]], [[0, 2], [2, 2]], [[0, 0], [4, 3.5]]], np.float32)


def correction_of(maps, prediction=0, true_class=1):
    """The minimal correction of a prediction from its maps, without a run."""
    d = difference(maps[prediction], maps[true_class])
    order = removal_order(d)
    scores = np.stack([logits_after_removal(maps, order, k) for k in range(d.size + 1)])
    best = scores.argmax(1)
    winners = np.where(scores[np.arange(len(best)), best] > scores[:, true_class], best, true_class)
    cells = int(correction_cells(maps[prediction], maps[true_class]))
    return MinimalCorrection(
        0, prediction, true_class, true_class, d, order, cells, cells, cells, scores, winners, 0.001, 0.01
    )


def shown(correction, names=("bus", "van", "car")):
    """What is sent to the browser for a correction."""
    pair = MAPS[[correction.prediction, correction.against]]
    photograph = atlas(np.zeros((1, 4, 4, 3), np.uint8), exact=True)
    return payload(
        CorrectionPanels(correction, photograph, scale_maps(pair, kind=COMMON), names, "magma", correction.cells)
    )


def test_the_text_names_the_fewest_cells_and_the_third_class_that_wins():
    correction = correction_of(MAPS)
    assert correction.cells == 1  # D = 6, 2, 0, -2: without the largest nothing is left
    reported = image_parts.minimal_correction_text(correction, ["bus", "van", "car"])
    assert "The logit of **bus** is 1.5 above that of **van**" in reported
    assert "**1 cell** of 4" in reported and "**van** catches up, but **car** then wins" in reported
    assert "certain in spite of quantisation" in reported


def test_the_text_does_not_call_a_class_the_winner_when_nothing_is_left_of_either():
    correction = correction_of(np.stack([MAPS[0] + 10, MAPS[0], MAPS[0]]))
    reported = image_parts.minimal_correction_text(correction, ["bus", "van", "car"])
    assert "level only when all 4 cells are removed" in reported and "wins" not in reported


def test_the_text_reports_the_uncertainty_of_quantisation():
    sure = correction_of(MAPS)
    unsure = MinimalCorrection(**{**vars(sure), "low": 1, "high": 3})
    assert "between 1 and 3 because of quantisation" in image_parts.minimal_correction_text(unsure, ["a", "b", "c"])
    broken = MinimalCorrection(**{**vars(sure), "logit_error": 0.5})
    assert "do not trust this section" in image_parts.consistency_text(broken, exact=True)
    assert "✓" in image_parts.consistency_text(sure, exact=True)


def test_the_browser_gets_every_step_of_the_correction():
    correction = correction_of(MAPS)
    data = shown(correction)
    scores = np.frombuffer(base64.b64decode(data["logits"]), "<f4").reshape(5, 3)
    np.testing.assert_allclose(scores[0], [3, 1.5, 1.875])  # bus, van and the strongest other, car
    np.testing.assert_allclose(scores[2], [0.5, 1.0, 1.875])
    assert [data["names"][number] for number in data["winners"]] == ["bus", "car", "car", "car", "van"]
    assert data["order"] == [0, 1, 2, 3] and data["fewest"] == 1
    other, _ = strongest_other(correction)
    assert set(other) == {2}


def test_with_two_classes_there_is_no_third():
    correction = correction_of(MAPS[:2])
    other, score = strongest_other(correction)
    assert set(other) == {-1} and not score.any()
    assert set(shown(correction, ("bus", "van"))["other"]) == {-1}


def test_the_position_of_the_slider_does_not_change_the_identity():
    correction = correction_of(MAPS)
    photograph, pair = atlas(np.zeros((1, 4, 4, 3), np.uint8), exact=True), scale_maps(MAPS[:2], kind=COMMON)
    first, second = (
        payload(CorrectionPanels(correction, photograph, pair, ("a", "b", "c"), "magma", start))["identity"]
        for start in (0, 3)
    )
    assert first == second


def test_the_page_starts_with_an_image_of_the_class_and_stays_in_it(opened, tiny_run):
    app = opened(tiny_run.parent, "image", **{"class": "n00000002"})
    reported = "\n".join(caption.value for caption in app.caption)
    assert "of 4 in its class" in reported and "of the class." in reported
    labels = open_run(tiny_run).labels
    app = opened(tiny_run.parent, "image", image=str(np.flatnonzero(labels == 2)[-1]), **{"class": "n00000002"})
    following = next(button for button in app.button if button.label == "Next")
    assert following.disabled


def test_any_channel_of_a_layer_can_be_chosen_with_what_its_cells_see(opened, tmp_path):
    model = {"model": {"name": "grid", "options": {"stem": "stride1"}}}
    write_synthetic_run(tmp_path / "run", epochs=1, image_shape=(64, 64), configuration=model)
    app = opened(tmp_path, "image", image="3", layer="decoder", channel="2", cell="5")
    assert not app.exception and not app.warning
    shown = texts(app)
    assert "receptive field (Eq. 7)" in shown
    assert [box.value for box in app.number_input if box.label in ("Channel", "Cell")] == [2, 5]


def test_what_a_cell_sees_is_not_claimed_of_a_network_of_others(opened, tiny_run):
    assert "What a cell sees is not known" in texts(opened(tiny_run.parent, "image", image="3", channel="1"))
