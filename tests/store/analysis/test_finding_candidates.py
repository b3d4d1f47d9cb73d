import numpy as np
import pytest

from store import ClassInfo
from store.analysis import from_table
from store.analysis.findings import ALWAYS_REPORTED, TESTED_KINDS
from tests.store.crafted_run import analysed, craft, one_cell


def found(run):
    return from_table(analysed(run).table("findings"))


@pytest.fixture(scope="module")
def eventful(tmp_path_factory):
    """40 images a class: under gray class 0 is predicted as class 1; class 2 forms late; class 3 was 0 at first."""
    labels = np.repeat(np.arange(4), 40)
    predictions = np.tile(labels, (4, 2, 1))
    predictions[:, 1, :36] = 1
    predictions[0, 0, labels == 3] = 0
    predictions[3, 0, [5, 6, 7]] = 2

    def own(epoch, variant, image):
        late = labels[image] == 2 and epoch < 3 - image % 2
        pattern = np.roll(one_cell(int(labels[image])), 4 if late else 0)
        return pattern * (1 + 0.02 * (image % 7)) * (0.4 if variant and labels[image] == 0 else 1)

    path = tmp_path_factory.mktemp("runs") / "eventful"
    return craft(path, predictions, labels=labels.tolist(), variants=("clean", "gray"), own=own)


def test_every_tested_kind_of_an_eventful_run_is_among_those_that_share_the_rate(eventful):
    assert {entry.kind for entry in found(eventful) if not np.isnan(entry.p)} <= set(TESTED_KINDS)


def test_the_findings_of_a_run_with_known_events_report_these_events(eventful):
    findings = {entry.kind: entry for entry in found(eventful)}
    switch = findings["predicted as"]
    assert switch.text == ("Under “gray”, 36 of 40 images of “class 0” are predicted as “class 1”; clean, 0 are.")
    assert (switch.value, switch.unit) == (0.9, "share")
    assert 0.5 < switch.low < 0.9 < switch.high <= 1
    assert switch.query == {"epoch": 4, "variant": "gray", "class": "c0", "prediction": "c1"}
    assert findings["accuracy"].value == pytest.approx(33 / 160)
    assert findings["accuracy"].text == "Under “gray” the accuracy falls from 98.1 % to 77.5 % of 160 images."
    assert findings["cue"].text.startswith("“class 0” (40 images) loses ")
    assert findings["cue"].text.endswith("; the other classes lose 0.0 on average.")  # a little less, and not -0.0
    assert findings["cue"].query["class"] == "c0"
    # Its even images form at epoch 4, its odd ones at epoch 3; all others at epoch 1.
    assert findings["formation"].text.endswith("those of “class 2” from epoch 3.5 on (means of 40 and 40 images).")
    assert (findings["formation"].value, findings["formation"].comparisons) == (2.5, 6)
    assert findings["formation"].low > 0
    pair = findings["pair"]
    assert pair.text == "At epoch 1, 40 of 40 images of “class 3” were predicted as “class 0”; at epoch 4 none is."
    assert findings["correction"].text == (
        "Removing 1 of the 16 cells from the maps lets the true class draw level in 3 of 3 wrong predictions, "
        "as many at random in 15 %; half of them need 1 at most. Correct predictions turn, too: 1 cell is "
        "enough for the runner-up in 100 % of 157."
    )
    assert findings["correction"].query == {"epoch": 4, "sort": "fewest_cells"}
    assert "sure mistakes" not in findings  # of four classes, the most probable one always has 20 % or more
    assert findings["forgetting"].text.startswith("3 of the 3 images that end up wrong")


def test_every_finding_has_an_interval_around_its_value_and_a_page(eventful):
    for entry in found(eventful):
        assert entry.low <= entry.value <= entry.high
        assert entry.page in {
            "confusion",
            "robustness",
            "trust",
            "learning",
            "image",
            "gallery",
            "failures",
            "patterns",
        }
        assert 0 <= entry.strength <= 1
        assert np.isnan(entry.p) or entry.p <= 0.05
        assert entry.text.endswith(".")


def test_a_run_of_chance_predictions_yields_no_claim_about_its_classes(tmp_path):
    random = np.random.default_rng(5)
    labels = np.repeat(np.arange(5), 20)
    predictions = random.integers(5, size=(3, 3, 100))
    strengths = random.uniform(0.5, 2, size=(3, 3, 100))

    def own(epoch, variant, image):
        return one_cell(int(labels[image])) * strengths[epoch, variant, image]

    run = craft(tmp_path / "chance", predictions, labels=labels.tolist(), variants=("clean", "gray", "bgr"), own=own)
    kinds = {entry.kind for entry in found(run)}
    # A map of one cell is as bright as its logit is high: that brighter maps are surer is true here.
    assert not kinds & (set(TESTED_KINDS) - {*ALWAYS_REPORTED, "surer"})


def leading(path, early, late, under=0):
    """40 images: maps form at epoch `early` of half of them and at `late` of the others, predictions an epoch later."""
    labels = np.repeat(np.arange(2), 20)
    formed = np.where(np.arange(40) % 2, late, early)
    predictions = np.where(np.arange(4)[:, None] < formed + 1, 1 - labels, labels)[:, None]

    def own(epoch, variant, image):
        return np.roll(one_cell(labels[image]), 0 if epoch >= formed[image] else 5) + under

    return craft(path, predictions, labels=labels.tolist(), own=own)


def test_maps_form_before_the_prediction_where_their_own_image_decides_when(tmp_path):
    entry = {entry.kind: entry for entry in found(leading(tmp_path / "own", 0, 2))}["formation before prediction"]
    assert (entry.value, entry.text.count(" before ")) == (1, 1)
    assert entry.no_effect == pytest.approx(0.75, abs=0.02)  # an early map with a late prediction, or both alike
    assert entry.p <= 0.05 / 13


@pytest.mark.parametrize(("late", "under"), [(0, 0), (2, 40)], ids=["a coin would lead", "similar in all classes"])
def test_maps_that_anything_would_follow_form_before_nothing(tmp_path, late, under):
    assert "formation before prediction" not in {
        entry.kind for entry in found(leading(tmp_path / "any", 0, late, under))
    }


def test_a_run_of_one_epoch_without_errors_claims_nothing_about_errors(tmp_path):
    labels = np.repeat(np.arange(3), 4)
    run = craft(tmp_path / "perfect", np.tile(labels, (1, 1, 1)), labels=labels.tolist())
    kinds = {entry.kind for entry in found(run)}
    assert not kinds & {"failure_ranking", "forgetting", "persistence", "pair", "predicted as", "ensemble", "formation"}


def test_the_untrained_network_picks_out_the_final_patterns_or_does_not(tmp_path):
    labels = np.repeat(np.arange(6), 3)

    def seeded(path, initial):
        run = craft(
            path,
            np.tile(labels, (2, 1, 1)),
            labels=labels.tolist(),
            own=lambda epoch, _, image: one_cell(initial[labels[image]] if epoch == 0 else labels[image]),
            first_epoch=0,
        )
        return {entry.kind: entry for entry in found(run)}["seed"]

    same, turned = seeded(tmp_path / "same", np.arange(6)), seeded(tmp_path / "turned", (np.arange(6) + 1) % 6)
    assert same.text == (
        "The class patterns come in part from the random seed: the untrained network's pattern of a class picks out "
        "the final one of that class first among 6 in 6 of 6 classes (by chance 16.7 %; median rank 1), with a "
        "cosine similarity of 1.00, against 0.00 to those of other classes."
    )
    assert (same.value, same.no_effect) == (1, pytest.approx(1 / 6))
    assert turned.text.startswith("The class patterns are not shown to come from the random seed") and turned.value == 0


def test_with_one_variant_none_is_said_to_agree(tmp_path):
    labels = np.repeat(np.arange(3), 4)
    predictions = np.tile(labels, (3, 1, 1))
    predictions[:, 0, 0] = 1
    run = craft(tmp_path / "alone", predictions, labels=labels.tolist())
    text = {entry.kind: entry.text for entry in found(run)}["persistence"]
    assert text.endswith("for 3 epochs in a row with a mean confidence of 67 %.")


def test_a_lasting_mistake_counts_the_perturbations_under_which_it_is_made(tmp_path):
    labels = np.repeat(np.arange(3), 4)
    predictions = np.tile(labels, (2, 3, 1))
    predictions[:, :2, 0] = 1
    run = craft(tmp_path / "lasting", predictions, labels=labels.tolist(), variants=("clean", "gray", "bgr"))
    text = {entry.kind: entry.text for entry in found(run)}["persistence"]
    assert text.endswith("a mean confidence of 67 %, and so it is under 1 of 2 perturbations.")


@pytest.mark.parametrize("helps", [False, True])
def test_of_averages_the_best_is_told_whether_it_helps_or_not(tmp_path, helps):
    labels, later = np.repeat(np.arange(4), 30), np.repeat(np.arange(4), 30)
    later[::2] = (labels[::2] + 1) % 4
    epochs = [labels, labels, later] if helps else [later, later, labels]
    run = craft(tmp_path / "epochs", np.array(epochs)[:, None], labels=labels.tolist())
    text = {entry.kind: entry.text for entry in found(run)}["ensemble"]
    assert text == (
        "Averaging the probabilities of the last 3 epochs raises the accuracy by 50.0 points, compared with the last "
        "epoch alone."
        if helps
        else "No average of probabilities helps: even the best, of the last 2 epochs, lowers the accuracy by 50.0 "
        "points, compared with the last epoch alone."
    )


@pytest.mark.parametrize(
    ("groups", "turned", "told"),
    [
        ((0, 1, 2, 2), (0,), False),  # two groups of one class each: it is the classes' statement
        ((0, 0, 1, 1), (0,), False),  # one class of the group makes all of its rise
        ((0, 0, 1, 1), (0, 1), True),
    ],
    ids=["of one class", "one class of two", "both classes"],
)
def test_a_confusion_of_one_class_is_not_told_again_of_its_group(tmp_path, groups, turned, told):
    labels = np.repeat(np.arange(4), 40)
    predictions = np.tile(labels, (1, 2, 1))
    goal = groups.index(groups[0] + 1)  # the first class of the next group
    for label in turned:
        predictions[0, 1, 40 * label : 40 * label + 36] = goal
    classes = tuple(ClassInfo(f"c{i}", f"class {i}", f"group {group}") for i, group in enumerate(groups))
    run = craft(tmp_path / "groups", predictions, labels=labels.tolist(), variants=("clean", "gray"), classes=classes)
    texts = {entry.kind: entry.text for entry in found(run)}
    assert "predicted as" in texts and ("group predicted as" in texts) == told
    if told:
        assert texts["group predicted as"] == (
            "Under “gray”, 72 of 80 images of the group “group 0” are predicted as “group 1”; clean, 0 are."
        )


def test_the_tick_of_a_figure_that_has_to_reach_a_limit_stands_at_that_limit(tmp_path):
    """Peaks of 100 maps that follow their logits: brighter is surer, by more than the limit."""
    labels = np.repeat(np.arange(2), 50)
    boxes = np.tile(np.array([0, 0, 8, 8], np.int16), (100, 1))
    boxes[::2] += 8
    run = craft(
        tmp_path / "limits",
        np.tile(labels, (1, 1, 1)),
        labels=labels.tolist(),
        own=lambda _, __, image: one_cell(labels[image]) * (1 + image % 50 / 50) + image % 7 / 7,
        boxes=boxes,
    )
    findings = {entry.kind: entry for entry in found(run)}
    surer, table = findings["surer"], analysed(run).table("map_confidence").set_index("measure")
    assert (surer.no_effect, findings["localisation"].no_effect) == (0.3, 0.1)
    assert "clearly means above 0.3" in surer.text
    single = table.loc["peak", ["overall_low", "overall_high"]]
    assert surer.low < single.iloc[0] < surer.value < single.iloc[1] < surer.high  # the interval holds for both jointly
