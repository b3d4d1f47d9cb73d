"""Attributes of the wrong kinds and ranges."""

from functools import partial
from pathlib import Path

import h5py
import numpy as np

from tests.hostile.attacks.registry import ANALYSIS, EPOCH, RUN, add

ATTRIBUTES = {
    "text of any length": "x",
    "a huge number": np.int64(2**62),
    "negative": np.int64(-2),
    "zero": np.int64(0),
    "not a number": np.float64("nan"),
    "infinite": np.float64("inf"),
    "bytes": np.bytes_(b"\xff\xfe"),
    "an array": np.arange(4),
    "empty": np.zeros(0),
    "a megabyte": np.bytes_(b"x" * 60_000),
}


def attribute(name: str, key: str, value: object, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        file.attrs[key] = value


def null_attribute(name: str, key: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        file.attrs[key] = h5py.Empty("f4")


for _name, _keys in {
    RUN: (
        "run_id",
        "name",
        "signed",
        "kept_maps",
        "planned_epochs",
        "evidence",
        "evidence_error",
        "kind",
        "complete",
        "format",
        "format_version",
        "schema_version",
    ),
    EPOCH: (
        "run_id",
        "epoch",
        "parts",
        "part",
        "kind",
        "complete",
        "format",
        "format_version",
        "label",
        "first_image",
    ),
    ANALYSIS: ("run_id", "analysis_version", "kind"),
}.items():
    for _key in _keys:
        for _kind, _value in ATTRIBUTES.items():
            add(f"attribute {_name} {_key} is {_kind}", partial(attribute, _name, _key, _value))
        add(f"attribute {_name} {_key} is null", partial(null_attribute, _name, _key))


def metric(value: object, run: Path, secret: Path) -> None:
    with h5py.File(run / EPOCH, "r+") as file:
        file["metrics"].attrs["train_loss"] = value
        file["metrics"].attrs["<img src=x onerror=alert(1)>"] = 1.0


for _kind, _value in ATTRIBUTES.items():
    add(f"metric is {_kind}", partial(metric, _value))


def dataset_attribute(key: str, value: object, run: Path, secret: Path) -> None:
    with h5py.File(run / EPOCH, "r+") as file:
        for path in ("maps", "map_scale", "images/confidence", "cached/true_class_map"):
            file[path].attrs[key] = value


for _key in ("zero_point", "check", "axes"):
    for _kind, _value in ATTRIBUTES.items():
        add(f"attribute of datasets {_key} is {_kind}", partial(dataset_attribute, _key, _value))
