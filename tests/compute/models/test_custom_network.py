from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from compute.cli import main
from store import open_run

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "custom-network.md").read_text(encoding="utf-8")


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
    assert recorded.epochs == (1,)
    assert recorded.map_shape == (2, 2)
    assert recorded.layer_names == ("features",)
    assert recorded.maps(epoch=1, variant="gray", images=None).shape == (16, 8, 2, 2)
