"""One file in which a whole run is a single array: `python -m store link RUN` writes all.h5 for any HDF5 tool.

Nothing is copied: every dataset is a view, by relative names, of the epoch files. h5py, HDFView and MATLAB open it as
long as it stays in the run's folder (HDF5's Zstandard plugin is needed there as well).
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from store.errors import NotInRun
from store.format import layout
from store.format.description import RunDescription, open_run_file
from store.format.hdf5_file import VIEW_BYTES, NewFile, atomic_file, claim, part_of, set_attributes, set_identity
from store.format.quantization import zero_point
from store.format.record_file import RecordFile
from store.format.structure import StoredDataset
from store.read.run import Run

LINK_FILE = "all.h5"


def link_run(run: Run) -> Path:
    """Path of the run's all.h5, always written whole: each dataset of an epoch with the epoch as its first axis.

    `maps` is [epoch, variant, image, class, y, x]; `epoch` holds the epochs' numbers, and images, labels, names and
    variants are links to run.h5. Optional datasets that some epoch lacks are left out.

    Raises:
        NotInRun: the run has no epochs.
        StoreError: the run is at a URL.
        WriteFailed: the file system refuses to write.
    """
    folder, epochs = run.on_disk("Linking"), run.epochs
    if not epochs:
        raise NotInRun(f"The run {str(run.path)!r} has no epochs yet: there is nothing to link.")
    final = folder / LINK_FILE
    with claim(part_of(final)), atomic_file(final) as file:  # claimed: two commands would write one unfinished file
        _link_epochs(file, run.path, run.description, epochs)
        _link_run_file(file, run.path)
        file.create_dataset("epoch", data=np.asarray(epochs, np.int32))
        set_identity(file, "link", run.id, {})
        set_attributes(file["maps"], {"zero_point": zero_point(run.signed)})
    return final


def _link_epochs(file: NewFile, path: Path, description: RunDescription, epochs: tuple[int, ...]) -> None:
    names = [layout.epoch_file(epoch) for epoch in epochs]
    datasets = [_datasets(path / name, description) for name in names]
    for dataset, stored in datasets[0].items():
        # A view of a dataset that one epoch lacks would show numbers that nobody recorded.
        if any(dataset not in others for others in datasets) or dataset.endswith("_crc32"):
            continue
        file.reserve(VIEW_BYTES * len(names))
        view = h5py.VirtualLayout((len(names), *stored.shape), stored.dtype)
        for place, name in enumerate(names):
            view[place] = h5py.VirtualSource(name, dataset, stored.shape)
        file.create_virtual_dataset(dataset, view)
        set_attributes(file[dataset], {"axes": f"epoch {stored.field.axes}"})


def _datasets(path: Path, description: RunDescription) -> dict[str, StoredDataset]:
    """Path -> what is known of every dataset that an epoch's file holds or shows."""
    file = RecordFile(path, "epoch")
    file.expect(description)
    return {**file.views, **file.stored}


def _link_run_file(file: NewFile, path: Path) -> None:
    source, _ = open_run_file(path / layout.RUN_FILE)
    for name in ("pixels", "labels", "image_names", "masks", "boxes"):
        if source.has(name):
            file[name] = h5py.ExternalLink(layout.RUN_FILE, name)
    for name, target in (("variants", "variants"), ("class_table", "classes")):
        file[name] = h5py.ExternalLink(layout.RUN_FILE, target)
