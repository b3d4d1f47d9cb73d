import os

import numpy as np
import pytest
import torch

from compute.errors import BadCheckpoint
from compute.models import build
from compute.training.augment import Augmenter, Normaliser
from compute.training.checkpoints import CheckpointFolder
from compute.training.trainer import Trainer
from store import WriteFailed
from tests.compute.cases import tiny_profile


@pytest.fixture
def trainer():
    torch.manual_seed(0)
    profile = tiny_profile()
    normaliser = Normaliser(profile.data.mean, profile.data.sd, torch.device("cpu"))
    network = build(profile.model.name, 8)
    return Trainer(network, settings=profile.training, augment=Augmenter(profile.augmentation, normaliser))


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path, run_id="ours")


def test_weights_come_back_as_they_were(folder, trainer):
    folder.save(1, trainer, {"train_loss": 0.5})
    loaded = folder.load(1)
    assert (loaded.epoch, loaded.run_id, loaded.metrics) == (1, "ours", {"train_loss": 0.5})
    assert all(torch.equal(loaded.weights[name], value) for name, value in trainer.network.state_dict().items())


def test_only_the_last_epochs_optimiser_state_is_kept(folder, trainer, tmp_path):
    for epoch in (1, 2, 10):
        folder.save(epoch, trainer, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001.pt", "0002.pt", "0010.pt", "0010.state.pt"]
    assert folder.epochs() == (1, 2, 10)


def test_both_files_load_without_pickled_code(folder, trainer, tmp_path):
    folder.save(1, trainer, {})
    for path in tmp_path.iterdir():
        assert isinstance(torch.load(path, weights_only=True), dict)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), r"0001.pt' cannot be read"),
        (lambda path: path.unlink(), r"no checkpoint '.*0001.pt'"),
        (lambda path: torch.save({"weights": {}}, path), r"of Classprint: it lacks \['epoch', 'metrics', 'run_id'\]"),
        (lambda path: torch.save({"weights": os.system}, path), "cannot be read"),  # pickled code
        (lambda path: (path.parent / "0009.pt").rename(path), r"0001.pt' is of epoch 9, not 1"),
    ],
)
def test_a_file_that_is_not_the_epochs_checkpoint_is_refused(folder, trainer, tmp_path, change, message):
    folder.save(1, trainer, {})
    folder.save(9, trainer, {})
    change(tmp_path / "0001.pt")
    with pytest.raises(BadCheckpoint, match=message):
        folder.load(1)


def test_a_checkpoint_of_another_run_is_refused(folder, trainer, tmp_path):
    folder.save(1, trainer, {})
    with pytest.raises(BadCheckpoint, match=r"belongs to run ours, not to theirs"):
        CheckpointFolder(tmp_path, run_id="theirs").load(1)


def test_a_checkpoint_of_another_network_is_refused(folder, trainer):
    folder.save(1, trainer, {})
    profile = tiny_profile()
    other = Trainer(build(profile.model.name, 9), settings=profile.training, augment=trainer.augment)
    with pytest.raises(BadCheckpoint, match="does not fit this network"):
        folder.restore(1, other)


def test_a_failed_write_leaves_the_old_checkpoint(folder, trainer, tmp_path, monkeypatch):
    folder.save(1, trainer, {})
    before = (tmp_path / "0001.pt").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteFailed, match=r"could not be written: No space left"):
        folder.save(1, trainer, {})
    assert (tmp_path / "0001.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("name", ["0001.pt", "0001.state.pt"])
def test_a_checkpoint_with_a_changed_byte_is_never_read_as_the_old_one(folder, trainer, tmp_path, name):
    """One byte after the other, all over the file: refused, or read as exactly what was saved."""
    folder.save(1, trainer, {"train_loss": 0.5})
    path, before = tmp_path / name, {key: value.clone() for key, value in trainer.network.state_dict().items()}
    content = path.read_bytes()
    refused = 0
    for number, place in enumerate(np.random.default_rng(0).integers(0, len(content), 200)):
        changed = bytearray(content)
        changed[place] ^= 1 << number % 8
        path.write_bytes(changed)
        try:
            folder.restore(1, trainer)
        except BadCheckpoint:
            refused += 1
        assert all(torch.equal(value, before[key]) for key, value in trainer.network.state_dict().items())
    assert refused > 50


def test_a_changed_weight_is_named(folder, trainer, tmp_path):
    folder.save(1, trainer, {})
    path = tmp_path / "0001.pt"
    content, weights = path.read_bytes(), trainer.network.maps.weight.detach().numpy().tobytes()
    assert content.count(weights) == 1
    place = content.index(weights) + 1
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(BadCheckpoint, match=r"0001.pt' cannot be read: the checksum of its record '.*data/.*' differs"):
        folder.load(1)
