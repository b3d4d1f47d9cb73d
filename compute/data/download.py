"""One file fetched over HTTP: a progress bar, resumed where an earlier attempt stopped, checked before it counts."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from compute.data.errors import DownloadFailed

_CHUNK = 1 << 20
_BROKEN = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a silent server, how often to resume, and how long to pause before."""

    timeout: float = 30.0
    attempts: int = 5
    pause: float = 2.0


@dataclass(frozen=True)
class RemoteFile:
    """A file on the web and what proves that it arrived whole."""

    url: str
    md5: str
    size: int


def download(remote: RemoteFile, path: Path, *, patience: RetryPolicy = RetryPolicy()) -> Path:
    """`path`, holding the remote file; a file that is there already and matches is not fetched again.

    What has arrived is kept in `<path>.part`, so an interrupted download goes on from there, now or in a later call.

    Raises:
        DownloadFailed: there is no network, the server refuses, or the file is not the expected one.
    """
    if path.is_file() and path.stat().st_size == remote.size and _md5(path) == remote.md5:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise DownloadFailed(
            f"'{path.parent}' can't be made: {err.strerror}. Set CLASSPRINT_CACHE to a folder of yours."
        ) from err
    part = path.with_name(path.name + ".part")
    _fetch(remote, part, patience)
    found = _md5(part)
    if found != remote.md5:
        part.unlink()
        raise DownloadFailed(
            f"What '{remote.url}' sent has the MD5 checksum {found}, not {remote.md5}. It was deleted; try again."
        )
    part.replace(path)
    return path


def _fetch(remote: RemoteFile, part: Path, patience: RetryPolicy) -> None:
    problem: Exception | None = None
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(patience.pause)
        try:
            _receive(remote, part, patience.timeout)
        except urllib.error.HTTPError as err:
            raise DownloadFailed(_advice(remote, part, f"the server answered {err.code} {err.reason}")) from err
        except _BROKEN as err:
            problem = err
        except OSError as err:
            raise DownloadFailed(
                f"'{part}' can't be written: {err}. Free some space or choose another folder."
            ) from err
        if _have(part) == remote.size:
            return
    reason = getattr(problem, "reason", None) or problem or "the connection kept breaking off"
    raise DownloadFailed(_advice(remote, part, str(reason))) from problem


def _receive(remote: RemoteFile, part: Path, timeout: float) -> None:
    """Append what is still missing; start over where the server can't resume or the part is too long."""
    have = _have(part)
    if have > remote.size:
        part.unlink()
        have = 0
    if have == remote.size:
        return
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=timeout) as prediction:
        resumed = prediction.status == http.HTTPStatus.PARTIAL_CONTENT
        _check_length(remote, prediction, have if resumed else 0)
        with part.open("ab" if resumed else "wb") as out, _bar(remote, have if resumed else 0) as bar:
            while chunk := prediction.read1(_CHUNK):
                out.write(chunk)
                bar.update(len(chunk))


def _check_length(remote: RemoteFile, prediction: http.client.HTTPResponse, have: int) -> None:
    length = prediction.headers.get("Content-Length")
    if length is not None and int(length) + have != remote.size:
        raise DownloadFailed(
            f"'{remote.url}' is {int(length) + have:,} bytes long, not {remote.size:,}: it is another file "
            "(or a login page). Fetch the archive yourself and give its path."
        )


def _bar(remote: RemoteFile, have: int) -> tqdm:
    name = remote.url.rsplit("/", 1)[-1]
    return tqdm(desc=name, total=remote.size, initial=have, unit="B", unit_scale=True, unit_divisor=1024, disable=None)


def _advice(remote: RemoteFile, part: Path, problem: str) -> str:
    have = _have(part)
    kept = f" {have:,} of {remote.size:,} bytes are kept and the next attempt goes on from there." if have else ""
    return (
        f"'{remote.url}' could not be downloaded: {problem}.{kept} Check the network, or fetch the archive on another "
        "machine and give its path."
    )


def _have(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
