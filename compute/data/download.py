"""One file downloaded over HTTP with a progress bar, resumed where an earlier attempt stopped, and checked."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from compute.errors import DownloadFailed
from store.terminal import ProgressBar

_CHUNK = 1 << 20
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_TIMEOUT = 30.0  # Seconds to wait for a silent server.
_CONNECTION_ERRORS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


@dataclass(frozen=True)
class RemoteFile:
    """A file on the web, with the checksum and size that it must have."""

    url: str
    md5: str
    size: int


class _SameProtocol(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where it stays as safe as the address that was asked for."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request of the new address; raises DownloadFailed where it leads away from https."""
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            raise DownloadFailed(
                f"'{req.full_url}' leads on to '{newurl}', which is not https, so it was not followed. "
                "Download the archive yourself and pass its path."
            )
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = urllib.request.build_opener(_SameProtocol)


def _check_address(url: str) -> None:
    """Refuses addresses that others could read along or replace; http is for a server on this machine only."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _THIS_MACHINE):
        raise DownloadFailed(f"'{url}' is not an https address, so nothing was downloaded. Use https.")


def download(remote: RemoteFile, path: Path, *, attempts: int = 5, pause: float = 2.0) -> Path:
    """Downloads the file to `path` and returns it; an existing file with the right checksum is kept.

    What has arrived stays in `<path>.part`, so that an interrupted download is resumed: within this call after `pause`
    seconds, at most `attempts` times, or in a later call.

    Raises:
        DownloadFailed: the address is not https, there is no network, the server refuses, or the file is not the
            expected one.
    """
    _check_address(remote.url)
    if path.is_file() and path.stat().st_size == remote.size and _md5(path) == remote.md5:
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download_part(remote, part, attempts, pause)
    except OSError as err:
        raise DownloadFailed(
            f"'{part}' can't be written: {err.strerror or err}. "
            "Free some space, or set CLASSPRINT_CACHE to another folder."
        ) from err
    checksum = _md5(part)
    if checksum != remote.md5:
        part.unlink()
        raise DownloadFailed(
            f"The file from '{remote.url}' has the MD5 checksum {checksum}, not {remote.md5}. "
            "It was deleted; try again."
        )
    part.replace(path)
    return path


def _download_part(remote: RemoteFile, part: Path, attempts: int, pause: float) -> None:
    problem: Exception | None = None
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause)
        try:
            _receive(remote, part)
        except urllib.error.HTTPError as err:
            raise DownloadFailed(_advice(remote, part, f"the server answered {err.code} {err.reason}")) from err
        except _CONNECTION_ERRORS as err:
            problem = err
        if _bytes_so_far(part) == remote.size:
            return
    reason = getattr(problem, "reason", None) or problem or "the connection was lost repeatedly"
    raise DownloadFailed(_advice(remote, part, str(reason))) from problem


def _receive(remote: RemoteFile, part: Path) -> None:
    """Appends what is missing; starts over where the server can't resume or the part is too long."""
    start = _bytes_so_far(part)
    if start > remote.size:
        part.unlink()
        start = 0
    if start == remote.size:
        return
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={start}-"} if start else {})
    with _opener.open(request, timeout=_TIMEOUT) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            start = 0
        length = response.headers.get("Content-Length")
        if length is not None and int(length) + start != remote.size:
            raise _other_file(remote, f"{int(length) + start:,} bytes long, not {remote.size:,}")
        with part.open("ab" if start else "wb") as out, _progress_bar(remote, start) as bar:
            while chunk := response.read1(_CHUNK):  # what is there: `read` would lose a part when the line breaks
                start += len(chunk)
                if start > remote.size:  # Without a Content-Length, and perhaps without an end.
                    raise _other_file(remote, f"longer than {remote.size:,} bytes")
                out.write(chunk)
                bar.update(len(chunk))


def _other_file(remote: RemoteFile, what: str) -> DownloadFailed:
    return DownloadFailed(
        f"'{remote.url}' is {what}: it is a different file (or a login page). "
        "Download the archive yourself and pass its path."
    )


def _progress_bar(remote: RemoteFile, start: int) -> ProgressBar:
    name = remote.url.rsplit("/", 1)[-1]
    return ProgressBar(desc=name, total=remote.size, initial=start, unit="B", unit_scale=True, unit_divisor=1024)


def _advice(remote: RemoteFile, part: Path, problem: str) -> str:
    arrived = _bytes_so_far(part)
    resume = f" {arrived:,} of {remote.size:,} bytes have arrived; the next attempt resumes there." if arrived else ""
    return (
        f"'{remote.url}' could not be downloaded: {problem}.{resume} Check the network, or download the archive on "
        "another machine and pass its path."
    )


def _bytes_so_far(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
