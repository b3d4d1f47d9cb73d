"""Weights as people save them: every common form of checkpoint becomes the named tensors of one network.

Nothing is unpickled beyond what `torch.load(weights_only=True)` allows, and argparse.Namespace, a holder of plain
values that the training scripts of timm and torchvision save beside their weights.
"""

from __future__ import annotations

import argparse
import pickle
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compute.errors import BadWeights

# what torch.load raises for damaged files, besides UnpicklingError for files that contain more than tensors
UNREADABLE = (
    *(RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, struct.error),
    MemoryError,
)
# Entries that hold the weights, the preferred one first: a moving average is what timm and torchvision evaluate.
ENTRIES = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "state_dict", "model_state_dict", "model", "net", "network"),
    *("weights", "module"),
)
_WRAPPERS = ("module.", "_orig_mod.")  # of DistributedDataParallel or AveragedModel, and of torch.compile
_COMPILED = "_orig_mod."  # also inside a name, where only a part of the network was compiled
_COUNTER = "n_averaged"  # AveragedModel's own; no network has it
_ZIP_START = b"PK\x03\x04"  # how torch.load tells its own archives from older files
_LIGHTNING = "pytorch-lightning_version"
_STARTS = {  # what people have by mistake -> what it is and what to do
    b"version https://git-lfs": "a Git LFS pointer, not the file itself. Fetch the file with: git lfs pull",
    b"<!doctype html": "a web page, not weights. Download the file itself, not the page about it",
    b"<html": "a web page, not weights. Download the file itself, not the page about it",
    b"\x89hdf": "an HDF5 file, as Keras saves. Convert it to a PyTorch state dict first",
    b"{": "a JSON text, perhaps the index of a checkpoint in several files. Name a file with the tensors",
}


@dataclass(frozen=True)
class SavedWeights:
    """The tensors of one file, by name, without the prefixes of wrappers.

    `entry` is where they were in the file ("" = the file itself); `others` are further entries with tensors, which
    were not taken. `epoch` is the number of finished epochs that the file gives, None where it gives none;
    `epoch_is_certain` where it is known how the library that wrote it counts.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    entry: str = ""
    others: tuple[str, ...] = ()
    epoch: int | None = None
    epoch_is_certain: bool = False


def read_weights(path: Path, *, entry: str = "") -> SavedWeights:
    """The weights in a file, as torch.save, Lightning, timm, safetensors or this project wrote it.

    Args:
        path: the file.
        entry: the entry of the checkpoint to take; the first of ENTRIES unless given.

    Raises:
        BadWeights: there is no such file or entry, it contains pickled code or no tensors, or several entries could be
            meant.
    """
    if not path.is_file():
        what = "is a folder. Name a file in it" if path.is_dir() else "does not exist. Check the path"
        raise BadWeights(f"There is no weights file '{path}': it {what}.")
    with path.open("rb") as file:
        start = file.read(64)
    _refuse_mistakes(path, start)
    if path.suffix == ".safetensors" or start[8:10] == b'{"':
        document: Any = _read_safetensors(path)
    else:
        document = _read_pickle(path)
    return _from_document(path, document, entry)


def load_tensors(path: Path, *, archive_only: bool = False) -> Any:
    """What torch.save wrote into a file, on the CPU; only tensors and plain values are unpickled.

    A file without checksums, written before PyTorch 1.6 or under set_crc32_options(False), is loaded as it is, unless
    `archive_only` asks for what PyTorch writes today: an older file says itself how much memory it takes.

    Raises:
        ValueError: a record has changed since it was written.
        pickle.UnpicklingError, RuntimeError, OSError and others: what torch.load raises.
    """
    with path.open("rb") as file:
        is_archive = file.read(len(_ZIP_START)) == _ZIP_START
    if is_archive:  # torch.load compares no checksum: one flipped bit would silently be another network
        _check_records(path)
    elif archive_only:
        raise ValueError("it is no archive as torch.save writes it")
    return torch.load(path, map_location="cpu", weights_only=True)


def fit_weights(saved: SavedWeights, own: Mapping[str, Tensor], *, prefix: str = "") -> dict[str, Tensor]:
    """The saved tensors under a network's own names and in its types: all that it has, and none that it lacks.

    Args:
        saved: see `read_weights`.
        own: the network's state dict; may be on the device "meta".
        prefix: the part of the file's names before the network's; found unless given. Tensors under other prefixes,
            such as those of a Lightning module's metrics, do not belong to the network.

    Raises:
        BadWeights: a tensor is missing, left over, of another shape or not finite; the first ones are named.
    """
    prefix = prefix or find_prefix(saved, own)
    given = {name.removeprefix(prefix): value for name, value in saved.tensors.items() if name.startswith(prefix)}
    # PyTorch itself does without the counters of batches, which older files lack
    missing = [name for name in own if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in own]
    if missing or unexpected:
        parts = [
            f"{len(names)} {what}: {first_names(names)}"
            for what, names in (
                ("tensors of the network are not in it", missing),
                ("of its tensors fit none", unexpected),
            )
            if names
        ]
        raise BadWeights(
            f"The weights '{saved.path}' do not fit the network: {'; '.join(parts)}. "
            "They belong to another network, or to one with other options."
        )
    check_tensors(str(saved.path), given, own)
    return {name: value.to(own[name].dtype) for name, value in given.items()}


def check_tensors(source: str, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raises BadWeights for the first tensor of another shape than the network's, or with NaN or infinity."""
    for name, value in tensors.items():
        if value.shape != own[name].shape:
            raise BadWeights(
                f"The weights '{source}' contain {name} as {tuple(value.shape)}, the network needs "
                f"{tuple(own[name].shape)}. They belong to another network."
            )
        if not torch.isfinite(value).all():
            raise BadWeights(
                f"The weights '{source}' contain NaN or infinity in {name}. Download or export them again."
            )


def is_plain(name: object, value: object) -> bool:
    """Whether this is a named tensor that can be copied into a network as it is."""
    if not isinstance(name, str) or not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not (value.is_complex() or value.is_meta or value.is_quantized)


def first_line(err: Exception) -> str:
    """The first line of PyTorch's message, without its pages of advice and its full stop."""
    return (str(err).splitlines() or [type(err).__name__])[0].rstrip(". ")


def first_names(names: Iterable[str]) -> str:
    """The first three names in order, and how many more there are."""
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


# --- Reading -----------------------------------------------------------------------------------------------------


def _refuse_mistakes(path: Path, start: bytes) -> None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        raise BadWeights(f"The weights file '{path}' cannot be read: it is empty. Save or download it again.")
    for beginning, what in _STARTS.items():
        if text.startswith(beginning):
            raise BadWeights(f"'{path}' is {what}.")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    import safetensors
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (safetensors.SafetensorError, *UNREADABLE) as err:
        raise BadWeights(
            f"The weights file '{path}' cannot be read: {first_line(err)}. "
            "It is damaged, truncated or no safetensors file; download it again."
        ) from err


def _read_pickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return load_tensors(path)
    except pickle.UnpicklingError as err:
        found = re.search(r"GLOBAL ([\w.]+)", str(err))  # torch's own message would advise to run the pickled code
        reason = f"it contains '{found[1]}'" if found else "it cannot be read as tensors"
        raise BadWeights(
            f"The weights file '{path}' is not a plain state dict: {reason}. "
            "Classprint loads tensors only, never pickled code; save model.state_dict() instead. "
            "If you trust the file, convert it once (this runs what it contains), with its own entry for 'state_dict': "
            f"python -c \"import torch; c = torch.load('{path}', map_location='cpu', weights_only=False); "
            f"torch.save(c['state_dict'], '{path.stem}-weights.pt')\""
        ) from err
    except UNREADABLE as err:
        raise BadWeights(
            f"The weights file '{path}' cannot be read: {first_line(err)}. "
            "It is damaged, truncated or no state dict; save model.state_dict() with torch.save, or download it again."
        ) from err


def _from_document(path: Path, document: Any, entry: str) -> SavedWeights:
    """The tensors in what a file contains: the document itself, or one of its entries."""
    if not isinstance(document, Mapping):
        raise _no_weights(path, document)
    entries = _entries(document)
    if entry and entry not in entries:
        raise BadWeights(
            f"The weights file '{path}' has no entry '{entry}' with tensors. It has: {', '.join(entries) or 'none'}."
        )
    chosen = entry or next((name for name in ENTRIES if name in entries), "")
    if not chosen and _is_state(document):
        tensors: Mapping[str, Tensor] = document
    elif chosen or len(entries) == 1:
        chosen = chosen or next(iter(entries))
        tensors = entries[chosen]
    elif entries:
        raise BadWeights(
            f"The weights file '{path}' has several entries with tensors: {', '.join(sorted(entries))}. "
            "Name the one of this network with --entry."
        )
    else:
        raise _no_weights(path, document)
    others = tuple(sorted(name for name in entries if name != chosen and name in ENTRIES))
    return SavedWeights(path, _without_wrappers(tensors), chosen, others, *_finished_epochs(document))


def _entries(document: Mapping[Any, Any]) -> dict[str, Mapping[str, Tensor]]:
    """The entries that are state dicts; one that holds another, {"model": {"state_dict": ...}}, gives that one."""
    found = {}
    for name, value in document.items():
        if isinstance(name, str) and isinstance(value, Mapping):
            inner = next((value[key] for key in ENTRIES if _is_state(value.get(key))), None)
            if _is_state(value) or inner is not None:
                found[name] = inner if inner is not None else value
    return found


def _is_state(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(is_plain(*each) for each in value.items())


def _no_weights(path: Path, document: Any) -> BadWeights:
    return BadWeights(
        f"The weights file '{path}' contains a {type(document).__name__} that is empty or has more than tensors. "
        "Save model.state_dict() with torch.save."
    )


def _finished_epochs(document: Mapping[Any, Any]) -> tuple[int | None, bool]:
    """How many epochs were finished, where the file says it, and whether that is certain."""
    epoch = document.get("epoch")
    if isinstance(epoch, Tensor) and epoch.numel() == 1:
        epoch = epoch.item()
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
        return None, False
    if _LIGHTNING in document:  # its `epoch` counts from 0, but has moved on where it saves after the last one
        try:
            return int(document["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]), True
        except (KeyError, TypeError, ValueError):
            return epoch + 1, True
    version = document.get("version")
    if isinstance(version, int) and version > 1 and "arch" in document:  # timm's, which count from 0 since version 2
        return epoch + 1, True
    return epoch, False


def _check_records(path: Path) -> None:
    """Compares every record of the archive with the CRC-32 that it was written with.

    Raises:
        ValueError: one differs, or the archive cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if any("/code/" in name for name in archive.namelist()):
                raise ValueError("it is a TorchScript archive, which contains code")
            # torch.save never compresses; what a record unpacks to must not exceed what the file holds
            compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
            if compressed or sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ValueError("its archive holds more than its size")
            # PyTorch writes 0 throughout where checksums are switched off
            has_checksums = any(entry.CRC for entry in archive.infolist())
            changed = archive.testzip() if has_checksums else None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, LookupError, OverflowError) as err:
        raise ValueError(f"its archive is damaged: {err}") from err
    if changed is not None:
        raise ValueError(f"the checksum of its record '{changed}' differs: the file was changed")


# --- Names -------------------------------------------------------------------------------------------------------


def _without_wrappers(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors without the prefixes of modules that were wrapped around the network when it was saved."""
    state = {name: value for name, value in state.items() if name != _COUNTER}
    for wrapper in (*_WRAPPERS, *_WRAPPERS):  # one may be inside the other
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return {name.replace(f".{_COMPILED}", "."): value for name, value in state.items()}


def find_prefix(saved: SavedWeights, own: Collection[str]) -> str:
    """The part of the file's names that comes before the network's, such as "model." in Lightning's checkpoints.

    The one under which most of the network's names are found; "" where none fits better than the names as they are.

    Raises:
        BadWeights: as many are found under another one, as for a teacher and a student.
    """
    found = Counter({"": sum(name in saved.tensors for name in own)})
    for name in saved.tensors:
        for dot in re.finditer(r"\.", name):
            found[name[: dot.end()]] += name[dot.end() :] in own
    most = max(found.values())
    best = [prefix for prefix, count in found.items() if count == most]
    if len(best) > 1 and most and best[0]:
        raise BadWeights(
            f"The weights '{saved.path}' contain the network several times, as {', '.join(best)}. Save the one to take "
            f"in a file of its own, or name it for compute record: --prefix {best[0]}"
        )
    return best[0]
