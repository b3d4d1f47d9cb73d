"""Names from a link or a run are shown as they are: no link, no image, no heading, no formula, on any page or file."""

import json
import re
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from dashboard.report import write_report
from dashboard.shell import navigation
from store import ClassInfo, open_run
from store.analysis.analyse import analyse
from store.format.description import Variant
from store.synthetic import create_synthetic_run, record_synthetic_epoch, synthetic_description
from tests.dashboard.app import PAGES

TEXTS = {
    "marks": "# <script>alert(1)</script><img src=//host.example/x> ![x](//host.example) [click](//host.example) "
    "**b** `c` $x$ :material/evil: :red[x] www.host.example `` `c` ```",
    "lines": "a\rb\r===\r\n# big\n---\u2028b\u2029# c\x0bd\x0ce\x85f \u202eevil\u202c \u200f",
    "formula": '=HYPERLINK("http:host.example","x")',
}
# What a page must not hold outside of its own code: each is a mark of a hostile name that Markdown would obey.
FORBIDDEN = re.compile(
    r"(?<!\\)\[click|(?<!\\)\[x|(?<!\\)<(script|img)|://host|(?i:www\.host)|\*\*b\*\*|(?<!\\)`c(?<!\\)`|(?<!\\)\$x"
    r"|:material/evil|\r|\u2028|\u2029|\x0b|\x0c|\x85|\u202e|\n#+ |\n==="
)
# Shown as text by Streamlit, not as Markdown: lists that are searched, code, data of charts, tables and components.
PLAIN = {"code_text", "spec", "data", "arrow_data", "json", "url", "id", "form_id", "raw_values", "raw_value", "key"}
PLAIN |= {"options", "query_string", "alt", "file_name", "user_key"}
PLAIN |= {"js_content", "css_content"}  # of a component: files of the dashboard
SPAN = re.compile(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)")


@pytest.fixture(scope="module")
def hostile_runs(tmp_path_factory):
    """A folder of analysed runs, in each of which every name is hostile in one way."""
    folder = tmp_path_factory.mktemp("hostile")
    for text in TEXTS.values():
        path = folder / text.replace("/", "")
        description = synthetic_description("run", 4, 3, epochs=2)
        description = replace(
            description,
            classes=tuple(ClassInfo(f"{text}{place}", f"{text}{place}", text) for place in range(4)),
            image_names=[f"{text}{place}" for place in range(12)],
            variants=(Variant("clean"), Variant("gray", text), Variant("odd", text)),
            configuration={"model": {"name": text, "options": {text: text}}, "data": {"source": text}},
            provenance={"command": text, text: text},
        )
        writer = create_synthetic_run(path, description)
        for number in (1, 2):
            record_synthetic_epoch(writer, number)
        analyse(open_run(path))
    return folder


def _strings(message, path=""):
    """Every text of a message that may be Markdown, with the field that it is in."""
    for field, value in message.ListFields():
        if field.name in PLAIN and not (field.name == "options" and "button_group" in path):
            continue
        repeated = not isinstance(value, str | bytes | Message) and hasattr(value, "__iter__")
        for item in value if repeated else (value,):
            if isinstance(item, Message):
                yield from _strings(item, f"{path}.{field.name}")
            elif field.name == "columns" and isinstance(item, str):  # of a table: labels are plain, help is not
                yield from ((f"{path}.help", column.get("help") or "") for column in json.loads(item or "{}").values())
            elif isinstance(item, str):
                yield f"{path}.{field.name}", item


def _protos(block, path=""):
    for child in getattr(block, "children", {}).values():
        proto = getattr(child, "proto", None)
        kind = getattr(child, "type", "")
        if proto is not None and kind not in ("html", "json"):  # the dashboard's own drawing; a tree of plain values
            yield f"{path}/{kind}", proto
        yield from _protos(child, f"{path}/{kind}")


def unescaped(app):
    """What of a page Markdown would obey: field and text."""
    found = []
    for root in (app.main, app.sidebar):
        for path, proto in _protos(root):
            for field, text in _strings(proto, path):
                if (bad := FORBIDDEN.search(SPAN.sub("", text))) is not None:
                    found.append((field, bad[0], text[:300]))
    return found


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("page", PAGES)
def test_no_page_obeys_a_name(opened, hostile_runs, page, kind):
    text = TEXTS[kind]
    link = {"run": text.replace("/", ""), "class": f"{text}1", "image": "1", "variant": "odd", "pin": "1.gray"}
    app = opened(hostile_runs, page, **link)
    assert not app.exception, app.exception[0].value
    assert not unescaped(app)
    for chart in app.get("vega_lite_chart"):
        assert '"href"' not in chart.proto.spec and '"url"' not in chart.proto.spec
    for table in app.get("arrow_data_frame"):
        kinds = [
            column.get("type_config", {}).get("type") for column in json.loads(table.proto.columns or "{}").values()
        ]
        assert not {"link", "image", "markdown"} & set(kinds)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("page", PAGES)
def test_no_page_obeys_a_link(opened, hostile_runs, page, text):
    names = [
        "run",
        "epoch",
        "variant",
        "class",
        "image",
        "scale",
        "pin",
        "unknown",
        "sort",
        "score",
        "third",
        "compare_run",
    ]
    app = opened(hostile_runs, page, **dict.fromkeys(names, text), **{text: text})
    assert not app.exception, app.exception[0].value
    assert not unescaped(app)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_page_that_is_not_there_is_named_as_text(opened, hostile_runs, monkeypatch, text):
    monkeypatch.setattr(navigation, "requested_page", lambda: text.rpartition("/")[2])
    app = opened(hostile_runs)
    assert not app.exception, app.exception[0].value
    assert not unescaped(app)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_report_holds_names_as_text(hostile_runs, tmp_path, text):
    report = write_report(open_run(hostile_runs / text.replace("/", "")), tmp_path / "report.html").read_text("utf-8")
    tags = re.findall(r"<(/?[a-zA-Z][a-zA-Z0-9]*)([^>]*)>", report)
    assert not {name.lower() for name, _ in tags} & {"script", "a", "iframe", "object", "embed", "link", "base", "form"}
    active = r"(?i)\bon\w+\s*=|\b(?:src|href)\s*=\s*(?!\"data:image/png;base64,|\"#)"
    texts = re.compile(r'\b(?:alt|aria-[a-z]+)="[^"]*"')
    assert not [rest for _, rest in tags if re.search(active, texts.sub("", rest))]
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in report
