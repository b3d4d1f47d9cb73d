"""Downloads from a small server on this machine that can break off, refuse ranges, and send another file."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from compute.data.download import RemoteFile, download
from compute.errors import DownloadFailed

CONTENT = np.random.default_rng(0).bytes(400_000)


class Server(ThreadingHTTPServer):
    """Serves CONTENT; its attributes say how it misbehaves, `requests` is the Range header of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.status, self.break_after, self.sends_length = CONTENT, True, 200, 0, True
        self.moved_to = ""
        self.requests: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/set.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        self.server.requests.append(requested)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        if self.server.moved_to and self.path != "/moved.zip":
            self.send_response(302)
            self.send_header("Location", self.server.moved_to)
            self.end_headers()
            return
        start = int(requested.removeprefix("bytes=").rstrip("-")) if requested and self.server.ranges else 0
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        if self.server.sends_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.break_after:
            body, self.server.break_after = body[: self.server.break_after], 0
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def remote(server: Server, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(server.url, hashlib.md5(content).hexdigest(), len(content))


def test_a_file_is_downloaded_once(server, tmp_path):
    path = download(remote(server), tmp_path / "new" / "set.zip", pause=0)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    download(remote(server), path, pause=0)
    assert server.requests == [None]


@pytest.mark.parametrize(
    ("part", "behaviour", "requests"),
    [
        (b"", {"break_after": 150_000}, [None, "bytes=150000-"]),  # within the call
        (CONTENT[:123_456], {}, ["bytes=123456-"]),  # by the next call
        (b"something else", {"ranges": False}, ["bytes=14-"]),  # a server that can't resume: from the start
        (CONTENT + b"more", {}, [None]),  # too long: from the start
        (CONTENT, {}, []),  # nothing is missing
    ],
)
def test_an_interrupted_download_is_resumed_where_that_is_possible(server, tmp_path, part, behaviour, requests):
    vars(server).update(behaviour)
    (tmp_path / "set.zip.part").write_bytes(part)
    assert download(remote(server), tmp_path / "set.zip", pause=0).read_bytes() == CONTENT
    assert server.requests == requests


@pytest.mark.parametrize(
    ("behaviour", "message", "bytes_left"),
    [
        (
            {"content": CONTENT[:-1] + b"?"},
            r"checksum [0-9a-f]{32}, not [0-9a-f]{32}\. It was deleted; try again",
            None,
        ),
        ({"content": b"<html>Log in</html>"}, "is 19 bytes long, not 400,000: it is a different file", None),
        (
            {"content": CONTENT + b"more", "sends_length": False},
            "is longer than 400,000 bytes: it is a different",
            400_000,
        ),
        ({"status": 404}, "could not be downloaded: the server answered 404 Not Found", None),
        ({"break_after": 1000}, "1,000 of 400,000 bytes have arrived; the next attempt resumes there", 1000),
    ],
)
def test_a_failed_download_is_reported_and_what_has_arrived_stays(server, tmp_path, behaviour, message, bytes_left):
    vars(server).update(behaviour)
    with pytest.raises(DownloadFailed, match=message):
        download(remote(server), tmp_path / "set.zip", attempts=1)
    assert len(server.requests) == 1
    part = tmp_path / "set.zip.part"
    assert list(tmp_path.iterdir()) == ([part] if bytes_left else [])
    assert not bytes_left or 0 < part.stat().st_size <= bytes_left


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/set.zip",
        "ftp://127.0.0.1/set.zip",
        "file:///etc/passwd",
        "http://127.0.0.1.example.org/",
        "http://127.0.0.1@example.org/set.zip",
        "set.zip",
        "",
    ],
)
def test_addresses_that_are_not_https_are_refused(tmp_path, url):
    with pytest.raises(DownloadFailed, match="is not an https address"):
        download(RemoteFile(url, "0" * 32, 10), tmp_path / "new" / "set.zip")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("http://example.org/set.zip", "is not an https address"),
        ("ftp://127.0.0.1/set.zip", "which is not https, so it was not followed"),
        ("file:///etc/passwd", "302"),
        ("/set.zip", "302"),  # to itself, without end
    ],
)
def test_redirects_are_followed_to_safe_addresses_only(server, tmp_path, target, message):
    server.moved_to = target
    with pytest.raises(DownloadFailed, match=message):
        download(remote(server), tmp_path / "set.zip", attempts=1)
    assert not (tmp_path / "set.zip").exists()


def test_a_redirect_on_the_same_server_is_followed(server, tmp_path):
    server.moved_to = "/moved.zip"
    assert download(remote(server), tmp_path / "set.zip", pause=0).read_bytes() == CONTENT


def test_a_body_without_an_end_is_not_stored(server, tmp_path):
    server.content, server.sends_length = CONTENT * 20, False
    with pytest.raises(DownloadFailed, match="is longer than 400,000 bytes"):
        download(remote(server), tmp_path / "set.zip", attempts=1)
    assert (tmp_path / "set.zip.part").stat().st_size <= len(CONTENT)


def test_a_server_that_refuses_is_not_asked_again(server, tmp_path):
    server.status = 404
    with pytest.raises(DownloadFailed):
        download(remote(server), tmp_path / "set.zip", pause=0)
    assert len(server.requests) == 1


def test_no_network_is_reported_with_what_to_do(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    no_server = RemoteFile(f"http://127.0.0.1:{port}/set.zip", "0" * 32, 10)
    with pytest.raises(
        DownloadFailed, match=r"could not be downloaded: .*refused.* Check the network, or download the"
    ):
        download(no_server, tmp_path / "set.zip", pause=0)


def test_a_folder_that_cannot_be_written_is_reported(server, tmp_path):
    (tmp_path / "set.zip.part").mkdir()
    with pytest.raises(DownloadFailed, match=r"part' can't be written: .* set CLASSPRINT_CACHE to another folder"):
        download(remote(server), tmp_path / "set.zip", pause=0)
