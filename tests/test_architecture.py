"""The shape of the code: one direction between the packages, small files, small functions, nothing undocumented."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("compute", "store", "dashboard")
SOURCES = sorted(path for package in (*PACKAGES, "bench") for path in (ROOT / package).rglob("*.py"))
FILE_LINES = 500
FUNCTION_LINES = 55
VAGUE_NAMES = {"utils", "util", "helpers", "common", "manager", "misc"}

# library -> the only packages that may import it
HOME = {
    "torch": {"compute", "bench"},
    "torchvision": {"compute", "bench"},
    "captum": {"compute"},
    "h5py": {"store", "bench"},
    "hdf5plugin": {"store", "bench"},
    "zstandard": {"store", "bench"},
    "streamlit": {"dashboard", "bench"},
}
DIRECTIONS = {"store": {"compute", "dashboard"}, "compute": {"dashboard"}, "dashboard": {"compute"}}
LIVE = ROOT / "dashboard" / "views" / "live" / "page.py"


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_a_module_imports_only_what_its_package_may(path):
    package = path.relative_to(ROOT).parts[0]
    imported = _imports(path)
    wrong = {name for name, homes in HOME.items() if name in imported and package not in homes}
    if path != LIVE:
        wrong |= imported & DIRECTIONS.get(package, set())
    if package == "dashboard" and ("chart" in path.stem or path.parent.name in {"charts", "images"}):
        wrong |= imported & {"streamlit"}
    assert not wrong, f"{_relative(path)} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_files_and_functions_stay_small_and_public_ones_say_what_they_return(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= FILE_LINES, f"{_relative(path)} has {text.count(chr(10))} lines"
    assert ast.get_docstring(tree), f"{_relative(path)} does not say what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{_relative(path)}: {node.name} has {length} lines"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{_relative(path)}:{node.lineno}: bare except"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{_relative(path)}: public {node.name} has no docstring"


def test_no_module_has_a_name_that_says_nothing():
    assert not [_relative(path) for path in SOURCES if path.stem in VAGUE_NAMES]


def test_no_dashboard_module_hides_a_module_of_the_standard_library():
    # `streamlit run dashboard/app.py` puts dashboard/ itself first on sys.path.
    names = {path.stem for path in (ROOT / "dashboard").glob("*.py")} - {"__init__", "__main__"}
    assert not names & (set(sys.stdlib_module_names) | set(PACKAGES))


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("store", ("torch", "streamlit", "compute", "dashboard")),
        ("store.__main__", ("torch", "streamlit", "compute", "dashboard")),
        ("compute.__main__", ("streamlit", "dashboard")),
        ("dashboard.charts", ("torch", "streamlit", "h5py", "compute")),
        ("dashboard.images", ("torch", "streamlit", "h5py", "compute")),
        ("dashboard.__main__", ("torch", "compute")),
    ],
)
def test_importing_a_package_in_a_fresh_process_loads_nothing_it_must_not(module, absent):
    code = f"import sys, importlib; importlib.import_module({module!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not set(absent) & set(done.stdout.split())


def test_the_import_contracts_hold():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
