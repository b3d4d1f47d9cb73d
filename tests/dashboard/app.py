"""How tests open a page of the dashboard under Streamlit's AppTest, read it, and make runs for it."""

import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path

from streamlit import config
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.shell import navigation
from store import ClassInfo
from store.synthetic import create_synthetic_run, record_synthetic_epoch, synthetic_description

APP = Path(dashboard.__file__).with_name("app.py")
PAGES = [page.name for page in navigation.PAGES]
SETTINGS = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text("utf-8"))

# `streamlit run` reads the settings beside its script, AppTest does not.
for _section, _options in SETTINGS.items():
    for _name, _value in _options.items():
        if not isinstance(_value, dict):
            config.set_option(f"{_section}.{_name}", _value)

# Every AppTest looks through all installed packages for components: two thirds of a page, and always the same answer.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


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


def texts(app):
    """All texts on the page."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind) if hasattr(element, "value"))


def assert_no_errors(app, *, warnings=True):
    """No exception and no error box; without `warnings` no warning either."""
    assert not app.exception, app.exception[0].value
    assert not app.error, app.error[0].value
    assert warnings or not app.warning, app.warning[0].value


def write_named_run(path, names, *, group="", images_per_class=4):
    """A synthetic run of 2 epochs whose classes have these names, in one group."""
    classes = tuple(ClassInfo(f"c{place}", name, group) for place, name in enumerate(names))
    description = synthetic_description(path.name, len(classes), images_per_class, epochs=2)
    description = replace(description, classes=classes)
    writer = create_synthetic_run(path, description)
    for number in (1, 2):
        record_synthetic_epoch(writer, number)
    return path
