"""The benchmark of the store, on a tiny run: one command fills its section of the document."""

from bench import store_queries
from bench.__main__ import main
from bench.document import read_sections
from store import open_run
from tests.compute.cases import TINY


def test_one_command_writes_the_section_and_leaves_the_others(finished_experiment, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "CLASSPRINT_NETWORKS", TINY
    )  # the benchmark runs in a process of its own, over a run of this network
    document = tmp_path / "docs" / "benchmarks.md"
    document.parent.mkdir()
    document.write_text("# Benchmarks\n\n## Dashboard\n\n| a | 1 |\n", "utf-8")
    run = str(finished_experiment / "runs" / "tiny")
    assert main(["store", "--run", run, "--output", str(document), "--images", "24", "--repeat", "4"]) == 0
    sections = read_sections(document.read_text("utf-8"))
    assert list(sections) == ["Store", "Dashboard"]
    assert sections["Dashboard"] == "| a | 1 |"
    text = sections["Store"]
    assert text.startswith(f"`python -m bench store --run {run} --images 24 --repeat 4`")
    assert "| tiny | float16, HDF5 gzip 4 |" in text and "| tiny | this store |" in text
    assert "4 epochs x 3 variants x 24 images x 8 classes" in text
    assert {line.split(" | ")[0] for line in text.splitlines()} >= {"| confusion matrix", "| timeline of an image"}
    assert list(document.parent.iterdir()) == [document]


def test_repeated_epochs_are_read_like_their_originals(tiny_run, tmp_path):
    run = open_run(tiny_run)
    repeated = store_queries.repeat_epochs(run, 5, tmp_path)
    assert repeated.epochs == (1, 2, 3, 4, 5)
    at = {"variant": "clean"}
    assert repeated.predictions(epoch=4, **at).equals(run.predictions(epoch=1, **at))
