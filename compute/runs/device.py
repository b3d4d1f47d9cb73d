"""The device that a run computes on: its threads and precision, and copies to and from it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compute.errors import BadOption


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` takes a CUDA GPU where there is one, else the CPU; `cuda` is that of LOCAL_RANK.

    Raises:
        BadOption: the device is unknown or absent, or a single GPU is named for several processes.
    """
    if name.startswith("cuda:") and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
        raise BadOption(f"The device '{name}' is a single GPU, but each process takes its own. Use cuda or auto.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
    except RuntimeError as err:
        raise BadOption(f"There is no device '{name}'. Use auto, cpu, cuda or cuda:0.") from err
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BadOption(f"The device '{name}' was requested, but PyTorch finds no CUDA GPU here. Use cpu or auto.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadOption(
            f"The device '{name}' was requested, but PyTorch finds {torch.cuda.device_count()} GPU(s) here, "
            "counted from 0. Under torchrun start no more processes on a machine than it has GPUs."
        )
    if device.type not in ("cpu", "cuda"):
        raise BadOption(f"Classprint computes on cpu or cuda, not on '{name}'.")
    return device


def describe_device(device: torch.device) -> str:
    """The GPU's name, or how many threads compute on the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, threads: {torch.get_num_threads()}"


def use_threads(count: int) -> None:
    """Sets how many CPU threads compute; 0 leaves PyTorch's choice, all cores or OMP_NUM_THREADS.

    Where other programs keep the cores busy, one thread can be ten times faster than two, which wait for each other at
    every operation (585 against 2,300 to 9,000 ms per step). All cores stay the default, because the count changes the
    last bits of a sum, and repeating a record needs the same count.

    Raises:
        BadOption: a negative count, or so many that starting them could end the process.
    """
    most = max(64, 4 * (os.cpu_count() or 1))
    if not 0 <= count <= most:
        raise BadOption(f"--threads {count} is invalid: allowed are 1 to {most}, or 0 for all cores.")
    if count:
        torch.set_num_threads(count)


def prepare_device(device: torch.device, *, compiled: bool) -> None:
    """Checks what torch.compile needs, and lets a GPU choose its fastest convolutions for the run's few shapes.

    Raises:
        BadOption: `compiled`, and no compiler for the device is installed.
    """
    compiler = os.environ.get("CXX", "g++")
    if compiled and device.type == "cpu" and shutil.which(compiler) is None:
        raise BadOption(
            f"training.compile=true needs a C++ compiler, but '{compiler}' is not installed. Install it or set CXX."
        )
    if compiled and device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise BadOption("training.compile=true needs triton on a GPU. Install it, or leave training.compile=false.")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # compiled kernels and nccl work on the current device
        torch.backends.cudnn.benchmark = True


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which forward passes run: bfloat16 autocast, or nothing for float32."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A copy of CPU values on the device, through pinned memory: else it would wait for all work queued there."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def has_room(device: torch.device, size: int) -> bool:
    """Whether the device is a GPU with at least four times `size` bytes of free memory."""
    return device.type == "cuda" and 4 * size < torch.cuda.mem_get_info(device)[0]


class HostCopy:
    """A copy of a tensor to the CPU that starts at once and is waited for only when `array` is called.

    Meanwhile the device continues with the work queued behind the copy.
    """

    def __init__(self, values: Tensor) -> None:
        self._values = values.detach().float().contiguous()
        self._arrived: torch.cuda.Event | None = None
        if self._values.device.type == "cuda":
            # Pinned: a copy into ordinary memory would wait for all work queued before it, in the middle of an epoch.
            device = self._values.device
            self._values = torch.empty(values.shape, pin_memory=True).copy_(self._values, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record(torch.cuda.current_stream(device))

    def array(self) -> NDArray[np.float32]:
        """The values, float32, after waiting for them."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._values.cpu().numpy()
