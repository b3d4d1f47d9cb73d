"""Whether the packages named compute, store and dashboard are Classprint's, and not modules of the user's own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PACKAGES = ("compute", "store", "dashboard")
ROOT = Path(__file__).resolve().parents[1]


def refuse_other_packages() -> None:
    """Raises ImportError where a module of the user's own hides one of Classprint's packages, and says which."""
    for name in PACKAGES:
        loaded = sys.modules.get(name)
        spec = getattr(loaded, "__spec__", None) if loaded is not None else importlib.util.find_spec(name)
        found = getattr(spec, "origin", None) or getattr(loaded, "__file__", None)
        expected = ROOT / name / "__init__.py"
        if found is None or Path(found).resolve() != expected:
            where = found or "a folder without __init__.py" if spec or loaded else "nowhere"
            raise ImportError(
                f"Classprint's package '{name}' is {expected.parent}, but Python finds '{name}' at {where}. Rename "
                "your own module of that name, or take its folder off Python's path (the folder of the program that "
                "you started comes first on it)."
            )
