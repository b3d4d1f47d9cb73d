"""One file in which a whole run is a single array: `python -m store link RUN` writes all.h5 for any HDF5 tool.

Nothing is copied: every dataset is a view, by relative names, of the epoch files. h5py, HDFView and MATLAB open it as
long as it stays in the run's folder (codec "zstd" needs HDF5's Zstandard plugin there as well).
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from store.errors import NotInRun
from store.format import layout
from store.format.atomic_file import VIEW_BYTES, NewFile, sealing
from store.format.hdf5_file import PART, claim, set_attributes
from store.format.schema import EPOCH_FIELDS, SCHEMA_VERSION
from store.read.run import Run

LINK_FILE = "all.h5"


def link_run(run: Run) -> Path:
    """Path of the run's all.h5, made anew: each dataset of an epoch with the epoch as its first axis.

    `maps` is [epoch, variant, image, class, y, x]; `epoch` holds the epochs' numbers, and images, labels, names and
    variants are views of run.h5.

    Raises:
        NotInRun: the run has no epochs.
        StoreError: the run lies at a URL.
        WriteFailed: the file system refuses.
    """
    folder, epochs = run.on_disk("Linking"), run.epochs
    if not epochs:
        raise NotInRun(f"The run {str(run.path)!r} has no epochs yet: there is nothing to link.")
    final = folder / LINK_FILE
    part = final.with_name(final.name + PART)
    with claim(part), sealing(part, final) as file:
        _link_epochs(file, run.path, epochs)
        _link_run_file(file, run.path)
        file.create_dataset("epoch", data=np.asarray(epochs, np.int32))
        set_attributes(file, {"schema_version": SCHEMA_VERSION, "kind": "link", "run_id": run.id})
        set_attributes(file["maps"], {"zero_point": run.zero_point, "dimensions": "epoch, variant, image, class, y, x"})
    return final


def _link_epochs(file: NewFile, path: Path, epochs: tuple[int, ...]) -> None:
    names = [layout.epoch_file(epoch) for epoch in epochs]
    missing = _missing([path / name for name in names])
    with h5py.File(path / names[0], "r", locking=False) as first:
        for dataset in _paths(first):
            if dataset in missing:
                continue
            shape, dtype = first[dataset].shape, first[dataset].dtype
            file.make_room(VIEW_BYTES * len(names))
            view = h5py.VirtualLayout((len(names), *shape), dtype)
            for place, name in enumerate(names):
                view[place] = h5py.VirtualSource(name, dataset, shape)
            file.create_virtual_dataset(dataset, view)


def _missing(files: list[Path]) -> set[str]:
    """Optional datasets that some epoch lacks: a view of them would show numbers that nobody recorded."""
    optional = {field.path for field in EPOCH_FIELDS if field.optional and "*" not in field.path}
    absent: set[str] = set()
    for name in files:
        with h5py.File(name, "r", locking=False) as file:
            absent |= {dataset for dataset in optional if dataset not in file}
    return absent


def _paths(first: h5py.File) -> list[str]:
    found: list[str] = []
    for field in EPOCH_FIELDS:
        group, star, rest = field.path.partition("*")
        if field.path.endswith("_crc32"):
            continue
        names = list(first[group]) if star and group in first else []
        found += [f"{group}{name}{rest}" for name in names] if star else [field.path]
    return found


def _link_run_file(file: NewFile, path: Path) -> None:
    with h5py.File(path / layout.RUN_FILE, "r", locking=False) as source:
        for name in ("pixels", "labels", "image_names", "variants", "masks", "boxes"):
            if name in source:
                file[name] = h5py.ExternalLink(layout.RUN_FILE, name)
        file["class_table"] = h5py.ExternalLink(layout.RUN_FILE, "classes")
