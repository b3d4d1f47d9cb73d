"""Where, when and with what something was measured: figures without it mean little."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_LIBRARIES = ("numpy", "h5py", "hdf5plugin", "zstandard", "pandas", "torch", "streamlit", "altair")


def machine() -> str:
    """Processor, cores, memory, system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({name}), {memory:.0f} GiB of memory, {platform.system()} {platform.release()}"


def versions() -> str:
    """Python and the libraries that matter, as they are installed."""
    installed = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    reported = [f"{name} {metadata.version(name)}" for name in _LIBRARIES if name in installed]
    return ", ".join([f"Python {platform.python_version()}", *reported])


def load() -> str:
    """The machine's load average over one and five minutes: how much else was going on."""
    one, five, _ = os.getloadavg()
    return f"{one:.1f} over one minute, {five:.1f} over five"


def now() -> str:
    """Date and time, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
