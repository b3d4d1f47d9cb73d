from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.measures import place


def test_the_cover_of_a_mask_is_the_share_of_each_cell():
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True
    mask[3, 3] = True
    assert place.mask_cover(mask, (2, 2)).tolist() == [[1, 0], [0, 0.25]]


def test_cells_that_do_not_align_with_pixels_share_them():
    mask = np.array([[True, False, False]])
    assert place.mask_cover(mask, (1, 2)) == pytest.approx(np.array([[2 / 3, 0]]))


def test_the_cover_of_a_box_matches_hand_computed_values():
    cover = place.box_cover([[1, 0, 3, 2], [0, 0, 4, 4]], (4, 4), (2, 2))
    assert cover.tolist() == [[[0.5, 0.5], [0, 0]], [[1, 1], [1, 1]]]


def test_a_box_covers_what_its_mask_covers():
    mask = np.zeros((6, 9), bool)
    mask[1:5, 2:8] = True
    boxes = place.box_cover([[2, 1, 8, 5]], (6, 9), (4, 4))[0]
    assert boxes == pytest.approx(place.mask_cover(mask, (4, 4)))


def test_energy_and_peak_inside_match_hand_computed_values():
    maps = np.array([[[3, 1], [0, 0]], [[0, 0], [0, 2]], [[2, 2], [-9, 1]]], np.float32)
    cover = np.array([[1, 0.5], [0, 0]])
    assert place.energy_inside(maps, cover) == pytest.approx([0.875, 0, 0.6])
    assert place.peak_inside(maps, cover) == pytest.approx([1, 0, 0.75])


def test_a_silent_map_scores_the_objects_area():
    cover = np.array([[1, 0.5], [0, 0]])
    assert place.energy_inside(np.zeros((2, 2)), cover) == place.area_share(cover) == 0.375
    assert place.peak_inside(np.zeros((2, 2)), cover) == 0.375


def test_a_map_that_follows_its_object_beats_the_class_habit_and_a_fixed_code_does_not():
    cover = np.zeros((4, 2, 2))
    cover[np.arange(4), [0, 0, 1, 1], [0, 1, 0, 1]] = 1
    labels = np.zeros(4, int)
    follows = place.place_scores(cover, cover, labels)
    assert (follows.inside.tolist(), follows.elsewhere.tolist()) == ([1] * 4, [0] * 4)
    code = place.place_scores(np.broadcast_to(cover[:1], cover.shape), cover, labels)
    assert code.inside.mean() == code.elsewhere.mean() == 0.25


def test_a_class_of_one_picture_has_no_elsewhere():
    assert np.isnan(place.place_scores(np.ones((1, 2, 2)), np.ones((1, 2, 2)), [0]).elsewhere).all()


def test_the_centre_of_mass_is_in_cells_and_that_of_a_silent_map_in_the_middle():
    maps = np.zeros((2, 3, 3))
    maps[0, 2, 0], maps[0, 2, 1] = 1, 3
    assert place.centre_of_mass(maps).tolist() == [[2, 0.75], [1, 1]]


def test_following_is_one_for_maps_that_move_along_and_zero_for_those_that_stay():
    before = np.random.default_rng(0).random((5, 2))
    applied = np.array([1.0, -0.5])
    assert place.following(before, before + applied, applied) == pytest.approx([1] * 5)
    assert place.following(before, before, applied).tolist() == [0] * 5
    assert place.following(before, before + applied * 0.5 + [0.5, 1.0], applied) == pytest.approx([0.5] * 5)


def test_nothing_can_follow_no_shift():
    with pytest.raises(ValueError, match="The pictures were not shifted"):
        place.following(np.zeros((2, 2)), np.ones((2, 2)), [0, 0])


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_pair_similarity_equals_trying_every_pair(seed):
    random = np.random.default_rng(seed)
    maps, labels = random.random((9, 2, 3)), np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    maps[random.random(9) < 0.2] = 0
    flat = maps.reshape(9, -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    units = np.divide(flat, length, out=np.zeros_like(flat), where=length > 0)
    cosines, alike = units @ units.T, labels[:, None] == labels
    found = place.pair_similarity(maps, labels, 4)
    for label in range(3):
        mine = labels == label
        others = ~np.eye(9, dtype=bool)
        assert found.within[label] == pytest.approx(cosines[mine[:, None] & alike & others].mean())
        assert found.between[label] == pytest.approx(cosines[mine[:, None] & ~alike].mean())
    assert np.isnan(found.within[3]) and np.isnan(found.between[3])


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_shares_on_the_object_and_off_it_add_up(seed):
    random = np.random.default_rng(seed)
    maps, mask = random.random((5, 4, 4)), random.random((5, 12, 12)) < 0.4
    on, off = place.mask_cover(mask, (4, 4)), place.mask_cover(~mask, (4, 4))
    assert on + off == pytest.approx(np.ones((5, 4, 4)))
    assert place.energy_inside(maps, on) + place.energy_inside(maps, off) == pytest.approx(np.ones(5))
    assert place.area_share(on) == pytest.approx(mask.mean((1, 2)))


def test_what_is_gained_by_following_matches_a_hand_computed_value():
    value, low, high = place.follow([0.6, 0.8, 0.7], [0.4, 0.4, 0.4])
    assert value == pytest.approx(0.3 / 0.6)
    # Student's 97.5 % point with two degrees of freedom is 4.3027, the standard error 0.1 / sqrt(3).
    assert (low, high) == pytest.approx(
        (value - 4.3027 * 0.1 / 3**0.5 / 0.6, value + 4.3027 * 0.1 / 3**0.5 / 0.6), rel=1e-4
    )


def test_maps_that_hold_all_their_evidence_on_the_object_gain_all_and_unknown_pictures_are_left_out():
    assert place.follow([1.0, 1.0, 1.0], [0.2, 0.3, np.nan])[0] == pytest.approx(1)
    assert np.isnan(place.follow([np.nan], [0.5])).all()
    assert np.isnan(place.follow([1.0, 1.0], [1.0, 1.0])).all()  # the object is everywhere: nothing to gain
