"""Classifiers that were not built to have class maps, given one map per class whose mean is the logit.

`adopt(model, images)` returns a `ClassMapNetwork`; `network.evidence` says what its maps are.
"""

from __future__ import annotations

from compute.models.adoption.adopt import adopt
from compute.models.adoption.network import AdoptedNetwork, Evidence

__all__ = ["AdoptedNetwork", "Evidence", "adopt"]
