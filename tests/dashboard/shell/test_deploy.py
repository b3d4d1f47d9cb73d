"""The example of docs/deploy.md works as it stands, and the login lets in whom the operator names."""

import socket
import tomllib
from types import SimpleNamespace

import pytest
import streamlit as st

from dashboard.shell.protection import is_admitted
from tests.dashboard.app import open_page, texts
from tests.dashboard.deployment import BASE, HOST, ROOT, USER, deployed

HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def answer(port, path, host, *headers):
    """The status of a request."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *headers]
        connection.sendall(("\r\n".join(lines) + "\r\n" + (HANDSHAKE if "stream" in path else "") + "\r\n").encode())
        return int(connection.recv(100).split()[1])


@pytest.mark.slow
def test_the_example_serves_its_own_name_below_its_path_to_its_users(tiny_run, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}
    with deployed(tiny_run.parent, tmp_path) as (proxy, upstream):
        user, stream = f"Authorization: {USER}", f"{BASE}_stcore/stream"
        assert answer(proxy, BASE, HOST, user) == 200
        assert answer(proxy, f"{BASE}_stcore/health", HOST, user) == 200
        assert answer(proxy, stream, HOST, user, f"Origin: https://{HOST}") == 101
        assert answer(proxy, BASE, HOST) == 401
        assert answer(proxy, stream, HOST) == 401
        assert answer(proxy, "/", HOST, user) == 404
        assert answer(proxy, stream, "evil.example", user, "Origin: https://evil.example") == 403
        assert answer(proxy, stream, HOST, user, "Origin: https://evil.example") == 403
        assert answer(upstream, stream, "localhost", "Origin: http://localhost") == 403  # past the proxy
        with socket.socket() as other:
            assert other.connect_ex(("127.0.0.2", upstream)) != 0
    assert before == {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}, "a run is never written to"


def test_the_secrets_of_the_example_are_valid():
    blocks = (ROOT / "docs" / "deploy.md").read_text("utf-8").split("```toml\n")[1:]
    assert {"redirect_uri", "cookie_secret"} <= tomllib.loads(blocks[0].split("```")[0])["auth"].keys()


@pytest.fixture
def log_in(monkeypatch, tiny_run):
    """Opens Overview as a user, with or without a login in the secrets."""

    def opened(users, user, *, has_login=True):
        monkeypatch.setenv("CLASSPRINT_USERS", users)
        secrets = {"auth": {"client_id": "x"}} if has_login else {}
        monkeypatch.setattr(type(st.secrets), "load_if_toml_exists", lambda _: bool(secrets))
        monkeypatch.setattr(type(st.secrets), "__contains__", lambda _, name: name in secrets, raising=False)
        logged_in = SimpleNamespace(is_logged_in=user is not None, to_dict=lambda: user)
        monkeypatch.setattr(st, "user", logged_in)
        return open_page(monkeypatch, tiny_run.parent)

    return opened


def is_shown(app):
    return "tiny" in texts(app)


def test_without_a_login_every_visitor_sees_the_runs(log_in):
    assert is_shown(log_in("", None, has_login=False))


@pytest.mark.parametrize("users", ["", "*", "anna@example.org"])
def test_with_a_login_no_run_is_shown_to_who_is_not_logged_in(log_in, users):
    app = log_in(users, None)
    assert not is_shown(app)
    assert app.title[0].value == "Log in to see the runs"
    assert app.button[0].label == "Log in"


def test_users_without_a_login_in_the_secrets_show_no_run(log_in):
    app = log_in("anna@example.org", None, has_login=False)
    assert not is_shown(app)
    assert app.title[0].value == "The login is not set up"


def test_a_user_of_the_list_sees_the_runs_and_another_does_not(log_in):
    assert is_shown(log_in("anna@example.org", {"email": "Anna@example.org"}))
    app = log_in("anna@example.org", {"email": "[x](https://evil.example)@y.z"})
    assert not is_shown(app)
    assert r"\[x\]" in app.error[0].value


@pytest.mark.parametrize(
    ("user", "users", "admitted"),
    [
        ({"email": "anna@lab.org"}, ["@lab.org"], True),
        ({"email": "anna@lab.org", "email_verified": True}, ["anna@lab.org"], True),
        ({"email": "anna@lab.org", "email_verified": False}, ["anna@lab.org"], False),
        ({"email": "anna@evil.lab.org"}, ["@lab.org"], False),
        ({"email": "anna@lab.org@evil.org"}, ["@lab.org"], False),
        ({"email": "evil@lab.org.evil.org"}, ["@lab.org"], False),
        ({"email": "lab.org"}, ["@lab.org"], False),
        ({"email": ""}, ["@"], False),
        ({}, ["anna@lab.org"], False),
        ({}, ["*"], True),
    ],
)
def test_who_is_admitted(user, users, admitted):
    assert is_admitted(user, users) is admitted
