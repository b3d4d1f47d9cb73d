"""Initial weights of the encoder: torchvision's, none, or a file; what does not fit is refused before training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.models import ResNet18_Weights

from compute.errors import BadWeights
from compute.models import ClassMapNetwork
from compute.training.weights_file import check_tensors, find_prefix, first_names, read_weights
from store.format.receipts import file_sha256


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


def load_weights(network: ClassMapNetwork, source: str, *, partial: bool = False) -> WeightsReport:
    """Loads weights into the network's encoder, in place, and reports what fitted.

    Args:
        source: `none`, `imagenet` (torchvision's IMAGENET1K_V1) or the path of a file with torchvision's ResNet-18
            names, in any form that `read_weights` knows and under any prefix.
        partial: whether a file may fill less than half of the encoder.

    Raises:
        BadWeights: the file is absent, contains pickled code or no tensors, a shape differs, or too little fits.
    """
    if source == "none":
        return WeightsReport(source)
    path = _torchvision_file() if source == "imagenet" else Path(source)
    saved, prefix = read_weights(path), network.encoder_prefix
    own = {name: value for name, value in network.state_dict().items() if name.startswith(prefix)}
    before = find_prefix(saved, {name.removeprefix(prefix) for name in own})
    offered = {prefix + name.removeprefix(before): value for name, value in saved.tensors.items()}
    replaced = {prefix + name for name in network.own_weights}
    matching = {name: value for name, value in offered.items() if name in own and name not in replaced}
    check_tensors(source, matching, own)
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    missing = needed - set(matching)
    listed = [first_names(name.removeprefix(prefix) for name in names) for names in (saved.tensors, own)]
    if not matching:
        raise BadWeights(
            f"Nothing in the weights '{source}' fits this network: the file contains {listed[0]}, "
            f"the encoder has {listed[1]}. Name a ResNet-18 state dict."
        )
    # 2 tensors that happen to have the right names are no initial weights: the training would start at random
    if not partial and 2 * len(missing) > len(needed):
        raise BadWeights(
            f"Of the encoder's {len(needed)} tensors the weights '{source}' have only {len(needed) - len(missing)}; "
            f"missing are {first_names(missing)}. The file contains {listed[0]}. "
            "Name a ResNet-18 state dict, or add --partial-weights if the rest is to be drawn at random."
        )
    network.load_state_dict(matching, strict=False)
    return WeightsReport(
        source=source if source == "imagenet" else path.name,
        # Of the file at every use: torch.hub checks what it downloads, but not what lies in its cache.
        sha256=file_sha256(path),
        loaded=tuple(sorted(matching)),
        missing=tuple(sorted(missing)),
        unexpected=tuple(sorted(set(offered) - set(matching))),
    )


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
