"""Optimisers, learning-rate schedules as functions of the step, and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from compute.config.settings import TrainingSettings


def make_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """SGD with momentum or AdamW; without `decay_all`, vectors (BatchNorm, biases) are not decayed."""
    parameters = [each for each in network.parameters() if each.requires_grad]
    decayed = [each for each in parameters if settings.decay_all or each.ndim > 1]
    free = [each for each in parameters if not (settings.decay_all or each.ndim > 1)]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}]
    if free:
        groups.append({"params": free, "weight_decay": 0.0})
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.momentum, 0.999), fused=True)


def learning_rate(settings: TrainingSettings, *, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step counted from 0 over the whole training.

    `cosine` falls once an epoch from the peak, as PyTorch's CosineAnnealingLR does in the author's code;
    `onecycle` rises linearly during the warm-up and falls along a cosine, step by step.
    """
    peak, last = settings.learning_rate, settings.final_learning_rate
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "cosine":
        epoch = step // steps_per_epoch
        return last + (peak - last) * (1 + math.cos(math.pi * epoch / settings.epochs)) / 2
    total = settings.epochs * steps_per_epoch
    rising = settings.warmup * total
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    progress = (step - rising) / max(1.0, total - rising)
    return last + (peak - last) * (1 + math.cos(math.pi * progress)) / 2


class AveragedWeights:
    """A moving average of all floating-point state, BatchNorm's statistics included; it is recorded if it is on.

    Early on the decay is smaller, (1 + n) / (10 + n), so that the initial weights are forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards the network's current weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        floating, targets = [], []
        for name, value in network.state_dict().items():
            if value.is_floating_point():  # a count of batches is no average
                floating.append(self.state[name])
                targets.append(value)
            else:
                self.state[name].copy_(value)
        torch._foreach_lerp_(floating, targets, 1 - decay)
