"""What a run keeps of its training images: a ledger from the training pass or a clean one, and thumbnails."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from compute.data.dataset import image_digests
from compute.recording.run_recorder import open_or_create
from compute.runs.interrupt import StopRequest
from compute.runs.prepare import prepare
from compute.runs.run import Experiment, TrainingJob, kernel_similarity
from store import open_run
from store.check.verify import verify_run
from store.queries.training_set import training_images
from tests.compute.cases import tiny_profile


def train(path, *settings):
    """What was prepared, and the run of one epoch at `path`."""
    prepared = prepare(tiny_profile("training.epochs=1", *settings), device="cpu")
    writer = open_or_create(path, TrainingJob(prepared).material(path), prepared.processes)
    Experiment(prepared, writer, StopRequest()).train_and_record()
    return prepared, open_run(path)


def test_the_clean_pass_is_the_networks_output_after_the_epoch(tmp_path):
    prepared, run = train(tmp_path / "run", "recording.training=clean")
    network, training_set = prepared.network.eval(), prepared.training_set()
    with torch.no_grad():
        logits = network(prepared.normaliser(training_set.images)).mean((-1, -2))
    columns = run.training_ledger.epoch(1)
    losses = functional.cross_entropy(logits, training_set.labels, reduction="none").numpy()
    assert np.allclose(columns["loss"], losses, rtol=0.05, atol=0.02)  # the network computes in bfloat16
    assert verify_run(tmp_path / "run") == []


def test_the_training_pass_gives_the_figures_that_the_epoch_has(tmp_path):
    _, run = train(tmp_path / "run")
    columns, metrics = run.training_ledger.epoch(1), run.metrics().set_index("epoch").loc[1]
    labels = run.training_ledger.images()["label"]
    assert columns["loss"].mean() == pytest.approx(metrics["train_loss"], rel=1e-5)
    assert (columns["prediction"] == labels).mean() == pytest.approx(metrics["train_top1"])
    assert metrics["ledger_seconds"] > 0


def test_images_of_an_incomplete_batch_have_no_values(tmp_path):
    _, run = train(tmp_path / "run", "training.batch=20")
    columns = run.training_ledger.epoch(1)
    assert columns["loss"].isna().sum() == 48 - 2 * 20
    assert (training_images(run)["seen"] == 0).sum() == 8
    assert verify_run(tmp_path / "run") == []


def test_exchanged_labels_content_and_thumbnails_are_kept(tmp_path):
    prepared, run = train(tmp_path / "run", "data.noise=0.25")
    images = run.training_ledger.images()
    assert (images["label"] != images["original_label"]).sum() == 12
    numbers, pixels = run.training_ledger.thumbnails()
    assert numbers.tolist() == list(range(48))  # fewer than are kept of each order
    assert np.array_equal(pixels, prepared.dataset.training_images().images)  # small already
    assert np.array_equal(run.training_ledger.image_sha256(), image_digests(pixels))


def test_the_kernels_similarity_is_the_mean_over_the_classes():
    initial = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 2.0]]]])
    turned = torch.tensor([[[[0.0, 3.0]]], [[[0.0, 1.0]]]])  # one by 90 degrees, one not
    assert kernel_similarity(turned, initial) == pytest.approx(0.5)
    assert kernel_similarity(5 * initial, initial) == pytest.approx(1)
