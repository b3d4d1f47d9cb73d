"""Where a record comes from: code, libraries, machine, data and initial weights; goes into run.h5 once."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from compute.data.dataset import Dataset
from compute.runs.device import describe_device
from compute.training.distributed import Processes
from compute.training.weights import WeightsReport
from store.version import VERSION

LIBRARIES = ("torchvision", "numpy", "h5py", "hdf5plugin", "zstandard")
ROOT = Path(__file__).resolve().parents[2]


def collect_provenance(
    dataset: Dataset, weights: WeightsReport, *, device: torch.device, processes: Processes, parameters: int
) -> dict[str, Any]:
    """Facts that explain a record but are not compared when it is resumed; as JSON values."""
    return collect_environment(device, processes) | {
        "data": {
            "name": dataset.name,
            "sha256": dataset.checksum,
            "training_images": 0 if dataset.train is None else len(dataset.train),
            "validation_images": len(dataset.validation.labels),
            "classes": len(dataset.classes),
        },
        "initial_weights": asdict(weights),
        "parameters": parameters,
    }


def collect_environment(device: torch.device, processes: Processes) -> dict[str, Any]:
    """The same without data and network: time, code, libraries and machine."""
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv[1:],
        "code": {"version": VERSION, "commit": _commit(), "sha256": _source_sha256()},
        "libraries": {"torch": torch.__version__} | {name: _version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "machine": {
            "device": device.type,
            "device_name": describe_device(device),
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "processes": processes.count,
            "system": platform.platform(),
            "cuda": torch.version.cuda if device.type == "cuda" else None,
        },
    }


def _commit() -> str:
    """The git commit of the code, with `+changes` where files differ from it; empty outside a repository."""
    head = _git("rev-parse", "HEAD")
    return head + ("+changes" if head and _git("status", "--porcelain", "--untracked-files=no") else "")


def _source_sha256() -> str:
    """SHA-256 over the Python files of compute and store, in order of path: identifies the code even without git."""
    digest = hashlib.sha256()
    for path in sorted([*ROOT.glob("compute/**/*.py"), *ROOT.glob("store/**/*.py")]):
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _processor() -> str:
    """The processor's model name where Linux reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _git(*arguments: str) -> str:
    if not (ROOT / ".git").exists():  # installed: a repository around it would be another program's
        return ""
    try:
        result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
