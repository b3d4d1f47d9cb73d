import numpy as np
import pytest
import torch

import compute.recording.recorded_images
from compute.recording.perturbations import perturb_array
from compute.recording.recorded_images import RecordedImages
from compute.recording.run_recorder import open_or_create
from compute.training.distributed import Processes
from store import Run, open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, prepared) -> Run:
    path = tmp_path_factory.mktemp("images") / "run"
    open_or_create(path, prepared.material("run"), Processes(), quiet=True)
    return open_run(path)


def test_a_batch_is_what_the_perturbation_makes_of_the_images(run, prepared):
    images = RecordedImages(run, range(5, 24), torch.device("cpu"))
    assert len(images) == 19 and images.labels.tolist() == run.labels[5:].tolist()
    clean = prepared.dataset.validation.images[7:14]
    for variant in run.variants:
        expected = perturb_array(variant, clean, numbers=range(7, 14), seed=0)
        assert np.array_equal(images.batch(variant, slice(2, 9)).numpy(), expected)


def test_where_there_is_room_images_are_read_once(run, monkeypatch):
    room = 3 * 24 * 16 * 16 * 3  # variants, images, pixels and channels
    monkeypatch.setattr(compute.recording.recorded_images, "has_room", lambda device, size: size == room)
    images = RecordedImages(run, range(24), torch.device("cpu"))
    assert images.batch("gray", slice(7, 14)) is images.batch("gray", slice(7, 14))
    assert images.batch("gray", slice(0, 7)) is not images.batch("clean", slice(0, 7))
