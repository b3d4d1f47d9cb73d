from dataclasses import replace

import numpy as np

from store import create_run, open_run
from store.queries import repeated_images, shared_images
from store.synthetic import synthetic_description


def written(path, pixels, labels, names):
    """A run of these images (n, 4, 4, 3), whose first class has the number 0."""
    description = synthetic_description(path.name, 3, 2, epochs=1)
    description = replace(
        description,
        labels=np.array(labels),
        image_names=tuple(names),
        image_shape=(4, 4),
        variants=("clean",),
        masks=None,
        boxes=None,
    )
    with create_run(path, description) as new:
        new.write_images("clean", 0, pixels)
    return open_run(path)


def test_images_are_paired_by_content_whatever_their_names_and_order(tmp_path):
    a, b, c, d = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3), dtype=np.uint8)
    first = written(tmp_path / "first", np.stack([a, b, c]), [0, 0, 1], "abc")
    second = written(tmp_path / "second", np.stack([b, d, a, c]), [0, 0, 0, 2], "wxyz")
    before, after = shared_images(first, second)
    assert before.tolist() == [1, 0] and after.tolist() == [0, 2]  # c is of another class there


def test_images_with_the_pixels_of_an_earlier_one_are_counted(tmp_path):
    pixels = np.zeros((4, 4, 4, 3), np.uint8)
    pixels[2] = 1
    assert repeated_images(written(tmp_path / "run", pixels, [0, 0, 1, 1], "abcd")) == 2  # whatever their class
    pixels[1], pixels[3] = 2, 3
    assert repeated_images(written(tmp_path / "other", pixels, [0, 0, 1, 1], "abcd")) == 0


def test_equal_images_are_paired_one_to_one(tmp_path):
    same = np.zeros((3, 4, 4, 3), np.uint8)
    first = written(tmp_path / "first", same, [0, 0, 0], "abc")
    before, after = shared_images(first, written(tmp_path / "second", same[:2], [0, 0], "de"))
    assert before.tolist() == [0, 1] and after.tolist() == [0, 1]


def test_images_prepared_in_another_way_are_paired_by_all_their_names(tmp_path):
    dark, bright = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 9, np.uint8)
    first = written(tmp_path / "first", dark, [0, 1], "ab")
    before, after = shared_images(first, written(tmp_path / "second", bright, [0, 1], "ab"))
    assert before.tolist() == after.tolist() == [0, 1]
    assert shared_images(first, written(tmp_path / "third", bright, [0, 1], "ax")) is None
