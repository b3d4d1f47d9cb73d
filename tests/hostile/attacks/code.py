"""Configurations that name code, or are of the wrong kinds."""

import json
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from tests.hostile.attacks.registry import RUN, add, replace_dataset


def configured(change: dict[str, object], run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        configuration = json.loads(file["configuration"][...].tobytes())
        configuration |= change
        replace_dataset(file, "configuration", np.frombuffer(json.dumps(configuration).encode(), np.uint8))


_TOUCH = "import pathlib; pathlib.Path({path!r}).touch()"
for _name, _model in {
    "spawns a shell": {"name": "os:spawnvp", "options": {"mode": 0, "file": "sh", "args": ["sh", "-c", "touch pwned"]}},
    "exits": {"name": "os:_exit", "options": {}},
    "imports a module": {"name": "antigravity:fly", "options": {}},
    "is a number": {"name": 7, "options": {}},
    "has a list of options": {"name": "paper", "options": ["a"]},
    "has a million channels": {"name": "paper", "options": {"encoded_channels": 10**9, "scale": 1e308}},
    "has deep options": {"name": "paper", "options": {"a": {"b": {"c": [[[[]]]]}}}},
    "names a class of torch": {"name": "torch.nn:Linear", "options": {"out_features": 10**9}},
}.items():
    add(f"network {_name}", partial(configured, {"model": _model}))
for _name, _change in {
    "data is a list": {"data": [1]},
    "mean is text": {"data": {"mean": "x", "sd": [0, 0, 0], "seed": "y"}},
    "sd is zero": {"data": {"mean": [0, 0, 0], "sd": [0, 0, 0], "seed": 0}},
    "training is null": {"training": None},
    "model is text": {"model": "os:system"},
}.items():
    add(f"configuration {_name}", partial(configured, _change))
