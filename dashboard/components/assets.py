"""The components' scripts and styles, read as text beside the Python, and the bytes that travel to them."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

_FOLDER = Path(__file__).parent


def script(name: str) -> str:
    """The JavaScript of a component, with what all of them share in front."""
    return "\n".join((_FOLDER / part).read_text("utf-8") for part in ("base.js", f"{name}.js"))


def style(name: str) -> str:
    """The CSS of a component, with what all of them share in front."""
    return "\n".join((_FOLDER / part).read_text("utf-8") for part in ("base.css", f"{name}.css"))


def encoded(values: np.ndarray) -> str:
    """An array's bytes in base64, little-endian, in C order."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def packed(data: dict[str, Any]) -> bytes:
    """What travels to the browser, as JSON in bytes: Streamlit sends those as they are, and a dict it writes twice."""
    return json.dumps(data, separators=(",", ":")).encode()


def identity(data: dict[str, Any]) -> str:
    """A digest of what is shown, so that the browser redraws only what changed."""
    return hashlib.blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=8).hexdigest()
