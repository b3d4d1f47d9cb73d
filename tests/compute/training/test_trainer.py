import math

import pytest
import torch
from torch import nn

from compute.training.distributed import Processes
from compute.training.metrics import RunningMetrics
from compute.training.trainer import epoch_generator, steps_per_epoch

CPU = torch.device("cpu")


def test_running_metrics_are_the_means_over_all_images():
    metrics = RunningMetrics(CPU)
    logits = torch.zeros(2, 10)
    logits[0, 3] = logits[1, 7] = 100.0
    metrics.add(logits, torch.tensor([3, 7]))
    metrics.add(torch.arange(10.0).repeat(2, 1), torch.tensor([5, 4]))  # 5 is the fifth best, 4 the sixth
    means = metrics.read()
    assert means["top1"] == 0.5
    assert means["top5"] == 0.75
    exponentials = sum(math.exp(k - 9) for k in range(10))
    assert means["loss"] == pytest.approx(((math.log(exponentials) + 4) + (math.log(exponentials) + 5)) / 4)


def test_every_epoch_and_seed_draws_anew_and_all_processes_alike():
    def first_draw(seed, epoch, rank=0):
        return torch.rand(1, generator=epoch_generator(seed, epoch, Processes(rank, 8))).item()

    assert len({first_draw(seed, epoch) for seed in range(3) for epoch in range(1, 4)}) == 9
    assert first_draw(1, 2, rank=0) == first_draw(1, 2, rank=5)


def test_dropout_differs_between_processes():
    def dropped(rank):
        epoch_generator(0, 1, Processes(rank, 8))
        return nn.functional.dropout(torch.ones(100)).tolist()

    assert dropped(0) != dropped(1)
    assert dropped(1) == dropped(1)


@pytest.mark.parametrize(("images_there", "batch", "steps"), [(48, 12, 4), (50, 12, 4), (5, 12, 1)])
def test_an_incomplete_last_batch_is_left_out(images_there, batch, steps):
    assert steps_per_epoch(images_there, batch) == steps
