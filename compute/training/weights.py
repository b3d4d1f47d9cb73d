"""Initial weights of the encoder: torchvision's, none, or a file; what does not fit is refused before training."""

from __future__ import annotations

import hashlib
import pickle
import re
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights

from compute.errors import BadWeights
from compute.models import ClassMapNetwork
from compute.training.tensor_file import load_tensors

_UNREADABLE = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, struct.error)
_WRAPPERS = ("module.", "_orig_mod.")  # of DistributedDataParallel and of torch.compile


@dataclass(frozen=True)
class WeightsReport:
    """Where the encoder's weights came from and what of them fitted."""

    source: str
    sha256: str = ""
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # the encoder has it, the file does not: freshly initialised
    unexpected: tuple[str, ...] = ()  # the file has it, the encoder does not: ignored
    calibrated: int = 0  # BatchNorms set from training images

    def summary(self) -> str:
        """One line for the plan."""
        if self.source == "none":
            return "initial weights: none, all drawn at random"
        line = f"initial weights: {self.source} (sha256 {self.sha256[:12]}), {len(self.loaded)} tensors loaded"
        line += f", {len(self.missing)} missing and drawn at random, {len(self.unexpected)} not used"
        return line + (f", {self.calibrated} BatchNorms calibrated" if self.calibrated else "")

    def as_dict(self) -> dict[str, Any]:
        """For provenance."""
        return asdict(self)


def load_weights(network: ClassMapNetwork, source: str) -> WeightsReport:
    """Fills the network's encoder in place and says what fitted.

    Args:
        source: `none`, `imagenet` (torchvision's IMAGENET1K_V1, hash checked by torch.hub) or the path of a state dict
            in torchvision's ResNet-18 names, with or without the network's own prefix, and also as saved from a
            DistributedDataParallel (`module.`) or a compiled network (`_orig_mod.`).

    Raises:
        BadWeights: the file is absent, holds pickled code or no tensors, a shape differs, or nothing fits.
    """
    if source == "none":
        return WeightsReport(source)
    if source == "imagenet":
        state, digest = _torchvision_state()
    else:
        state, digest = _file_state(Path(source))
    prefix = network.encoder_prefix
    own = {name: value for name, value in network.state_dict().items() if name.startswith(prefix)}
    state = _unwrapped(state)
    offered = {name if name in own else prefix + name: value for name, value in state.items()}
    replaced = {prefix + name for name in network.own_weights}
    matching = {name: value for name, value in offered.items() if name in own and name not in replaced}
    _check_shapes(source, matching, own)
    _check_values(source, matching)
    if not matching:
        raise BadWeights(
            f"Nothing in the weights '{source}' fits this network: it holds {_few(state)}, "
            f"the encoder has {_few(name.removeprefix(prefix) for name in own)}. Name a ResNet-18 state dict."
        )
    network.load_state_dict(matching, strict=False)
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    return WeightsReport(
        source=source if source == "imagenet" else Path(source).name,
        sha256=digest,
        loaded=tuple(sorted(matching)),
        missing=tuple(sorted(needed - set(matching))),
        unexpected=tuple(sorted(set(offered) - set(matching))),
    )


def calibrate_batch_norms(network: ClassMapNetwork, report: WeightsReport, images: Tensor, *, mode: str) -> int:
    """How many BatchNorms were set from the images (n, 3, h, w, normalised), in the order in which they run.

    Where a file's BatchNorm was folded into its convolution (mean 0, variance 1) the loaded bias is kept as it acts
    in evaluation, and mean, variance and weight become what training needs: running_mean = m, running_var = v,
    weight = sqrt(v + eps), bias = m + folded bias, with m and v of that convolution's output. A folded BatchNorm
    whose convolution was not in the file starts afresh; any other keeps its weight and bias and only gets m and v.
    Mode `auto` calibrates when all loaded BatchNorms look folded.
    """
    loaded = set(report.loaded)
    norms = _norms_with_convolutions(network)
    folded = [name for name, _ in norms if f"{name}.running_mean" in loaded and _looks_folded(network, name)]
    known = [name for name, _ in norms if f"{name}.running_mean" in loaded]
    if mode == "never" or not loaded or (mode == "auto" and len(folded) < len(known)) or not known:
        return 0
    encoder = network.get_submodule(network.encoder_prefix.rstrip("."))
    handles = []
    for name, convolution in norms:
        hook = _calibration_hook(folded=name in folded, trained=f"{convolution}.weight" in loaded)
        handles.append(network.get_submodule(name).register_forward_pre_hook(hook))
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            encoder(images)
    finally:
        for handle in handles:
            handle.remove()
        network.train(training)
    return len(norms)


def _calibration_hook(*, folded: bool, trained: bool) -> Any:
    def calibrate(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        values = inputs[0].float()
        variance, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_(variance)
        if folded and trained:
            norm.bias.add_(mean)
            norm.weight.copy_(torch.sqrt(variance + norm.eps))
        elif folded:
            nn.init.ones_(norm.weight)
            nn.init.zeros_(norm.bias)

    return calibrate


def _norms_with_convolutions(network: ClassMapNetwork) -> list[tuple[str, str]]:
    """(BatchNorm, the convolution before it) of the encoder, by name, in order of registration."""
    pairs, convolution = [], ""
    for name, module in network.named_modules():
        if not name.startswith(network.encoder_prefix):
            continue
        if isinstance(module, nn.Conv2d):
            convolution = name
        elif isinstance(module, nn.BatchNorm2d):
            pairs.append((name, convolution))
    return pairs


def _looks_folded(network: ClassMapNetwork, name: str) -> bool:
    state = network.state_dict()
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return not mean.any() and torch.allclose(variance, torch.ones_like(variance), atol=1e-3)


def _torchvision_state() -> tuple[Mapping[str, Tensor], str]:
    """torchvision's ResNet-18 from torch.hub's cache, downloaded when absent; its hash, which its name carries."""
    url = ResNet18_Weights.IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    beginning = path.stem.rsplit("-", 1)[-1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=beginning)
        except (OSError, RuntimeError) as err:
            raise BadWeights(
                f"The ImageNet weights could not be downloaded from {url}: {err}. Put that file into "
                f"'{path.parent}', name a file of yours with weights.source, or start with weights.source=none."
            ) from err
    if not _digest(path).startswith(beginning):  # torch.hub checks a download, but not what lies in its cache
        raise BadWeights(f"'{path}' is not the file that torchvision published: its SHA-256 differs. Remove it.")
    return _file_state(path)


def _file_state(path: Path) -> tuple[Mapping[str, Tensor], str]:
    """The tensors of a state dict on disk, and the SHA-256 of the file; only tensors are ever unpickled."""
    if not path.is_file():
        raise BadWeights(
            f"There is no weights file '{path}'. weights.source is imagenet, none or the path of a state dict."
        )
    try:
        state = load_tensors(path)
    except pickle.UnpicklingError as err:
        raise BadWeights(
            f"The weights file '{path}' is not a plain state dict: {_asked_for(err)}. "
            "Classprint loads tensors only, never pickled code; save model.state_dict() instead."
        ) from err
    except _UNREADABLE as err:
        raise BadWeights(
            f"The weights file '{path}' cannot be read: {_first_line(err)} "
            "It is no state dict, truncated or damaged; save model.state_dict() with torch.save, or fetch it again."
        ) from err
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not state or not all(_is_plain(*each) for each in state.items()):
        raise BadWeights(
            f"The weights file '{path}' holds a {type(state).__name__} with other things than tensors, or nothing. "
            "Save model.state_dict() with torch.save."
        )
    return state, _digest(path)


def _unwrapped(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors under the names that they have without what was put around the whole network when it was saved."""
    for wrapper in (*_WRAPPERS, *_WRAPPERS):  # one may be around the other
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return state


def _check_shapes(source: str, matching: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    for name, value in matching.items():
        if value.shape != own[name].shape:
            raise BadWeights(
                f"The weights '{source}' hold {name} as {tuple(value.shape)}, the network needs "
                f"{tuple(own[name].shape)}. They belong to another network; name a ResNet-18 file."
            )


def _check_values(source: str, matching: Mapping[str, Tensor]) -> None:
    for name, value in matching.items():
        if not torch.isfinite(value).all():
            raise BadWeights(f"The weights '{source}' hold NaN or infinity in {name}. Fetch or export them again.")


def _is_plain(name: object, value: object) -> bool:
    """Whether this is a named tensor that can be copied into a network as it is."""
    if not isinstance(name, str) or not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not value.is_complex() and not value.is_meta


def _asked_for(err: Exception) -> str:
    """What a pickle asks for beyond tensors; torch's own text would advise to run it."""
    found = re.search(r"GLOBAL ([\w.]+)", str(err))
    return f"it asks for '{found[1]}'" if found else "it does not read as tensors"


def _first_line(err: Exception) -> str:
    """What torch says, without its pages of advice."""
    line = (str(err).splitlines() or [type(err).__name__])[0].rstrip(". ")
    return f"{line}."


def _digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _few(names: Any) -> str:
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
