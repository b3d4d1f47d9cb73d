"""Datasets and values of the wrong kinds, shapes and ranges."""

from functools import partial
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from tests.hostile.attacks.registry import ANALYSIS, EPOCH, RUN, add, replace_dataset


def group_for_dataset(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        del file[path]
        file.create_group(path).attrs["check"] = 1


def dataset_for_group(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        del file[path]
        file[path] = np.arange(3)


def missing(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        del file[path]


def of_type(name: str, path: str, kind: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        shape = file[path].shape
        if kind == "text of any length":
            values, options = np.full(shape, "x", object), {"dtype": h5py.string_dtype()}
        elif kind == "reference":
            values, options = np.full(shape, file.ref, object), {"dtype": h5py.ref_dtype}
        else:
            values, options = np.zeros(shape, np.dtype(kind) if kind != "compound" else [("a", "i4"), ("b", "S5")]), {}
        attributes = dict(file[path].attrs)
        del file[path]
        new = file.create_dataset(path, data=values, **options)
        for key, value in attributes.items():
            new.attrs[key] = value


def of_shape(name: str, path: str, shape: tuple[int, ...], run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        replace_dataset(file, path, np.zeros(shape, file[path].dtype))


def filter_parameters(name: str, path: str, run: Path, secret: Path) -> None:
    """The Zstandard filter with more parameters than h5py has room for."""
    with h5py.File(run / name, "r+") as file:
        old = file[path]
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk(old.chunks)
        creation.set_filter(int(hdf5plugin.Zstd.filter_id), 0, tuple(range(1000)))
        kind, space = old.id.get_type(), old.id.get_space()
        del file[path]
        h5py.h5d.create(file.id, path.encode(), kind, space, creation)


for _name, _path in ((RUN, "pixels"), (EPOCH, "maps"), (ANALYSIS, "tables/findings")):
    add(f"filter parameters {_name} {_path}", partial(filter_parameters, _name, _path))
for _name, _path in (
    (RUN, "labels"),
    (RUN, "classes/name"),
    (RUN, "pixels"),
    (RUN, "configuration"),
    (EPOCH, "maps"),
    (EPOCH, "map_scale"),
    (EPOCH, "images/prediction"),
    (EPOCH, "images/top5"),
    (EPOCH, "probabilities"),
    (EPOCH, "confusion"),
    (EPOCH, "cached/true_class_map"),
    (EPOCH, "classes/pattern"),
    (ANALYSIS, "epochs"),
    (ANALYSIS, "tables/findings"),
):
    add(f"group for dataset {_name} {_path}", partial(group_for_dataset, _name, _path))
    add(f"missing {_name} {_path}", partial(missing, _name, _path))
    for _kind in ("f8", "S3", "compound", "text of any length", "reference"):
        add(f"{_kind} {_name} {_path}", partial(of_type, _name, _path, _kind))
    for _shape in ((), (0,), (1,), (2, 2), (1,) * 9):
        add(f"shape {_shape} {_name} {_path}", partial(of_shape, _name, _path, _shape))
for _name, _path in ((RUN, "classes"), (EPOCH, "images"), (EPOCH, "metrics"), (EPOCH, "cached"), (ANALYSIS, "tables")):
    add(f"dataset for group {_name} {_path}", partial(dataset_for_group, _name, _path))
    add(f"missing group {_name} {_path}", partial(missing, _name, _path))


def filled(path: str, value: float, run: Path, secret: Path) -> None:
    with h5py.File(run / EPOCH, "r+") as file:
        file[path][...] = np.full(file[path].shape, value, file[path].dtype)


for _path, _values in {
    "images/prediction": (3, 65535),
    "images/runner_up": (65535,),
    "images/top5": (65535,),
    "images/confidence": (np.nan, np.inf, -5, 2),
    "images/label_rank": (0, 65535),
    "images/correction_cells": (65535,),
    "images/corrected_prediction": (65535,),
    "images/similarity": (np.nan, 1e30),
    "map_scale": (0, -1, np.nan, np.inf, 1e38),
    "probabilities": (np.nan, np.inf, -1, 0),
    "confusion": (-1, 2**31 - 1),
    "classes/count": (-7, 2**31 - 1),
    "classes/accuracy": (np.inf, -3),
    "classes/pattern": (np.nan, np.inf, 1e38),
    "cached/predicted_class_scale": (np.nan, -1),
}.items():
    for _value in _values:
        add(f"{_path} = {_value}", partial(filled, _path, _value))


def labels(values: list[int], run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        replace_dataset(file, "labels", np.resize(values, file["labels"].shape).astype(np.int32))


for _name, _values in {"descending": [2, 1, 0], "beyond": [0, 0, 9], "negative": [-1, 0, 1]}.items():
    add(f"labels {_name}", partial(labels, _values))
