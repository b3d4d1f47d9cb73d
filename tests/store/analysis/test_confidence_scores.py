import numpy as np

from store import open_run
from store.tools.prune import prune_run
from tests.store.crafted_run import analysed, craft


def test_the_ranking_compares_every_score_with_the_maximum_softmax(analysis):
    failure_ranking = analysis.table("failure_ranking").set_index("score")
    assert {"max_softmax", "cells_to_flip", "stability", "disagreement", "combination"} <= set(failure_ranking.index)
    assert failure_ranking["gain"]["max_softmax"] == 0


def test_a_run_that_kept_only_the_strongest_map_has_no_score_that_needs_the_second(tmp_path):
    predictions = np.tile(np.repeat([0, 1, 2], 12), (2, 1, 1))
    predictions[:, 0, ::5] = 1
    run = craft(tmp_path / "whole", predictions, labels=np.repeat([0, 1, 2], 12).tolist())
    scores = {}
    for kept in (1, 2):
        pruned = open_run(prune_run(run, tmp_path / f"top{kept}", top=kept))
        scores[kept] = set(analysed(pruned).table("failure_ranking")["score"])
    assert scores[2] - scores[1] == {"cells_to_flip"}
