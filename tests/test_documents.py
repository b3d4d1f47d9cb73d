"""What the documents say holds: files exist, pages and commands are those of the program, requirements have reasons."""

import re
from pathlib import Path

import pytest

from dashboard.shell.navigation import PAGES
from store.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "store").glob("*.md")]


def test_every_file_and_folder_that_architecture_names_exists():
    named = re.findall(
        r"`((?:compute|store|dashboard|bench|tests|docs)/[\w./]*)`", (ROOT / "ARCHITECTURE.md").read_text()
    )
    assert len(named) > 50
    assert not [name for name in named if not (ROOT / name).exists()]


def test_architecture_has_a_line_for_every_package():
    named = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    folders = {
        path.parent.relative_to(ROOT)
        for top in ("compute", "store", "dashboard")
        for path in (ROOT / top).glob("*/__init__.py")
    }
    assert not [str(folder) for folder in sorted(folders) if f"| `{folder}/` |" not in named]


def test_the_readmes_pages_ask_the_questions_of_the_navigation():
    table = re.search(r"<!-- pages -->\n(.*?)<!-- end -->", README, re.S)
    assert table is not None
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table[1], re.M)
    assert rows[1:] == [(page.title, page.question) for page in PAGES]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")) + re.findall(
        r'(?:src|srcset)="([^"]+)"', path.read_text()
    )
    files = [link for link in links if "://" not in link]
    assert not [link for link in files if not (path.parent / link).exists()]


def test_the_citation_and_the_changelog_name_the_version():
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[1] in (VERSION, "Unreleased")


def test_every_requirement_is_explained():
    text = "".join(path.read_text() for path in ROOT.glob("requirements*.txt"))
    names = re.findall(r"^([a-z][\w-]*)", text, re.M)
    explained = README[README.index("## Why each dependency") :]
    assert not [name for name in names if not re.search(rf"\b{name}\b", explained)]


def test_every_make_target_explains_itself_and_the_readme_names_the_ones_users_need():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.M)
    assert phony is not None
    for target in phony[1].split():
        assert re.search(rf"^{target}:.*## \S", makefile, re.M), f"make {target} has no line in make help"
    users = "compute plan experiment dashboard analyse verify report test lint bench"
    assert not [target for target in users.split() if f"`make {target}" not in README]
