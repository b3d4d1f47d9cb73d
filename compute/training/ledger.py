"""The training ledger: what the network gave for every training image, collected from the passes that run anyway."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from compute.training.distributed import Processes

COLUMNS = ("label_probability", "margin", "loss", "error_norm")


class EpochLedger:
    """One epoch's columns of M training images, on the device until the epoch ends."""

    def __init__(self, images: int, device: torch.device) -> None:
        # prediction + 1 first, so that 0 is an image that was in no batch; processes then add up their rows
        self._values = torch.zeros(1 + len(COLUMNS), images, device=device)

    @torch.no_grad()
    def add(self, rows: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Notes a batch: image numbers (n,), logits (n, C) before the step, labels (n,)."""
        log_probabilities = functional.log_softmax(logits.detach().float(), 1)
        own = log_probabilities.gather(1, labels[:, None])[:, 0]
        best = log_probabilities.topk(2, 1)
        is_best = best.indices[:, 0] == labels
        margin = own - torch.where(is_best, best.values[:, 1], best.values[:, 0])  # a softmax keeps differences
        probability = own.exp()
        # |p - y|^2 = |p|^2 - 2 p_y + 1 needs no one-hot matrix
        error = ((2 * log_probabilities).exp().sum(1) - 2 * probability + 1).clamp_min(0).sqrt()
        values = torch.stack([best.indices[:, 0] + 1.0, probability, margin, -own, error])
        self._values[:, rows.to(self._values.device, non_blocking=True)] = values

    def read(self, processes: Processes) -> dict[str, NDArray]:
        """The columns of all processes, (M,): prediction uint16; the others float32, NaN where in no batch."""
        prediction, *others = processes.total(self._values).cpu().numpy()
        missing = prediction == 0
        columns = {
            name: np.where(missing, np.float32(np.nan), column) for name, column in zip(COLUMNS, others, strict=True)
        }
        return {"prediction": np.maximum(prediction - 1, 0).astype(np.uint16), **columns}
