"""The dashboard protects itself, whatever folder it is started from."""

import os
import socket
import subprocess
import sys

import pytest
from streamlit import config

from tests.dashboard.app import APP, open_page, texts
from tests.dashboard.deployment import free_port, wait_until_it_listens

HANDSHAKE = (
    "GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server.address", None),
        ("server.allowedHosts", []),
        ("browser.gatherUsageStats", True),
        ("client.showErrorDetails", "full"),
        ("client.showErrorDetails", True),
        ("client.showErrorDetails", "stacktrace"),
    ],
)
def test_no_run_is_shown_without_the_dashboards_own_settings(monkeypatch, tiny_run, name, value):
    before = config.get_option(name)
    config.set_option(name, value)
    try:
        app = open_page(monkeypatch, tiny_run.parent)
    finally:
        config.set_option(name, before)
    assert f"`{name}` must be" in app.error[0].value
    assert "tiny" not in texts(app)


def _answer(port, host, address="127.0.0.1"):
    with socket.create_connection((address, port), timeout=20) as connection:
        connection.sendall(HANDSHAKE.format(host=host).encode())
        return connection.recv(100).split(b"\r\n")[0].decode()


@pytest.mark.slow
def test_started_elsewhere_it_serves_this_machine_only_and_no_other_name(tiny_run, tmp_path):
    port = free_port()
    environment = {**os.environ, "CLASSPRINT_RUNS": str(tiny_run.parent), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            wait_until_it_listens(port, server, tmp_path / "log")
            assert "101" in _answer(port, f"localhost:{port}")
            assert "101" in _answer(port, f"127.0.0.1:{port}")
            for host in (
                f"evil.example:{port}",
                "localhost.evil.example",
                "evil.example#localhost",
                "localhost@evil.example",
            ):
                assert "403" in _answer(port, host), host
            with socket.socket(socket.AF_INET) as other:  # 127.0.0.2 is this machine, too, but another address
                assert other.connect_ex(("127.0.0.2", port)) != 0
        finally:
            server.terminate()
            server.wait(20)
    assert "usage statistics" not in (tmp_path / "log").read_text().lower()
