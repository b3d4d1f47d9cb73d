"""A smaller run out of a run: chosen epochs, or only each image's strongest maps. The run itself is never touched."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from store.errors import RunExists
from store.format import layout
from store.format.atomic_file import NewFile, altered, made
from store.format.chunks import ChunkReader, ChunkWriter, write_array
from store.format.hdf5_file import PART, seal_file, set_attributes, writing
from store.format.receipts import files_of, write_receipt
from store.format.schema import epoch_field, run_field
from store.read.run import Run
from store.tools.new_place import chosen_epochs, local_folder


def prune_run(run: Run, target: str | Path, *, epochs: Sequence[int] | None = None, top: int | None = None) -> Path:
    """Path of a new run that holds only some epochs, or of every image only the `top` strongest maps and the true class's.

    Maps that are left out decode to zero; probabilities and summaries stay those of the full maps. The new run has
    an id of its own, and its provenance says what it was pruned from.

    Raises:
        RunExists: there is something at `target`.
        NotInRun: an epoch is not in the run, or none is left.
        StoreError: the run lies at a URL.
        WriteFailed: the file system refuses.
    """
    target = local_folder(target)
    run.on_disk("Pruning")
    chosen = sorted(set(chosen_epochs(run, epochs)))
    if top is not None and top < 1:
        raise ValueError(f"At least one map of every image must be kept, got top={top}.")
    if target.exists() or run.path.resolve() in target.resolve().parents:
        raise RunExists(f"There is something at {str(target)!r} already, or it lies in the run. Choose another place.")
    held = run.kept_maps or len(run.classes)
    top = top if top is not None and top < held else None
    facts: dict[str, object] = {
        "run_id": uuid.uuid4().hex,
        "planned_epochs": len(chosen),
        "kept_maps": top or run.kept_maps,
    }
    with writing(target):
        target.mkdir(parents=True)
    try:
        _write_run(run, target, facts, chosen, top)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)  # it was made above, and without run.h5 it is no run
        raise
    return target


def _write_run(run: Run, target: Path, facts: dict[str, object], epochs: list[int], top: int | None) -> None:
    run_part = target / (layout.RUN_FILE + PART)
    with writing(target):
        (target / layout.EPOCHS).mkdir()
        shutil.copyfile(run.path / layout.RUN_FILE, run_part)
        _rewrite_run_file(run, run_part, facts, epochs=epochs)
    for epoch in epochs:
        for source in files_of(run.path, epoch):
            final = target / layout.EPOCHS / source.name
            part = final.with_name(final.name + PART)
            with writing(final):
                _write_epoch(run, source, part, facts, top)
            seal_file(part, final)
        write_receipt(target, epoch, str(facts["run_id"]))
    # Last of all: without run.h5 there is no run, so what an interruption leaves is not predicted as one.
    seal_file(run_part, target / layout.RUN_FILE)
    write_receipt(target, None, str(facts["run_id"]))


def _rewrite_run_file(run: Run, part: Path, facts: dict[str, object], *, epochs: list[int]) -> None:
    origin = {"run": run.id, "name": run.name, "epochs": epochs, "kept_maps": facts["kept_maps"]}
    provenance = json.dumps({**run.provenance, "pruned_from": origin}).encode()
    with altered(part) as file:
        set_attributes(file, facts)
        del file["provenance"]
        write_array(file, "provenance", run_field("provenance"), np.frombuffer(provenance, np.uint8), run.codec)


def _write_epoch(run: Run, source: Path, part: Path, facts: dict[str, object], top: int | None) -> None:
    with h5py.File(source, "r", locking=False) as old:
        if top is None or old["maps"].is_virtual:
            shutil.copyfile(source, part)
        else:
            with made(part) as new:
                new.make_room(source.stat().st_size - old["maps"].id.get_storage_size())
                _copy_but_maps(old, new)
                _thin_maps(run, old, new, top)
    with altered(part) as file:
        set_attributes(file, facts)


def _copy_but_maps(old: h5py.File, new: NewFile) -> None:
    for name, value in old.attrs.items():
        new.attrs[name] = value
    for name in old:
        if name != "maps":
            old.copy(name, new)


def _thin_maps(run: Run, old: h5py.File, new: NewFile, top: int) -> None:
    field = epoch_field("maps")
    reader = ChunkReader(old["maps"], field)
    strengths = ChunkReader(old["probabilities"], epoch_field("probabilities"))
    predictions = ChunkReader(old["images/prediction"], epoch_field("images/prediction"))
    writer = ChunkWriter(new, "maps", field, shape=reader.grid.shape, codec=run.codec)
    first_image = int(old.attrs.get("first_image", 0))
    for strip in range(reader.grid.strips):
        for number in range(reader.grid.chunks):
            first, last = reader.grid.extent(number)
            rows = np.arange(first, last)
            codes = reader.chunk(strip, number).copy()
            kept = kept_classes(strengths.read(strip, rows), top)
            kept[rows - first, run.labels[rows + first_image]] = True
            kept[rows - first, predictions.read(strip, rows)] = (
                True  # cached maps show it, and it could tie for the top
            )
            codes[~kept] = run.zero_point
            writer.put(strip, first, codes)
    writer.finish()
    set_attributes(writer.dataset, {"zero_point": run.zero_point})


def kept_classes(probabilities: NDArray[np.float32], top: int) -> NDArray[np.bool_]:
    """Which maps (n, C) have one of the `top` highest probabilities; the lower class wins a tie."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    kept = np.zeros(probabilities.shape, bool)
    np.put_along_axis(kept, order, True, axis=1)
    return kept
