"""Where things lie in a run's directory, and what run.h5 says about the run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.errors import RunNotFound
from store.format.chunks import ChunkReader, write_array
from store.format.description import ClassInfo, RunDescription, Variant
from store.format.hdf5_file import attributes, check_version, damaged, open_file, set_attributes
from store.format.schema import SCHEMA_VERSION, run_field

RUN_FILE = "run.h5"
ANALYSIS_FILE = "analysis.h5"  # derived from all epochs, not part of the record
EPOCHS = "epochs"
VARIANT_PARTS = ("name", "label", "parameters", "keeps_positions")
_EPOCH_NAME = re.compile(r"^(\d{4,})\.h5$")


@dataclass(frozen=True)
class RunFacts:
    """What run.h5 says, without its images: the run's id and its description (masks and boxes left out)."""

    id: str
    description: RunDescription
    has_masks: bool
    has_boxes: bool
    kept_maps: int = 0  # of each image; 0 = all


def epoch_file(epoch: int) -> str:
    """Path of an epoch's file inside the run."""
    return f"{EPOCHS}/{epoch:04d}.h5"


def part_file(epoch: int, rank: int, world: int) -> str:
    """Path of the file that one rank writes inside the run."""
    return f"{EPOCHS}/{epoch:04d}.part{rank}of{world}.h5"


def receipt_file(epoch: int | None) -> str:
    """Path of an epoch's receipt inside the run; None for that of run.h5."""
    return "run.json" if epoch is None else f"{EPOCHS}/{epoch:04d}.json"


def epoch_of(name: str) -> int | None:
    """The epoch of a file name such as 0003.h5, or None for anything else."""
    found = _EPOCH_NAME.match(name)
    return int(found.group(1)) if found else None


def texts(values: list[str]) -> NDArray[np.bytes_]:
    """Texts as fixed-length UTF-8 bytes."""
    encoded = [value.encode() for value in values]
    return np.array(encoded, dtype=f"S{max(1, *map(len, encoded)) if encoded else 1}")


def write_description(file: h5py.File, run_id: str, description: RunDescription) -> None:
    """Write everything of a description but the images."""
    shapes = {
        "layers": {name: list(shape) for name, shape in description.layers.items()},
        "stages": {name: list(shape) for name, shape in description.stages.items()},
        "map": list(description.map_shape),
        "image": list(description.image_shape),
    }
    arrays: dict[str, NDArray | None] = {
        "labels": description.labels,
        "image_names": texts(list(description.image_names)),
        "classes/id": texts([entry.id for entry in description.classes]),
        "classes/name": texts([entry.name for entry in description.classes]),
        "classes/group": texts([entry.group for entry in description.classes]),
        "variants/name": texts([variant.name for variant in description.variants]),
        "variants/label": texts([variant.label for variant in description.variants]),
        "variants/parameters": texts([json.dumps(dict(variant.parameters)) for variant in description.variants]),
        "variants/keeps_positions": np.array([variant.keeps_positions for variant in description.variants], np.uint8),
        "configuration": _json_bytes(description.configuration),
        "provenance": _json_bytes(description.provenance),
        "layout": _json_bytes(shapes),
        "masks": description.masks,
        "boxes": description.boxes,
    }
    for path, array in arrays.items():
        if array is not None:
            write_array(file, path, run_field(path), np.asarray(array), description.codec)
    values = {name: getattr(description, name) for name in ("name", "signed", "codec", "precision", "planned_epochs")}
    set_attributes(file, {"schema_version": SCHEMA_VERSION, "kind": "run", "run_id": run_id, **values})


def read_description(path: Path) -> RunFacts:
    """What the run.h5 at `path` says.

    Raises:
        RunNotFound: there is none.
        SchemaMismatch: it is of another schema version.
        DamagedFile: it does not hold what was sealed.
    """
    try:
        with open_file(path) as file:
            return _read(file, path)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise RunNotFound(
            f'There is no run at {str(path.parent)!r}. Make one with "make compute", or check the path.'
        ) from err


def _read(file: h5py.File, path: Path) -> RunFacts:
    try:
        facts = attributes(file)
        check_version(path, facts.get("schema_version"))
        arrays = {
            name: ChunkReader(file[name], run_field(name)).all()
            for name in ("labels", "image_names", "configuration", "provenance", "layout")
        }
        for name in ("classes/id", "classes/name", "classes/group", *(f"variants/{part}" for part in VARIANT_PARTS)):
            arrays[name] = ChunkReader(file[name], run_field(name)).all()
        shapes = json.loads(arrays["layout"].tobytes())
        return RunFacts(
            id=str(facts["run_id"]),
            description=_description(facts, arrays, shapes),
            has_masks="masks" in file,
            has_boxes="boxes" in file,
            kept_maps=int(facts.get("kept_maps", 0)),
        )
    except (KeyError, ValueError, OSError, RuntimeError) as err:
        raise damaged(path, str(err)) from err


def _description(facts: Mapping[str, Any], arrays: Mapping[str, NDArray], shapes: Mapping[str, Any]) -> RunDescription:
    classes = [arrays[f"classes/{part}"] for part in ("id", "name", "group")]
    variants = zip(*(arrays[f"variants/{part}"] for part in VARIANT_PARTS), strict=True)
    return RunDescription(
        name=str(facts["name"]),
        classes=tuple(ClassInfo(*(text.decode() for text in row)) for row in zip(*classes, strict=True)),
        variants=tuple(
            Variant(name.decode(), label.decode(), json.loads(parameters), bool(keeps))
            for name, label, parameters, keeps in variants
        ),
        labels=arrays["labels"],
        image_names=tuple(text.decode() for text in arrays["image_names"]),
        image_shape=tuple(shapes["image"]),
        map_shape=tuple(shapes["map"]),
        signed=bool(facts["signed"]),
        layers={name: tuple(shape) for name, shape in shapes["layers"].items()},
        stages={name: tuple(shape) for name, shape in shapes["stages"].items()},
        configuration=json.loads(arrays["configuration"].tobytes()),
        provenance=json.loads(arrays["provenance"].tobytes()),
        codec=str(facts["codec"]),
        precision=str(facts["precision"]),
        planned_epochs=int(facts["planned_epochs"]),
    )


def _json_bytes(value: Mapping[str, Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(dict(value)).encode(), np.uint8)
