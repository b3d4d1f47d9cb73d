"""The one way in which tests open a page of the dashboard under Streamlit's AppTest."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

import dashboard

APP = Path(dashboard.__file__).with_name("app.py")


def open_page(monkeypatch, runs, page="overview", /, *, timeout=60, **parameters):
    """A page after it has run over a folder of runs, with the parameters of a link."""
    app = AppTest.from_file(str(APP), default_timeout=timeout)
    if page != "overview":
        # AppTest knows the pages' addresses only after a first run; over no runs at all, that is quick.
        monkeypatch.setenv("CLASSPRINT_RUNS", str(APP.with_name("no-runs")))
        app.run()
        app.switch_page(f"views/{page}/page.py")
    monkeypatch.setenv("CLASSPRINT_RUNS", str(runs))
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()
