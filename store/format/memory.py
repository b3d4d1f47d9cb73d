"""How much memory is free: checked before a large array is allocated, so that no file can claim all of it."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

from store.errors import NotEnoughMemory

SMALL = 64 << 20  # bytes that are taken without a check: finding out what is free takes longer than reading them
_CGROUP = Path("/sys/fs/cgroup")


def require_memory(count: int, what: str) -> None:
    """Raise NotEnoughMemory if fewer than `count` bytes are free."""
    if count <= SMALL:
        return
    free = free_memory()
    if count > free:
        raise NotEnoughMemory(
            f"{what} needs {count / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free. "
            "Ask for fewer images at a time, or use a machine with more memory."
        )


def free_memory() -> int:
    """Bytes that this process can still take: free on the machine, within its container and its own limit."""
    page = resource.getpagesize()
    bounds = [os.sysconf("SC_PHYS_PAGES") * page]
    with suppress(OSError, ValueError, IndexError):  # systems other than Linux
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        bounds.append(int(fields["MemAvailable"].split()[0]) * 1024)
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        limit, used = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        bounds.append(limit - used)
    longest = resource.getrlimit(resource.RLIMIT_AS)[0]
    if longest != resource.RLIM_INFINITY:
        with suppress(OSError, ValueError, IndexError):
            bounds.append(longest - int(Path("/proc/self/statm").read_text().split()[0]) * page)
    return max(0, min(bounds))
