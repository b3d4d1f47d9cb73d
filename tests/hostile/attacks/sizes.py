"""Little on disk that asks for gigabytes, and JSON without bounds."""

from functools import partial
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from tests.hostile.attacks.registry import ANALYSIS, EPOCH, RUN, add, replace_dataset


def huge(name: str, path: str, run: Path, secret: Path) -> None:
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


def huge_chunk(name: str, path: str, run: Path, secret: Path) -> None:
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


def bomb(run: Path, secret: Path) -> None:
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


add("zstandard bomb", bomb)
for _path in ("labels", "image_names", "configuration", "pixels"):
    add(f"huge run.h5 {_path}", partial(huge, RUN, _path))
for _path in ("maps", "probabilities", "images/prediction", "confusion", "classes/pattern"):
    add(f"huge epoch {_path}", partial(huge, EPOCH, _path))
add("huge analysis epochs", partial(huge, ANALYSIS, "epochs"))
for _path in ("labels", "configuration"):
    add(f"huge chunk run.h5 {_path}", partial(huge_chunk, RUN, _path))
add("huge chunk epoch confidence", partial(huge_chunk, EPOCH, "images/confidence"))


def json_dataset(path: str, text: bytes, run: Path, secret: Path) -> None:
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
        add(f"{_path}: {_name}", partial(json_dataset, _path, _content))
