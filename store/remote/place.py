"""A folder that fsspec reaches, on this machine or elsewhere, and the errors it can raise."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem

from store.errors import DamagedFile, StoreError
from store.format.receipts import RECEIPT_BYTES, parse_receipt

BLOCK = 8 << 20  # bytes at a time: few requests to object storage, little memory
ANSWER_SECONDS = 120  # for a listing or the state of a file: storage may send pages of names, or single bytes, for ever
_WEB = re.compile(r"(^|::)https?://", re.IGNORECASE)


def is_remote(path: str | Path) -> bool:
    """Whether `path` is a URL and not a folder."""
    return "://" in str(path)


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder that need not exist yet."""
    return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free


@contextmanager
def errors_of_libraries() -> Iterator[None]:
    """Turn whatever a library of object storage raises into OSError.

    Botocore's own errors, for a server that does not answer or for missing credentials, are none, and on answers that
    make no sense libraries raise anything.
    """
    try:
        yield
    except (OSError, StoreError, MemoryError):
        raise
    except Exception as err:
        raise OSError(str(err) or type(err).__name__) from err


@dataclass(frozen=True)
class Place:
    """A folder and the file system that it is on; names of files are relative to it."""

    url: str
    system: Any
    root: str

    @classmethod
    def at(cls, url: str) -> Place:
        """The place at a path or URL; raises StoreError for a URL of a kind that nothing here can open."""
        folder = url.rstrip("/")
        # A web page is no listing: it has no sizes and no end, and its server sends whoever reads it elsewhere.
        if _WEB.search(url):
            raise StoreError(
                f"{url!r} is the address of a web server, which does not list files. Download the run into a folder, "
                "or name the bucket that it is in, such as s3://bucket/runs."
            )
        if is_remote(url) and not is_remote(folder):  # it would be a folder called "s3:"
            raise StoreError(f"{url!r} names no bucket and no folder. Name one, such as s3://bucket/runs.")
        try:
            with errors_of_libraries():
                return cls(folder, *fsspec.core.url_to_fs(folder))
        except OSError as err:
            raise StoreError(
                f"{url!r} cannot be opened: {err}. For s3:// install s3fs, for gs:// gcsfs, for abfs:// adlfs."
            ) from err

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
        if method != "open" and isinstance(self.system, AsyncFileSystem):
            options["timeout"] = ANSWER_SECONDS
        try:
            with errors_of_libraries():
                return getattr(self.system, method)(self.path(name), *arguments, **options)
        except (FileNotFoundError, NotADirectoryError):
            raise
        except TimeoutError as err:
            raise StoreError(
                f"{self.url!r} did not finish its answer within {ANSWER_SECONDS:g} seconds. Check the network, or name "
                "a folder there that has fewer files."
            ) from err
        except OSError as err:
            check = "the path" if self.is_local else "the network and the credentials"
            raise StoreError(f"{self.url!r} cannot be reached: {err}. Check {check}.") from err

    def blocks(self, name: str, size: int) -> Iterator[bytes]:
        """A file of `size` bytes, block by block: a server may send without end whatever it has listed.

        Raises:
            DamagedFile: it has more bytes, or fewer.
            OSError: it cannot be read.
        """
        left = size
        with errors_of_libraries(), self.system.open(self.path(name), "rb") as file:
            while block := file.read(min(BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                yield block
        if left:
            raise DamagedFile(
                f"{self.url}/{name} has {'more' if left < 0 else 'fewer'} than the {size:,} bytes that were listed. "
                "Try again, or restore it from a copy."
            )

    def sha256(self, name: str, size: int) -> str:
        """SHA-256 of a file of `size` bytes as hex digits; reads all of it; raises as `blocks`."""
        # Not the object storage's tag, which is not a SHA-256 and differs between providers.
        digest = hashlib.sha256()
        for block in self.blocks(name, size):
            digest.update(block)
        return digest.hexdigest()

    def size(self, name: str, entry: Mapping[str, Any]) -> int:
        """The bytes that a listing's entry gives a file; raises DamagedFile where they are no number of bytes."""
        size = entry.get("size")
        if not isinstance(size, int) or not 0 <= size < 2**63:
            raise DamagedFile(f"{self.url}/{name} is listed with {str(size)[:100]!r} bytes. Copy the run there again.")
        return size

    def receipt(self, name: str) -> tuple[bytes, dict[str, dict[str, Any]]]:
        """A receipt, and name -> "bytes" and "sha256" of the files that it lists.

        Raises:
            FileNotFoundError: there is none.
            DamagedFile: it is no receipt.
        """
        try:
            with errors_of_libraries(), self.reach("open", name, "rb") as file:
                raw = file.read(RECEIPT_BYTES + 1)  # no more, whatever its size
        except FileNotFoundError:
            raise
        except OSError as err:
            raise StoreError(f"{self.url}/{name} cannot be read: {err}. Check the network.") from err
        return raw, parse_receipt(raw, f"{self.url}/{name}")["files"]
