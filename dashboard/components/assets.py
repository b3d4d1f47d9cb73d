"""What the components share: their scripts and styles beside the Python, and the bytes that travel to the browser."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

_FOLDER = Path(__file__).parent


def source(kind: str, *names: str) -> str:
    """The scripts ('js') or styles ('css') of these names in one, after what all components share."""
    # Concatenated as text: a component of Streamlit is one module, and nothing may be fetched from elsewhere.
    return "\n".join((_FOLDER / f"{name}.{kind}").read_text("utf-8") for name in ("base", *names))


def register(name: str, *scripts: str) -> Callable[..., Any]:
    """The function that draws a component, which may need further scripts; called when its module is imported."""
    return st.components.v2.component(f"classprint_{name}", js=source("js", *scripts, name), css=source("css", name))


def on_trigger(key: str, trigger: str, act: Callable[[Any], None] | None) -> Callable[[], None]:
    """A callback that hands what the browser sent under a trigger to `act`, before the page runs again."""

    def triggered() -> None:
        value = st.session_state[key].get(trigger)
        if value is not None and act is not None:
            act(value)

    return triggered


def to_base64(values: np.ndarray) -> str:
    """An array's bytes in base64, little-endian, in C order."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def to_json(data: dict[str, Any]) -> bytes:
    """The content as JSON in bytes: Streamlit sends bytes as they are, but encodes a dict twice.

    Raises:
        ValueError: a number is infinite or NaN, which JSON does not have, so that the browser could not read any of it.
    """
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()


def identity(data: dict[str, Any]) -> str:
    """A digest of the content, so that the browser redraws only what changed."""
    return hashlib.blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=8).hexdigest()
