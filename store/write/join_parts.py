"""What an epoch's file contains beyond its parts, and how the parts of several ranks are joined into one epoch.

The joined file shows the parts' datasets by relative names, and itself contains what needs all images: patterns,
similarities, class columns, confusion, metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store.format import layout
from store.format.chunks import write_array
from store.format.description import RunDescription, RunFacts
from store.format.hdf5_file import VIEW_BYTES, NewFile, atomic_file, claim, part_of, set_attributes, set_identity
from store.format.quantization import zero_point
from store.format.receipts import write_receipt
from store.format.record_file import RecordFile
from store.format.schema import epoch_field
from store.read.epoch_data import JoinedEpoch, open_parts
from store.write.summary import CACHED, JOINT_INPUTS, Columns, joint_columns


def join_parts(run: Path, facts: RunFacts, epoch: int, *, world: int) -> bool:
    """Join an epoch's parts if all are complete; returns whether the epoch is visible afterwards.

    Every rank calls it after its part is complete; the last one to do so writes the file.

    Raises:
        DamagedFile: the parts do not fit together.
        WriteFailed: the file system refuses to write.
    """
    final = run / layout.epoch_file(epoch)
    if not all((run / layout.part_file(epoch, rank, world)).exists() for rank in range(world)):
        return False
    with claim(part_of(final), wait=False) as ours:
        if not ours:  # another rank is joining
            return False
        if final.exists():
            part_of(final).unlink()
            return True
        parts = open_parts(run, facts, epoch, world)
        with atomic_file(final) as file:
            _write_joined(file, facts.description, parts)
            about = {"epoch": epoch, "label": parts[0].facts.get("label", ""), "parts": world}
            write_identity(file, facts, about, parts[0].metrics())
    write_receipt(run, epoch, facts.id)
    return True


def finish_parts(run: Path, facts: RunFacts) -> None:
    """Join epochs whose parts are all complete, and remove the parts of those that lost a rank."""
    found: dict[tuple[int, int], list[Path]] = {}
    for path in (run / layout.EPOCHS).glob("*.part*of*.h5"):
        part = layout.part_of_name(path.name)
        if part is not None:
            found.setdefault((part[0], part[2]), []).append(path)
    for (epoch, world), paths in found.items():
        if (run / layout.epoch_file(epoch)).exists() or join_parts(run, facts, epoch, world=world):
            continue
        for path in paths:
            path.unlink(missing_ok=True)


def _write_joined(file: NewFile, description: RunDescription, parts: list[RecordFile]) -> None:
    for path in parts[0].stored:
        if not path.endswith("_crc32"):  # check values of cached blocks stay with the parts
            show_parts(file, path, parts)
    variants, images = range(len(description.variants)), np.arange(len(description.labels))
    epoch = JoinedEpoch(parts[0], parts)  # of what the parts hold; the joint file is being written
    columns = {name: np.stack([epoch.all_rows(f"images/{name}", v) for v in variants]) for name in JOINT_INPUTS}
    cached: Columns = {}
    for kind in CACHED:
        maps, scales = zip(*(epoch.cached_rows(kind, v, images) for v in variants), strict=True)
        cached[f"{kind}_map"], cached[f"{kind}_scale"] = np.stack(maps), np.stack(scales)
    write_joint(file, joint_columns(description, columns, cached))


def show_parts(file: NewFile, path: str, parts: list[RecordFile]) -> None:
    """A virtual dataset: the rows of all parts, one after the other."""
    rows_axis = int(epoch_field(path).has_variant_axis)
    shapes = [part.dataset(path).shape for part in parts]
    shape = list(shapes[0])
    shape[rows_axis] = sum(each[rows_axis] for each in shapes)
    file.reserve(VIEW_BYTES * len(parts))
    view = h5py.VirtualLayout(tuple(shape), parts[0].dataset(path).dtype)
    first = 0
    for part, each in zip(parts, shapes, strict=True):
        index = (slice(None),) * rows_axis + (slice(first, first + each[rows_axis]),)
        view[index] = h5py.VirtualSource(part.path.name, path, each)  # a relative name: the run can be moved
        first += each[rows_axis]
    file.create_virtual_dataset(path, view)
    set_attributes(file[path], {"axes": parts[0].dataset(path).field.axes})


def write_identity(file: NewFile, facts: RunFacts, values: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """Write the attributes that identify an epoch's file, and the metrics."""
    planned, now = facts.description.planned_epochs, datetime.now(UTC).isoformat(timespec="seconds")
    set_identity(file, "epoch", facts.id, {"planned_epochs": planned, "recorded": now, **values})
    set_attributes(file["maps"], {"zero_point": zero_point(facts.description.signed)})
    set_attributes(file.require_group("metrics"), metrics)


def write_joint(file: NewFile, found: Columns) -> None:
    """Write the datasets that need all images of a class."""
    for path, array in found.items():
        write_array(file, path, epoch_field(path), array)
