"""The notebook in docs/ runs, and says the truth about its network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "own-training-loop.ipynb"


def test_the_cells_of_the_notebook_run_one_after_the_other():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    names: dict = {"__name__": "notebook"}
    for number, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
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
