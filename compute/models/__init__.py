"""Networks that classify through one map per class, built by name.

`build("paper", classes=200)` returns a `ClassMapNetwork`; `register` adds a network of your own.
"""

from __future__ import annotations

from compute.models import cam, grid, paper
from compute.models.network import ClassMapNetwork, Trace, describe
from compute.models.registry import build, names, register

__all__ = ["ClassMapNetwork", "Trace", "build", "describe", "names", "register"]
