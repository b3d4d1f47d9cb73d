"""Whole runs of a tiny network on 48 phantom images: same bits again, after a stop, after a kill."""

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

from compute.cli import REFUSED, main
from compute.errors import BadCheckpoint, RunInUse, TrainingDiverged
from compute.live.predictor import load_predictor
from compute.recording.perturbations import perturb_array
from compute.recording.run_recorder import lock_run, open_or_create
from compute.runs.interrupt import Interrupted, StopRequest
from compute.runs.prepare import prepare
from compute.runs.run import Experiment, TrainingJob
from compute.training.checkpoints import CheckpointFolder
from compute.training.distributed import Processes
from store import RunMismatch, StoreError, open_run
from store.check.verify import verify_run
from store.write.epoch_writer import EpochWriter
from tests.compute.cases import TINY, command, tiny_profile


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """An uninterrupted run of three epochs; do not change it."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    run(path)
    return path


class StopAfter(StopRequest):
    """Requests a stop at the n-th check."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self.checks = checks

    def check(self) -> None:
        self.checks -= 1
        self.requested = self.checks < 0
        super().check()


def run(path: Path, *settings: str, stop: StopRequest | None = None) -> None:
    prepared = prepare(tiny_profile(*settings), device="cpu")
    Experiment(
        prepared, open_or_create(path, TrainingJob(prepared).material(path), prepared.processes), stop or StopRequest()
    ).train_and_record()


def assert_same_record(first: Path, second: Path) -> None:
    """Every array of both runs of three epochs, and the weights, bit for bit."""
    a, b = open_run(first), open_run(second)
    assert a.epochs == b.epochs == (0, 1, 2, 3)
    assert a.planned_epochs == b.planned_epochs == 3
    for epoch in a.epochs:
        for variant in a.variants:
            at = {"epoch": epoch, "variant": variant}
            assert np.array_equal(a.maps(**at, images=None), b.maps(**at, images=None))
            assert np.array_equal(a.probabilities(**at), b.probabilities(**at))
            assert a.predictions(**at).equals(b.predictions(**at))
            assert np.array_equal(a.patterns(**at), b.patterns(**at))
        for opened in ("layers", "stages"):
            ours, theirs = getattr(a, opened)(epoch=epoch, images=None), getattr(b, opened)(epoch=epoch, images=None)
            assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    ledgers = [opened.training_ledger for opened in (a, b)]
    assert ledgers[0].epochs == ledgers[1].epochs == (1, 2, 3)
    assert all(ledgers[0].epoch(epoch).equals(ledgers[1].epoch(epoch)) for epoch in ledgers[0].epochs)
    columns = [name for name in a.metrics() if "second" not in name]
    assert a.metrics()[columns].equals(b.metrics()[columns])
    weights = [torch.load(path / "checkpoints" / "0003.pt", weights_only=True)["weights"] for path in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_run_records_what_its_network_says(finished, monkeypatch):
    monkeypatch.setenv("CLASSPRINT_NETWORKS", TINY)
    recorded = open_run(finished)
    assert recorded.complete
    assert recorded.map_shape == (4, 4)
    assert recorded.layer_names == ("encoder",)
    assert recorded.stage_names == ("stem",)
    assert recorded.variants == ("clean", "gray", "salt_pepper_0.005")
    predictor = load_predictor(finished, 3)
    maps, probabilities = predictor.predict(recorded.pixels(None))
    bound = recorded.map_error(epoch=3, variant="clean", images=None)[..., None, None]
    assert (np.abs(recorded.maps(epoch=3, variant="clean", images=None) - maps) <= bound * 1.001).all()
    assert np.allclose(recorded.probabilities(epoch=3, variant="clean"), probabilities, atol=1e-6)


def test_epoch_0_is_the_network_before_its_first_step(finished):
    recorded, untrained = open_run(finished), prepare(tiny_profile(), device="cpu").network.eval()
    assert recorded.epochs == (0, 1, 2, 3) and recorded.complete and recorded.planned_epochs == 3
    weights = torch.load(finished / "checkpoints" / "0000.pt", weights_only=True)["weights"]
    assert all(torch.equal(weights[name], value) for name, value in untrained.state_dict().items())
    metrics = recorded.metrics().set_index("epoch")
    assert np.isnan(metrics.loc[0, "train_loss"]) and metrics.loc[1:, "train_loss"].notna().all()


def test_a_run_without_epoch_0_and_ledger_has_neither(tmp_path):
    run(tmp_path / "plain", "recording.initial=false", "recording.training=off", "training.epochs=1")
    assert open_run(tmp_path / "plain").epochs == (1,) and not (tmp_path / "plain" / "training").exists()


def test_the_validation_metrics_are_those_of_the_recorded_clean_images(finished):
    recorded = open_run(finished)
    last = recorded.metrics().iloc[-1]
    table = recorded.predictions(epoch=3, variant="clean")
    assert last["validation_top1"] == pytest.approx(table["correct"].mean())
    assert last["validation_top5"] == pytest.approx((table["label_rank"] <= 5).mean())
    assert last["validation_loss"] == pytest.approx(-np.log(table["label_probability"]).mean(), rel=1e-4)


def test_the_recorded_images_are_the_perturbed_ones(finished):
    recorded = open_run(finished)
    clean = recorded.pixels(None)
    images = range(len(recorded.labels))
    for name in recorded.variants:
        expected = perturb_array(name, clean, numbers=images, seed=0)
        assert np.array_equal(recorded.pixels(None, variant=name), expected)


def test_the_same_seed_gives_the_same_record_bit_for_bit(finished, tmp_path):
    run(tmp_path / "again")
    assert_same_record(finished, tmp_path / "again")


@pytest.mark.slow
def test_the_papers_network_in_bfloat16_gives_the_same_record_bit_for_bit(tmp_path):
    real = ("model.name=paper", "model.options.encoder_norm=batch", "data.size=32", "data.classes=4")
    run(tmp_path / "once", *real)
    with pytest.raises(Interrupted):
        run(tmp_path / "twice", *real, stop=StopAfter(11))
    run(tmp_path / "twice", *real)
    assert_same_record(tmp_path / "once", tmp_path / "twice")


def test_another_seed_gives_another_record(finished, tmp_path):
    run(tmp_path / "other", "training.seed=1", "training.epochs=1")
    at = {"epoch": 1, "variant": "clean"}
    ours, theirs = open_run(finished).probabilities(**at), open_run(tmp_path / "other").probabilities(**at)
    assert not np.array_equal(ours, theirs)


# epoch 0 of 4 x 3 recorded batches, then 3 epochs of 4 batches and as many recorded ones: stops at the very start, in
# epoch 0, in training, in recording, near the end
@pytest.mark.parametrize("checks", [0, 2, 7, 14, 19, 26, 57])
def test_a_stopped_run_resumes_to_the_same_record(finished, tmp_path, checks):
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", stop=StopAfter(checks))
    assert not list((tmp_path / "stopped").glob("**/*.part"))
    run(tmp_path / "stopped")
    assert_same_record(finished, tmp_path / "stopped")


def test_averaged_weights_are_recorded_and_a_stopped_run_resumes_to_the_same_ones(finished, tmp_path):
    averaged = "training.weight_averaging=0.9"
    run(tmp_path / "whole", averaged)
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", averaged, stop=StopAfter(26))
    run(tmp_path / "stopped", averaged)
    assert_same_record(tmp_path / "whole", tmp_path / "stopped")
    paths = finished / "checkpoints" / "0003.pt", tmp_path / "whole" / "checkpoints" / "0003.pt"
    plain, averaged = (torch.load(path, weights_only=True)["weights"]["maps.weight"] for path in paths)
    assert not torch.equal(plain, averaged)


@pytest.mark.parametrize("averaging", ["0", "0.9"])
def test_a_run_trained_further_has_the_record_of_one_trained_in_one_go(tmp_path, averaging):
    settings = ("training.schedule=constant", f"training.weight_averaging={averaging}")
    run(tmp_path / "whole", *settings)
    run(tmp_path / "further", *settings, "training.epochs=1")
    first = {path: path.read_bytes() for path in (tmp_path / "further").glob("*.*")}
    run(tmp_path / "further", *settings, "training.epochs=2")
    assert open_run(tmp_path / "further").planned_epochs == 2
    with pytest.raises(Interrupted):
        run(tmp_path / "further", *settings, stop=StopAfter(7))
    run(tmp_path / "further", *settings)
    assert_same_record(tmp_path / "whole", tmp_path / "further")
    assert open_run(tmp_path / "further").complete
    assert first == {path: path.read_bytes() for path in first}, "run.h5 is written once"
    assert verify_run(tmp_path / "further") == []


@pytest.mark.parametrize("schedule", ["onecycle", "cosine"])
def test_more_epochs_are_refused_where_the_learning_rate_depends_on_their_number(tmp_path, capsys, schedule):
    chosen = ("--set", f"training.schedule={schedule}", "--set")
    assert main(command(tmp_path, *chosen, "training.epochs=1")) == 0
    before = files(tmp_path)
    assert main(command(tmp_path, *chosen, "training.epochs=2")) == REFUSED
    reported = capsys.readouterr().err
    assert "training.epochs is 2, and the run" in reported
    assert "was started with 1" in reported
    assert "Choose another name with --run" in reported
    assert files(tmp_path) == before


def test_a_run_trained_further_says_so_and_is_left_alone_by_its_first_command(tmp_path, capsys):
    constant = ("--set", "training.schedule=constant", "--set")
    assert main(command(tmp_path, *constant, "training.epochs=1")) == 0
    assert main(command(tmp_path, *constant, "training.epochs=2")) == 0
    assert "epochs left: 1 of 2" in capsys.readouterr().out
    assert main(command(tmp_path, *constant, "training.epochs=1")) == 0
    assert "is complete (epochs recorded: 3)" in capsys.readouterr().out
    with pytest.raises(RunMismatch, match=r"\(training\.learning_rate: 0.002 before, 0.5 now\)"):
        run(tmp_path / "tiny", "training.schedule=constant", "training.epochs=2", "training.learning_rate=0.5")


def test_a_time_limit_stops_between_epochs_and_the_same_command_resumes_to_the_same_record(finished, tmp_path, capsys):
    assert main(command(tmp_path, "--time-limit", "0.001")) == 75
    assert open_run(tmp_path / "tiny").epochs == (0, 1)
    assert "The time limit is near" in capsys.readouterr().out
    assert main(command(tmp_path, "--time-limit", "0.001")) == 2
    assert "longer than what is left of the --time-limit" in capsys.readouterr().err
    assert main(command(tmp_path, "--time-limit", "1000")) == 0
    assert_same_record(finished, tmp_path / "tiny")


def test_waiting_for_the_writer_is_reported_and_is_part_of_the_recording(tmp_path, monkeypatch):
    plain = EpochWriter.write

    def slow(self, *arguments):
        time.sleep(0.01)
        plain(self, *arguments)

    monkeypatch.setattr(EpochWriter, "write", slow)
    run(tmp_path / "slow", "training.epochs=1")
    reported = open_run(tmp_path / "slow").metrics().iloc[-1]
    assert 12 * 0.01 <= reported["write_wait_seconds"] <= reported["record_seconds"]  # 4 batches x 3 variants
    assert reported["finish_wait_seconds"] >= 0
    assert reported["checkpoint_seconds"] > 0


def test_an_epoch_whose_record_was_lost_is_recorded_again_from_its_weights(finished, tmp_path):
    run(tmp_path / "lost")
    for path in (tmp_path / "lost" / "epochs").glob("0002.*"):
        path.unlink()
    run(tmp_path / "lost")
    assert_same_record(finished, tmp_path / "lost")


def test_processes_meet_after_looking_for_checkpoints_and_before_the_first_is_written(tmp_path, monkeypatch):
    """A process that looked later would find another one's checkpoint of epoch 0, and both would wait for ever."""
    order: list[str] = []
    for owner, name in ((CheckpointFolder, "epochs"), (Processes, "wait"), (CheckpointFolder, "save")):
        monkeypatch.setattr(owner, name, _noted(getattr(owner, name), order))
    run(tmp_path / "tiny", "training.epochs=1")
    looked, written = order.index("epochs"), order.index("save")
    assert "wait" in order[looked:written]


def _noted(method, order):
    """The method, which also appends its name to `order`."""

    def noted(*args, **options):
        order.append(method.__name__)
        return method(*args, **options)

    return noted


def test_only_the_last_weights_stay_where_the_profile_says_so(tmp_path):
    run(tmp_path / "short", "recording.checkpoints=last")
    kept = sorted(path.name for path in (tmp_path / "short" / "checkpoints").iterdir())
    assert kept == ["0003.pt", "0003.state.pt"]


@pytest.mark.parametrize(
    ("setting", "difference"),
    [
        ("training.learning_rate=0.5", r"training.learning_rate: 0.002 before, 0.5 now"),
        ("data.seed=1", r"data.sha256"),
    ],
)
def test_another_configuration_and_other_images_are_refused_by_name(finished, setting, difference):
    with pytest.raises(RunMismatch, match=difference):
        run(finished, setting)


def test_a_run_resumes_where_its_images_and_weights_were_renamed(tmp_path):
    """The checksum decides, also for runs whose configuration names the old folder; other images are refused."""
    for split in ("train", "val"):
        for label, name in enumerate(("apple", "pear")):
            (tmp_path / "old" / split / name).mkdir(parents=True)
            for n in range(2):
                Image.new("RGB", (16, 16), (99 * label + n, 7, 7)).save(tmp_path / "old" / split / name / f"{n}.png")
    torch.save({"maps.bias": torch.ones(2), "encoder.1.bias": torch.ones(8)}, tmp_path / "old.pt")
    settings = ("data.classes=0", "data.train_per_class=0", "data.validation_per_class=0", "training.batch=2")

    def named(name: str) -> list[str]:
        return [
            *settings,
            f"data.source='{tmp_path / name}'",
            f"weights.source='{tmp_path / name}.pt'",
            "weights.partial=true",
        ]

    with pytest.raises(Interrupted):
        run(tmp_path / "run", *named("old"), stop=StopAfter(8))
    assert open_run(tmp_path / "run").configuration["data"]["source"] == "old"
    for name in ("old", "old.pt"):
        (tmp_path / name).rename(tmp_path / name.replace("old", "new"))
    run(tmp_path / "run", *named("new"))
    assert open_run(tmp_path / "run").epochs == (0, 1, 2, 3)
    Image.new("RGB", (16, 16), (1, 2, 3)).save(tmp_path / "new" / "train" / "pear" / "0.png")
    with pytest.raises(RunMismatch, match=r"\(data.sha256: '\w+' before, '\w+' now\)"):
        run(tmp_path / "run", *named("new"))


def test_a_damaged_checkpoint_stops_the_run_and_says_how_to_resume(finished, tmp_path):
    with pytest.raises(Interrupted):
        run(tmp_path / "hurt", stop=StopAfter(26))
    path = max((tmp_path / "hurt" / "checkpoints").glob("*.state.pt"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match=r"state.pt' cannot be read: .* move the run's folder 'checkpoints' away"):
        run(tmp_path / "hurt")
    (tmp_path / "hurt" / "checkpoints").rename(tmp_path / "away")
    run(tmp_path / "hurt")
    assert_same_record(finished, tmp_path / "hurt")


def test_maps_that_are_not_finite_end_the_run_and_leave_the_complete_epochs(tmp_path):
    prepared = prepare(tiny_profile(), device="cpu")
    work = Experiment(
        prepared, open_or_create(tmp_path / "broken", prepared.material("broken"), prepared.processes), StopRequest()
    )
    save = work.checkpoints.save

    def spoil(epoch, trainer, metrics):
        save(epoch, trainer, metrics)
        if epoch == 2:
            with torch.no_grad():
                prepared.network.maps.bias.fill_(float("nan"))

    work.checkpoints.save = spoil
    with pytest.raises(StoreError, match=r"Epoch 2, variant .clean., image 0 .* has nan"):
        work.train_and_record()
    assert open_run(tmp_path / "broken").epochs == (0, 1)
    assert not list((tmp_path / "broken").glob("**/*.part"))


def test_a_loss_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(TrainingDiverged, match=r"loss of epoch 1 is (nan|inf)"):
        run(tmp_path / "wild", "training.learning_rate=1e30", "training.optimizer=sgd")


@pytest.mark.slow
def test_a_killed_process_resumes_and_a_finished_run_is_left_alone(finished, tmp_path, capsys):
    """kill -9 while an epoch is being written, through the real command line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    arguments = command(tmp_path, "--set", f"model.name={TINY}")
    process = subprocess.Popen(
        [sys.executable, "-m", "compute", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not (tmp_path / "tiny" / "checkpoints" / "0001.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert main(arguments) == 0
    whole = open_run(tmp_path / "tiny")
    assert whole.complete
    sealed = {path: path.stat().st_mtime_ns for path in (tmp_path / "tiny").glob("**/*") if path.is_file()}
    assert main(arguments) == 0
    assert "is complete (epochs recorded: 4)." in capsys.readouterr().out
    assert sealed == {path: path.stat().st_mtime_ns for path in sealed}
    assert_same_record(finished, tmp_path / "tiny")


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_second_command_on_the_same_run_is_refused_until_the_first_is_done(tmp_path, capsys):
    path = tmp_path / "tiny"
    with lock_run(path, Processes()):
        assert main(command(tmp_path)) == REFUSED
        assert f"The run '{path}' is being recorded by another command." in capsys.readouterr().err
        assert files(path) == ["training.part"]
    assert main(command(tmp_path)) == 0
    assert open_run(path).complete
    assert not list(path.rglob("*.part"))


def test_a_lock_ends_with_its_process_and_not_with_its_file(tmp_path):
    (tmp_path / "training.part").touch()  # left by a process that was killed
    with lock_run(tmp_path, Processes()), pytest.raises(RunInUse), lock_run(tmp_path, Processes()):
        pass
    assert files(tmp_path) == []


def test_a_plan_leaves_what_a_training_process_is_writing(tmp_path):
    path = tmp_path / "tiny"
    open_or_create(path, prepare(tiny_profile(), device="cpu").material("run"), Processes())
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "0001.state.part").write_bytes(b"half")
    with lock_run(path, Processes()):
        before = files(path)
        assert main(["plan", *command(tmp_path)[1:]]) == 0
        assert files(path) == before
