import argparse
import collections

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from compute.errors import BadWeights
from compute.models import build
from compute.training.checkpoints import CheckpointFolder
from compute.training.weights import load_weights
from compute.training.weights_file import fit_weights, read_weights


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        collections.OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), act=nn.ReLU(), head=nn.Conv2d(4, 5, 1))
    )


def averaged() -> dict:
    model = AveragedModel(network())
    model.update_parameters(network())
    return model.state_dict()


def prefixed(prefix: str) -> dict:
    return {prefix + name: value for name, value in network().state_dict().items()}


STATE = network().state_dict()
OPTIMIZER = torch.optim.SGD(network().parameters(), 0.1, momentum=0.9).state_dict()
FORMS = {
    "state dict": (STATE, None),
    "state_dict": ({"state_dict": STATE}, None),
    "model beside an optimiser": ({"model": STATE, "optimizer": OPTIMIZER, "epoch": 7, "loss": 0.5}, 7),
    "model_state_dict": ({"epoch": 3, "model_state_dict": STATE, "optimizer_state_dict": OPTIMIZER}, 3),
    "epoch as a tensor": ({"model": STATE, "epoch": torch.tensor(6)}, 6),
    "epoch before the first": ({"model": STATE, "epoch": -1}, None),
    "net": ({"net": STATE, "acc": 93.1, "epoch": 199}, 199),
    "an entry of another name": ({"classifier": STATE, "optimizer": OPTIMIZER}, None),
    "a state dict in an entry of an entry": ({"model": {"state_dict": STATE}}, None),
    "Lightning": ({"pytorch-lightning_version": "2.6", "epoch": 4, "state_dict": prefixed("model.")}, 5),
    "timm's training": ({"arch": "x", "version": 2, "epoch": 4, "state_dict": STATE}, 5),
    "Lightning, compiled": ({"pytorch-lightning_version": "2.6", "state_dict": prefixed("net._orig_mod.")}, None),
    "Lightning with a metric's tensors": ({"state_dict": prefixed("net.") | {"accuracy.tp": torch.ones(5)}}, None),
    "timm": ({"state_dict": network(1).state_dict(), "state_dict_ema": STATE, "args": argparse.Namespace(lr=1)}, None),
    "AveragedModel": (averaged(), None),
    "DistributedDataParallel": (prefixed("module."), None),
    "torch.compile": (prefixed("_orig_mod."), None),
    "both": (prefixed("module._orig_mod."), None),
    "one compiled part": ({name.replace("conv.", "conv._orig_mod."): value for name, value in STATE.items()}, None),
    "backbone": (prefixed("backbone."), None),
    "half precision": (
        {name: value.half() if value.is_floating_point() else value for name, value in STATE.items()},
        None,
    ),
    "without counters": ({name: value for name, value in STATE.items() if "num_batches" not in name}, None),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_which_people_save_weights_is_read(tmp_path, form):
    document, epoch = FORMS[form]
    torch.save(document, tmp_path / "saved.pt")
    saved = read_weights(tmp_path / "saved.pt")
    fitted = fit_weights(saved, STATE)
    expected = {name: value for name, value in STATE.items() if name in fitted}
    assert len(fitted) >= len(STATE) - 1
    tolerance = 1e-3 if form == "half precision" else 0
    for name, value in expected.items():
        assert fitted[name].dtype == value.dtype
        if "num_batches" not in name:
            torch.testing.assert_close(fitted[name], value, rtol=tolerance, atol=tolerance)
    network(2).load_state_dict(fitted, strict=len(fitted) == len(STATE))
    assert saved.epoch == epoch


def test_safetensors_are_read_whatever_the_file_is_called(tmp_path):
    for name in ("weights.safetensors", "weights.bin"):
        save_file(prefixed("model."), tmp_path / name)
        assert torch.equal(fit_weights(read_weights(tmp_path / name), STATE)["head.bias"], STATE["head.bias"])
    content = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "short.safetensors").write_bytes(content[:-40])
    with pytest.raises(BadWeights, match=r"short.safetensors' cannot be read: .*damaged, truncated"):
        read_weights(tmp_path / "short.safetensors")


def test_a_checkpoint_of_lightning_itself_is_read(tmp_path):
    lightning = pytest.importorskip("lightning")

    class Task(lightning.LightningModule):
        def __init__(self, width: int, names: tuple[str, ...]) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = network()

        def training_step(self, batch, _):
            return self.model(batch).mean()

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

    trainer = lightning.Trainer(
        max_epochs=2, logger=False, default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False
    )
    task = Task(3, ("a", "b"))
    trainer.fit(task, torch.utils.data.DataLoader(torch.rand(4, 3, 8, 8), 2))
    (path,) = (tmp_path / "checkpoints").glob("*.ckpt")
    saved = read_weights(path)
    assert (saved.entry, saved.epoch, saved.epoch_is_certain) == ("state_dict", 2, True)
    trainer.save_checkpoint(tmp_path / "after.ckpt")  # its `epoch` has moved on
    assert read_weights(tmp_path / "after.ckpt").epoch == 2
    assert torch.equal(fit_weights(saved, STATE)["conv.weight"], task.model.conv.weight)


def test_this_projects_own_checkpoints_are_read_and_are_initial_weights(tmp_path, prepared):
    from compute.training.trainer import Trainer

    trainer = Trainer(prepared.network, settings=prepared.profile.training, augment=prepared.augmenter)
    CheckpointFolder(tmp_path, run_id="a run").save(7, trainer, {"train_loss": 1.0})
    saved = read_weights(tmp_path / "0007.pt")
    assert (saved.entry, saved.epoch) == ("weights", 7)
    own = build("tests.compute.cases:TinyNetwork", 8)
    assert len(fit_weights(saved, own.state_dict())) == len(own.state_dict())
    report = load_weights(own, str(tmp_path / "0007.pt"))
    assert report.missing == ()
    assert torch.equal(own.encoder[0].weight, prepared.network.encoder[0].weight)
    assert report.unexpected == ("encoder.maps.bias", "encoder.maps.weight")


def test_the_moving_average_is_taken_and_another_entry_on_request(tmp_path):
    torch.save(FORMS["timm"][0], tmp_path / "timm.pth")
    saved = read_weights(tmp_path / "timm.pth")
    assert (saved.entry, saved.others) == ("state_dict_ema", ("state_dict",))
    saved = read_weights(tmp_path / "timm.pth", entry="state_dict")
    assert torch.equal(saved.tensors["conv.bias"], network(1).conv.bias)
    with pytest.raises(BadWeights, match=r"no entry 'ema' with tensors. It has: state_dict, state_dict_ema"):
        read_weights(tmp_path / "timm.pth", entry="ema")


def test_several_entries_or_networks_in_a_file_are_not_chosen_between(tmp_path):
    torch.save({"generator": STATE, "discriminator": STATE}, tmp_path / "gan.pt")
    with pytest.raises(BadWeights, match=r"several entries with tensors: discriminator, generator.*--entry"):
        read_weights(tmp_path / "gan.pt")
    torch.save(prefixed("teacher.") | prefixed("student."), tmp_path / "distilled.pt")
    saved = read_weights(tmp_path / "distilled.pt")
    with pytest.raises(BadWeights, match=r"several times, as (teacher., student.|student., teacher.).*--prefix"):
        fit_weights(saved, STATE)
    assert fit_weights(saved, STATE, prefix="student.").keys() == STATE.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv.bias": None}, r"1 tensors of the network are not in it: conv.bias"),
        ({"extra.weight": torch.ones(2)}, r"1 of its tensors fit none: extra.weight"),
        (
            {"head.weight": torch.ones(9, 4, 1, 1)},
            r"contain head.weight as \(9, 4, 1, 1\), the network needs \(5, 4, 1, 1\)",
        ),
        ({"head.bias": torch.full((5,), float("nan"))}, r"NaN or infinity in head.bias"),
    ],
)
def test_all_tensors_must_fit_and_the_first_that_do_not_are_named(tmp_path, changes, message):
    state = {name: value for name, value in {**STATE, **changes}.items() if value is not None}
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(BadWeights, match=message):
        fit_weights(read_weights(tmp_path / "weights.pt"), STATE)


def test_hyper_parameters_that_are_code_are_refused_with_a_way_to_convert_them(tmp_path):
    torch.save({"state_dict": STATE, "hyper_parameters": {"loss": nn.CrossEntropyLoss()}}, tmp_path / "task.ckpt")
    with pytest.raises(
        BadWeights, match=r"it contains 'torch.nn.modules.loss.CrossEntropyLoss'.*convert it once"
    ) as refused:
        read_weights(tmp_path / "task.ckpt")
    assert "task-weights.pt" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102530333\n",
            "a Git LFS pointer.*git lfs pull",
        ),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page, not weights"),
        (b"\n\n<html lang='en'>", "a web page, not weights"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file, as Keras saves"),
        (b'{"metadata": {"total_size": 1}, "weight_map": {}}', "a JSON text"),
        (b"", "it is empty"),
    ],
)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_that_is_something_else_is_called_what_it_is(tmp_path, content, message, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadWeights, match=message):
        read_weights(tmp_path / name)


@pytest.mark.filterwarnings("ignore::FutureWarning:torch.*")
def test_a_torchscript_archive_and_a_folder_are_called_what_they_are(tmp_path):
    torch.jit.save(torch.jit.trace(network().eval(), torch.rand(1, 3, 8, 8)), str(tmp_path / "script.pt"))
    with pytest.raises(BadWeights, match="a TorchScript archive"):
        read_weights(tmp_path / "script.pt")
    with pytest.raises(BadWeights, match=r"is a folder. Name a file in it"):
        read_weights(tmp_path)
