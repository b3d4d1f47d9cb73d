"""One process or several started by `torchrun`: what they exchange, and BatchNorm over the images of all of them."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from compute.errors import ProcessLost

MEETING = datetime.timedelta(minutes=5)  # how long processes may be apart that are to record together
TIMEOUT = datetime.timedelta(minutes=20)  # a process may wait this long for another one's recording to end


@dataclass(frozen=True)
class Processes:
    """This process's place among those of the run."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process prints for all of them and writes run.h5 and the checkpoints."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, on each of them."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in at least one process."""
        return bool(self.largest(int(flag)))

    def largest(self, count: int) -> int:
        """The largest of the processes' counts, on each of them."""
        if self.count == 1:
            return count
        # nccl exchanges tensors on a GPU only
        device = torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
        shared = torch.tensor(count, device=device)
        distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
        return int(shared.item())

    def wait(self) -> None:
        """Returns when every process has called it."""
        if self.count > 1:
            distributed.barrier()

    def meet(self, place: str, what: str) -> None:
        """Returns when every process has come to `place`, a name used once.

        Collective calls give no such answer: one process alone would wait in them for ever, or take part in the
        training's own calls.

        Raises:
            ProcessLost: one did not come; the message says which, and that all must call `what`.
        """
        if self.count == 1:
            return
        # The store behind the group: it answers without taking part in the training's own collective calls.
        store = distributed.distributed_c10d._get_default_store()
        keys = [f"classprint/{place}/{rank}" for rank in range(self.count)]
        store.set(keys[self.rank], "")
        try:
            store.wait(keys, MEETING)
        except RuntimeError as err:
            missing = [str(rank) for rank, key in enumerate(keys) if not store.check([key])]
            raise ProcessLost(
                f"{what} was called by process {self.rank} of {self.count}, but within {MEETING.seconds} s not by "
                f"{', '.join(missing) or 'others'}. Call it in every process, not in the first one alone: each "
                "records its share of the images."
            ) from err

    def share(self, total: int) -> range:
        """This process's contiguous part of 0 .. total - 1; sizes differ by at most one."""
        return range(total * self.rank // self.count, total * (self.rank + 1) // self.count)


def current_processes() -> Processes:
    """The processes of the group that a program has joined itself, or the single one."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Processes()
    return Processes(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def join_process_group(device: torch.device) -> Iterator[Processes]:
    """The processes that torchrun started (gloo on CPU, nccl on GPU), or the single one without it.

    Raises:
        ProcessLost: another process died while this one was inside.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    own = device if device.type == "cuda" else None
    distributed.init_process_group(backend, timeout=TIMEOUT, device_id=own)
    try:
        yield Processes(distributed.get_rank(), count)
    except RuntimeError as err:
        if isinstance(err, distributed.DistError) or backend in str(err).lower():
            raise ProcessLost(
                f"Another process of this run ended or cannot be reached: {str(err).splitlines()[0]} "
                "Complete epochs are kept. Run the same command again to resume."
            ) from err
        raise
    finally:
        distributed.destroy_process_group()


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; every process's loss depends on it, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are those of all processes' images; evaluation is unchanged.

    PyTorch's SyncBatchNorm needs a GPU. Without shared statistics several processes train another network than one
    does; with them, two processes differ from one by 2.4e-7 in the maps.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) normalised, in x's dtype."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), count])
        sums = _SumOverProcesses.apply(sums)
        total = sums[-1].detach()
        mean, square = (sums[:-1] / total).view(2, -1)
        variance = (square - mean.square()).clamp_min(0)  # rounding may leave it below 0 where all values are alike
        self._update_statistics(mean.detach(), variance.detach() * total / (total - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return (values * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)).to(x.dtype)

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running statistics, as nn.BatchNorm2d does."""
        momentum = self.momentum if self.momentum is not None else 0.1
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance, momentum)
            self.num_batches_tracked.add_(1)


def share_batch_norms(network: nn.Module) -> int:
    """Replaces every BatchNorm2d inside the network by a SharedBatchNorm and returns how many there were.

    Parameters, buffers and their names stay the same objects: optimisers and checkpoints fit as before.
    """
    replaced = 0
    for name, module in list(network.named_children()):
        if type(module) is nn.BatchNorm2d:
            shared = SharedBatchNorm(module.num_features, module.eps, module.momentum)
            shared.weight, shared.bias = module.weight, module.bias
            for buffer, value in module.named_buffers():
                setattr(shared, buffer, value)
            setattr(network, name, shared)
            replaced += 1
        else:
            replaced += share_batch_norms(module)
    return replaced
