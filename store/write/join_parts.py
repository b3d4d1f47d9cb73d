"""Parts that ranks wrote, joined into one epoch: a file whose datasets are views of the parts, by relative names.

What needs all images (patterns, similarities, class columns, confusion, figures) is computed here and held by the
joining file.
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np

from store.format import layout
from store.format.atomic_file import VIEW_BYTES, NewFile, sealing
from store.format.hdf5_file import PART, claim, set_attributes
from store.format.layout import RunFacts
from store.format.quantization import zero_point
from store.format.receipts import write_receipt
from store.format.schema import EPOCH_FIELDS, Field, epoch_field
from store.read.epoch_parts import open_parts, part_path
from store.read.sealed_file import SealedFile
from store.write.epoch_file import write_identity, write_joint
from store.write.summary import JOINED_FROM, Columns, joint_columns


def join_parts(run: Path, facts: RunFacts, epoch: int, *, world: int) -> bool:
    """Join an epoch's parts if all are sealed; returns whether the epoch is visible afterwards.

    Every rank calls it after sealing its part; the last one to do so makes the file.

    Raises:
        DamagedFile: the parts do not fit together.
        WriteFailed: the file system refuses.
    """
    final = run / layout.epoch_file(epoch)
    if not all(part_path(final.parent, epoch, rank, world).exists() for rank in range(world)):
        return False
    temporary = final.with_name(final.name + PART)
    with claim(temporary, wait=False) as ours:
        if not ours:  # another rank is joining
            return False
        if final.exists():
            temporary.unlink()
            return True
        parts = open_parts(final.parent, facts.id, epoch, world)
        with sealing(temporary, final) as file:
            _write(file, facts, parts)
            write_identity(file, facts, epoch, parts[0].metrics())
            set_attributes(file, {"parts": world})
    write_receipt(run, epoch, facts.id)
    return True


def finish_parts(run: Path, facts: RunFacts) -> None:
    """Join epochs whose parts are all sealed, and remove the parts of those that lost a rank."""
    found: dict[tuple[int, int], list[Path]] = {}
    for path in (run / layout.EPOCHS).glob("*.part*of*.h5"):
        epoch, _, world = (int(number) for number in re.findall(r"\d+", path.name)[:3])
        found.setdefault((epoch, world), []).append(path)
    for (epoch, world), paths in found.items():
        if (run / layout.epoch_file(epoch)).exists() or join_parts(run, facts, epoch, world=world):
            continue
        for path in paths:
            path.unlink(missing_ok=True)


def _write(file: NewFile, facts: RunFacts, parts: list[SealedFile]) -> None:
    description = facts.description
    for path in _viewed(parts[0]):
        _view(file, path, parts)
    if "maps" in file:
        set_attributes(file["maps"], {"zero_point": zero_point(description.signed)})
    variants = range(len(description.variant_names))
    columns: Columns = {
        name: np.stack([np.concatenate([part.strip(f"images/{name}", v) for part in parts]) for v in variants])
        for name in JOINED_FROM
    }
    cached: Columns = {}
    for kind in ("true_class", "predicted_class"):
        pairs = [[part.cached_rows(kind, v, _all_rows(part)) for part in parts] for v in variants]
        cached[f"{kind}_map"] = np.stack([np.concatenate([codes for codes, _ in row]) for row in pairs])
        cached[f"{kind}_scale"] = np.stack([np.concatenate([steps for _, steps in row]) for row in pairs])
    zero = zero_point(description.signed)
    found = joint_columns(description.labels, columns, cached, classes=len(description.classes), zero_point=zero)
    write_joint(file, found, description.codec)


def _all_rows(part: SealedFile) -> np.ndarray:
    return np.arange(part.facts["end_image"] - part.facts["first_image"])


def _viewed(part: SealedFile) -> list[str]:
    """Paths of the datasets that become views; check values of hot blocks stay with the parts."""
    found = []
    for field in EPOCH_FIELDS:
        if field.joint or field.path.endswith("_crc32"):
            continue
        found += [field.path] if "*" not in field.path else _expanded(field, part)
    return found


def _expanded(field: Field, part: SealedFile) -> list[str]:
    group = field.path.split("/")[0]
    return [field.path.replace("*", name) for name in part.names(group)]


def _view(file: NewFile, path: str, parts: list[SealedFile]) -> None:
    lead = epoch_field(path).lead
    shape, dtype = parts[0].shape_and_type(path)
    total = sum(part.shape_and_type(path)[0][lead] for part in parts)
    file.make_room(VIEW_BYTES * len(parts))
    view = h5py.VirtualLayout((*shape[:lead], total, *shape[lead + 1 :]), dtype)
    at = 0
    for part in parts:
        shape, _ = part.shape_and_type(path)
        index = (slice(None),) * lead + (slice(at, at + shape[lead]),)
        view[index] = h5py.VirtualSource(part.path.name, path, shape)  # a relative name: the run can be moved
        at += shape[lead]
    file.create_virtual_dataset(path, view)
