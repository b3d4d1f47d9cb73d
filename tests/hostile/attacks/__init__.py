"""Hostile runs, family by family: importing this package fills `ATTACKS`."""

from tests.hostile.attacks import attributes, code, files, links, parts, sizes, structure, text
from tests.hostile.attacks.registry import ATTACKS, ON_FULL_RUN, OUTSIDE, SECRET

FAMILIES = (attributes, code, files, links, parts, sizes, structure, text)

__all__ = ["ATTACKS", "FAMILIES", "ON_FULL_RUN", "OUTSIDE", "SECRET"]
