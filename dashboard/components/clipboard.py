"""A box that takes an image from the clipboard: Ctrl+V anywhere on the page, or a button."""

from __future__ import annotations

import base64
import binascii

from dashboard.components.assets import register

MOST_BYTES = 20_000_000  # of a pasted image
_CLIPBOARD = register("clipboard")


def pasted_bytes(uri: object) -> bytes:
    """The file in a data address as the browser sends it, 'data:image/png;base64,...'.

    Raises:
        ValueError: it is no such address; the message says what is wrong.
    """
    # The browser is not trusted: anything but an image is refused before it is decoded.
    head, separator, body = uri.partition(",") if isinstance(uri, str) else ("", "", "")
    if not separator or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise ValueError("what was pasted is not an image. Copy an image, not its address or its file name.")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError("what was pasted arrived damaged. Paste it once more.") from error


def clipboard_box(*, key: str) -> bytes | None:
    """Draw the box; returns the file that was pasted last, None until there is one.

    Raises:
        ValueError: what was pasted is not an image.
    """
    result = _CLIPBOARD(key=key, data={"most_bytes": MOST_BYTES}, default={"image": None}, on_image_change=lambda: None)
    return None if result.get("image") is None else pasted_bytes(result["image"])
