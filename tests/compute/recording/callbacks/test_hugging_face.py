"""Two epochs of the real Trainer, recorded."""

import numpy as np
import pytest
import torch

from store import open_run
from tests.compute.recording.cases import as_tensor, phantom_pairs

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")


class Rows:
    """Images as the Trainer takes them: mappings with pixel_values and labels."""

    def __init__(self) -> None:
        self.pairs = phantom_pairs(convert=as_tensor)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int):
        image, label = self.pairs[index]
        return {"pixel_values": image, "labels": label}


def test_every_epoch_of_a_training_is_recorded(tmp_path):
    from compute.recording.callbacks.hugging_face import HuggingFaceRecorder

    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    model = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=8, **sizes))
    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"),
        num_train_epochs=2,
        per_device_train_batch_size=8,
        logging_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    recorder = HuggingFaceRecorder(tmp_path / "mine", Rows(), quiet=True)
    transformers.Trainer(model, arguments, train_dataset=Rows(), callbacks=[recorder]).train()
    run = open_run(tmp_path / "mine")
    assert run.epochs == (0, 1, 2) and run.description.evidence == "exact"
    with torch.no_grad():
        x = torch.from_numpy(run.pixels()).permute(0, 3, 1, 2).float() / 255
        expected = torch.softmax(model.eval()(x).logits, 1).numpy()
    assert np.allclose(run.probabilities(epoch=2, variant="clean"), expected, atol=1e-5)
