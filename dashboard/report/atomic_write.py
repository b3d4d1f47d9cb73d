"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from store import WriteFailed


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that it is there whole or, as on a full disk, not at all.

    Raises:
        WriteFailed: the file system refuses; an existing file stays as it is.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe or a device is not to be replaced
            path.write_bytes(content)
            return
        final = path.resolve()
        descriptor, part = tempfile.mkstemp(prefix=f".{final.name[:40]}.", suffix=".part", dir=final.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(part).chmod(0o666 & ~_umask())
            Path(part).replace(final)
        finally:
            Path(part).unlink(missing_ok=True)
    except (OSError, ValueError) as err:  # a zero byte in the name is a ValueError
        reason = getattr(err, "strerror", None) or err
        raise WriteFailed(
            f"The report cannot be written to {str(path)!r}: {reason}. Name a file in a folder that is there, is yours "
            "and has room, with -o."
        ) from err


def _umask() -> int:
    """What a new file's rights leave out; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
