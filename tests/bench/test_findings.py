from __future__ import annotations

import numpy as np
import pytest

from bench import findings, null_findings
from bench.findings_sections import SECTIONS
from store import open_run
from store.analysis import read_analysis
from store.synthetic import write_synthetic_run

DOCUMENT = """# Title
prose
<!-- figures: one -->
old figures
<!-- end -->
more prose
<!-- figures: two-three -->
<!-- end -->
"""


def test_blocks_are_replaced_and_the_prose_between_them_stays():
    once = findings.refreshed(DOCUMENT, {"one": "new", "two-three": r"a \1 b"})
    assert once == DOCUMENT.replace("old figures", "new").replace("three -->\n", "three -->\na \\1 b\n")
    assert findings.refreshed(once, {"one": "new"}) == once


def test_figures_without_a_place_in_the_document_are_refused():
    with pytest.raises(ValueError, match="no block for other, only for one, two-three"):
        findings.refreshed(DOCUMENT, {"other": "figures"})


def test_shares_and_figures_carry_their_interval():
    assert findings.share(13, 13) == "100.0 % [77.2, 100.0] (13 of 13)"
    assert findings.share(0, 0) == "–"
    assert findings.figure(0.12345, -0.1, 1, 2) == "0.12 [-0.10, 1.00]"


@pytest.mark.parametrize(
    "options", [{"epochs": 3}, {"epochs": 1, "variants": ("clean",), "masks": None, "boxes": None}]
)
def test_every_section_has_figures_for_any_run(tmp_path, options):
    subject = findings.examined(write_synthetic_run(tmp_path / "run", **options), keep=False)
    assert subject.seconds > 0
    for name, section in SECTIONS.items():
        written = section.figures([subject])
        assert "run" in written, name
        assert "nan" not in written.replace("nan]", ""), f"{name}: {written}"


def test_one_block_is_refreshed_for_several_runs_and_the_others_stay(tmp_path, monkeypatch, capsys):
    runs = [write_synthetic_run(tmp_path / name, epochs=1, images_per_class=6) for name in ("first", "second")]
    bare = write_synthetic_run(tmp_path / "bare", epochs=1, masks=None, boxes=None)
    document = tmp_path / "findings.md"
    document.write_text("<!-- figures: place -->\n<!-- end -->\n<!-- figures: runs -->\nold\n<!-- end -->\n", "utf-8")
    arguments = [*map(str, runs), str(bare), "--only", "place", "--output", str(document)]
    monkeypatch.setattr("sys.argv", ["findings", *arguments])
    assert findings.main() == 0
    written = document.read_text("utf-8")
    assert "<!-- figures: runs -->\nold\n" in written
    assert "| | first | second | bare |" in written
    assert "- **bare** (`paper`, 8 × 8 cells): Unknown: " in written
    assert "`python -m bench.findings first second bare --only place`" in written
    assert "| objects known by | masks | masks | – |" in written


def test_the_documents_blocks_are_those_that_the_commands_fill():
    text = (findings.ROOT / "docs" / "findings.md").read_text("utf-8")
    assert {name for _, name, _ in findings.BLOCK.findall(text)} == {*SECTIONS, "null"}


def test_shuffled_answers_keep_their_number_and_lose_their_meaning(tmp_path):
    path = write_synthetic_run(tmp_path / "run", epochs=3, classes=4, images_per_class=12)
    findings.examined(path, keep=False)
    run = open_run(path)
    analysis = read_analysis(run)
    null = null_findings.Null(run, analysis.table("images"), analysis.table("clusters"))
    random = np.random.default_rng(0)
    shuffled = null_findings.Shuffled(run.labels, run.classes, run.variants, run.image_names, null.predictions)
    assert (shuffled.confusion(epoch=3, variant="gray") == run.confusion(epoch=3, variant="gray")).all()
    assert sum(len(null.claims(random)) for _ in range(10)) <= 2
    line, low = null_findings.counted(null, 5)
    assert line.startswith("| run | 5 | ") and 0 <= low <= 1
