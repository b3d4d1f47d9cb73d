"""Hostile runs: each function here turns a good run into one that a stranger could send.

`ATTACKS` maps a name to a function (run folder, secret file outside of it). The good run is a small synthetic one with
an analysis; receipts are taken away first, since a stranger would write his own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from tests.hostile.texts import HOSTILE_TEXTS

Attack = Callable[[Path, Path], None]
ATTACKS: dict[str, Attack] = {}
RUN, EPOCH, ANALYSIS = "run.h5", "epochs/0001.h5", "analysis.h5"
FILES = (RUN, EPOCH, ANALYSIS)
OUTSIDE = ("external", "virtual outside", "soft link", "symlink", "epochs is a symlink", "analysis table in external")
SECRET = "the contents of a file outside of the run"


def attack(function: Attack) -> Attack:
    """Register an attack under its function's name."""
    ATTACKS[function.__name__.replace("_", " ")] = function
    return function


def add(name: str, function: Attack) -> None:
    """Register one of a family of attacks."""
    assert name not in ATTACKS, name
    ATTACKS[name] = function


def replace_dataset(file: h5py.File, path: str, values: np.ndarray, **options: object) -> None:
    """Put other values in the place of a dataset, with its attributes and, where it was compressed, compressed."""
    attributes = dict(file[path].attrs) if path in file else {}
    if path in file:
        del file[path]
    values = np.asarray(values)
    if values.size and values.ndim:
        options = {"chunks": tuple(max(1, side) for side in values.shape), **hdf5plugin.Zstd(), **options}
    dataset = file.create_dataset(path, data=values, **options)
    for name, value in attributes.items():
        dataset.attrs[name] = value


# --- files that are no files ----------------------------------------------------------------------------------------


def _fifo(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)


def _socket(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    here = Path.cwd()
    os.chdir(run / Path(name).parent)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(Path(name).name)
    finally:
        os.chdir(here)


def _folder(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).mkdir()


def _symlink_to_secret(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(secret)


def _symlink_to_device(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to("/dev/zero")


def _symlink_loop(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(run / name)


def _symlink_to_a_moved_file(name: str, run: Path, secret: Path) -> None:
    outside = secret.parent / f"moved-{Path(name).name}"
    shutil.move(run / name, outside)
    (run / name).symlink_to(outside)


def _empty(name: str, run: Path, secret: Path) -> None:
    (run / name).write_bytes(b"")


def _text(name: str, run: Path, secret: Path) -> None:
    (run / name).write_text("<html><body>404 Not Found</body></html>")


for _name in (*FILES, "run.json", "epochs/0001.json"):
    for _kind in (_fifo, _socket, _folder, _symlink_to_secret, _symlink_to_device, _symlink_loop, _empty, _text):
        add(f"{_kind.__name__[1:].replace('_', ' ')} {_name}", partial(_kind, _name))
for _name in FILES:
    add(f"symlink to a moved file {_name}", partial(_symlink_to_a_moved_file, _name))


@attack
def epochs_is_a_symlink(run: Path, secret: Path) -> None:
    """The whole folder of epochs lies elsewhere."""
    outside = secret.parent / "outside-epochs"
    shutil.move(run / "epochs", outside)
    (run / "epochs").symlink_to(outside)


@attack
def epochs_is_a_fifo(run: Path, secret: Path) -> None:
    shutil.rmtree(run / "epochs")
    os.mkfifo(run / "epochs")


@attack
def odd_names_among_the_epochs(run: Path, secret: Path) -> None:
    for name in ("0000000000000000099999999999999999999.h5", "-001.h5", "0001 .h5", "1e3.h5", "٠٠٠٣.h5", "00²1.h5"):
        shutil.copy(run / EPOCH, run / "epochs" / name)
    os.mkfifo(run / "epochs" / "0009.h5")
    (run / "epochs" / "0010.h5").mkdir()


@attack
def ten_thousand_epochs_of_nothing(run: Path, secret: Path) -> None:
    for number in range(100, 10_100):
        (run / "epochs" / f"{number:04d}.h5").touch()


# --- receipts -------------------------------------------------------------------------------------------------------


def _receipt(text: str, run: Path, secret: Path) -> None:
    for name in ("run.json", "epochs/0001.json"):
        (run / name).write_text(text)


_RECEIPTS = {
    "a list": "[]",
    "a number": "1e999",
    "null": "null",
    "deep": "[" * 200_000 + "]" * 200_000,
    "deep objects": '{"files":' * 100_000 + "1" + "}" * 100_000,
    "files is a list": '{"run_id": "x", "epoch": null, "files": [1]}',
    "an entry is null": '{"run_id": "x", "epoch": null, "files": {"run.h5": null}}',
    "sizes are texts": '{"run_id": 5, "epoch": null, "files": {"run.h5": {"bytes": "many", "sha256": []}}}',
    "a path outside": '{"run_id": "x", "epoch": 1, "files": {"../../outside": {"bytes": 1, "sha256": "0"}}}',
    "an absolute path": '{"run_id": "x", "epoch": 1, "files": {"/etc/passwd": {"bytes": 1, "sha256": "0"}}}',
    "a huge number": '{"run_id": "x", "epoch": ' + "9" * 100_000 + ', "files": {}}',
    "no UTF-8": "\udcff",
}
for _name, _content in _RECEIPTS.items():
    if _name != "no UTF-8":
        add(f"receipt: {_name}", partial(_receipt, _content))


@attack
def receipt_without_utf8(run: Path, secret: Path) -> None:
    (run / "run.json").write_bytes(b'{"run_id": "\xff\xfe"}')


@attack
def receipt_of_300_megabytes(run: Path, secret: Path) -> None:
    with (run / "epochs/0001.json").open("wb") as file:
        file.write(b'{"run_id": "')
        file.truncate(300_000_000)


# --- links that lead out of the file --------------------------------------------------------------------------------


def _external_storage(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        old = file[path]
        shape, attributes = old.shape or (1,), dict(old.attrs)
        del file[path]
        size = int(np.prod(shape)) or 1
        new = file.create_dataset(path, shape, "u1", external=[(str(secret), 0, size)])
        for key, value in attributes.items():
            new.attrs[key] = value


def _external_link(name: str, path: str, run: Path, secret: Path) -> None:
    other = secret.parent / "other.h5"
    shutil.copy(run / name, other)
    with h5py.File(run / name, "r+") as file:
        del file[path]
        file[path] = h5py.ExternalLink(str(other), path)


def _soft_link(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        file.move(path, "elsewhere")
        file[path] = h5py.SoftLink("/elsewhere")


def _virtual_outside(name: str, path: str, run: Path, secret: Path) -> None:
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
        for _kind in (_external_storage, _external_link, _soft_link, _virtual_outside):
            add(f"{_kind.__name__[1:].replace('_', ' ')} {_name} {_path}", partial(_kind, _name, _path))


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


# --- sizes ----------------------------------------------------------------------------------------------------------


def _huge(name: str, path: str, run: Path, secret: Path) -> None:
    """A dataset of the right kind that asks for 22 GB and stores nothing."""
    with h5py.File(run / name, "r+") as file:
        old = file[path]
        attributes, kind, rank = dict(old.attrs), old.dtype, max(1, old.ndim)
        del file[path]
        side = max(2, round((22e9 / max(1, kind.itemsize)) ** (1 / rank)))
        chunk = tuple([min(side, 1 << 20)] + [1] * (rank - 1))
        new = file.create_dataset(path, (side,) * rank, kind, chunks=chunk, **hdf5plugin.Zstd())
        for key, value in attributes.items():
            new.attrs[key] = value


def _huge_chunk(name: str, path: str, run: Path, secret: Path) -> None:
    """One chunk of 2 GB, a few kilobytes once compressed: what a careless reader unpacks whole."""
    import zstandard

    with h5py.File(run / name, "r+") as file:
        old = file[path]
        attributes, kind, shape = dict(old.attrs), old.dtype, old.shape or (1,)
        rows = 2_000_000_000 // max(1, kind.itemsize * int(np.prod(shape[1:], dtype=np.int64)))
        del file[path]
        shape = (rows, *shape[1:])
        new = file.create_dataset(path, shape, kind, chunks=shape, **hdf5plugin.Zstd())
        packer = zstandard.ZstdCompressor(level=1).compressobj(size=2_000_000_000)
        frame = b"".join(packer.compress(bytes(10_000_000)) for _ in range(200)) + packer.flush()
        new.id.write_direct_chunk((0,) * len(shape), frame)
        for key, value in attributes.items():
            new.attrs[key] = value


def _bomb(run: Path, secret: Path) -> None:
    """Frames of the declared shape that unpack to 6.9 GB."""
    import zstandard

    block = bytes(10_000_000)
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    frame = b"".join(packer.compress(block) for _ in range(690)) + packer.flush()
    with h5py.File(run / EPOCH, "r+", libver="latest") as file:
        for path in ("maps", "probabilities", "images/prediction"):
            old = file[path]
            shape, kind, attributes = old.shape, old.dtype, dict(old.attrs)
            del file[path]
            new = file.create_dataset(path, shape, kind, chunks=old_chunks(shape), **hdf5plugin.Zstd())
            new.id.write_direct_chunk((0,) * len(shape), frame)
            for key, value in attributes.items():
                new.attrs[key] = value


def old_chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The chunk of a small dataset: one variant, everything else whole."""
    return (1, *shape[1:])


add("zstandard bomb", _bomb)
for _path in ("labels", "image_names", "configuration", "pixels"):
    add(f"huge run.h5 {_path}", partial(_huge, RUN, _path))
for _path in ("maps", "probabilities", "images/prediction", "confusion", "classes/pattern"):
    add(f"huge epoch {_path}", partial(_huge, EPOCH, _path))
add("huge analysis epochs", partial(_huge, ANALYSIS, "epochs"))
for _path in ("labels", "configuration"):
    add(f"huge chunk run.h5 {_path}", partial(_huge_chunk, RUN, _path))
add("huge chunk epoch confidence", partial(_huge_chunk, EPOCH, "images/confidence"))


def _json_dataset(path: str, text: bytes, run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        replace_dataset(file, path, np.frombuffer(text, np.uint8))


_JSON = {
    "a list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "deep": b"[" * 200_000 + b"]" * 200_000,
    "empty": b" ",
    "no UTF-8": b"\xff\xfe\xfd",
    "infinity": b'{"a": Infinity, "b": 1e999}',
    "a huge number": b'{"a": ' + b"9" * 50_000 + b"}",
}
for _path in ("configuration", "provenance", "layout"):
    for _name, _content in _JSON.items():
        add(f"{_path}: {_name}", partial(_json_dataset, _path, _content))


# --- code -----------------------------------------------------------------------------------------------------------


def _configured(change: dict[str, object], run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        configuration = json.loads(file["configuration"][...].tobytes())
        configuration |= change
        replace_dataset(file, "configuration", np.frombuffer(json.dumps(configuration).encode(), np.uint8))


_TOUCH = "import pathlib; pathlib.Path({path!r}).touch()"
for _name, _model in {
    "spawns a shell": {"name": "os:spawnvp", "options": {"mode": 0, "file": "sh", "args": ["sh", "-c", "touch pwned"]}},
    "exits": {"name": "os:_exit", "options": {}},
    "imports a module": {"name": "antigravity:fly", "options": {}},
    "is a number": {"name": 7, "options": {}},
    "has a list of options": {"name": "paper", "options": ["a"]},
    "has a million channels": {"name": "paper", "options": {"encoded_channels": 10**9, "scale": 1e308}},
    "has deep options": {"name": "paper", "options": {"a": {"b": {"c": [[[[]]]]}}}},
    "names a class of torch": {"name": "torch.nn:Linear", "options": {"out_features": 10**9}},
}.items():
    add(f"network {_name}", partial(_configured, {"model": _model}))
for _name, _change in {
    "data is a list": {"data": [1]},
    "mean is text": {"data": {"mean": "x", "sd": [0, 0, 0], "seed": "y"}},
    "sd is zero": {"data": {"mean": [0, 0, 0], "sd": [0, 0, 0], "seed": 0}},
    "training is null": {"training": None},
    "model is text": {"model": "os:system"},
}.items():
    add(f"configuration {_name}", partial(_configured, _change))


# --- kinds, shapes and ranges ---------------------------------------------------------------------------------------


def _group_for_dataset(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        del file[path]
        file.create_group(path).attrs["check"] = 1


def _dataset_for_group(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        del file[path]
        file[path] = np.arange(3)


def _missing(name: str, path: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        del file[path]


def _of_type(name: str, path: str, kind: str, run: Path, secret: Path) -> None:
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


def _of_shape(name: str, path: str, shape: tuple[int, ...], run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        replace_dataset(file, path, np.zeros(shape, file[path].dtype))


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
    add(f"group for dataset {_name} {_path}", partial(_group_for_dataset, _name, _path))
    add(f"missing {_name} {_path}", partial(_missing, _name, _path))
    for _kind in ("f8", "S3", "compound", "text of any length", "reference"):
        add(f"{_kind} {_name} {_path}", partial(_of_type, _name, _path, _kind))
    for _shape in ((), (0,), (1,), (2, 2), (1,) * 9):
        add(f"shape {_shape} {_name} {_path}", partial(_of_shape, _name, _path, _shape))
for _name, _path in ((RUN, "classes"), (EPOCH, "images"), (EPOCH, "metrics"), (EPOCH, "cached"), (ANALYSIS, "tables")):
    add(f"dataset for group {_name} {_path}", partial(_dataset_for_group, _name, _path))
    add(f"missing group {_name} {_path}", partial(_missing, _name, _path))


def _filled(path: str, value: float, run: Path, secret: Path) -> None:
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
        add(f"{_path} = {_value}", partial(_filled, _path, _value))


def _labels(values: list[int], run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        replace_dataset(file, "labels", np.resize(values, file["labels"].shape).astype(np.int32))


for _name, _values in {"descending": [2, 1, 0], "beyond": [0, 0, 9], "negative": [-1, 0, 1]}.items():
    add(f"labels {_name}", partial(_labels, _values))


# --- attributes -----------------------------------------------------------------------------------------------------

_ATTRIBUTES = {
    "text of any length": "x",
    "a huge number": np.int64(2**62),
    "negative": np.int64(-2),
    "zero": np.int64(0),
    "not a number": np.float64("nan"),
    "infinite": np.float64("inf"),
    "bytes": np.bytes_(b"\xff\xfe"),
    "an array": np.arange(4),
    "empty": np.zeros(0),
    "a megabyte": np.bytes_(b"x" * 60_000),
}


def _attribute(name: str, key: str, value: object, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        file.attrs[key] = value


def _null_attribute(name: str, key: str, run: Path, secret: Path) -> None:
    with h5py.File(run / name, "r+") as file:
        file.attrs[key] = h5py.Empty("f4")


for _name, _keys in {
    RUN: (
        "run_id",
        "name",
        "signed",
        "kept_maps",
        "planned_epochs",
        "evidence",
        "evidence_error",
        "kind",
        "complete",
        "format",
        "format_version",
        "schema_version",
    ),
    EPOCH: (
        "run_id",
        "epoch",
        "parts",
        "part",
        "kind",
        "complete",
        "format",
        "format_version",
        "label",
        "first_image",
    ),
    ANALYSIS: ("run_id", "analysis_version", "kind"),
}.items():
    for _key in _keys:
        for _kind, _value in _ATTRIBUTES.items():
            add(f"attribute {_name} {_key} is {_kind}", partial(_attribute, _name, _key, _value))
        add(f"attribute {_name} {_key} is null", partial(_null_attribute, _name, _key))


def _metric(value: object, run: Path, secret: Path) -> None:
    with h5py.File(run / EPOCH, "r+") as file:
        file["metrics"].attrs["train_loss"] = value
        file["metrics"].attrs["<img src=x onerror=alert(1)>"] = 1.0


for _kind, _value in _ATTRIBUTES.items():
    add(f"metric is {_kind}", partial(_metric, _value))


def _dataset_attribute(key: str, value: object, run: Path, secret: Path) -> None:
    with h5py.File(run / EPOCH, "r+") as file:
        for path in ("maps", "map_scale", "images/confidence", "cached/true_class_map"):
            file[path].attrs[key] = value


for _key in ("zero_point", "check", "axes"):
    for _kind, _value in _ATTRIBUTES.items():
        add(f"attribute of datasets {_key} is {_kind}", partial(_dataset_attribute, _key, _value))


# --- text -----------------------------------------------------------------------------------------------------------


def _texts(text: str, run: Path, secret: Path) -> None:
    encoded = np.bytes_(text.encode())
    with h5py.File(run / RUN, "r+") as file:
        file.attrs["name"] = encoded if len(encoded) < 60_000 else encoded[:60_000]
        for path in ("classes/id", "classes/name", "classes/group"):
            count = len(file[path])
            values = [text.encode() + str(number).encode() * (path == "classes/id") for number in range(count)]
            replace_dataset(file, path, np.array(values, f"S{max(map(len, values))}"))
        replace_dataset(file, "image_names", np.full(file["image_names"].shape, encoded))


for _kind, _content in HOSTILE_TEXTS.items():
    add(f"names are {_kind}", partial(_texts, _content))


@attack
def names_are_no_utf8(run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        replace_dataset(file, "classes/name", np.full(file["classes/name"].shape, np.bytes_(b"\xff\xfe\x00x")))


@attack
def all_classes_have_one_id(run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        replace_dataset(file, "classes/id", np.full(file["classes/id"].shape, np.bytes_(b"same")))
