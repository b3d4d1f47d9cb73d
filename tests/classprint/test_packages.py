"""The public door, the one command, and the package that pip installs."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import classprint
from classprint.__main__ import COMMANDS
from store.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("classprint", "compute", "store", "dashboard")


def python(*words: str, folder: Path = ROOT, path: Path = ROOT) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_public_name_is_there():
    library = {"HuggingFaceRecorder": "transformers", "LightningRecorder": "lightning"}
    names = [name for name in classprint.__all__ if name not in library or importlib.util.find_spec(library[name])]
    assert [getattr(classprint, name).__name__ for name in names] == names
    assert set(names) <= vars(classprint).keys()  # where the tool of the API reference looks, once they are loaded
    assert classprint.__version__ == VERSION
    with pytest.raises(AttributeError, match="classprint has no 'nothing'"):
        classprint.nothing  # noqa: B018


@pytest.mark.parametrize("name", ["compute", "store", "dashboard"])
def test_a_module_of_the_users_own_that_hides_a_package_is_named(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "program.py").write_text("import classprint")
    process = python("program.py", folder=tmp_path)
    assert f"Python finds '{name}' at {tmp_path / name}.py. Rename your own module" in process.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_every_command_says_the_one_version(package):
    assert python("-m", package, "--version").stdout == f"Classprint {VERSION}\n"


def test_pytorch_that_is_absent_is_asked_for_by_name(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(name='torch')")
    code = "from classprint import open_run; print('read'); from classprint import Recorder"
    process = python("-c", code, folder=tmp_path)
    assert process.stdout == "read\n"
    assert "Recorder needs PyTorch, and 'torch' is not installed. In Classprint's folder: pip install" in process.stderr


def test_every_command_of_the_packages_is_one_of_the_program():
    odd = python("-m", "classprint", "verfy")
    assert odd.returncode == 2 and "classprint has no command 'verfy'. Did you mean 'verify'?" in odd.stderr
    process = python("-m", "classprint")
    assert process.returncode == 0
    for name, (_, text) in COMMANDS.items():
        assert f"  {name}" in process.stdout and text in process.stdout
    for package in ("compute", "store", "dashboard"):
        shown = python("-m", package, "--help").stdout
        listed = {
            word for word in shown.replace("{", " ").replace("}", " ").replace(",", " ").split() if word.isalpha()
        }
        own = {name for name, (home, _) in COMMANDS.items() if home == package}
        assert own <= listed, f"python -m {package} has no {own - listed}"


def test_a_command_runs_as_that_of_its_package(tmp_path):
    process = python("-m", "classprint", "info", str(tmp_path))
    assert process.returncode == 1 and "There is no run at" in process.stderr
    assert python("-m", "classprint", "analyse", str(tmp_path)).returncode == 2
    assert python("-m", "classprint", "nothing").returncode == 2


@pytest.mark.slow
def test_the_wheel_has_everything_that_the_installed_program_needs(tmp_path):
    source = tmp_path / "source"  # a build leaves files beside what it builds
    hidden = shutil.ignore_patterns("__pycache__", "*.pyc")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=hidden)
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements-dashboard.txt", "requirements-compute.txt"):
        shutil.copy(ROOT / name, source / name)
    words = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source))
    built = python(*words)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        files = {path.relative_to(source).as_posix() for each in PACKAGES for path in (source / each).rglob("*")}
        assert {file for file in files if (source / file).is_file()} <= names
        assert not [name for name in names if name.split("/")[0] not in (*PACKAGES,) and ".dist-info/" not in name]
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "classprint = classprint.__main__:main" in entry_points
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert [line for line in required if "torch" in line and 'extra == "compute"' not in line] == []
    assert any(line.startswith("Requires-Dist: torch") for line in required)
    assert VERSION in wheel.name
