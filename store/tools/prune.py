"""A smaller copy of a run: chosen epochs, or only each image's strongest maps. The run itself is never changed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.errors import RunExists
from store.format import layout
from store.format.chunks import ChunkWriter, write_array
from store.format.description import RunFacts, json_bytes
from store.format.hdf5_file import NewFile, atomic_path, set_attributes, unfinished_file, write_errors
from store.format.quantization import decode, error_bound, zero_point
from store.format.receipts import files_of, write_receipt
from store.format.record_file import RecordFile
from store.format.schema import FORMAT, FORMAT_VERSION, epoch_field, run_field
from store.read.epoch_data import open_parts
from store.read.run import Run
from store.tools.new_place import chosen_epochs, local_folder
from store.write.join_parts import show_parts
from store.write.summary import kept_classes

MAP_DATASETS = ("maps", "map_scale", "map_classes", "logits")
_SOURCES = (
    *MAP_DATASETS,
    "mean_map",
    "probabilities",
    "images/prediction",
    "images/predicted_logit",
    "images/label_logit",
)


def prune_run(run: Run, target: str | Path, *, epochs: Sequence[int] | None = None, top: int | None = None) -> Path:
    """Path of a new run with only some epochs, or with only the maps of each image's `top` strongest classes and its
    true class.

    Maps that are left out read as NaN; logits, probabilities and summaries stay those of all maps. The new run has an
    id of its own, and its provenance says what it was pruned from. The training ledger is not copied.

    Raises:
        RunExists: there is something at `target` already.
        NotInRun: an epoch is not in the run, or none is left.
        StoreError: the run is at a URL, or `target` is one.
        WriteFailed: the file system refuses to write.
    """
    target = local_folder(target)
    run.on_disk("Pruning")
    chosen = sorted(set(chosen_epochs(run, epochs)))
    if top is not None and top < 1:
        raise ValueError(f"At least one map of every image must be kept, got top={top}.")
    # Not resolve(), here and elsewhere: for links in a circle it raises RuntimeError.
    if os.path.lexists(target) or Path(os.path.realpath(run.path)) in Path(os.path.realpath(target)).parents:
        raise RunExists(f"{str(target)!r} exists already, or is inside the run. Choose another folder.")
    if top is not None and top >= (run.kept_maps or len(run.classes) - 1):  # the run has no more than that
        top = None
    facts: dict[str, object] = {
        "run_id": uuid.uuid4().hex,
        "planned_epochs": sum(epoch > 0 for epoch in chosen),
        "kept_maps": top or run.kept_maps,
    }
    with write_errors(target):
        target.mkdir(parents=True)
    try:
        _write_run(run, target, facts, chosen, top)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)  # created above, and not a run without run.h5
        raise
    return target


def _write_run(run: Run, target: Path, facts: dict[str, Any], epochs: list[int], top: int | None) -> None:
    # run.h5 gets its name last: without it, what an interruption leaves is not mistaken for a run.
    with atomic_path(target / layout.RUN_FILE) as part:
        shutil.copyfile(run.path / layout.RUN_FILE, part)
        _rewrite_run_file(run, part, facts, epochs=epochs)
        for epoch in epochs:
            for source in reversed(files_of(run.path, epoch)):  # parts before the file that shows them
                with atomic_path(target / layout.EPOCHS / source.name) as epoch_part:
                    _write_epoch(run, source, epoch_part, facts, top)
            write_receipt(target, epoch, facts["run_id"])
    write_receipt(target, None, facts["run_id"])


def _rewrite_run_file(run: Run, part: Path, facts: dict[str, Any], *, epochs: list[int]) -> None:
    origin = {"run": run.id, "name": run.name, "epochs": epochs, "kept_maps": facts["kept_maps"]}
    with unfinished_file(part, "r+") as file:
        set_attributes(file, facts)
        del file["provenance"]
        provenance = json_bytes({**run.provenance, "pruned_from": origin})
        write_array(file, "provenance", run_field("provenance"), provenance)


def _write_epoch(run: Run, source: Path, part: Path, facts: dict[str, Any], top: int | None) -> None:
    old = RecordFile(source, "epoch")
    old.expect(run.description)
    if top is None or old.is_joined:
        shutil.copyfile(source, part)
    else:
        with unfinished_file(part) as new:
            new.reserve(source.stat().st_size - old.stored_bytes("maps"))
            _copy_but_maps(source, old, new)
            _keep_strongest(run, old, new, top)
    with unfinished_file(part, "r+") as file:
        set_attributes(file, {name: value for name, value in facts.items() if name != "kept_maps"})
        if top is not None and old.is_joined:
            pruned = RunFacts(facts["run_id"], replace(run.description, kept_maps=top))
            parts = open_parts(part.parent.parent, pruned, old.facts["epoch"], old.facts["parts"])
            for path in MAP_DATASETS:
                file.pop(path, None)
                show_parts(file, path, parts)
            set_attributes(file["maps"], {"zero_point": zero_point(run.signed)})


def _copy_but_maps(source: Path, old: RecordFile, new: NewFile) -> None:
    """Copy what the schema knows, and no other dataset that may be in the file."""
    set_attributes(new, {"format": FORMAT, "format_version": FORMAT_VERSION, **old.facts})
    with h5py.File(source, "r", locking=False) as file:
        for path in ("metrics", *old.stored):
            if path not in MAP_DATASETS:
                file.copy(path, new.require_group(path.rpartition("/")[0] or "/"), name=path.rpartition("/")[2])


def _keep_strongest(run: Run, old: RecordFile, new: NewFile, top: int) -> None:
    """Write the maps of the `top` highest logits of each image and of its true class; their bytes stay as they are."""
    data = {path: old.reader(path) for path in _SOURCES if old.has(path)}
    first_image, grid = old.facts.get("first_image", 0), data["maps"].grid
    sizes = {**run.description.sizes, "N": grid.rows, "K": top + 1}
    writers = {path: ChunkWriter(new, path, epoch_field(path), epoch_field(path).shape(sizes)) for path in MAP_DATASETS}
    for variant, number in np.ndindex(grid.variants, grid.chunks):
        first, last = grid.extent(number)
        found = {path: reader.read(variant, np.arange(first, last)) for path, reader in data.items()}
        labels = run.labels[first_image + first : first_image + last]
        if "logits" not in found:
            found["logits"] = _logits_of(found, labels, zero_point(run.signed))
        classes = kept_classes(found["logits"], labels, top + 1)
        places = classes
        if "map_classes" in found:  # where the class stands among those kept before
            places = (found["map_classes"][:, None] == classes[:, :, None]).argmax(2)
        chosen = np.arange(last - first)[:, None], places
        kept = {"maps": found["maps"][chosen], "map_scale": found["map_scale"][chosen]}
        kept |= {"map_classes": classes, "logits": found["logits"]}
        for path, writer in writers.items():
            writer.put(variant, first, kept[path])
    for writer in writers.values():
        writer.finish()
    set_attributes(new["maps"], {"zero_point": zero_point(run.signed)})


def _logits_of(found: dict[str, NDArray], labels: NDArray, zero: int) -> NDArray[np.float32]:
    """Logits (n, C) of all classes: the prediction's plus the logarithm of a probability's ratio to the prediction's.

    Where a probability is too small for that, the mean of the decoded map.
    """
    each, prediction = np.arange(len(labels)), found["images/prediction"].astype(np.int64)
    probabilities = found["probabilities"].astype(np.float64)
    highest = found["images/predicted_logit"][:, None]
    normal = probabilities >= np.finfo(np.float32).tiny
    ratio = np.log(np.where(normal, probabilities, 1) / probabilities[each, prediction][:, None])
    means = decode(found["maps"], found["map_scale"], zero_point=zero).mean((2, 3))
    if "mean_map" in found:
        means += found["mean_map"].mean((1, 2))[:, None]
    bound = error_bound(found["map_scale"])
    # Of maps below 1e-5, float32 probabilities say less than the decoded maps, within whose error each logit lies.
    logits = np.where(normal, np.clip(highest + ratio, means - bound, means + bound), means)
    # The prediction stays the highest: a logit that equals its own to the last digit is one digit less.
    logits = np.minimum(logits, np.nextafter(highest, np.float32(-np.inf)))
    logits[each, labels] = found["images/label_logit"]
    logits[each, prediction] = highest[:, 0]
    return logits.astype(np.float32)
