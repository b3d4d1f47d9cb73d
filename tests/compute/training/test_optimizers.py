import math

import pytest
import torch
from torch import nn

from compute.config.settings import TrainingSettings
from compute.training.optimizers import AveragedWeights, learning_rate, make_optimizer


def test_the_cosine_schedule_is_the_papers_once_an_epoch():
    settings = TrainingSettings(
        epochs=80, learning_rate=1e-4, final_learning_rate=1e-7, schedule="cosine", optimizer="sgd"
    )
    rates = [learning_rate(settings, step=step, steps_per_epoch=1000) for step in (0, 999, 1000, 40_000, 79_999)]
    by_hand = [1e-7 + (1e-4 - 1e-7) * (1 + math.cos(math.pi * epoch / 80)) / 2 for epoch in (0, 0, 1, 40, 79)]
    assert rates == pytest.approx(by_hand)
    parameter = nn.Parameter(torch.zeros(1))
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([parameter], 1e-4), 80, 1e-7)
    assert theirs.get_last_lr()[0] == pytest.approx(rates[0])


def test_onecycle_rises_to_its_peak_and_falls_to_its_end():
    settings = TrainingSettings(
        epochs=10, learning_rate=1.0, warmup=0.25, schedule="onecycle", final_learning_rate=0.01
    )
    rates = [learning_rate(settings, step=step, steps_per_epoch=10) for step in range(100)]
    assert rates[:25] == sorted(rates[:25])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert max(rates) == pytest.approx(1.0)
    assert rates[0] == pytest.approx(1 / 26)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


def test_the_constant_schedule_is_constant():
    settings = TrainingSettings(schedule="constant", learning_rate=0.3)
    assert {learning_rate(settings, step=step, steps_per_epoch=3) for step in range(9)} == {0.3}


def test_weight_decay_spares_vectors_unless_all_are_to_be_decayed():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    groups = make_optimizer(network, TrainingSettings(weight_decay=0.1)).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [(0.1, 1), (0.0, 3)]
    groups = make_optimizer(network, TrainingSettings(weight_decay=0.1, decay_all=True, optimizer="sgd")).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [(0.1, 4)]


def test_the_average_moves_towards_the_weights_by_hand():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averaged = AveragedWeights(network, 0.5)
    nn.init.constant_(network.weight, 8.0)
    averaged.update(network)  # decay min(0.5, 2/11): 8 * 9/11
    assert averaged.state["weight"].item() == pytest.approx(8 * 9 / 11)
    averaged.update(network)  # decay min(0.5, 3/12)
    assert averaged.state["weight"].item() == pytest.approx(8 - (8 - 8 * 9 / 11) * 0.25)
