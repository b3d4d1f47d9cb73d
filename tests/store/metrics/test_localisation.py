import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.metrics import localisation


def test_the_cover_of_masks_and_boxes_matches_hand_computed_values():
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True
    mask[3, 3] = True
    assert localisation.mask_cover(mask, (2, 2)).tolist() == [[1, 0], [0, 0.25]]
    mask = np.array([[True, False, False]])  # cells that do not align with pixels share them
    assert localisation.mask_cover(mask, (1, 2)) == pytest.approx(np.array([[2 / 3, 0]]))
    cover = localisation.box_cover([[1, 0, 3, 2], [0, 0, 4, 4]], (4, 4), (2, 2))
    assert cover.tolist() == [[[0.5, 0.5], [0, 0]], [[1, 1], [1, 1]]]
    mask = np.zeros((6, 9), bool)
    mask[1:5, 2:8] = True
    boxes = localisation.box_cover([[2, 1, 8, 5]], (6, 9), (4, 4))[0]
    assert boxes == pytest.approx(localisation.mask_cover(mask, (4, 4)))


def test_evidence_and_peak_on_the_object_match_hand_computed_values():
    maps = np.array([[[3, 1], [0, 0]], [[0, 0], [0, 2]], [[2, 2], [-9, 1]]], np.float32)
    cover = np.array([[1, 0.5], [0, 0]])
    # The third map has 11 11 0 10 above its weakest cell, which holds no evidence.
    assert localisation.evidence_on_object(maps, cover) == pytest.approx([0.875, 0, 16.5 / 32])
    assert localisation.peak_on_object(maps, cover) == pytest.approx([1, 0, 0.75])
    silent = np.zeros((2, 2))
    assert localisation.evidence_on_object(silent, cover) == localisation.object_area(cover) == 0.375
    assert localisation.peak_on_object(silent, cover) == 0.375


def test_a_map_that_follows_its_object_beats_the_class_habit_and_a_fixed_map_does_not():
    cover = np.zeros((4, 2, 2))
    cover[np.arange(4), [0, 0, 1, 1], [0, 1, 0, 1]] = 1
    labels = np.zeros(4, int)
    follows = localisation.image_localisation(cover, cover, labels)
    assert (follows.evidence_on_object.tolist(), follows.evidence_on_others.tolist()) == ([1] * 4, [0] * 4)
    code = localisation.image_localisation(np.broadcast_to(cover[:1], cover.shape), cover, labels)
    assert code.evidence_on_object.mean() == code.evidence_on_others.mean() == 0.25
    alone = localisation.image_localisation(np.ones((1, 2, 2)), np.ones((1, 2, 2)), [0])
    assert np.isnan(alone.evidence_on_others).all()


def test_the_centre_of_mass_is_in_cells_and_that_of_a_silent_map_in_the_middle():
    maps = np.zeros((2, 3, 3))
    maps[0, 2, 0], maps[0, 2, 1] = 1, 3
    assert localisation.centre_of_mass(maps).tolist() == [[2, 0.75], [1, 1]]


def test_following_is_one_for_maps_that_move_along_and_zero_for_those_that_stay():
    before = np.random.default_rng(0).random((5, 2))
    applied = np.array([1.0, -0.5])
    assert localisation.shift_following(before, before + applied, applied) == pytest.approx([1] * 5)
    assert localisation.shift_following(before, before, applied).tolist() == [0] * 5
    assert localisation.shift_following(before, before + applied * 0.5 + [0.5, 1.0], applied) == pytest.approx(
        [0.5] * 5
    )
    with pytest.raises(ValueError, match="The images were not shifted"):
        localisation.shift_following(np.zeros((2, 2)), np.ones((2, 2)), [0, 0])


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_pair_similarity_equals_trying_every_pair(seed):
    random = np.random.default_rng(seed)
    maps, labels = random.random((9, 2, 3)), np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    maps[random.random(9) < 0.2] = 0
    flat = maps.reshape(9, -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    units = np.divide(flat, length, out=np.zeros_like(flat), where=length > 0)
    cosines, same_class = units @ units.T, labels[:, None] == labels
    within, between = localisation.pair_similarity(maps, labels, 4)
    for label in range(3):
        mine = labels == label
        others = ~np.eye(9, dtype=bool)
        assert within[label] == pytest.approx(cosines[mine[:, None] & same_class & others].mean())
        assert between[label] == pytest.approx(cosines[mine[:, None] & ~same_class].mean())
    assert np.isnan(within[3]) and np.isnan(between[3])


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_shares_on_the_object_and_off_it_add_up(seed):
    random = np.random.default_rng(seed)
    maps, mask = random.random((5, 4, 4)), random.random((5, 12, 12)) < 0.4
    on, off = localisation.mask_cover(mask, (4, 4)), localisation.mask_cover(~mask, (4, 4))
    assert on + off == pytest.approx(np.ones((5, 4, 4)))
    assert localisation.evidence_on_object(maps, on) + localisation.evidence_on_object(maps, off) == pytest.approx(
        np.ones(5)
    )
    assert localisation.object_area(on) == pytest.approx(mask.mean((1, 2)))


def test_what_is_gained_by_following_matches_hand_computed_values():
    cover = np.array([[[1, 0]], [[0, 1]], [[1, 1]]], float)  # in the class's mean: 2/3 2/3
    maps = np.array([[[3, 1]], [[0, 2]], [[5, 5]]], float)  # shares 1 0, 0 1, .5 .5; their mean: .5 .5
    found = localisation.image_localisation(maps, cover, [0, 0, 0])
    # 3/2 (.5 (1/3) + (-.5)(-2/3)) = 3/4, twice; the third has a flat map and a flat object.
    assert found.localisation_gain == pytest.approx([0.75, 0.75, 0])
    assert found.possible_gain == pytest.approx([0.75, 0.75, 0])


def test_what_a_map_in_the_objects_shape_gains_leaves_out_what_the_object_has_in_every_cell():
    cover = np.array([[[3, 1]], [[1, 3]]]) / 4  # above the weakest cell: 1 0 and 0 1; their mean: .5 .5
    found = localisation.image_localisation(cover, cover, [0, 0])
    # 2/1 (.5 (1/4) + (-.5)(-1/4)) = 1/2, for the map as for the object
    assert found.localisation_gain == pytest.approx([0.5, 0.5])
    assert found.possible_gain == pytest.approx([0.5, 0.5])


def test_how_far_maps_follow_matches_a_hand_computed_value():
    value, low, high = localisation.object_following(
        [0.2, 0.4, 0.3, 0.1, 0.0, 0.2], [0.5, 0.5, 0.4, 0.4, 0.6, 0.6], [0] * 6
    )
    assert value == pytest.approx(0.4)
    # z = 0, .2, .14, -.06, -.24, -.04: sum z^2 = 0.1224, times 6/5; Student's point with five degrees is 2.5706.
    half = 2.5706 * (0.1224 * 1.2 / 30) ** 0.5 / 0.5
    assert (low, high) == pytest.approx((0.4 - half, 0.4 + half), rel=1e-4)


def test_a_map_in_the_shape_of_the_object_follows_it_wholly_and_one_that_encodes_the_class_not_at_all():
    random = np.random.default_rng(0)
    cover, labels = random.random((12, 3, 3)).round(1), np.repeat([0, 1], 6)
    own = localisation.image_localisation(cover * random.uniform(0.1, 9, (12, 1, 1)), cover, labels)
    assert localisation.object_following(own.localisation_gain, own.possible_gain, labels) == pytest.approx((1, 1, 1))
    code = localisation.image_localisation(random.random((2, 3, 3))[labels], cover, labels)
    assert localisation.object_following(code.localisation_gain, code.possible_gain, labels) == pytest.approx((0, 0, 0))


def test_objects_in_one_place_and_absent_objects_leave_it_unknown():
    maps, labels = np.random.default_rng(0).random((8, 2, 2)), np.repeat([0, 1], 4)
    for cover in (np.broadcast_to([[1, 0.5], [0, 0]], maps.shape), np.zeros(maps.shape), np.ones(maps.shape)):
        found = localisation.image_localisation(maps, cover, labels)
        assert np.isnan(localisation.object_following(found.localisation_gain, found.possible_gain, labels)).all()


def test_classes_of_one_image_are_left_out_and_few_images_have_no_interval():
    cover = np.random.default_rng(1).random((5, 2, 2))
    found = localisation.image_localisation(cover, cover, [0, 0, 0, 0, 1])
    assert (
        np.isnan(found.localisation_gain[4])
        and np.isnan(found.possible_gain[4])
        and np.isfinite(found.localisation_gain[:4]).all()
    )
    value, low, high = localisation.object_following(found.localisation_gain, found.possible_gain, [0, 0, 0, 0, 1])
    assert np.isfinite(value) and (low, high) == (float("-inf"), float("inf"))
    assert np.isnan(localisation.object_following([np.nan], [np.nan], [0])).all()
    half_known = localisation.object_following(
        [0.2, 0.4, 0.3, 0.1, 0.0, 0.2, 9.0], [0.5, 0.5, 0.4, 0.4, 0.6, 0.6, np.nan], [0] * 7
    )
    assert half_known[0] == pytest.approx(0.4)


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_the_mean_gain_is_evidence_on_the_object_beyond_that_on_others(seed):
    random = np.random.default_rng(seed)
    maps, cover, labels = random.normal(size=(9, 2, 3)), random.random((9, 2, 3)), np.array([0] * 4 + [1] * 3 + [2] * 2)
    found = localisation.image_localisation(maps, cover, labels)
    for label in range(3):
        mine = labels == label
        assert found.localisation_gain[mine].mean() == pytest.approx(
            (found.evidence_on_object - found.evidence_on_others)[mine].mean()
        )


@given(st.integers(0, 2**31), st.floats(-50, 50), st.floats(0.1, 50))
@settings(max_examples=40, deadline=None)
def test_where_a_map_lies_ignores_its_strength_and_a_constant_under_it(seed, constant, strength):
    random = np.random.default_rng(seed)
    maps, cover = random.random((6, 3, 3)).round(2), random.random((6, 3, 3))
    moved = maps * strength + constant
    for measure in (localisation.evidence_on_object, localisation.peak_on_object):
        assert measure(moved, cover) == pytest.approx(measure(maps, cover), abs=1e-6)
    assert localisation.centre_of_mass(moved) == pytest.approx(localisation.centre_of_mass(maps), abs=1e-6)


@pytest.mark.parametrize(("classes", "images"), [(1, 10), (10, 2), (20, 10)])
def test_the_interval_holds_the_true_value_about_as_often_as_stated(classes, images):
    """Maps encode the class plus a tenth of noise, and follow nothing: the true value is 0."""
    random, labels = np.random.default_rng(0), np.repeat(np.arange(classes), images)
    covered = 0
    for _ in range(300):
        cover = random.random((len(labels), 4, 4)) ** 3
        maps = random.random((classes, 4, 4))[labels] + 0.1 * random.random((len(labels), 4, 4))
        found = localisation.image_localisation(maps, cover, labels)
        _, low, high = localisation.object_following(found.localisation_gain, found.possible_gain, labels)
        covered += low <= 0 <= high
    assert 0.91 <= covered / 300 <= 0.985  # 0.95, three standard errors to either side
