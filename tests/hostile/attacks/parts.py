"""Epochs in parts, the training ledger and checkpoints: files that a run has beside the three of `FILES`."""

import os
import shutil
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from tests.hostile.attacks import files, links, sizes, structure
from tests.hostile.attacks.attributes import ATTRIBUTES, attribute, null_attribute
from tests.hostile.attacks.registry import EPOCH, JOINED, LEDGER_EPOCH, LEDGER_IMAGES, PARTS, add, replace_dataset


def missing_file(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink()


CHECKPOINT = "checkpoints/0001.pt"
for _name in (JOINED, *PARTS, LEDGER_IMAGES, LEDGER_EPOCH, CHECKPOINT):
    for _kind in (
        files.fifo,
        files.socket_file,
        files.folder,
        files.symlink_to_secret,
        files.symlink_to_device,
        files.symlink_loop,
        files.empty,
        files.text,
        files.symlink_to_a_moved_file,
        missing_file,
    ):
        add(f"{_kind.__name__.replace('_', ' ')} {_name}", partial(_kind, _name), full=True)

_DATASETS = {
    JOINED: ("confusion", "classes/pattern"),
    PARTS[1]: ("maps", "images/prediction", "cached/true_class_map"),
    LEDGER_IMAGES: ("labels", "image_names", "image_sha256"),
    LEDGER_EPOCH: ("prediction", "label_probability"),
}
for _name, _paths in _DATASETS.items():
    for _path in _paths:
        for _kind in (links.external_storage, links.external_link, links.soft_link, links.virtual_outside):
            add(f"{_kind.__name__.replace('_', ' ')} {_name} {_path}", partial(_kind, _name, _path), full=True)
        for _kind in (structure.group_for_dataset, structure.missing, sizes.huge):
            add(f"{_kind.__name__.replace('_', ' ')} {_name} {_path}", partial(_kind, _name, _path), full=True)
        for _type in ("compound", "text of any length"):
            add(f"{_type} {_name} {_path}", partial(structure.of_type, _name, _path, _type), full=True)
        for _shape in ((), (1,) * 9):
            add(f"shape {_shape} {_name} {_path}", partial(structure.of_shape, _name, _path, _shape), full=True)

_KEYS = {
    JOINED: ("run_id", "epoch", "parts", "kind"),
    PARTS[0]: ("run_id", "epoch", "part", "parts", "first_image", "end_image", "kind"),
    PARTS[1]: ("part", "parts", "first_image", "end_image"),
    LEDGER_IMAGES: ("run_id", "kind", "complete"),
    LEDGER_EPOCH: ("run_id", "epoch", "kind"),
}
for _name, _keys in _KEYS.items():
    for _key in _keys:
        for _kind in ("a huge number", "negative", "not a number", "an array"):
            add(f"attribute {_name} {_key} is {_kind}", partial(attribute, _name, _key, ATTRIBUTES[_kind]), full=True)
        add(f"attribute {_name} {_key} is null", partial(null_attribute, _name, _key), full=True)


def parts_change_places(run: Path, secret: Path) -> None:
    first, second = (run / name for name in PARTS)
    first.rename(run / "epochs" / "aside")
    second.rename(first)
    (run / "epochs" / "aside").rename(second)


def one_part_twice(run: Path, secret: Path) -> None:
    shutil.copy(run / PARTS[0], run / PARTS[1])


def a_whole_epoch_in_the_place_of_a_part(run: Path, secret: Path) -> None:
    shutil.copy(run / EPOCH, run / PARTS[0])


def a_part_in_the_place_of_the_epoch(run: Path, secret: Path) -> None:
    shutil.copy(run / PARTS[0], run / JOINED)


def parts_of_many_worlds(run: Path, secret: Path) -> None:
    for world in (1, 3, 4, 65535, 10**30):
        shutil.copy(run / PARTS[0], run / "epochs" / f"0002.part0of{world}.h5")
    os.mkfifo(run / "epochs" / "0002.part2of3.h5")


def a_joined_epoch_that_shows_another_file(run: Path, secret: Path) -> None:
    shutil.copy(run / JOINED, secret.parent / "joined.h5")
    with h5py.File(run / JOINED, "r+") as file:
        old = file["maps"]
        layout = h5py.VirtualLayout(old.shape, old.dtype)
        layout[...] = h5py.VirtualSource("../../joined.h5", "maps", shape=old.shape, dtype=old.dtype)
        del file["maps"]
        file.create_virtual_dataset("maps", layout)


def a_joined_epoch_that_shows_itself(run: Path, secret: Path) -> None:
    with h5py.File(run / JOINED, "r+") as file:
        old = file["maps"]
        layout = h5py.VirtualLayout(old.shape, old.dtype)
        layout[...] = h5py.VirtualSource(".", "maps", shape=old.shape, dtype=old.dtype)
        del file["maps"]
        file.create_virtual_dataset("maps", layout)


def training_is_a_symlink(run: Path, secret: Path) -> None:
    shutil.move(run / "training", secret.parent / "outside-training")
    (run / "training").symlink_to(secret.parent / "outside-training")


def training_is_a_fifo(run: Path, secret: Path) -> None:
    shutil.rmtree(run / "training")
    os.mkfifo(run / "training")


def odd_names_in_the_ledger(run: Path, secret: Path) -> None:
    for name in ("-001.h5", "0001 .h5", "1e3.h5", "images2.h5", "9" * 60 + ".h5"):
        shutil.copy(run / LEDGER_EPOCH, run / "training" / name)
    os.mkfifo(run / "training" / "0009.h5")


def the_checkpoint_is_of_a_terabyte(run: Path, secret: Path) -> None:
    with (run / CHECKPOINT).open("wb") as file:
        file.truncate(1 << 40)


for _kind in (
    parts_change_places,
    one_part_twice,
    a_whole_epoch_in_the_place_of_a_part,
    a_part_in_the_place_of_the_epoch,
    parts_of_many_worlds,
    a_joined_epoch_that_shows_another_file,
    a_joined_epoch_that_shows_itself,
    training_is_a_symlink,
    training_is_a_fifo,
    odd_names_in_the_ledger,
    the_checkpoint_is_of_a_terabyte,
):
    add(_kind.__name__.replace("_", " "), _kind, full=True)


def ledger_value(path: str, value: float, run: Path, secret: Path) -> None:
    with h5py.File(run / LEDGER_EPOCH, "r+") as file:
        replace_dataset(file, path, np.full(file[path].shape, value, file[path].dtype))


for _path, _values in {
    "prediction": (3, 65535),
    "label_probability": (np.nan, np.inf, -1, 2),
    "margin": (np.nan, -5, 5),
    "loss": (np.nan, np.inf, -1),
}.items():
    for _value in _values:
        add(f"ledger {_path} = {_value}", partial(ledger_value, _path, _value), full=True)
