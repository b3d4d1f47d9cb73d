import numpy as np
import pandas as pd
import pytest

from store.analysis.localisation import CLASS_GAP, deciding_quantity, localisation_of
from tests.store.crafted_run import analysed, craft, one_cell


def object_run(path, follows):
    """A class of 16 images, the object in another cell each; the map follows it, or always lights the same cell."""
    labels = [0] * 16 + [1] * 2
    masks = np.zeros((18, 16, 16), bool)
    for image in range(18):
        row, column = divmod(image % 16, 4)
        masks[image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = True

    def own(epoch, variant, image):
        pattern = one_cell(image % 16) if follows else one_cell(5)
        return np.roll(pattern, (1, 1), (0, 1)) / 2 + pattern / 2 if variant == 1 and follows else pattern

    predictions = np.tile(np.array(labels), (1, 2, 1))
    run = craft(path, predictions, labels=labels, variants=("clean", "shift"), own=own, masks=masks)
    return analysed(run).table("localisation")


def test_maps_that_follow_their_object_locate_it(tmp_path):
    table = object_run(tmp_path / "locates", follows=True).set_index("quantity")
    assert table["value"]["evidence_on_object"] == pytest.approx(1)
    assert table["value"]["object_area"] == pytest.approx(1 / 16)
    assert table["value"]["object_following"] == pytest.approx(1)
    assert localisation_of(table.reset_index()) == "locates"


def test_maps_that_ignore_the_object_and_are_alike_in_all_classes_do_neither(tmp_path):
    table = object_run(tmp_path / "neither", follows=False)
    values = table.set_index("quantity")["value"]
    assert values["evidence_on_object"] < 0.2
    assert abs(values["object_following"]) < 0.1
    assert values["shift_following"] == pytest.approx(0)
    assert localisation_of(table[table["quantity"] == "shift_following"]) == "neither"


@pytest.mark.parametrize(
    ("follow", "shift", "quantity", "expected"),
    [
        ((0.2, 0.3), (0.0, 0.05), "object_following", "locates"),
        ((0.0, 0.07), (0.5, 0.6), "object_following", "encodes"),
        ((0.13, 0.23), None, "object_following", "locates"),
        ((0.11, 0.23), None, "object_following", "unknown"),  # at 95 % alone it would not be
        ((0.05, 0.1), None, "object_following", "unknown"),
        ((0.09, 0.11), (0.3, 0.4), "shift_following", "locates"),
        ((0.09, 0.11), (0.0, 0.2), "object_following", "unknown"),
        ((float("-inf"), float("inf")), (0.0, 0.05), "shift_following", "encodes"),
        (None, (0.0, 0.2), "shift_following", "unknown"),
        (None, None, None, "unknown"),
    ],
)
@pytest.mark.parametrize("gap", [(0.1, 0.5), (0.09, 0.5)], ids=["clear", "unclear"])
def test_objects_decide_or_shifted_images_where_objects_leave_it_open(follow, shift, quantity, expected, gap):
    expected = "neither" if expected == "encodes" and gap[0] < CLASS_GAP else expected
    both = (("shift_following", shift), ("object_following", follow), ("class_gap", gap))
    rows = [(name, sum(ends) / 2, *ends) for name, ends in both if ends]
    table = pd.DataFrame(rows, columns=["quantity", "value", "low", "high"])
    assert (deciding_quantity(table), localisation_of(table)) == (quantity, expected)
