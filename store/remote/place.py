"""A folder that fsspec reaches, on this machine or elsewhere, and the errors it can raise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from store.errors import StoreError
from store.format.receipts import RECEIPT_BYTES, parse_receipt


def is_remote(path: str | Path) -> bool:
    """Whether `path` is a URL and not a folder."""
    return "://" in str(path)


@dataclass(frozen=True)
class Place:
    """A folder and the file system that it is on; names of files are relative to it."""

    url: str
    system: Any
    root: str

    @classmethod
    def at(cls, url: str) -> Place:
        """The place at a path or URL."""
        url = url.rstrip("/")
        return cls(url, *fsspec.core.url_to_fs(url))

    @property
    def is_local(self) -> bool:
        """Whether its files are on this machine."""
        return "file" in self.system.protocol

    def path(self, name: str) -> str:
        """Path of a file on its file system."""
        return f"{self.root}/{name}".rstrip("/")

    def reach(self, method: str, name: str, *arguments: Any, **options: Any) -> Any:
        """The result of a method of the file system, such as "info", for a file.

        Raises:
            FileNotFoundError: there is no such file.
            StoreError: the file system cannot be reached.
        """
        try:
            return getattr(self.system, method)(self.path(name), *arguments, **options)
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as err:
            raise StoreError(f"{self.url!r} cannot be reached: {err}. Check the network and the credentials.") from err

    def sha256(self, name: str) -> str:
        """SHA-256 of a file as hex digits; reads all of it."""
        # Not the object storage's tag, which is not a SHA-256 and differs between providers.
        with self.system.open(self.path(name), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def receipt(self, name: str) -> tuple[bytes, dict[str, dict[str, Any]]]:
        """A receipt, and name -> "bytes" and "sha256" of the files that it lists.

        Raises:
            FileNotFoundError: there is none.
            DamagedFile: it is no receipt.
        """
        raw = self.reach("cat_file", name, start=0, end=RECEIPT_BYTES + 1)  # no more, whatever its size
        return raw, parse_receipt(raw, f"{self.url}/{name}")["files"]
