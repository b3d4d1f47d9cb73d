"""Two epochs of the real Trainer, recorded."""

import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from store import open_run
from tests.compute.recording.cases import PlainClassifier, as_tensor, phantom_pairs

lightning = pytest.importorskip("lightning.pytorch")


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = PlainClassifier()

    def forward(self, x):
        return self.network(x)

    def training_step(self, batch, number):
        loss = functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, number):
        self.log("validation_loss", functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(path, epochs: int, **options):
    from compute.recording.callbacks.lightning import LightningRecorder

    return lightning.Trainer(
        max_epochs=epochs,
        callbacks=[LightningRecorder(path, quiet=True)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        **options,
    )


@pytest.mark.filterwarnings("ignore")
def test_every_epoch_of_a_fit_is_recorded_with_what_the_module_logs(tmp_path):
    loader = DataLoader(phantom_pairs(convert=as_tensor), batch_size=8)
    module = Module()
    trainer(tmp_path / "mine", 2).fit(module, loader, loader)
    run = open_run(tmp_path / "mine")
    assert run.epochs == (0, 1, 2) and len(run.labels) == 24
    assert run.description.evidence == "exact"
    metrics = run.metrics()
    assert metrics["train_loss"].notna().tolist() == [False, True, True]
    assert metrics["learning_rate"].tolist()[1:] == [0.1, 0.1]
    with torch.no_grad():
        x = torch.from_numpy(run.pixels()).permute(0, 3, 1, 2).float() / 255
        expected = torch.softmax(module.eval()(x), 1)
    assert torch.allclose(torch.from_numpy(run.probabilities(epoch=2, variant="clean")), expected, atol=1e-6)
