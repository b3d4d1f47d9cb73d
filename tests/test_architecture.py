"""The shape of the code: one direction between the packages, small files and functions, plain names and words."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("classprint", "compute", "store", "dashboard", "bench")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FILE_LINES, FUNCTION_LINES, PARAMETERS = 500, 50, 6

# library -> the only packages that may import it
HOME = {
    "torch": {"compute", "bench"},
    "torchvision": {"compute", "bench"},
    "captum": {"compute"},
    "h5py": {"store", "bench"},
    "hdf5plugin": {"store", "bench"},
    "zstandard": {"store", "bench"},
    "streamlit": {"dashboard", "bench"},
    "sqlite3": {"dashboard"},  # there in marks alone: an import contract
}
DIRECTIONS = {"store": {"compute", "dashboard"}, "compute": {"dashboard"}, "dashboard": {"compute"}}
LIVE = ROOT / "dashboard" / "views" / "live" / "page.py"  # runs the network, when it is opened

MANY_PARAMETERS = {
    "compute/recording/recorder.py: __init__": "what whoever has a training loop may choose, each by name",
    "dashboard/shared/downloads.py: chart": "a chart with its texts and what a click on it does, each by name",
    "dashboard/shared/image_grid.py: image_grid": "what a gallery shows is chosen by its page, each part by name",
    "store/write/epoch_writer.py: __init__": "called by `RunWriter.epoch` alone, which has the defaults",
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


# -- layers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_imports_only_what_its_package_may(path):
    package, imported = path.relative_to(ROOT).parts[0], imports(path)
    wrong = {name for name, homes in HOME.items() if name in imported and package not in homes}
    if path != LIVE:
        wrong |= imported & DIRECTIONS.get(package, set())
    if package == "dashboard" and ("chart" in path.stem or path.parent.name in {"charts", "images"}):
        wrong |= imported & {"streamlit"}
    assert not wrong, f"{relative(path)} may not import {sorted(wrong)}"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("classprint", ("torch", "streamlit", "compute", "dashboard")),
        ("classprint.__main__", ("torch", "streamlit", "compute", "dashboard")),
        ("store", ("torch", "streamlit", "compute", "dashboard")),
        ("store.__main__", ("torch", "streamlit", "compute", "dashboard")),
        ("compute.__main__", ("streamlit", "dashboard")),
        ("dashboard.charts", ("torch", "streamlit", "h5py", "compute")),
        ("dashboard.images", ("torch", "streamlit", "h5py", "compute")),
        ("dashboard.__main__", ("torch", "compute")),
    ],
)
def test_importing_a_package_in_a_fresh_process_loads_nothing_that_it_must_not(module, absent):
    code = f"import sys, importlib; importlib.import_module({module!r}); print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert not set(absent) & set(process.stdout.split())


def test_no_dashboard_module_hides_a_module_of_the_standard_library():
    # `streamlit run dashboard/app.py` puts dashboard/ itself first on sys.path.
    names = {path.stem for path in (ROOT / "dashboard").glob("*.py")} - {"__init__", "__main__"}
    assert not names & (set(sys.stdlib_module_names) | set(PACKAGES))


# -- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_stay_small_and_public_ones_say_what_they_are_for(path):
    text = path.read_text()
    tree = parsed(path)
    assert text.count("\n") <= FILE_LINES, f"{relative(path)} has {text.count(chr(10))} lines"
    assert ast.get_docstring(tree), f"{relative(path)} does not say what it is for"
    for node in functions(path):
        length = (node.end_lineno or 0) - node.lineno + 1
        assert length <= FUNCTION_LINES, f"{relative(path)}: {node.name} has {length} lines"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{relative(path)}: public {node.name} has no docstring"
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
        assert handler.type is not None, f"{relative(path)}:{handler.lineno}: bare except"


def test_functions_have_at_most_six_parameters_but_those_with_a_reason():
    many = set()
    for path in SOURCES:
        for node in functions(path):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if len([each for each in arguments if each.arg not in ("self", "cls")]) > PARAMETERS:
                many.add(f"{relative(path)}: {node.name}")
    assert many == set(MANY_PARAMETERS), "list an exception with its reason, or drop one that is not needed any more"


# -- words ------------------------------------------------------------------------------------------------------------

VAGUE_MODULES = {"utils", "util", "helpers", "common", "manager", "misc", "frames", "records", "handles", "joining"}
# A participle or an adjective alone says neither what a thing is nor what is done.
VAGUE_FUNCTIONS = {
    "told",
    "made",
    "held",
    "kept",
    "asked",
    "joined",
    "several",
    "together",
    "undone",
    "leading",
    "altered",
}
VAGUE_FUNCTIONS |= {"prepared", "few_arenas", "go"}
# The dialect of the first build, as regular expressions of whole words, and what is said instead.
DIALECT = {
    "pictures?": "image",
    "alphabets?": "the page Patterns",
    "likeness(es)?": "cosine similarity",
    "leagues?": "failure-detection ranking",
    "betray(s|al|ed|ing)?": "detect errors",
    "anatomy": "minimal correction",
    "undone": "corrected",
    "entrench(ed|ment)?": "persistent",
    "settl(e|es|ed|ing)": "stabilise",
    "verdicts?": "localisation, or what is found",
    "lucky": "correct for a different reason",
    "fingerprints?": "cue profile, or digest",
    "lives? on": "relies on",
    "taken for": "predicted as",
    "told": "reported",
    "truths?": "true class, label",
    "purposes": "checkpoint-selection criteria",
    "hot": "cached",
    "means nothing": "is invalid",
    "make sense": "is invalid",
    "answered rightly": "predicted correctly",
    "works? out|worked out": "compute",
}
EXCEPTIONS = {  # file: word, and why it stays
    "compute/data/imagenet_names.toml": "the words of WordNet",
    "CHANGELOG.md": "says what the pages of earlier builds were called",
    "DECISIONS.md": "quotes the dialect once, in the entry that ended it",
    "tests/test_architecture.py": "lists the words",
}
HTML = re.compile(r"</?picture>")  # the HTML element of that name
TEXTS = sorted(
    path
    for folder in (*PACKAGES, "docs", ".")
    for path in (ROOT.glob("*") if folder == "." else (ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".js", ".css", ".toml", ".md"} or path.name == "Makefile"
)


def test_no_module_or_function_has_a_name_that_says_nothing():
    assert not [relative(path) for path in SOURCES if path.stem in VAGUE_MODULES]
    named = [f"{relative(path)}: {node.name}" for path in SOURCES for node in functions(path)]
    assert not [entry for entry in named if entry.rpartition(" ")[2].lstrip("_") in VAGUE_FUNCTIONS]


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_texts_and_identifiers_are_in_plain_words(path):
    if relative(path) in EXCEPTIONS:
        pytest.skip(EXCEPTIONS[relative(path)])
    # An underscore and a capital inside an identifier separate words.
    text = re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", HTML.sub("", path.read_text("utf-8")))
    found = [
        f"line {text.count(chr(10), 0, match.start()) + 1}: '{match[0]}', say: {instead}"
        for word, instead in DIALECT.items()
        for match in re.finditer(rf"(?<![\w'-])({word})(?![\w])", text, re.IGNORECASE)
    ]
    assert not found, f"{relative(path)}: {'; '.join(found)}"
