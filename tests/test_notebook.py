"""The notebooks in docs/ run, and say the truth about their networks."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "own-training-loop.ipynb"


def names_after_running(path):
    """The names that the cells of a notebook have defined, run one after the other."""
    cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    names: dict = {"__name__": "notebook"}
    for number, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    return names


def test_the_notebook_about_reading_shows_what_the_run_holds(tiny_run, monkeypatch):
    monkeypatch.setenv("CLASSPRINT_RUN", str(tiny_run))
    names = names_after_running(NOTEBOOK.with_name("reading-a-run.ipynb"))
    assert names["accuracy"]["clean"] == 1 - len(names["wrong"]) / 20
    assert names["maps"].shape == (4, 1, 8, 8) and np.allclose(names["maps"].mean((-2, -1)), names["logits"])
    assert names["figure"].svg().startswith("<svg")


def test_the_notebook_about_ones_own_loop_records_a_network_that_learns():
    names = names_after_running(NOTEBOOK)
    try:
        run, model = names["run"], names["model"]
        assert run.epochs == (0, 1, 2, 3, 4) and run.description.evidence == "exact"
        top1 = run.metrics()["validation_top1"]
        assert top1.iloc[-1] > 0.9 > top1.iloc[0]
        with torch.no_grad():
            pixels = torch.from_numpy(run.pixels([0])).permute(0, 3, 1, 2).float() / 255
            expected = model.eval()(pixels).numpy()
        means = names["maps"].mean((-1, -2))
        relative = expected - expected.mean()
        assert np.allclose(means - means.mean(), relative, atol=0.05 * np.abs(relative).max())
    finally:
        shutil.rmtree(names["run_folder"].parent)
