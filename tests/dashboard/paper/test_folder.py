import pytest

from dashboard.__main__ import main
from dashboard.paper.folder import write_figures
from store import open_run


def test_the_command_writes_every_figure_and_the_captions_the_same_each_time(tiny_run, tmp_path, capsys):
    for folder in ("a", "b"):
        assert main(["figures", str(tiny_run), "--out", str(tmp_path / folder), "--format", "svg"]) == 0
    assert "14 files" in capsys.readouterr().out
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab")
    assert first == second and len(first) == 14
    captions = first["figures.md"].decode()
    assert "![Figure 12](figure-12.svg)" in captions and "drawn with seed 0" in captions


@pytest.mark.parametrize(("option", "words"), [("--format=gif", "'gif' is unknown"), ("--format=,", "No format")])
def test_an_unknown_format_is_refused_before_anything_is_written(tiny_run, tmp_path, capsys, option, words):
    assert main(["figures", str(tiny_run), "--out", str(tmp_path / "out"), option]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_said(tiny_run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="file"):
        write_figures(open_run(tiny_run), tmp_path / "file" / "out", formats=("svg",))
