"""Real classifiers of torchvision and timm with random weights, recorded by the command line from tiny images."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.models import shufflenet_v2_x0_5

from compute.cli import OUT_OF_TIME, main
from compute.live.channels import deconvolution
from compute.live.explain import explainable_layers, grad_cam
from compute.live.predictor import load_predictor
from compute.training.augment import Normaliser
from store import open_run
from store.check.verify import verify_run

CLASSES = ("10", "2", "cat", "dog")  # in text order, as torchvision's ImageFolder numbers them
IMAGES = 5


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """Images of four classes, and ten checkpoints of a ShuffleNet."""
    folder = tmp_path_factory.mktemp("material")
    random = np.random.default_rng(0)
    for name in CLASSES:
        (folder / "photos" / "val" / name).mkdir(parents=True)
        for number in range(IMAGES):
            pixels = random.integers(0, 255, (72, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / "val" / name / f"{number}.png")
    (folder / "weights").mkdir()
    for epoch in range(1, 11):
        torch.manual_seed(epoch)
        torch.save({"model": shufflenet_v2_x0_5(num_classes=4).state_dict()}, folder / "weights" / f"e{epoch}.pt")
    return folder


def command(material: Path, runs: Path, *more: str, checkpoint: str = "weights/e1.pt") -> list[str]:
    """The command line that records a ShuffleNet at 64 pixels."""
    return [
        *("record", "--model", "torchvision:shufflenet_v2_x0_5", "--checkpoint", str(material / checkpoint)),
        *("--data", str(material / "photos" / "val"), "--resize", "72", "--crop", "64", "--threads", "1"),
        *("--variants", "clean", "gray", "--runs-dir", str(runs), "--run", "mine", "--no-analysis", *more),
    ]


def refused(capsys, arguments: list[str], runs: Path) -> str:
    """What the command line says when it refuses; nothing may be written."""
    assert main(arguments) == 2
    assert not list(runs.glob("*/run.h5*"))
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def recorded(material, tmp_path_factory):
    """The ten checkpoints of the folder, every fourth one recorded."""
    runs = tmp_path_factory.mktemp("runs")
    assert main(command(material, runs, "--every", "4", "--top", "1", checkpoint="weights")) == 0
    return runs / "mine"


def test_a_folder_of_checkpoints_becomes_the_epochs_of_a_run(recorded, material):
    run = open_run(recorded)
    assert run.epochs == (2, 6, 10)
    assert [run.epoch_label(epoch) for epoch in run.epochs] == ["", "", ""]  # e2 says no more than 2
    assert (run.description.evidence, run.map_shape, run.image_shape) == ("exact", (2, 2), (64, 64))
    assert run.description.evidence_error < 1e-5
    assert [each.id for each in run.description.classes] == list(CLASSES)
    assert run.kept_maps == 1
    assert run.provenance["checkpoints"][0]["file"] == "e2.pt"
    assert not verify_run(recorded)


def test_the_logits_are_those_of_the_network_on_images_prepared_as_in_its_training(recorded, material):
    model = shufflenet_v2_x0_5(num_classes=4)
    model.load_state_dict(torch.load(material / "weights" / "e6.pt")["model"])
    run = open_run(recorded)
    pixels = run.pixels(range(3), "gray")
    x = Normaliser((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), torch.device("cpu"))(torch.from_numpy(pixels))
    with torch.no_grad():
        expected = torch.softmax(model.eval()(x), 1).numpy()
    found = run.probabilities(epoch=6, variant="gray", images=range(3))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_more_checkpoints_are_recorded_later_and_others_than_before_are_refused(material, tmp_path, capsys):
    arguments = command(material, tmp_path)
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert "is complete (epochs recorded: 1)" in capsys.readouterr().out
    assert main(command(material, tmp_path, checkpoint="weights/e[13].pt")) == 0
    assert open_run(tmp_path / "mine").epochs == (1, 3)
    assert main(command(material, tmp_path, "--top", "2")) == 2
    assert "recording.top: 0 before, 2 now" in capsys.readouterr().err
    (material / "other").mkdir(exist_ok=True)
    (material / "other" / "e1.pt").write_bytes((material / "weights" / "e2.pt").read_bytes())
    assert main(command(material, tmp_path, checkpoint="other")) == 2
    assert "Epoch 1 of" in capsys.readouterr().err


def test_the_plan_is_printed_and_nothing_written(material, tmp_path, capsys):
    assert main(command(material, tmp_path, "--plan", checkpoint="weights")) == 0
    text = capsys.readouterr().out
    assert "20 validation images, 4 classes" in text
    assert "10 checkpoints as epochs 1, 2, 3, 4, 5, 6, 7, 8, ... 10" in text
    assert "input     the shorter side resized to 72, the central 64×64 pixels, bilinear" in text
    assert "exact, at 'conv5'" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "torchvision:resnet5O"], "torchvision has no classifier 'resnet5O'. Did you mean resnet50"),
        (["--model", "resnet50"], "Did you mean torchvision:resnet50"),
        (["--model", "timm:hf-hub:timm/resnet18"], "timm has no classifier 'hf-hub:timm/resnet18'"),
        (["--model", "torchvision:resnet34"], "tensors of the network are not in it: "),
        (["--model", "hf:/no/such/folder"], "no config.json"),
        (["--model", "no_such_module:net"], "No module named 'no_such_module'"),
        (["--option", "depth=3"], "with the options {'depth': 3}"),
        (["--classes", "7"], "The network has 7 classes, but the images have 4"),
        (["--checkpoint", "/no/such/*.pt"], "The checkpoint '/no/such/*.pt' does not exist"),
        (["--data", "/no/such/folder"], "There is no data set '/no/such/folder'"),
        (["--split", "test"], "there is no folder"),
        (["--transform", "keras"], "There is no transform 'keras'"),
        (["--variants", "clean", "sepia"], "There is no variant 'sepia'"),
        (["--variants", "gray"], "must begin with 'clean'"),
        (["--layer", "layer9"], "layer9"),
        (["--every", "0"], "--every 0 is invalid"),
        (["--first-epoch", "-1"], "--first-epoch -1 is invalid"),
        (["--first-epoch", "9999999999"], "the last epoch must be below"),
        (["--mean", "0.5", "nan", "0.5"], "data.mean"),
        (["--time-limit", "-1"], "--time-limit -1 is invalid"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(material, tmp_path, capsys, more, message):
    assert message in refused(capsys, command(material, tmp_path, *more), tmp_path)


def test_a_run_that_is_killed_is_resumed_by_the_same_command(material, tmp_path):
    arguments = [sys.executable, "-m", "compute", *command(material, tmp_path, checkpoint="weights")]
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        arguments, cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not (tmp_path / "mine" / "epochs" / "0002.h5").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = open_run(tmp_path / "mine").epochs
    assert before[:2] == (1, 2)
    assert main(command(material, tmp_path, checkpoint="weights")) == 0
    assert open_run(tmp_path / "mine").epochs == tuple(range(1, 11))
    assert not verify_run(tmp_path / "mine")


def test_a_time_limit_leaves_whole_epochs_and_its_own_exit_code(material, tmp_path, monkeypatch):
    monkeypatch.setattr("compute.runs.interrupt.TimeLimit.MARGIN", 1e9)  # the second epoch never fits
    assert main(command(material, tmp_path, "--time-limit", "600", checkpoint="weights")) == OUT_OF_TIME
    assert open_run(tmp_path / "mine").epochs == (1,)


def test_the_classes_are_in_the_order_of_the_outputs_where_a_file_says_it(material, tmp_path, capsys):
    order = tmp_path / "order.txt"
    order.write_text("dog\ncat\n2\n10\n", encoding="utf-8")
    assert main(command(material, tmp_path, "--class-names", str(order))) == 0
    assert "no better than guessing among 4 classes" in capsys.readouterr().out
    run = open_run(tmp_path / "mine")
    assert [each.id for each in run.description.classes] == ["dog", "cat", "2", "10"]
    assert run.image_names[0].endswith("dog/0.png")
    order.write_text("dog\ncat\n2\n11\n", encoding="utf-8")
    assert main(command(material, tmp_path, "--class-names", str(order))) == 2
    assert "does not name the folders '10'" in capsys.readouterr().err


def test_a_network_with_more_outputs_than_there_are_folders_is_recorded_with_all_of_them(material, tmp_path):
    torch.save(shufflenet_v2_x0_5(num_classes=6).state_dict(), tmp_path / "six.pt")
    order = tmp_path / "order.txt"
    order.write_text("bird\n10\n2\ncat\ndog\nfox\n", encoding="utf-8")
    arguments = command(material, tmp_path, "--class-names", str(order), "--checkpoint", str(tmp_path / "six.pt"))
    assert main(arguments) == 0
    run = open_run(tmp_path / "mine")
    assert len(run.classes) == 6
    assert set(run.labels.tolist()) == {1, 2, 3, 4}


def shifted(images: np.ndarray) -> np.ndarray:
    return np.roll(images, 3, axis=2)


def test_a_variant_of_ones_own_and_probabilities_only(material, tmp_path):
    variants = ("--variants", "clean", "tests.compute.runs.test_record:shifted")
    assert main(command(material, tmp_path, *variants, "--probabilities-only", "--no-checkpoints")) == 0
    run = open_run(tmp_path / "mine")
    assert (run.description.evidence, run.map_shape, run.variants) == ("none", (1, 1), ("clean", "shifted"))
    np.testing.assert_array_equal(run.pixels([2], "shifted")[0], np.roll(run.pixels([2], "clean")[0], 3, axis=1))
    assert not (tmp_path / "mine" / "checkpoints").exists()


compose = transforms.Compose(
    [
        transforms.Resize(70),
        transforms.CenterCrop(64),
        transforms.ToTensor(),
        transforms.Normalize((0.5,) * 3, (0.2,) * 3),
    ]
)


def bare(image: Image.Image) -> Image.Image:
    return image.resize((64, 64))


def test_a_transform_of_ones_own_prepares_the_images(material, tmp_path, capsys):
    options = [each for each in command(material, tmp_path) if each not in ("--resize", "72", "--crop", "64")]
    assert main([*options, "--transform", "tests.compute.runs.test_record:compose"]) == 0
    run = open_run(tmp_path / "mine")
    image = Image.open(material / "photos" / "val" / CLASSES[0] / "0.png")
    expected = compose.transforms[1](compose.transforms[0](image))
    np.testing.assert_array_equal(run.pixels([0])[0], np.asarray(expected))
    assert run.configuration["data"]["sd"] == [0.2, 0.2, 0.2]
    assert run.description.preparation["resize"] == 70  # a usual transform, which Live repeats
    assert main([*options, "--run", "bare", "--transform", "tests.compute.runs.test_record:bare"]) == 2
    assert "does not end in a Normalize" in capsys.readouterr().err
    bare_too = ["--transform", "tests.compute.runs.test_record:bare", "--mean", "0", "0", "0", "--sd", "1", "1", "1"]
    assert main([*options, "--run", "bare", *bare_too]) == 0
    assert "bare" in open_run(tmp_path / "bare").description.preparation


def test_a_crop_alone_cuts_off_as_much_as_the_models_own_and_keeps_what_it_can_of_wide_images(material, tmp_path):
    options = [each for each in command(material, tmp_path) if each not in ("--resize", "72", "--crop", "64")]
    for crop, resize in ((["112"], 128), (["64", "80"], None)):
        assert main([*options, "--crop", *crop, "--run", crop[-1]]) == 0
        preparation = open_run(tmp_path / crop[-1]).description.preparation
        assert (preparation["crop"], preparation.get("resize")) == ([int(crop[0]), int(crop[-1])], resize)


def test_each_of_several_splits_becomes_a_run(material, tmp_path):
    (tmp_path / "test").symlink_to(material / "photos" / "val")
    (tmp_path / "val").symlink_to(material / "photos" / "val")
    assert main(command(material, tmp_path, "--data", str(tmp_path), "--split", "val", "test")) == 0
    assert [open_run(tmp_path / f"mine-{split}").epochs for split in ("val", "test")] == [(1,), (1,)]


def test_the_first_checkpoint_has_the_number_that_is_said(material, tmp_path):
    for number in (0, 1):
        (tmp_path / f"net_epoch_{number}.pt").write_bytes((material / "weights" / "e1.pt").read_bytes())
    more = ("--checkpoint", str(tmp_path / "net_epoch_*.pt"))
    assert main(command(material, tmp_path, *more, "--first-epoch", "0")) == 0
    run = open_run(tmp_path / "mine")
    assert [(epoch, run.epoch_label(epoch)) for epoch in run.epochs] == [(0, "net_epoch_0"), (1, "net_epoch_1")]


def test_a_network_with_one_output_is_refused_with_how_to_make_two_of_it(material, tmp_path, capsys):
    torch.save(shufflenet_v2_x0_5(num_classes=1).state_dict(), tmp_path / "one.pt")
    said = refused(capsys, command(material, tmp_path, "--checkpoint", str(tmp_path / "one.pt")), tmp_path)
    assert "torch.cat([torch.zeros_like(z), z], 1)" in said


class Small(nn.Module):
    """A network of one's own, with an option."""

    def __init__(self, num_classes: int, width: int = 4) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, width, 3, 4)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).relu().mean((2, 3)))


def test_a_module_of_ones_own_in_a_lightning_checkpoint(material, tmp_path, monkeypatch):
    state = {f"model.{name}": value for name, value in Small(4, width=6).state_dict().items()}
    torch.save({"state_dict": state, "pytorch-lightning_version": "2", "epoch": 2}, tmp_path / "last.ckpt")
    name = "tests.compute.runs.test_record:Small"
    more = ("--model", name, "--option", "width=6", "--checkpoint", str(tmp_path / "last.ckpt"))
    assert main(command(material, tmp_path, *more)) == 0
    run = open_run(tmp_path / "mine")
    assert (run.epochs, run.epoch_label(3), run.description.evidence) == ((3,), "last", "exact")
    with pytest.raises(Exception, match="does not build"):
        load_predictor(tmp_path / "mine", 3)
    monkeypatch.setenv("CLASSPRINT_NETWORKS", name)
    assert load_predictor(tmp_path / "mine", 3).network.body.head.in_features == 6


@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224"])
def test_networks_of_timm_are_recorded_and_live(material, tmp_path, name):
    timm = pytest.importorskip("timm")
    options = {"img_size": 64} if "vit" in name else {}
    torch.save({"state_dict": timm.create_model(name, num_classes=4, **options).state_dict()}, tmp_path / "net.pth")
    more = [part for key, value in options.items() for part in ("--option", f"{key}={value}")]
    arguments = command(material, tmp_path, "--model", f"timm:{name}", "--checkpoint", str(tmp_path / "net.pth"), *more)
    assert main(arguments) == 0
    run = open_run(tmp_path / "mine")
    assert run.description.evidence == {"convnext_atto": "frozen_norm", "vit_tiny_patch16_224": "linearised"}[name]
    predictor = load_predictor(run.path, 1)
    maps, probabilities = predictor.predict(run.pixels(range(4)))
    np.testing.assert_allclose(probabilities, run.probabilities(epoch=1, variant="clean", images=range(4)), atol=1e-4)
    largest = np.abs(maps).max()
    np.testing.assert_allclose(maps, run.maps(epoch=1, variant="clean", images=range(4)), atol=0.02 * largest)


def test_a_folder_of_hugging_face_is_recorded_with_its_own_preparation(material, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        num_labels=4, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    )
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "hf")
    preprocessor = {"size": {"shortest_edge": 32}, "crop_pct": 0.8, "resample": 3, "image_mean": [0.5, 0.5, 0.5]}
    (tmp_path / "hf" / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    arguments = [
        *("record", "--model", f"hf:{tmp_path / 'hf'}", "--checkpoint", str(tmp_path / "hf" / "model.safetensors")),
        *("--data", str(material / "photos" / "val"), "--runs-dir", str(tmp_path), "--no-analysis", "--threads", "1"),
    ]
    assert main(arguments) == 0
    run = open_run(tmp_path / "hf")
    assert run.description.evidence == "exact"
    assert run.description.preparation["resize"] == 40
    assert (run.description.preparation["crop"], run.description.preparation["interpolation"]) == ([32, 32], "bicubic")
    assert run.description.preparation["mean"] == [0.5, 0.5, 0.5]


def test_live_predicts_what_was_recorded_and_explains_the_adopted_network(recorded):
    run, predictor = open_run(recorded), load_predictor(recorded, 6)
    _, probabilities = predictor.predict(run.pixels(range(4)))
    np.testing.assert_allclose(probabilities, run.probabilities(epoch=6, variant="clean", images=range(4)), atol=1e-5)
    assert explainable_layers(predictor) == ("conv5",)
    assert grad_cam(predictor, run.pixels([0])[0], class_index=1).shape == (2, 2)
    assert deconvolution(predictor, run.pixels([0])[0], channel=1).shape == (64, 64, 3)


def test_one_of_this_projects_networks_is_recorded_by_its_name(material, tmp_path, prepared):
    from compute.models import build

    torch.save(build("cam", 4).state_dict(), tmp_path / "cam.pt")
    arguments = command(material, tmp_path, "--model", "cam", "--checkpoint", str(tmp_path / "cam.pt"))
    assert main(arguments) == 0
    run = open_run(tmp_path / "mine")
    assert (run.description.evidence, len(run.stage_names)) == ("network", 5)
    _, probabilities = load_predictor(run.path, 1).predict(run.pixels(range(4)))
    np.testing.assert_allclose(probabilities, run.probabilities(epoch=1, variant="clean", images=range(4)), atol=1e-5)
