import hashlib
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from compute.errors import BadWeights
from compute.models import build
from compute.training.weights import load_weights


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("tests.compute.cases:TinyNetwork", 4)


@pytest.fixture
def saved(tmp_path):
    """Saves a dictionary as a weights file and returns its path."""

    def save(state, name="weights.pt"):
        torch.save(state, tmp_path / name)
        return str(tmp_path / name)

    return save


def encoder_state(**changes):
    state = {
        "0.weight": torch.full((8, 3, 5, 5), 0.5),
        "1.weight": torch.ones(8),
        "1.bias": torch.arange(8.0),
        "1.running_mean": torch.zeros(8),
        "1.running_var": torch.ones(8),
    }
    return {**state, **changes}


def test_none_loads_nothing(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    report = load_weights(network, "none")
    assert report.loaded == ()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert report.summary() == "none, all drawn at random"


def test_a_file_fills_the_encoder_and_reports_what_fitted(network, saved):
    path = saved({**encoder_state(), "fc.weight": torch.zeros(10, 8)})
    report = load_weights(network, path)
    assert torch.equal(network.encoder[0].weight, torch.full((8, 3, 5, 5), 0.5))
    assert report.source == "weights.pt"
    assert report.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert len(report.loaded) == 5
    assert report.missing == ()
    assert report.unexpected == ("encoder.fc.weight",)


def test_a_file_with_the_networks_own_prefix_and_in_a_checkpoint_dictionary_fits_too(network, saved):
    state = {f"encoder.{name}": value for name, value in encoder_state().items()}
    report = load_weights(network, saved({"state_dict": state}))
    assert len(report.loaded) == 5


def test_a_file_that_fills_less_than_half_of_the_encoder_is_refused_unless_it_is_meant(network, saved):
    path = saved({"1.bias": torch.ones(8), "1.weight": torch.ones(8), "conv1.weight": torch.ones(3)})
    with pytest.raises(
        BadWeights, match=r"Of the encoder's 5 tensors .* only 2; missing are encoder.0.weight.*--partial-w"
    ):
        load_weights(network, path)
    assert len(load_weights(network, path, partial=True).loaded) == 2


def test_what_the_file_lacks_is_reported_and_stays_random(network, saved):
    state = encoder_state()
    del state["0.weight"]
    before = network.encoder[0].weight.clone()
    report = load_weights(network, saved(state))
    assert report.missing == ("encoder.0.weight",)
    assert torch.equal(network.encoder[0].weight, before)


def test_the_heads_of_a_file_never_reach_the_networks_head(saved):
    network = build("cam", 3)
    before = network.fc.weight.clone()
    resnet = build("cam", 1000).encoder.state_dict()
    report = load_weights(network, saved({**resnet, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}))
    assert report.unexpected == ("encoder.fc.bias", "encoder.fc.weight")
    assert torch.equal(network.fc.weight, before)


def test_a_stem_of_another_size_is_left_out_where_the_network_replaces_it(saved):
    report = load_weights(build("grid", 3, stem="stride1"), saved(build("cam", 3).encoder.state_dict()))
    assert report.missing == ("encoder.conv1.weight",)
    assert report.unexpected == ("encoder.conv1.weight",)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"0.weight": torch.zeros(8, 3, 7, 7)},
            r"contain encoder.0.weight as \(8, 3, 7, 7\), the network needs \(8, 3, 5, 5\)",
        ),
        ({"0.weight": torch.full((8, 3, 5, 5), float("nan"))}, r"NaN or infinity in encoder.0.weight"),
        (
            {"features.3.weight": torch.zeros(3)},
            r"Nothing in the weights .* fits this network: the file contains features.3.weight",
        ),
        ({7: torch.zeros(3)}, "contains a dict that is empty or"),
        ({"0.weight": torch.zeros(8, 3, 5, 5).to_sparse()}, "contains a dict that is empty or"),
        (
            {"0.weight": torch.zeros(8, 3, 5, 5, device="meta")},
            "contains a dict that is empty or",
        ),
        ({"epoch": 3}, "contains a dict that is empty or"),
        ({}, "contains a dict that is empty or"),
        ([torch.zeros(3)], r"contains a list"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(network, saved, state, message):
    with pytest.raises(BadWeights, match=message):
        load_weights(network, saved(state))


class Harmful:
    """What an attacker pickles: loading it would create a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickled_code_is_refused_and_never_runs(network, saved, tmp_path):
    path = saved({"0.weight": Harmful(str(tmp_path / "made"))})
    with pytest.raises(BadWeights, match="loads tensors only, never pickled code"):
        load_weights(network, path)
    assert not (tmp_path / "made").exists()


def test_a_whole_pickled_network_is_refused(network, saved):
    with pytest.raises(BadWeights, match=r"save model.state_dict\(\) instead"):
        load_weights(network, saved(nn.Conv2d(1, 1, 1)))


@pytest.mark.parametrize("content", [b"", b"not a file of PyTorch", b"PK\x03\x04 and no more"])
def test_a_file_of_something_else_is_refused(network, tmp_path, content):
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(BadWeights, match=r"weights.pt' (cannot be read|is not a plain state dict)"):
        load_weights(network, str(tmp_path / "weights.pt"))


def test_a_truncated_file_is_refused(network, saved, tmp_path):
    path = saved(encoder_state())
    content = Path(path).read_bytes()
    (tmp_path / "short.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadWeights, match="cannot be read"):
        load_weights(network, str(tmp_path / "short.pt"))


def test_an_absent_file_is_refused(network):
    with pytest.raises(BadWeights, match=r"no weights file 'nowhere.pt'"):
        load_weights(network, "nowhere.pt")


def test_without_a_network_connection_imagenet_weights_are_refused_with_what_to_do(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(
        BadWeights, match=r"downloaded from https://download.pytorch.org.*no route to host.*'.*checkpoints'"
    ):
        load_weights(build("paper", 3), "imagenet")


def test_a_file_in_the_cache_that_is_not_torchvisions_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(build("cam", 3).encoder.state_dict(), folder / "resnet18-f37072fd.pth")
    with pytest.raises(BadWeights, match=r"resnet18-f37072fd.pth' is not the file that torchvision published"):
        load_weights(build("paper", 3), "imagenet")


def test_a_changed_byte_in_a_weight_is_noticed(network, saved):
    path = Path(saved(encoder_state()))
    content, bias = path.read_bytes(), torch.arange(8.0).numpy().tobytes()
    place = content.index(bias) + 9
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(BadWeights, match=r"cannot be read: the checksum of its record 'weights/data/2' differs"):
        load_weights(network, str(path))


def test_a_file_without_checksums_is_read(network, saved):
    torch.serialization.set_crc32_options(False)
    try:
        path = saved(encoder_state())
    finally:
        torch.serialization.set_crc32_options(True)
    assert len(load_weights(network, path).loaded) == 5


def test_a_file_of_the_older_format_is_read(network, tmp_path):
    torch.save(encoder_state(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert len(load_weights(network, str(tmp_path / "old.pt")).loaded) == 5


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("prefix", ["", "encoder."])
def test_what_was_wrapped_around_the_network_when_it_was_saved_does_not_matter(network, saved, wrapper, prefix):
    state = {f"{wrapper}{prefix}{name}": value for name, value in encoder_state().items()}
    report = load_weights(network, saved(state))
    assert len(report.loaded) == 5
    assert report.unexpected == ()
    assert torch.equal(network.encoder[1].bias, torch.arange(8.0))
