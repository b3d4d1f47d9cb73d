import numpy as np

from store.queries.random_draw import random_draw, random_places


def test_places_are_a_permutation_that_the_seed_fixes(run):
    places = random_places(run, 0)
    assert sorted(places) == list(range(20))
    assert (places == random_places(run, 0)).all() and (places != random_places(run, 1)).any()


def test_the_first_images_of_seed_0_are_always_these(run):
    assert random_draw(run, np.arange(20), 4, seed=0) == [11, 3, 13, 2]


def test_a_filter_does_not_change_the_order_of_the_rest(run):
    everything = random_draw(run, np.arange(20), 20, seed=7)
    even = random_draw(run, np.arange(0, 20, 2), 20, seed=7)
    assert even == [image for image in everything if image % 2 == 0]
    assert sorted(everything) == list(range(20))


def test_each_image_is_first_about_equally_often(run):
    firsts = [random_draw(run, np.arange(20), 1, seed=seed)[0] for seed in range(400)]
    assert np.bincount(firsts, minlength=20).min() >= 6  # 20 expected
