import pytest
import torch

from bench import ablations
from compute.models import build
from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run


@pytest.mark.parametrize("name", ablations.ABLATIONS)
def test_every_ablation_is_a_network_with_a_map_for_each_class(name):
    ablation = ablations.ABLATIONS[name]
    network = build(ablation.model, 2, **ablation.options).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 64, 64)).shape[:2] == (1, 2)


def test_the_table_has_the_complete_runs_alone_with_an_interval_or_the_deviation_over_seeds(tmp_path):
    for name in ("paper-seed0", "paper-seed1", "shared-seed0"):
        analyse(open_run(write_synthetic_run(tmp_path / name, epochs=2)))
    write_synthetic_run(tmp_path / "bilinear-seed0", epochs=1, planned_epochs=2)
    (tmp_path / "cam-seed0").mkdir()
    lines = ablations.ablation_table(tmp_path).splitlines()
    assert len(lines) == 4
    assert "| 2 | 90.0% (sd 0.0) |" in lines[2].replace(" %", "%")
    # 18 of 20 correct: the Wilson interval
    assert "shared by all classes | 1 | 90.0% (69.9% to 97.2%)" in lines[3].replace(" %", "%")
