"""Loss, top-1 and top-5, summed on the device and read once at the end."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from compute.training.distributed import Processes


class RunningMetrics:
    """Running sums of the cross entropy (Eq. 9) and of top-1 and top-5 hits; copied from the device only when read."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(4, dtype=torch.float64, device=device)  # images, loss, top-1 hits, top-5 hits

    @torch.no_grad()
    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Counts a batch: logits (n, C), labels (n,)."""
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        values = torch.stack([torch.full_like(loss, len(labels)), loss, best[:, 0].sum(), best.sum()])
        self.sums += values.to(self.sums.dtype)

    def read(self, processes: Processes = Processes()) -> dict[str, float]:
        """Means over all images, of all the processes: loss in nats, top1 and top5 as fractions."""
        images, loss, top1, top5 = processes.total(self.sums.clone()).tolist()
        images = max(images, 1.0)
        return {"loss": loss / images, "top1": top1 / images, "top5": top5 / images}
