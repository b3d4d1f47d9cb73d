from __future__ import annotations

import numpy as np

from store import queries
from tests.store.crafted_run import craft


def test_cue_profiles_follow_the_severity_of_the_variants(run):
    table = queries.cue_profiles(run, epoch=3)
    assert len(table) == 7 * 5
    drops = table.groupby("variant")["drop"].mean()
    assert drops["brg"] > drops["bgr"] > drops["gray"] > drops["blur3"]
    assert sorted(table.loc[table["variant"] == "gray", "order"]) == [0, 1, 2, 3, 4]


def test_stable_images_and_flipped_ones_have_different_outcomes(run):
    table = queries.evidence_under(run, epoch=3, variant="gray").set_index("image")
    assert table["outcome"][[1, 7]].tolist() == ["stable", "same mistake"]
    flipped = table[~table["same_prediction"]]
    assert sorted(flipped.index) == [0, 8, 16]
    assert set(flipped["outcome"]) <= {"responsive", "unresponsive"}
    assert (flipped["label_probability_drop"] > 0).all() and not flipped["perturbed_correct"].any()


def test_every_outcome_of_a_perturbation_has_its_name(tmp_path):
    labels = [0, 0, 0, 0, 0]
    predictions = np.array([[[0, 0, 1, 0, 0], [0, 0, 1, 1, 1]]])

    def own(epoch, variant, image):
        moved = variant == 1 and image in (1, 3)
        return np.roll(np.eye(4, dtype=np.float32), 2 if moved else 0, axis=1)

    run = craft(tmp_path / "run", predictions, labels=labels, variants=("clean", "gray"), own=own)
    table = queries.evidence_under(run, epoch=1, variant="gray")
    assert table["outcome"].tolist() == ["stable", "different reason", "same mistake", "responsive", "unresponsive"]
    figures = queries.accuracy_by_variant(run).set_index("variant")
    assert figures["different_reason_share"]["gray"] == 0.5
