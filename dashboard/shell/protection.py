"""What must hold before a run is shown: settings of Streamlit whose defaults would open the dashboard to others.

They are in `dashboard/.streamlit/config.toml`, which Streamlit reads beside its script, whatever the working folder is.
Where that file was not found, as with a copy of app.py elsewhere, the dashboard shows what is missing and no run.
"""

from __future__ import annotations

import streamlit as st

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
        "folder: its settings are in `dashboard/.streamlit/config.toml`. To serve it to others, name both: "
        "`--server.address 0.0.0.0 --server.allowedHosts your.host.name`."
    )
    st.stop()
