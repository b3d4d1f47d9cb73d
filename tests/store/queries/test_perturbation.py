import numpy as np

from store import Variant, open_run, queries
from store.synthetic import write_synthetic_run
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


NOISE = {
    "salt_pepper_0.001": {"density": 0.001},
    "salt_pepper_0.01": {"density": 0.01},
    "salt_pepper_1e-05": {"density": 1e-5},
}
OTHERS = {"blur3": {"sigma": 0.8}, "shift": {"right": 0.1, "down": 0.1}, "mine_1": {"level": float("nan")}, "gray": {}}


def test_a_kind_recorded_at_three_strengths_has_a_dose_curve_from_the_clean_images_on(tmp_path):
    variants = [Variant(name, parameters=each) for name, each in ({"clean": {}} | OTHERS | NOISE).items()]
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=1, variants=tuple(variants)))
    table = queries.dose_curves(run, epoch=1)
    assert table["strength"].tolist() == [0, 1e-5, 0.001, 0.01]
    assert table["variant"].tolist() == ["clean", "salt_pepper_1e-05", "salt_pepper_0.001", "salt_pepper_0.01"]
    assert set(table["kind"]) == {"salt_pepper"} and set(table["parameter"]) == {"density"}
    confidence = [run.column("confidence", epoch=1, variant=each) for each in table["variant"]]
    assert np.allclose(table["mean_confidence"], [each.mean() for each in confidence])
    top1 = [(run.column("prediction", epoch=1, variant=each) == run.labels).mean() for each in table["variant"]]
    assert table["top1"].tolist() == top1
    assert (table["low"] <= table["bend"]).all() and (table["bend"] <= table["high"]).all()


def test_two_strengths_of_a_kind_are_no_curve(run):
    assert queries.dose_curves(run, epoch=1).empty
