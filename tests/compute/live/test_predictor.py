"""A run is data: what it names is never imported, and what it asks for is checked before it costs anything."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from compute.errors import BadCheckpoint, BadModel, BadOption, ComputeError
from compute.live.predictor import load_predictor
from compute.models import build
from compute.models.registry import OPERATOR_NETWORKS
from store import open_run
from store.synthetic import write_synthetic_run

DATA = {"mean": [0.5, 0.5, 0.5], "sd": [0.2, 0.2, 0.2], "seed": 3}
GRID = {"name": "grid", "options": {"stem": "stride1", "dropout": 0.2}}
TINY = {"name": "tests.compute.cases:TinyNetwork", "options": {}}
CLASSES = 3


def write_run(folder, model=GRID, *, network=None, data=DATA, training=None, change=None):
    """A run of 3 classes whose configuration names a model, with a checkpoint of `network`."""
    training = {"precision": "float32"} if training is None else training
    configuration = {"model": model, "data": data, "training": training}
    path = write_synthetic_run(
        folder / "run", epochs=1, classes=CLASSES, images_per_class=1, variants=("clean",), configuration=configuration
    )
    weights = network.state_dict() if network else {"first": torch.zeros(1, 1, 1, 1)}
    if change:
        change(weights)
    (path / "checkpoints").mkdir()
    document = {"epoch": 1, "run_id": open_run(path).id, "weights": weights, "metrics": {}}
    torch.save(document, path / "checkpoints" / "0001.pt")
    return path


def test_a_run_of_a_registered_network_predicts(tmp_path):
    network = build("grid", CLASSES).eval()
    path = write_run(tmp_path, network=network)
    maps, probabilities = load_predictor(path, 1).predict(np.zeros((1, *open_run(path).image_shape, 3), np.uint8))
    with torch.inference_mode():
        expected = network(torch.full((1, 3, *open_run(path).image_shape), -2.5))
    assert np.allclose(maps, expected, atol=1e-5)
    assert probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "model",
    [
        {"name": "os:spawnvp", "options": {"mode": 0, "file": "sh", "args": ["sh", "-c", "touch pwned"]}},
        {"name": "os:_exit", "options": {}},
        {"name": "pathlib:Path.touch", "options": {}},
        {"name": "antigravity:fly", "options": {}},
        {"name": "torch.nn:Linear", "options": {"out_features": 10**9}},
        {"name": "torch.hub:load", "options": {"model": "x"}},
        TINY,
        {"name": "__main__:x", "options": {}},
        {"name": 7, "options": {}},
        {"name": ["grid"], "options": {}},
        {"options": {}},
        "os:system",
        None,
        ["grid"],
        {"name": "grid", "options": ["a"]},
        {"name": "grid", "options": None},
        {"name": "grid", "options": {"width": 10**9}},
        {"name": "grid", "options": {"classes": 10**9}},
        {"name": "grid", "options": {"scale": 1e308}},
        {"name": "grid", "options": {"scale": "1"}},
        {"name": "grid", "options": {"scale": True}},
        {"name": "grid", "options": {"dropout": -0.1}},
        {"name": "grid", "options": {"dropout": [0.1]}},
        {"name": "grid", "options": {"stem": "elsewhere"}},
        {"name": "grid", "options": {"stem": {"a": [[[]]]}}},
        {"name": "paper", "options": {}},
        {"name": "grid\n# heading", "options": {}},
    ],
)
def test_no_run_builds_anything_but_a_known_network_within_its_limits(tmp_path, monkeypatch, model):
    imported = []
    monkeypatch.setattr("importlib.import_module", imported.append)
    path = write_run(tmp_path, model)
    with pytest.raises(BadModel):
        load_predictor(path, 1)
    assert not imported and not Path("pwned").exists()


def test_a_network_of_the_operators_is_built_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv(OPERATOR_NETWORKS, f" {TINY['name']} ,")
    path = write_run(tmp_path, TINY, network=build(TINY["name"], CLASSES))
    assert load_predictor(path, 1).network.state_dict().keys() == build(TINY["name"], CLASSES).state_dict().keys()
    other = write_run(tmp_path / "other", {"name": "os:getpid", "options": {}})
    with pytest.raises(BadModel, match=r"does not build.*TinyNetwork.*A run cannot name code"):
        load_predictor(other, 1)


class Wide(torch.nn.Module):
    """A network whose size an option sets."""

    def __init__(self, classes: int, width: int = 4, depths: tuple[int, ...] = (1,)) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, width * width * width, 1)
        self.maps = torch.nn.Conv2d(width * width * width, classes, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 10**6}, "not between"),
        ({"width": 4096}, "does not fit"),  # 68 billion channels, which no allocation may precede
        ({"width": float("nan")}, "another kind"),
        ({"width": True}, "another kind"),
        ({"depths": [1] * 33}, "more than 32 items"),
        ({"depths": [[1]]}, "list of lists"),
        ({"depths": {"a": 1}}, "no number"),
        ({"depths": [10**9]}, "not between"),
    ],
)
def test_sizes_of_the_operators_network_are_bounded(tmp_path, monkeypatch, options, message):
    name = f"{__name__}:Wide"
    monkeypatch.setenv(OPERATOR_NETWORKS, name)
    path = write_run(tmp_path, {"name": name, "options": options}, network=build(name, CLASSES))
    with pytest.raises(BadModel, match=message):
        load_predictor(path, 1)


def first_of(weights):
    return next(name for name, value in weights.items() if value.ndim == 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop(first_of(weights)),
        lambda weights: weights.update(extra=torch.zeros(1)),
        lambda weights: weights.update({first_of(weights): torch.zeros(1)}),
        lambda weights: weights.update({first_of(weights): weights[first_of(weights)].double()}),
        lambda weights: weights.update({name: torch.zeros(()).expand(value.shape) for name, value in weights.items()}),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, change):
    with pytest.raises(BadModel, match="does not fit the network 'grid'"):
        load_predictor(write_run(tmp_path, network=build("grid", CLASSES), change=change), 1)


@pytest.mark.parametrize(
    "value", [7, "text", None, {"a": 1}, torch.zeros(2).to_sparse(), torch.zeros(1, dtype=torch.cfloat)]
)
def test_a_checkpoint_holds_named_tensors_only(tmp_path, value):
    path = write_run(tmp_path, change=lambda weights: weights.update({first_of(weights): value}))
    with pytest.raises(BadCheckpoint):
        load_predictor(path, 1)


def _compressed(path):
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def _older(path):
    torch.save(torch.load(path), path, _use_new_zipfile_serialization=False)


def _outside(path):
    elsewhere = path.parents[2] / "elsewhere.pt"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _code(path):
    torch.save({"weights": Path.touch}, path)


@pytest.mark.parametrize("damage", [_compressed, _older, _outside, _code])
def test_a_checkpoint_that_is_not_as_classprint_writes_it_is_refused(tmp_path, damage):
    path = write_run(tmp_path)
    damage(path / "checkpoints" / "0001.pt")
    with pytest.raises(BadCheckpoint):
        load_predictor(path, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": None},
        {"data": [1]},
        {"data": {}},
        {"training": []},
        {"training": {"precision": "float8"}},
        {"training": {"precision": ["float32"]}},
        *(
            {"data": DATA | {"mean": mean}}
            for mean in ("x", [0, 0], [0] * 4, [0, 0, True], [0, 0, 1e300], None, [[0] * 3])
        ),
        *({"data": DATA | {"sd": sd}} for sd in ([0, 1, 1], [1, 1, -1], [1e-300, 1, 1], [1, 1], 1, [1, 1, "1"])),
        *({"data": DATA | {"seed": seed}} for seed in (-1, 2**40, 1.5, "1", None, True)),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path, changes):
    path = write_run(tmp_path, **changes)
    with pytest.raises((BadOption, BadModel)):
        load_predictor(path, 1)


def test_every_refusal_is_an_error_that_the_page_shows():
    assert all(issubclass(kind, ComputeError) for kind in (BadCheckpoint, BadModel, BadOption))
