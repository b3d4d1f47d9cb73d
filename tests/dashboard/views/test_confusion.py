"""Confusion: scalings, groups and their images, the state a change is measured from, the history of a pair."""

import numpy as np

from dashboard import data
from dashboard.components.matrix import Matrix, cell_codes
from dashboard.images.maps import EQ10
from dashboard.shell.url_state import Selection
from dashboard.views.confusion import parts as confusion_parts
from store import open_run
from store.synthetic import write_synthetic_run


def seen(run, epoch, variant, pinned=None):
    return Selection(run, epoch, variant, None, None, EQ10, "magma", pinned)


def test_a_difference_starts_at_the_pinned_state_else_at_the_first_epoch_else_at_the_clean_images(run):
    assert confusion_parts.earlier_state(seen(run, 3, "gray", pinned=(2, "bgr"))) == (2, "bgr")
    assert confusion_parts.earlier_state(seen(run, 3, "gray")) == (1, "gray")
    assert confusion_parts.earlier_state(seen(run, 1, "gray")) == (1, "clean")
    assert confusion_parts.earlier_state(seen(run, 1, "clean")) is None
    assert confusion_parts.earlier_state(seen(run, 3, "clean", pinned=(3, "clean"))) == (1, "clean")


def test_a_logarithmic_difference_keeps_its_sign_and_shows_single_images():
    codes, largest = cell_codes(
        Matrix(np.array([[10, -1], [1, 0]]), ["a", "b"], ["a", "b"], signed=True, logarithmic=True)
    )
    assert largest == 10 and codes[0, 0] == 255 and codes[1, 1] == 0
    assert codes[1, 0] - 128 == 128 - codes[0, 1] == round(127 * np.log(2) / np.log(11))


def test_the_history_of_a_pair_counts_its_images_at_every_epoch(run):
    pairs, counts = data.confused_pairs(run, 1, "clean"), data.pair_counts(run, 1, "clean")
    assert counts.shape == (len(pairs), 3)
    assert counts[:, 0].tolist() == pairs["count"].tolist()
    for row, history in zip(pairs.itertuples(), counts, strict=True):
        expected = [
            run.confusion(epoch=e, variant="clean")[row.true_class_index, row.predicted_class_index] for e in (1, 2, 3)
        ]
        assert history.tolist() == expected


def test_classes_without_a_group_form_one_group_with_a_name(tmp_path):
    path = write_synthetic_run(tmp_path / "bare", epochs=1)
    run = open_run(path)
    object.__setattr__(run, "classes", run.classes.assign(group=["", " ", "birds", "birds", ""]))
    names, counts = confusion_parts.sum_groups(run, np.ones((5, 5)))
    assert names == ["no group", "birds"] and counts.tolist() == [[9, 6], [6, 4]]


def test_a_cell_of_the_groups_shows_its_images_and_their_pairs(opened, tiny_run):
    link = {"level": "groups", "true_group": "vehicles", "predicted_group": "food"}
    app = opened(tiny_run.parent, "confusion", epoch="1", **link)
    assert not app.exception and not app.warning
    assert "vehicles predicted as food" in [part.value for part in app.subheader]
    assert any("school bus → guacamole" in part.value for part in app.caption)


def test_the_change_between_two_states_is_offered_and_named(opened, tiny_run):
    app = opened(tiny_run.parent, "confusion", values="difference", pin="2.bgr")
    assert not app.exception and not app.warning
    assert any(r"minus **epoch 2, \[B,G,R\]**" in part.value for part in app.caption)


def test_the_confusion_matrix_is_scaled_by_row_and_by_column():
    counts = np.array([[3, 1], [0, 0]])
    assert confusion_parts.scale_counts(counts, "row", None).values.tolist() == [[0.75, 0.25], [0, 0]]
    assert confusion_parts.scale_counts(counts, "column", None).values.tolist() == [[1, 1], [0, 0]]
    change = confusion_parts.scale_counts(counts, "difference", np.array([[1, 1], [0, 2]]))
    assert change.signed and change.values.tolist() == [[2, 0], [0, -2]]


def test_groups_collapse_the_matrix_and_keep_every_image(run):
    counts = run.confusion(epoch=1, variant="clean")
    names, grouped = confusion_parts.sum_groups(run, counts)
    assert names == list(dict.fromkeys(run.classes["group"]))
    assert grouped.sum() == counts.sum() == len(run.labels)


def test_a_class_alone_shows_its_row_of_the_matrix(opened, tiny_run):
    run = open_run(tiny_run)
    wrong = ((run.column("prediction", epoch=1, variant="brg") != run.labels) & (run.labels == 2)).sum()
    app = opened(tiny_run.parent, "confusion", epoch="1", variant="brg", **{"class": "n00000002"})
    assert not app.exception
    assert "guacamole predicted as other classes" in [part.value for part in app.subheader]
    assert f"{wrong} wrong prediction" in "\n".join(caption.value for caption in app.caption)


def test_the_most_confused_pair_of_each_variant_is_listed_once_that_is_opened(opened, tiny_run):
    run = open_run(tiny_run)
    app = opened(tiny_run.parent, "confusion", run="tiny")
    assert len(app.dataframe) == 1
    app.session_state["pairs-of-variants"] = True
    table = app.run().dataframe[1].value
    assert not app.exception
    most = {each: data.confused_pairs(run, 3, each)["count"].max() for each in run.variants}
    assert dict(zip(table["variant"], table["count"], strict=True)) == most
    assert table["count"].is_monotonic_decreasing
