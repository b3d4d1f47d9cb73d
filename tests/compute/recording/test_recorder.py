"""A training loop of one's own, recorded: the same record as the command's, and the loop is left as it was."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from compute.errors import BadModel, BadOption
from compute.live.predictor import load_predictor
from compute.models.library import ModelSpec
from compute.recording import recorder as module
from compute.recording.recorder import Recorder, record
from compute.recording.run_recorder import open_or_create
from compute.runs.interrupt import StopRequest
from compute.runs.prepare import prepare
from compute.runs.run import Experiment, TrainingJob
from compute.training.checkpoints import CheckpointFolder
from compute.training.trainer import Trainer
from store import RunMismatch, open_run
from store.analysis import read_analysis
from store.check.verify import verify_run
from tests.compute.cases import tiny_profile
from tests.compute.recording.cases import PHANTOM_SD, Pairs, PlainClassifier, as_tensor, phantom_pairs

ROOT = Path(__file__).resolve().parents[3]


def recorder(path: Path, model: nn.Module | None = None, data: object = None, **options) -> Recorder:
    """A quiet recorder of small material."""
    return Recorder(path, model or PlainClassifier(), data or phantom_pairs(), quiet=True, batch=7, **options)


def train_one_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, pairs: Pairs) -> float:
    """A plain loop: one epoch over all pairs in batches of 8."""
    model.train()
    for rows in torch.randperm(len(pairs)).split(8):
        images, labels = zip(*(pairs[int(row)] for row in rows), strict=True)
        x = torch.stack([torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image in images])
        loss = functional.cross_entropy(model(x), torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss


def test_a_plain_loop_gives_the_same_record_as_the_command(tmp_path):
    torch.set_num_threads(1)
    profile = tiny_profile("recording.initial=false")
    prepared = prepare(profile, device="cpu")
    run = open_or_create(tmp_path / "command", TrainingJob(prepared).material(tmp_path / "command"), prepared.processes)
    Experiment(prepared, run, StopRequest()).train_and_record()

    again = prepare(profile, device="cpu")
    trainer = Trainer(again.network, settings=profile.training, augment=again.augmenter)
    validation = again.dataset.validation
    own = Recorder(
        tmp_path / "loop",
        again.network,
        Pairs(validation.images, validation.labels),
        mean=profile.data.mean,
        sd=profile.data.sd,
        variants=profile.recording.variants,
        precision=profile.training.precision,
        batch=profile.recording.batch,
        quiet=True,
    )
    for epoch in (1, 2, 3):
        own.record(epoch, **trainer.train_epoch(epoch, again.training_set()))
    own.close()

    a, b = open_run(tmp_path / "command"), open_run(tmp_path / "loop")
    assert a.epochs == b.epochs == (1, 2, 3) and a.variants == b.variants
    assert a.layer_names == b.layer_names == ("encoder",) and a.stage_names == b.stage_names
    for epoch in a.epochs:
        for variant in a.variants:
            at = {"epoch": epoch, "variant": variant}
            assert np.array_equal(a.pixels(variant=variant), b.pixels(variant=variant))
            assert np.array_equal(a.maps(**at, images=None), b.maps(**at, images=None))
            assert np.array_equal(a.probabilities(**at), b.probabilities(**at))
            assert np.array_equal(a.patterns(**at), b.patterns(**at))
        ours, theirs = (run.layers(epoch=epoch, images=None)["encoder"] for run in (a, b))
        assert np.array_equal(ours, theirs)
    columns = [name for name in a.metrics() if "second" not in name]
    assert a.metrics()[columns].equals(b.metrics()[columns])


def test_a_classifier_is_recorded_and_its_loop_is_left_as_it_was(tmp_path):
    def trained(record: bool) -> tuple[nn.Module, list[dict | None]]:
        torch.manual_seed(5)
        model, pairs, results = PlainClassifier(), phantom_pairs(), []
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        model.features[1].eval()  # frozen BatchNorm stays in evaluation mode
        own = recorder(tmp_path / "mine", model, pairs) if record else None
        for epoch in range(3):
            if epoch:
                loss = train_one_epoch(model, optimizer, pairs)
                model.features[1].eval()
            if own:
                modes = [each.training for each in model.modules()]
                results.append(own.record(epoch, label=f"after {epoch}", **({"train_loss": loss} if epoch else {})))
                assert [each.training for each in model.modules()] == modes
        if own:
            own.close()
        return model, results

    (alone, _), (recorded, results) = trained(False), trained(True)
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), recorded.parameters(), strict=True))
    run = open_run(tmp_path / "mine")
    assert run.epochs == (0, 1, 2) and run.epoch_label(2) == "after 2"
    assert run.description.evidence == "exact" and run.description.evidence_error < 1e-5
    assert run.variants == ("clean", "gray") and run.map_shape == (4, 4)
    table = run.predictions(epoch=2, variant="clean")
    assert results[2]["validation_top1"] == pytest.approx(table["correct"].mean())
    assert run.metrics()["train_loss"].notna().tolist() == [False, True, True]
    with torch.no_grad():
        logits = recorded.eval()(torch.from_numpy(run.pixels()).permute(0, 3, 1, 2).float() / 255)
    expected = torch.softmax(logits, 1).numpy()
    assert np.allclose(run.probabilities(epoch=2, variant="clean"), expected, atol=1e-6)
    assert verify_run(tmp_path / "mine") == []


def test_started_again_it_goes_on_and_leaves_recorded_epochs_as_they_are(tmp_path, capsys):
    model = PlainClassifier()
    first = recorder(tmp_path / "mine", model)
    assert first.next_epoch == 1
    for epoch in (0, 1):
        first.record(epoch)
    first.close()
    before = open_run(tmp_path / "mine").probabilities(epoch=1, variant="clean")
    again = Recorder(tmp_path / "mine", PlainClassifier(), phantom_pairs(), batch=7)  # the first one is closed, too
    assert again.next_epoch == 2 and again.record(1) is None
    assert "(resumed, 2 epochs recorded): 24 images of 8 classes" in capsys.readouterr().out
    again.record(2)
    again.close()
    assert open_run(tmp_path / "mine").epochs == (0, 1, 2)
    assert np.array_equal(open_run(tmp_path / "mine").probabilities(epoch=1, variant="clean"), before)
    with pytest.raises(RunMismatch, match=r"data\.sha256"):
        recorder(tmp_path / "mine", model, phantom_pairs(seed=1))
    with pytest.raises(RunMismatch, match=r"recording\.variants"):
        recorder(tmp_path / "mine", model, variants=("clean",))


KILLED = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.compute.recording.test_recorder import recorder
own = recorder(Path({path!r}))
own.record(1)
own.record(2)
own._run.wait()
writer = own._run.run.epoch(3)
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_after_a_kill_the_same_loop_goes_on(tmp_path):
    code = KILLED.format(root=str(ROOT), path=str(tmp_path / "mine"))
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == -9, process.stderr
    assert list((tmp_path / "mine").rglob("*.part"))
    again = recorder(tmp_path / "mine")
    assert again.next_epoch == 3
    again.record(3)
    again.close()
    assert open_run(tmp_path / "mine").epochs == (1, 2, 3) and not list((tmp_path / "mine").rglob("*.part"))


def test_only_every_nth_epoch_is_recorded_and_the_last_one_where_it_is_forced(tmp_path):
    own = recorder(tmp_path / "mine", every=3)
    results = [own.record(epoch, force=epoch == 5) for epoch in range(6)]
    own.close()
    assert [result is not None for result in results] == [True, False, False, True, False, True]
    assert open_run(tmp_path / "mine").epochs == (0, 3, 5)


def test_recording_stays_within_its_share_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    own = recorder(tmp_path / "mine", time_share=0.25)
    record = own._run.record

    def slow(*arguments, **options):
        now[0] += 10  # seconds that recording an epoch takes
        return record(*arguments, **options)

    monkeypatch.setattr(own._run, "record", slow)
    recorded = []
    for epoch in range(10):
        now[0] += 10  # seconds that training an epoch takes
        recorded.append(own.record(epoch) is not None)
    own.close()
    # the first always; then when 10 s more are a quarter of the time: at 80 s, at 120 s
    assert np.flatnonzero(recorded).tolist() == [0, 5, 8]


def test_what_is_kept_and_how_is_the_users_choice(tmp_path):
    def upside_down(images):
        return images[:, ::-1]

    model, pairs = PlainClassifier(), phantom_pairs()
    names = [f"sort {number}" for number in range(8)]
    own = recorder(tmp_path / "mine", model, pairs, classes=names, variants=("clean", upside_down), top=2)
    own.record(1, my_own_measure=torch.tensor(0.25))
    own.close()
    run = open_run(tmp_path / "mine")
    assert run.kept_maps == 2 and run.variants == ("clean", "upside_down")
    assert np.array_equal(run.pixels(variant="upside_down"), run.pixels()[:, ::-1])
    assert run.classes["name"].tolist() == names
    assert run.metrics()["my_own_measure"].tolist() == [0.25]


def inverted(images):
    return 255 - images


def test_the_strongest_maps_of_a_linearised_network_are_those_of_a_run_that_keeps_all(tmp_path):
    torch.manual_seed(0)
    model = PlainClassifier(40)
    model.head = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 40))
    for top in (0, 1, 4):
        with recorder(tmp_path / str(top), model, top=top, variants=("clean", inverted)) as own:
            own.record(1)
    whole = open_run(tmp_path / "0")
    assert whole.description.evidence == "linearised"
    strongest = whole.logits(epoch=1, variant="inverted").argsort(1)[:, -3:]
    clean = whole.column("prediction", epoch=1, variant="clean")
    assert not (strongest == clean[:, None]).any(1).all()  # whose maps the consistency needs all the same
    estimates = {"corrected_prediction"}  # of all classes, most of which are not computed
    for top in (1, 4):
        run = open_run(tmp_path / str(top))
        for variant in run.variants:
            expected, found = whole.maps(epoch=1, variant=variant), run.maps(epoch=1, variant=variant)
            kept = ~np.isnan(found)
            assert kept.any((-1, -2)).sum(1).tolist() == [top + 1] * len(found)
            assert np.abs(found - expected)[kept].max() <= 0.02 * np.abs(expected).max()
            assert np.allclose(run.mean_maps(epoch=1, variant=variant), whole.mean_maps(epoch=1, variant=variant))
            tables = (each.predictions(epoch=1, variant=variant) for each in (run, whole))
            columns, others = (table.select_dtypes("number") for table in tables)
            for name in set(columns) - estimates:
                assert np.allclose(columns[name], others[name], atol=1e-4), name


def test_networks_with_class_maps_are_recorded_as_they_are(tmp_path):
    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.Conv2d(3, 8, 4, stride=4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.maps(x)

    own = recorder(tmp_path / "mine", torch.nn.DataParallel(Maps()))
    own.record(0)
    own.close()
    assert open_run(tmp_path / "mine").description.evidence == "network"


def test_predictions_alone_are_recorded_where_that_is_asked_for(tmp_path):
    class NoGrid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16 * 3, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x)

    with pytest.raises(BadModel, match="record its predictions alone"):
        recorder(tmp_path / "mine", NoGrid())
    assert not (tmp_path / "mine").exists()
    own = recorder(tmp_path / "mine", NoGrid(), maps=False)
    own.record(1)
    own.close()
    run = open_run(tmp_path / "mine")
    assert not run.has_maps and run.map_shape == (1, 1) and verify_run(tmp_path / "mine") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every = 0"),
        ({"time_share": 0.0}, "time_share = 0"),
        ({"precision": "float16"}, "precision = 'float16'"),
        ({"checkpoints": "some"}, "checkpoints = 'some' is unknown: choose last, all, none"),
        ({"mean": (0.5, 0.5, 0.5)}, "give both or neither"),
        ({"mean": (0.5,) * 3, "sd": (0.0,) * 3}, "must be above 0"),
        ({"mean": (0.5,) * 2, "sd": (0.5,) * 2}, "one number, or one for each of 3 channels"),
        ({"variants": ("gray",)}, "must begin with 'clean'"),
        ({"classes": ["a"]}, "The network has 8 outputs, but there are 1 classes"),
    ],
)
def test_options_that_are_invalid_are_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        recorder(tmp_path / "mine", **options)
    assert not (tmp_path / "mine").exists()


def test_epochs_and_metrics_that_are_invalid_are_refused(tmp_path):
    own = recorder(tmp_path / "mine", mean=(0.5,) * 3, sd=PHANTOM_SD)
    for epoch in (-1, 1.5, True):
        with pytest.raises(BadOption, match="not a whole number from 0 on"):
            own.record(epoch)
    with pytest.raises(BadOption, match="measures validation_loss itself"):
        own.record(1, validation_loss=1.0)
    with pytest.raises(BadOption, match="The metric train_loss is nothing, not a number"):
        own.record(1, train_loss="nothing")
    own.close()
    assert open_run(tmp_path / "mine").epochs == ()


def test_a_loop_that_counts_from_0_is_told_that_epoch_0_is_before_its_first_step(tmp_path):
    model = PlainClassifier()
    own = recorder(tmp_path / "mine", model)
    with torch.no_grad():
        next(model.parameters()).add_(0.01)
    with pytest.raises(BadOption, match=r"Count epochs from 1: record\(epoch \+ 1\)"):
        own.record(0)
    own.record(1)
    own.close()
    assert open_run(tmp_path / "mine").epochs == (1,)


@pytest.mark.parametrize(("keep", "kept"), [("last", (2,)), ("all", (0, 1, 2)), ("none", ())])
def test_the_weights_that_were_recorded_are_kept(tmp_path, keep, kept):
    model = PlainClassifier()
    with recorder(tmp_path / "mine", model, checkpoints=keep) as own:
        for epoch in range(3):
            own.record(epoch)
            with torch.no_grad():
                model.head.bias.add_(1)
    folder = CheckpointFolder(tmp_path / "mine" / "checkpoints", run_id=open_run(tmp_path / "mine").id)
    assert folder.epochs() == kept
    for epoch in kept:
        weights = folder.load(epoch).weights
        assert weights.keys() == model.state_dict().keys()
        assert torch.allclose(weights["head.bias"], model.head.bias - (3 - epoch), atol=1e-6)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_live_shows_a_recorded_network_of_a_library(tmp_path, library):
    pytest.importorskip(library)
    name = {"torchvision": "torchvision:resnet18", "timm": "timm:resnet10t"}[library]
    model = ModelSpec(name).build(8)
    pairs = phantom_pairs(convert=lambda image: as_tensor(image.repeat(2, 0).repeat(2, 1)))
    record(tmp_path / "mine", model, pairs, quiet=True)
    run = open_run(tmp_path / "mine")
    assert run.configuration["model"]["name"] == name
    found, probabilities = load_predictor(run.path, 1).predict(run.pixels([0, 5]))
    assert np.allclose(probabilities, run.probabilities(epoch=1, variant="clean", images=[0, 5]), atol=1e-5)
    assert np.allclose(found, run.maps(epoch=1, variant="clean", images=[0, 5]), atol=0.05)


def test_the_librarys_network_inside_a_module_that_only_wraps_it_is_recorded(tmp_path):
    class Task(nn.Module):  # as a LightningModule
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.model, self.scale = ModelSpec("torchvision:resnet18").build(8), scale

        def forward(self, x):
            return self.scale * self.model(x)

    pairs = phantom_pairs(convert=lambda image: as_tensor(image.repeat(2, 0).repeat(2, 1)))
    for scale, name, layer in ((1.0, "torchvision:resnet18", "layer3"), (2.0, "Task", "model.layer3")):
        record(tmp_path / name, Task(scale), pairs, quiet=True)
        model = open_run(tmp_path / name).configuration["model"]
        assert (model["name"].rpartition(".")[2], model["layer"]) == (name, layer)
    assert load_predictor(tmp_path / "torchvision:resnet18", 1).network.body.fc.out_features == 8


def test_live_shows_a_network_of_ones_own_where_the_operator_allows_it(tmp_path, monkeypatch):
    record(tmp_path / "mine", PlainClassifier(), phantom_pairs(), quiet=True)
    with pytest.raises(BadModel, match=r"tests\.compute\.recording\.cases:PlainClassifier"):
        load_predictor(tmp_path / "mine", 1)
    monkeypatch.setenv("CLASSPRINT_NETWORKS", "tests.compute.recording.cases:PlainClassifier")
    assert load_predictor(tmp_path / "mine", 1).predict(open_run(tmp_path / "mine").pixels([0]))[1].shape == (1, 8)


def test_a_block_analyses_at_its_end_unless_an_error_ended_it(tmp_path):
    with recorder(tmp_path / "mine") as own:
        own.record(1)
    assert read_analysis(open_run(tmp_path / "mine")) is not None
    with pytest.raises(KeyError), recorder(tmp_path / "other") as own:
        own.record(1)
        raise KeyError
    other = open_run(tmp_path / "other")
    assert other.epochs == (1,) and read_analysis(other) is None
    with recorder(tmp_path / "nothing"):
        pass
    assert read_analysis(open_run(tmp_path / "nothing")) is None


def test_odd_images_are_named_when_the_run_is_made(tmp_path, capsys):
    images = np.full((6, 16, 16, 3), 9, np.uint8)
    images[3:] += np.arange(3, dtype=np.uint8)[:, None, None, None]
    for _ in range(2):
        Recorder(tmp_path / "dark", PlainClassifier(), Pairs(images, [0, 0, 0, 1, 1, 1])).close()
    text = capsys.readouterr().out
    assert text.count("nearly black") == 1 and "3 of 6 validation images repeat another one" in text


TWO_PROCESSES = """
import sys
sys.path.insert(0, {root!r})
import torch
from torch.nn.parallel import DistributedDataParallel
from pathlib import Path
from tests.compute.recording.cases import PlainClassifier
from tests.compute.recording.test_recorder import recorder
torch.distributed.init_process_group("gloo")
torch.manual_seed(3)
model = DistributedDataParallel(PlainClassifier())
own = recorder(Path({path!r}), model)
own.record(0)
model(torch.rand(4, 3, 16, 16)).sum().backward()  # DistributedDataParallel goes on as before
own.record(1)
own.close()
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_record_their_halves_as_one_process_records_all(tmp_path):
    script = tmp_path / "loop.py"
    script.write_text(TWO_PROCESSES.format(root=str(ROOT), path=str(tmp_path / "two")))
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    process = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
    assert process.returncode == 0, process.stderr[-2000:]
    torch.manual_seed(3)
    with recorder(tmp_path / "one", PlainClassifier()) as own:
        own.record(0)
    one, two = open_run(tmp_path / "one"), open_run(tmp_path / "two")
    assert two.epochs == (0, 1) and len(list((tmp_path / "two" / "epochs").glob("0000.part*.h5"))) == 2
    for variant in one.variants:
        at = {"epoch": 0, "variant": variant}
        assert np.allclose(one.probabilities(**at), two.probabilities(**at), atol=1e-6)
        assert np.allclose(one.patterns(**at), two.patterns(**at), atol=1e-5)


FIRST_ALONE = """
import sys
sys.path.insert(0, {root!r})
import datetime, time
import torch
from pathlib import Path
from compute.training import distributed
from tests.compute.recording.cases import PlainClassifier
from tests.compute.recording.test_recorder import recorder
distributed.MEETING = datetime.timedelta(seconds=2)
torch.distributed.init_process_group("gloo")
own = recorder(Path({path!r}), PlainClassifier())
if torch.distributed.get_rank() == 0:
    own.record(0)
time.sleep(30)
"""


@pytest.mark.slow
def test_a_record_by_the_first_process_alone_is_refused_and_not_waited_for(tmp_path):
    script = tmp_path / "loop.py"
    script.write_text(FIRST_ALONE.format(root=str(ROOT), path=str(tmp_path / "two")))
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    process = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
    assert "Recorder.record was called by process 0 of 2, but within 2 s not by 1." in process.stderr
    assert process.returncode != 0 and open_run(tmp_path / "two").epochs == ()
