"""The example of docs/deploy.md, started: its command with a free port and other runs, behind a small reverse proxy."""

import base64
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOST, BASE = "runs.example.org", "/classprint/"
USER = "Basic " + base64.b64encode(b"anna:secret").decode()


def example_command(port: int) -> list[str]:
    """The command of the first example, for this Python and a port."""
    block = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text("utf-8"), re.DOTALL)[1]
    words = [word for word in shlex.split(block.replace("\\\n", " ")) if not word.startswith("CLASSPRINT_RUNS=")]
    words[words.index("--server.port") + 1] = str(port)
    return [sys.executable, "-m", *words]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _read_head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (received := client.recv(65536)):
        head += received
    return head


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _pass_on(client: socket.socket, upstream: int) -> None:
    """What the example's nginx does with a connection: the base path only, only with a user's password."""
    with closing(client):
        head = _read_head(client)
        if not head:
            return
        path = head.split(b" ", 2)[1].decode()
        if not path.startswith(BASE):
            client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        if f"\r\nauthorization: {USER}".lower().encode() not in head.lower():
            realm = b'WWW-Authenticate: Basic realm="Classprint"'
            client.sendall(
                b"HTTP/1.1 401 Unauthorized\r\n" + realm + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        if b"\r\nupgrade:" not in head.lower():  # one request on each connection is simple
            head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        with closing(socket.create_connection(("127.0.0.1", upstream))) as server:
            server.sendall(head)
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()


@contextmanager
def deployed(runs: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """Run the block with the example running; gives the ports of the proxy and of the dashboard itself."""
    upstream = free_port()
    environment = {**os.environ, "CLASSPRINT_RUNS": str(runs), "HOME": str(folder)}
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):  # closed at the end
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_pass_on, args=(client, upstream), daemon=True).start()

    with (folder / "log").open("w") as log:
        server = subprocess.Popen(example_command(upstream), cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            wait_until_it_listens(upstream, server, folder / "log")
            threading.Thread(target=accept, daemon=True).start()
            yield listener.getsockname()[1], upstream
        finally:
            listener.close()
            server.terminate()
            server.wait(20)


def wait_until_it_listens(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when a server accepts connections; raises TimeoutError with its output when it has ended or never does."""
    for _ in range(600):
        with suppress(OSError):
            return socket.create_connection(("127.0.0.1", port)).close()
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise TimeoutError(log.read_text())
