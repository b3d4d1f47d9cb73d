"""Links that lead out of a file, or in a circle."""

import shutil
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from tests.hostile.attacks.registry import ANALYSIS, EPOCH, FILES, RUN, add, attack


def external_storage(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        old = file[path]
        shape, attributes = old.shape or (1,), dict(old.attrs)
        del file[path]
        size = int(np.prod(shape)) or 1
        new = file.create_dataset(path, shape, "u1", external=[(str(secret), 0, size)])
        for key, value in attributes.items():
            new.attrs[key] = value


def external_link(name: str, path: str, run: Path, secret: Path) -> None:
    other = secret.parent / "other.h5"
    shutil.copy(run / name, other)
    with h5py.File(run / name, "r+") as file:
        del file[path]
        file[path] = h5py.ExternalLink(str(other), path)


def soft_link(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        file.move(path, "elsewhere")
        file[path] = h5py.SoftLink("/elsewhere")


def virtual_outside(name: str, path: str, run: Path, secret: Path) -> None:
    other = secret.parent / "virtual.h5"
    shutil.copy(run / name, other)
    with h5py.File(run / name, "r+") as file:
        old = file[path]
        attributes = dict(old.attrs)
        layout = h5py.VirtualLayout(old.shape, old.dtype)
        layout[...] = h5py.VirtualSource(str(other), path, shape=old.shape, dtype=old.dtype)
        del file[path]
        new = file.create_virtual_dataset(path, layout)
        for key, value in attributes.items():
            new.attrs[key] = value


TARGETS = {RUN: ("labels", "configuration"), EPOCH: ("maps", "images/prediction", "confusion"), ANALYSIS: ("epochs",)}
for _name, _paths in TARGETS.items():
    for _path in _paths:
        for _kind in (external_storage, external_link, soft_link, virtual_outside):
            add(f"{_kind.__name__.replace('_', ' ')} {_name} {_path}", partial(_kind, _name, _path))


@attack
def analysis_table_in_external_storage(run: Path, secret: Path) -> None:
    with h5py.File(run / ANALYSIS, "r+") as file:
        del file["tables/findings"]
        kind = np.dtype([("kind", "S8"), ("text", "S40"), ("page", "S8")])
        file.create_dataset("tables/findings", (1,), kind, external=[(str(secret), 0, kind.itemsize)])


@attack
def groups_in_a_circle(run: Path, secret: Path) -> None:
    for name in FILES:
        with h5py.File(run / name, "r+") as file:
            group = file.require_group("circle")
            group["again"] = group
            group["root"] = file["/"]
