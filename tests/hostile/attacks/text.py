"""Names that a page or a file could obey."""

from functools import partial
from pathlib import Path

import h5py
import numpy as np

from tests.hostile.attacks.registry import RUN, add, attack, replace_dataset
from tests.hostile.texts import HOSTILE_TEXTS


def texts(text: str, run: Path, secret: Path) -> None:
    encoded = np.bytes_(text.encode())
    with h5py.File(run / RUN, "r+") as file:
        file.attrs["name"] = encoded if len(encoded) < 60_000 else encoded[:60_000]
        for path in ("classes/id", "classes/name", "classes/group"):
            count = len(file[path])
            values = [text.encode() + str(number).encode() * (path == "classes/id") for number in range(count)]
            replace_dataset(file, path, np.array(values, f"S{max(map(len, values))}"))
        replace_dataset(file, "image_names", np.full(file["image_names"].shape, encoded))


for _kind, _content in HOSTILE_TEXTS.items():
    add(f"names are {_kind}", partial(texts, _content))


@attack
def names_are_no_utf8(run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        replace_dataset(file, "classes/name", np.full(file["classes/name"].shape, np.bytes_(b"\xff\xfe\x00x")))


@attack
def all_classes_have_one_id(run: Path, secret: Path) -> None:
    with h5py.File(run / RUN, "r+") as file:
        replace_dataset(file, "classes/id", np.full(file["classes/id"].shape, np.bytes_(b"same")))
