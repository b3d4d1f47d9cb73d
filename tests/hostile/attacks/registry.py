"""The list of attacks, which their families fill, and what several of them need.

An attack is a function (run folder, secret file outside of it) that turns a good run, a small synthetic one with an
analysis and without receipts, into one that a stranger could send.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from store.format.chunks import combine, compress, frame_check

Attack = Callable[[Path, Path], None]
ATTACKS: dict[str, Attack] = {}
ON_FULL_RUN: set[str] = set()
RUN, EPOCH, ANALYSIS = "run.h5", "epochs/0001.h5", "analysis.h5"
FILES = (RUN, EPOCH, ANALYSIS)
JOINED, PARTS = "epochs/0002.h5", ("epochs/0002.part0of2.h5", "epochs/0002.part1of2.h5")
LEDGER_IMAGES, LEDGER_EPOCH = "training/images.h5", "training/0001.h5"
OUTSIDE = (
    *("external", "virtual outside", "soft link", "symlink", "epochs is a symlink", "analysis table in external"),
    *("a joined epoch that shows", "training is a symlink"),
)
SECRET = "the contents of a file outside of the run"


def attack(function: Attack) -> Attack:
    """Register an attack under its function's name."""
    ATTACKS[function.__name__.replace("_", " ")] = function
    return function


def add(name: str, function: Attack, *, full: bool = False) -> None:
    """Register one of a family of attacks; a full run has a training ledger and an epoch in parts, too."""
    assert name not in ATTACKS, name
    ATTACKS[name] = function
    if full:
        ON_FULL_RUN.add(name)


def replace_dataset(file: h5py.File, path: str, values: np.ndarray, **options: object) -> None:
    """Put other values in the place of a dataset as the store would write them: compressed, with checksums that fit.

    Whatever `options` of HDF5 say otherwise is written by HDF5 itself, whose chunks have no checksum.
    """
    attributes = dict(file[path].attrs) if path in file else {}
    shuffle = path in file and bool(getattr(file[path], "shuffle", False))
    if path in file:
        del file[path]
    values = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
    is_plain = values.size and values.ndim
    if is_plain:
        chunks = tuple(max(1, side) for side in values.shape)
        options_of_chunks = {"chunks": chunks, "shuffle": shuffle, **hdf5plugin.Zstd(), **options}
        dataset = file.create_dataset(path, data=values, **options_of_chunks)
    else:
        dataset = file.create_dataset(path, data=values, **options)
    if is_plain and not options:
        frame = compress(values, shuffle=shuffle)
        dataset.id.write_direct_chunk((0,) * values.ndim, frame)
        attributes |= {"check": combine(np.array([frame_check(frame)], np.uint32))} if "check" in attributes else {}
    for name, value in attributes.items():
        dataset.attrs[name] = value
