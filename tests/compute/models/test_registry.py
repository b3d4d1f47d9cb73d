import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from compute.cli import main
from compute.errors import BadModel
from compute.models import Trace, build, describe, names, register
from store import open_run

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "custom-network.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet", {}, "no network 'resnet'. Available: cam, grid, paper"),
        ("paper", {"dropout": 7}, "'paper' cannot be built with the options .*dropout"),
        ("paper", {"dropout": "abc"}, "'paper' cannot be built with the options .*dropout"),
        ("paper", {"depth": 50}, "'paper' has no option 'depth'. Its options: encoder_norm, dropout, scale"),
        ("no_such_module:Net", {}, "cannot be imported"),
        ("tests.compute.cases:Absent", {}, "cannot be imported"),
        ("os.:path", {}, "cannot be imported"),
        ("builtins:str", {}, "A network is a torch.nn.Module"),
    ],
)
def test_what_cannot_be_built_is_refused_with_what_can(name, options, message):
    with pytest.raises(BadModel, match=message):
        build(name, 3, **options)


def test_a_plain_module_is_wrapped_and_its_record_has_no_layers():
    network = build("torch.nn:Identity", 3)
    assert describe(network, image_shape=(5, 7), classes=3) == ((5, 7), {}, {})
    assert network.signed


def test_a_name_is_registered_once():
    @register("test-only")
    class First(nn.Module):
        pass

    with pytest.raises(BadModel, match="already registered as 'test-only'"):
        register("test-only")(nn.Identity)
    assert "test-only" in names()


def test_logits_instead_of_maps_are_refused_before_training():
    network = build("tests.compute.cases:TinyNetwork", 4)
    network.trace = lambda x: Trace(torch.zeros(len(x), 4))
    with pytest.raises(BadModel, match=r"shape \(2, 4\) for 2 images and 4 classes"):
        describe(network, image_shape=(16, 16), classes=4)


@pytest.fixture
def my_networks(tmp_path, monkeypatch):
    """The example of the documentation as a module on the path."""
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "my_networks.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield example
    sys.modules.pop("my_networks", None)


def test_the_documented_example_is_short_trains_and_is_recorded(my_networks, tmp_path):
    code = [line for line in my_networks.splitlines() if line.strip() and not line.lstrip().startswith(("#", '"""'))]
    assert len(code) <= 20
    settings = [
        "model.name=my_networks:PlainNetwork",
        "model.options={width = 4}",
        "data.size=16",
        "data.classes=8",
        "data.train_per_class=6",
        "data.validation_per_class=2",
        "training.epochs=1",
        "training.batch=12",
        'recording.variants=["clean", "gray"]',
    ]
    sets = [part for text in settings for part in ("--set", text)]
    assert main(["train", "--runs-dir", str(tmp_path), "--run", "plain", "--no-analysis", *sets]) == 0
    recorded = open_run(tmp_path / "plain")
    assert recorded.epochs == (0, 1)
    assert recorded.map_shape == (2, 2)
    assert recorded.layer_names == ("features",)
    assert recorded.maps(epoch=1, variant="gray", images=None).shape == (16, 8, 2, 2)
