"""The figures of docs/findings.md come from one command, for any run."""

import pytest

from bench import document, findings
from bench.__main__ import main
from bench.findings_table import figure, read_analysed, share
from store.synthetic import write_synthetic_run


def test_shares_and_figures_carry_their_interval():
    assert share(13, 13) == "100.0 % [77.2, 100.0] (13 of 13)"
    assert share(0, 0) == "–"
    assert figure(0.12345, -0.1, 1, 2) == "0.12 [-0.10, 1.00]"


@pytest.mark.parametrize(
    "options", [{"epochs": 3}, {"epochs": 1, "variants": ("clean",), "masks": None, "boxes": None}]
)
def test_every_section_has_figures_for_any_run(tmp_path, options):
    analysed = read_analysed(write_synthetic_run(tmp_path / "run", **options), keep=False)
    assert analysed.seconds > 0
    for name, section in findings.SECTIONS.items():
        written = section.figures([analysed])
        assert "run" in written, name
        assert "nan" not in written.replace("nan]", ""), f"{name}: {written}"


def test_one_block_is_refreshed_for_several_runs_and_the_others_stay(tmp_path):
    runs = [write_synthetic_run(tmp_path / name, epochs=1, images_per_class=6) for name in ("first", "second")]
    bare = write_synthetic_run(tmp_path / "bare", epochs=1, masks=None, boxes=None)
    path = tmp_path / "findings.md"
    path.write_text(
        "<!-- figures: localisation -->\n<!-- end -->\n<!-- figures: runs -->\nold\n<!-- end -->\n", "utf-8"
    )
    assert main(["findings", *map(str, runs), str(bare), "--only", "localisation", "--output", str(path)]) == 0
    written = path.read_text("utf-8")
    assert "<!-- figures: runs -->\nold\n" in written
    assert "|  | first | second | bare |" in written
    assert "- **bare** (`paper`, 8 × 8 cells): Unknown: " in written
    assert "`python -m bench findings first second bare --only localisation`" in written
    assert "| objects known by | masks | masks | – |" in written


def test_the_documents_blocks_are_those_that_the_commands_fill():
    text = (document.ROOT / "docs" / "findings.md").read_text("utf-8")
    assert {name for _, name, _ in document.BLOCK.findall(text)} == {*findings.SECTIONS, "null"}


def test_a_run_without_an_analysis_is_refused_with_the_remedy(tiny_run):
    with pytest.raises(ValueError, match=r"has no analysis\. Leave out --keep"):
        read_analysed(tiny_run, keep=True)
