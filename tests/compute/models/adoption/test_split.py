from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compute.errors import BadModel
from compute.models.adoption import adopt
from compute.models.adoption.split import logits_of

ROWS, WIDER = torch.randn(2, 3), torch.randn(2, 5)


@dataclass
class Output:
    features: Tensor
    logits: Tensor


@pytest.mark.parametrize(
    "output",
    [
        ROWS,
        {"out": ROWS},
        {"logits": ROWS, "embedding": WIDER},
        (torch.randn(2, 3, 4, 4), ROWS),
        Output(WIDER, ROWS),
        (ROWS, ROWS + 1),
        [ROWS.softmax(1), ROWS],
    ],
    ids=["alone", "only", "named", "beside maps", "dataclass", "auxiliary", "with probabilities"],
)
def test_logits_are_found_in_what_a_model_returns(output):
    assert logits_of(output) is ROWS


def test_matrices_of_two_shapes_are_not_guessed_about():
    with pytest.raises(BadModel, match=r"several matrices: \(2, 5\), \(2, 3\)\. Which"):
        logits_of((WIDER, ROWS))


class Classifier(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        torch.manual_seed(0)
        self.features, self.fc = nn.Conv2d(channels, 4, 4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


class Sigmoid(Classifier):
    def forward(self, x):
        return super().forward(x).sigmoid()


class Diverged(Classifier):
    def forward(self, x):
        return super().forward(x) * float("nan")


class Random(Classifier):
    def forward(self, x):
        return functional.dropout(super().forward(x))


class Detached(Classifier):
    """As a quantised layer, the head has no gradient."""

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)).detach())


class Pair(Classifier):
    def forward(self, x, other):
        return super().forward(x) + super().forward(other)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Sigmoid(), "leave the sigmoid out"),
        (Diverged(), "NaN or infinity for some images"),
        (Random(), "other logits at each pass, also in evaluation mode"),
        (Pair(), r"cannot be run on a tensor of images \(4, 3, 8, 8\): .*'other'"),
        (Classifier(channels=1), "to have 1 channels, but got 3"),
        (torch.jit.trace(Classifier().eval(), torch.rand(1, 3, 8, 8)), "the module that it was made of"),
        (Detached(), "give no gradient: they are quantised, or detach"),
    ],
    ids=["sigmoid", "NaN", "random", "two inputs", "gray", "traced", "detached"],
)
def test_what_has_no_maps_is_refused_in_words(model, message):
    with pytest.raises(BadModel, match=message):
        adopt(model, torch.rand(4, 3, 8, 8))
