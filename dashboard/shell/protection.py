"""What must hold before a run is shown: safe settings of Streamlit, and a login where the operator asks for one.

The settings are in `dashboard/.streamlit/config.toml`, which Streamlit reads beside its script, whatever the working
folder is. Where that file was not found, as with a copy of app.py elsewhere, the dashboard shows what is missing and no
run. The login is described in docs/deploy.md.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from dashboard.shared.theme import escape_markdown

USERS_VARIABLE = "CLASSPRINT_USERS"

# setting -> (what it must be, what its default would do)
_NEEDED = {
    "server.address": ("an address", "all networks of this machine could read the runs"),
    "server.allowedHosts": ("a list of names", "any website could read the runs through a browser (DNS rebinding)"),
    "browser.gatherUsageStats": ("false", "usage would be reported to Streamlit"),
    "client.showErrorDetails": ("type or none", "visitors would see tracebacks"),
}


def missing_settings() -> dict[str, tuple[str, str]]:
    """The settings that are not as they must be: name -> what it must be, and what would happen otherwise."""
    return {name: needed for name, needed in _NEEDED.items() if not _is_safe(name, st.get_option(name))}


def _is_safe(name: str, value: object) -> bool:
    if name == "browser.gatherUsageStats":
        return value is False
    if name == "client.showErrorDetails":
        return str(value).lower() in ("type", "none")
    return bool(value)  # an address or a list that the operator chose, whatever it is


def refuse_without_settings() -> None:
    """Stop the page where a setting is missing, and say which."""
    missing = missing_settings()
    if not missing:
        return
    st.title("The dashboard was started without its settings", anchor=False)
    lines = [f"- `{name}` must be {needed}: otherwise {reason}." for name, (needed, reason) in missing.items()]
    st.error("\n".join(["No run is shown, because:", "", *lines]), icon=":material/lock:")
    st.markdown(
        "Start it with `make dashboard`, or with `streamlit run` and the path of its own `dashboard/app.py`, from any "
        "folder: its settings are in `dashboard/.streamlit/config.toml`. docs/deploy.md says how to serve it to others."
    )
    st.stop()


def require_login() -> None:
    """Stop the page until a user is logged in, where CLASSPRINT_USERS says who may, or the secrets have a login."""
    # The variable, not only the secrets: those are looked for in the working folder, and another would open the door.
    users = [entry.strip().lower() for entry in os.environ.get(USERS_VARIABLE, "").split(",") if entry.strip()]
    has_login = st.secrets.load_if_toml_exists() and "auth" in st.secrets
    if not users and not has_login:
        return
    if not has_login:
        st.title("The login is not set up", anchor=False)
        st.error(
            f"{USERS_VARIABLE} names who may see the runs, but Streamlit's secrets have no section `[auth]`, so nobody "
            "can log in. Name their file with `--secrets.files`; docs/deploy.md shows one.",
            icon=":material/lock:",
        )
        st.stop()
    if not st.user.is_logged_in:
        st.title("Log in to see the runs", anchor=False)
        st.button("Log in", icon=":material/login:", on_click=st.login)
        st.stop()
    if users and not is_admitted(st.user.to_dict(), users):
        st.title("No access", anchor=False)
        st.error(
            escape_markdown(f"{st.user.to_dict().get('email')} is not among those who may see the runs here."),
            icon=":material/lock:",
        )
        st.button("Log out", icon=":material/logout:", on_click=st.logout)
        st.stop()


def is_admitted(user: Mapping[str, Any], users: Collection[str]) -> bool:
    """Whether a user's e-mail address, or "@" and its domain, is in the list, or the list is "*"."""
    email = str(user.get("email") or "").strip().lower()
    if "*" in users:
        return True
    if "@" not in email or user.get("email_verified") is False:  # anybody may write any address into an account
        return False
    return email in users or f"@{email.rpartition('@')[2]}" in users
