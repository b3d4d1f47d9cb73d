from __future__ import annotations

import tomllib

import numpy as np
import pandas as pd
import pytest
import torch

from bench import recipes, recipes_table
from compute.errors import BadOption
from compute.models import build
from compute.runs.interrupt import Interrupted
from compute.runs.prepare import prepare
from compute.training.trainer import Trainer
from store import open_run
from tests.compute.cases import QUICK_SETTINGS, tiny_profile

ARMS = tomllib.loads(recipes.ARMS.read_text("utf-8"))


def options(folder, *more):
    settings = [text for text in QUICK_SETTINGS if not text.startswith(("training.epochs", "data.classes"))]
    sets = [part for text in settings for part in ("--set", text)]
    common = ["--data", "phantom", "--weights", "none", "--threads", "1", "--folder", str(folder)]
    return [*common, "--classes", "8", "--epochs", "2", *sets, *more]


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_is_a_profile_whose_network_can_be_built(arm, tmp_path):
    asked = recipes._parser().parse_args(["--arms", arm, "--epochs", "5", "--folder", str(tmp_path)])
    profile = recipes.arm_profile(arm, asked)
    assert profile.training.epochs == 5
    build(profile.model.name, 3, **profile.model.options)


def test_an_arm_puts_its_settings_on_top_of_those_it_is_like():
    arms = {"a": {"profile": "paper", "set": ["x=1"]}, "b": {"like": "a", "set": ["x=2"]}, "c": {"like": "b"}}
    assert recipes.resolved("c", arms) == ("paper", ["x=1", "x=2"])


def test_an_unknown_arm_is_refused_with_the_known_ones(capsys, tmp_path):
    assert recipes.main(["--arms", "slow", "--epochs", "1", "--folder", str(tmp_path)]) == 2
    assert "There is no arm 'slow'. There are: paper," in capsys.readouterr().err


def test_a_difference_is_paired_over_the_images():
    better, worse = np.array([True] * 60 + [False] * 40), np.array([True] * 50 + [False] * 50)
    # ten of a hundred differ, all one way: mean 0.1, standard deviation 0.30151, Student's t(99) 1.98422
    assert recipes_table.difference(better, worse) == "+10.0 [+4.0, +16.0]"
    assert recipes_table.difference(better, better[:9]) == "other images"


def test_arms_are_scored_on_what_they_got_right_and_are_not_trained_twice(tmp_path, capsys):
    assert recipes.main(options(tmp_path, "--arms", "tiny", "averaging")) == 0
    table = pd.read_csv(tmp_path / "recipes.csv")
    assert list(zip(table["arm"], table["epoch"], strict=True)) == [
        ("tiny", 1),
        ("tiny", 2),
        ("averaging", 1),
        ("averaging", 2),
    ]
    for arm in ("tiny", "averaging"):
        last = table[(table["arm"] == arm) & (table["epoch"] == 2)].iloc[0]
        assert last["top1"] == pytest.approx(np.load(tmp_path / f"{arm}.npy").mean(), abs=1e-5)
        assert last["top1_low"] <= last["top1"] <= last["top1_high"]
        assert last["images"] == 2 * 48
    page = (tmp_path / "recipes.md").read_text()
    assert "| tiny | 2 | 96 |" in page
    assert "- `averaging`: tiny, recording a moving average" in page
    written = (tmp_path / "tiny.json").stat().st_mtime_ns
    assert recipes.main(options(tmp_path, "--arms", "tiny")) == 0
    assert (tmp_path / "tiny.json").stat().st_mtime_ns == written
    assert "tiny: finished" in capsys.readouterr().out


def test_a_recorded_arm_is_a_run_that_says_the_same(tmp_path, capsys):
    assert recipes.main(options(tmp_path / "plain", "--arms", "tiny", "averaging")) == 0
    asked = options(tmp_path / "recorded", "--arms", "tiny", "averaging", "--record", str(tmp_path / "runs"))
    assert recipes.main(asked) == 0
    plain, recorded = (pd.read_csv(tmp_path / name / "recipes.csv") for name in ("plain", "recorded"))
    timed = ["seconds", "processor_seconds", "images_per_second"]
    pd.testing.assert_frame_equal(plain.drop(columns=timed), recorded.drop(columns=timed), rtol=1e-5)
    assert (recorded[timed] > 0).all(axis=None)
    run = open_run(tmp_path / "runs" / "averaging")
    assert run.complete
    assert run.configuration["training"]["averaging"] == 0.998
    right = run.column("prediction", epoch=2, variant="clean") == run.labels
    assert np.array_equal(np.load(tmp_path / "recorded" / "averaging.npy"), right)
    capsys.readouterr()
    written = (tmp_path / "runs" / "tiny" / "epochs" / "0002.h5").stat().st_mtime_ns
    assert recipes.main(asked) == 0
    assert "runs/tiny' is complete" in capsys.readouterr().out
    assert (tmp_path / "runs" / "tiny" / "epochs" / "0002.h5").stat().st_mtime_ns == written


def test_a_recorded_arm_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    asked = options(tmp_path / "folder", "--arms", "tiny", "--record", str(tmp_path / "runs"))
    real = Trainer.train_epoch

    def stopped(self, epoch, material):
        if epoch == 2:
            raise Interrupted("stopped by the test")
        return real(self, epoch, material)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", stopped)
        assert recipes.main(asked) == 130
    assert not (tmp_path / "folder").exists()
    assert open_run(tmp_path / "runs" / "tiny").epochs == (1,)
    trained = []
    monkeypatch.setattr(Trainer, "train_epoch", lambda *given: trained.append(given[1]) or real(*given))
    assert recipes.main(asked) == 0
    assert trained == [2]
    assert list(pd.read_csv(tmp_path / "folder" / "recipes.csv")["epoch"]) == [1, 2]


def test_an_arm_under_other_settings_does_not_overwrite(tmp_path):
    profile = tiny_profile("training.epochs=1")
    recipes.train_arm("tiny", profile, tmp_path, device="cpu")
    with pytest.raises(BadOption, match="holds the arm 'tiny' under other settings"):
        recipes.train_arm("tiny", tiny_profile("training.epochs=1", "training.seed=4"), tmp_path, device="cpu")


def test_an_averaging_arm_is_scored_by_its_average():
    prepared = prepare(tiny_profile("training.averaging=0.9"), device="cpu")
    trainer = Trainer(prepared.network, settings=prepared.profile.training, augment=prepared.augmenter)
    trainer.train_epoch(1, prepared.material())
    scored = recipes.recorded_network(trainer).state_dict()
    assert trainer.averaged is not None
    assert all(torch.equal(value, trainer.averaged.state[name]) for name, value in scored.items())
    assert not torch.equal(scored["maps.weight"], trainer.network.state_dict()["maps.weight"])
