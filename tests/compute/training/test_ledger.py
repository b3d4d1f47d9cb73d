"""The columns of the training ledger, compared with the plain definitions, and images that were in no batch."""

import numpy as np
import pytest
import torch

from compute.training.distributed import Processes
from compute.training.ledger import EpochLedger


def test_the_columns_are_those_of_the_logits():
    logits, labels = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]]), torch.tensor([0, 2])
    ledger = EpochLedger(4, torch.device("cpu"))
    ledger.add(torch.tensor([3, 1]), logits, labels)
    columns = ledger.read(Processes())
    probabilities = logits.softmax(1).numpy().astype(np.float64)
    assert columns["prediction"][[3, 1]].tolist() == [0, 1] and columns["prediction"].dtype == np.uint16
    assert columns["margin"][[3, 1]] == pytest.approx([1, -2], abs=1e-6)
    own = probabilities[[0, 1], [0, 2]]
    assert columns["label_probability"][[3, 1]] == pytest.approx(own, abs=1e-6)
    assert columns["loss"][[3, 1]] == pytest.approx(-np.log(own), abs=1e-6)
    errors = np.linalg.norm(probabilities - np.eye(3)[[0, 2]], axis=1)
    assert columns["error_norm"][[3, 1]] == pytest.approx(errors, abs=1e-6)
    for name in ("label_probability", "margin", "loss", "error_norm"):
        assert np.isnan(columns[name][[0, 2]]).all(), name


def test_a_certain_prediction_has_no_error_and_not_less():
    ledger = EpochLedger(1, torch.device("cpu"))
    ledger.add(torch.tensor([0]), torch.tensor([[60.0, 0.0]]), torch.tensor([0]))
    columns = ledger.read(Processes())
    assert columns["error_norm"][0] == 0 and columns["label_probability"][0] == 1 and columns["loss"][0] >= 0
