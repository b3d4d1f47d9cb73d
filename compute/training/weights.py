"""Initial weights of the encoder: torchvision's, none, or a file; what does not fit is refused before training.

Also `load_tensors`, through which every weights file and checkpoint is read.
"""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models import ResNet18_Weights

from compute.errors import BadWeights
from compute.models import ClassMapNetwork
from store.format.receipts import file_sha256

# what torch.load raises for damaged files, besides UnpicklingError for files that contain more than tensors
UNREADABLE = (
    *(RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, struct.error),
    MemoryError,
)
_WRAPPERS = ("module.", "_orig_mod.")  # of DistributedDataParallel and of torch.compile
_ZIP_START = b"PK\x03\x04"  # how torch.load tells its own archives from older files


@dataclass(frozen=True)
class WeightsReport:
    """Where the encoder's weights came from and which of them fitted."""

    source: str
    sha256: str = ""
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # the encoder has it, the file does not: freshly initialised
    unexpected: tuple[str, ...] = ()  # the file has it, the encoder does not: ignored

    def summary(self) -> str:
        """One line for the plan."""
        if self.source == "none":
            return "none, all drawn at random"
        return (
            f"{self.source} (sha256 {self.sha256[:12]}), {len(self.loaded)} tensors loaded, "
            f"{len(self.missing)} missing and drawn at random, {len(self.unexpected)} not used"
        )

    def as_dict(self) -> dict[str, Any]:
        """For provenance."""
        return asdict(self)


def load_weights(network: ClassMapNetwork, source: str) -> WeightsReport:
    """Loads weights into the network's encoder, in place, and reports what fitted.

    Args:
        source: `none`, `imagenet` (torchvision's IMAGENET1K_V1) or the path of a state dict in torchvision's ResNet-18
            names, with or without the network's own prefix, and also as saved from a DistributedDataParallel
            (`module.`) or a compiled network (`_orig_mod.`).

    Raises:
        BadWeights: the file is absent, contains pickled code or no tensors, a shape differs, or nothing fits.
    """
    if source == "none":
        return WeightsReport(source)
    path = _torchvision_file() if source == "imagenet" else Path(source)
    state = _without_wrappers(_read_state_dict(path))
    prefix = network.encoder_prefix
    own = {name: value for name, value in network.state_dict().items() if name.startswith(prefix)}
    offered = {name if name in own else prefix + name: value for name, value in state.items()}
    replaced = {prefix + name for name in network.own_weights}
    matching = {name: value for name, value in offered.items() if name in own and name not in replaced}
    _check_tensors(source, matching, own)
    if not matching:
        raise BadWeights(
            f"Nothing in the weights '{source}' fits this network: the file contains {_first_names(state)}, "
            f"the encoder has {_first_names(name.removeprefix(prefix) for name in own)}. Name a ResNet-18 state dict."
        )
    network.load_state_dict(matching, strict=False)
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    return WeightsReport(
        source=source if source == "imagenet" else path.name,
        # Of the file at every use: torch.hub checks what it downloads, but not what lies in its cache.
        sha256=file_sha256(path),
        loaded=tuple(sorted(matching)),
        missing=tuple(sorted(needed - set(matching))),
        unexpected=tuple(sorted(set(offered) - set(matching))),
    )


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


def first_line(err: Exception) -> str:
    """The first line of PyTorch's message, without its pages of advice and its full stop."""
    return (str(err).splitlines() or [type(err).__name__])[0].rstrip(". ")


def _check_records(path: Path) -> None:
    """Compares every record of the archive with the CRC-32 that it was written with.

    Raises:
        ValueError: one differs, or the archive cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
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


def _torchvision_file() -> Path:
    """torchvision's ResNet-18 in torch.hub's cache, downloaded if absent and compared with the hash in its name."""
    url = ResNet18_Weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    published = path.stem.rsplit("-", 1)[-1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=published)
        except (OSError, RuntimeError) as err:
            raise BadWeights(
                f"The ImageNet weights could not be downloaded from {url}: {err}. Put that file into "
                f"'{path.parent}', name a file of yours with weights.source, or start with weights.source=none."
            ) from err
    if not file_sha256(path).startswith(published):  # torch.hub checks its downloads, but not the files in its cache
        raise BadWeights(f"'{path}' is not the file that torchvision published: its SHA-256 differs. Remove it.")
    return path


def _read_state_dict(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a state dict on disk; only tensors are ever unpickled."""
    if not path.is_file():
        raise BadWeights(
            f"There is no weights file '{path}'. weights.source is imagenet, none or the path of a state dict."
        )
    try:
        state = load_tensors(path)
    except pickle.UnpicklingError as err:
        found = re.search(r"GLOBAL ([\w.]+)", str(err))  # torch's own message would advise to run the pickled code
        reason = f"it contains '{found[1]}'" if found else "it cannot be read as tensors"
        raise BadWeights(
            f"The weights file '{path}' is not a plain state dict: {reason}. "
            "Classprint loads tensors only, never pickled code; save model.state_dict() instead."
        ) from err
    except UNREADABLE as err:
        raise BadWeights(
            f"The weights file '{path}' cannot be read: {first_line(err)}. "
            "It is damaged, truncated or no state dict; save model.state_dict() with torch.save, or download it again."
        ) from err
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not state or not all(is_plain(*each) for each in state.items()):
        raise BadWeights(
            f"The weights file '{path}' contains a {type(state).__name__} that is empty or has more than tensors. "
            "Save model.state_dict() with torch.save."
        )
    return state


def _without_wrappers(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors without the prefixes of modules that were wrapped around the whole network when it was saved."""
    for wrapper in (*_WRAPPERS, *_WRAPPERS):  # one may be inside the other
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return state


def _check_tensors(source: str, matching: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    for name, value in matching.items():
        if value.shape != own[name].shape:
            raise BadWeights(
                f"The weights '{source}' contain {name} as {tuple(value.shape)}, the network needs "
                f"{tuple(own[name].shape)}. They belong to another network; name a ResNet-18 file."
            )
        if not torch.isfinite(value).all():
            raise BadWeights(
                f"The weights '{source}' contain NaN or infinity in {name}. Download or export them again."
            )


def is_plain(name: object, value: object) -> bool:
    """Whether this is a named tensor that can be copied into a network as it is."""
    if not isinstance(name, str) or not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not value.is_complex() and not value.is_meta


def _first_names(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
