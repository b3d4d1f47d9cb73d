"""One process or many: what `torchrun` started, and the few things that its processes say to each other."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from compute.errors import ProcessLost

PATIENCE = datetime.timedelta(minutes=20)  # a rank may wait this long for another one's recording to end


@dataclass(frozen=True)
class Processes:
    """This process's place among those of the run."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process speaks for all: prints, writes run.h5 and the checkpoints."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, on each of them."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in at least one process."""
        if self.count == 1:
            return flag
        raised = torch.tensor(int(flag), device=_talking_device())
        distributed.all_reduce(raised, op=distributed.ReduceOp.MAX)
        return bool(raised.item())

    def most(self, count: int) -> int:
        """The largest of the processes' counts, on each of them."""
        if self.count == 1:
            return count
        largest = torch.tensor(count, device=_talking_device())
        distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
        return int(largest.item())

    def wait(self) -> None:
        """Returns when every process has come here."""
        if self.count > 1:
            distributed.barrier()

    def share(self, total: int) -> range:
        """This process's contiguous part of 0 .. total - 1; sizes differ by at most one."""
        return range(total * self.rank // self.count, total * (self.rank + 1) // self.count)


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
    distributed.init_process_group(backend, timeout=PATIENCE, device_id=own)
    try:
        yield Processes(distributed.get_rank(), count)
    except RuntimeError as err:
        if isinstance(err, distributed.DistError) or backend in str(err).lower():
            raise ProcessLost(
                f"Another process of this run ended or cannot be reached: {str(err).splitlines()[0]} "
                "What is sealed is kept. Give the same command again and the run goes on from there."
            ) from err
        raise
    finally:
        distributed.destroy_process_group()


def _talking_device() -> torch.device:
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
