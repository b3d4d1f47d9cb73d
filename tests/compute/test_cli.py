import os
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from compute.cli import REFUSED, main
from compute.runs.prepare import prepare
from store import open_run
from store.analysis import read_analysis
from store.queries.replicates import replicates
from store.synthetic import write_synthetic_run
from tests.compute.cases import TINY, command, tiny_profile


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run recorded by the command line."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(command(folder)) == 0
    return folder / "tiny"


def refused(capsys, folder, *more) -> str:
    """What the command line says when it refuses; nothing may be left in the folder."""
    assert main(command(folder, *more)) == 2
    assert not list(folder.glob("*/run.h5*"))
    return capsys.readouterr().err


def test_the_plan_is_printed_before_the_work_and_names_what_matters(tmp_path, capsys):
    assert main(["plan", *command(tmp_path)[1:]]) == 0
    text = capsys.readouterr().out
    assert "device    CPU" in text
    assert "48 training and 24 validation images, 8 classes" in text
    assert "epochs left: 3 of 3" in text
    assert "every epoch in variants: clean, gray, salt_pepper_0.005" in text
    assert "images/s training" in text
    assert "free" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--profile", "none-such"], "BadOption: There is no profile 'none-such'"),
        (["--set", "training.epochs=-1"], "training.epochs = -1 is too small"),
        (["--set", "model.name=lenet"], "BadModel: There is no network 'lenet'"),
        (["--set", "model.options.width=3"], "has no option 'width'"),
        (["--set", 'recording.variants=["clean", "sepia"]'], "sepia"),
        (["--set", 'recording.variants=["gray"]'], "clean"),
        (["--set", "data.mean=[0.5]"], "data.mean = [0.5] is not one number for each of 3 channels"),
        (["--data", "/no/such/folder"], "There is no data set '/no/such/folder'"),
        (["--weights", "/no/such/weights.pt"], "There is no weights file '/no/such/weights.pt'"),
        (["--device", "tpu"], "There is no device 'tpu'"),
        (["--device", "mps"], "Classprint computes on cpu or cuda, not on 'mps'"),
        (["--data", ""], "There is no data set ''"),
        (["--data", "2024"], "There is no data set '2024'"),
        (["--data", "it's 'there'"], """There is no data set "it's 'there'\""""),
        (["--data", "a\nb"], "There is no data set 'a\\nb'"),
        (["--data", "a\udcffb"], "There is no data set 'a\\udcffb'"),
        (["--weights", ""], "There is no weights file"),
        (["--run", ""], "--run '' cannot be the name of a run"),
        (["--run", "../x"], "--run '../x' cannot be the name of a run"),
        (["--run", "a/b"], "--run 'a/b' cannot be the name of a run"),
        (["--run", "/abs"], "--run '/abs' cannot be the name of a run"),
        (["--run", "."], "--run '.' cannot be the name of a run"),
        (["--run", "a\nb"], "cannot be the name of a run"),
        (["--run", "ü" * 101], "is longer than 200 bytes"),
        (["--threads", "100000"], "--threads 100000 is invalid"),
        (["--threads", "-2"], "--threads -2 is invalid"),
        (["--time-limit", "-5"], "--time-limit -5 is invalid"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(capsys, tmp_path, more, message):
    assert message in refused(capsys, tmp_path, *more)


def test_a_run_in_the_place_of_the_folder_of_runs_is_refused(recorded, capsys):
    arguments = command(recorded, "--run", "inside")
    assert main(arguments) == 2
    assert f"is itself a run. Name the folder around it: --runs-dir '{recorded.parent}'" in capsys.readouterr().err
    assert not (recorded / "inside").exists()


@pytest.mark.parametrize(
    ("folder", "name"), [("file", "run"), ("file/deeper", "run"), (".", "file"), (".", "dangling")]
)
def test_a_place_where_no_run_can_be_is_refused_before_any_work(tmp_path, capsys, folder, name):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert main(["train", "--data", "nothing", "--runs-dir", str(tmp_path / folder), "--run", name]) == 2
    culprit = tmp_path / ("dangling" if name == "dangling" else "file")
    assert f"can't be recorded: '{culprit}' is not a folder. Choose another" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (URLError("no route"), "Check the network"),
        (ConnectionResetError("reset"), "Check the network"),
        (TimeoutError("slow"), "Check the network"),
        (PermissionError(13, "Permission denied"), "Check the folder, its permissions and its free space"),
    ],
)
def test_what_to_check_depends_on_what_failed(capsys, monkeypatch, tmp_path, error, advice):
    def fail(*_):
        raise error

    monkeypatch.setattr("compute.cli.open_run", fail)
    assert main(["table", str(tmp_path)]) == 2
    assert advice in capsys.readouterr().err


def test_a_reader_that_closes_the_pipe_early_ends_the_command_without_a_word(recorded):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "compute", "table", str(recorded)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2], check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(capsys, tmp_path):
    assert "PyTorch finds no CUDA GPU here" in refused(capsys, tmp_path, "--device", "cuda")


def test_weights_of_another_network_are_refused_before_the_run_is_made(capsys, tmp_path):
    torch.save({"0.weight": torch.zeros(1, 2, 3)}, tmp_path / "wrong.pt")
    assert "contain encoder.0.weight as (1, 2, 3)" in refused(capsys, tmp_path, "--weights", str(tmp_path / "wrong.pt"))


def test_a_batch_larger_than_the_training_set_is_made_smaller_and_noted(tmp_path, capsys):
    assert main(["plan", *command(tmp_path, "--set", "training.batch=500")[1:]]) == 0
    text = capsys.readouterr().out
    assert "batches of 8" in text
    assert "training.batch is 8 instead of 500: there are only 48 training images. Choose another with --set" in text
    assert prepare(tiny_profile("training.batch=48"), device="cpu").notes == ()


def test_the_same_command_with_other_settings_is_refused_and_names_them(recorded, capsys):
    arguments = command(recorded.parent, "--set", "training.weight_decay=0.5")
    assert main(arguments) == 2
    assert "training.weight_decay: 0.01 before, 0.5 now" in capsys.readouterr().err


def test_a_run_that_was_stopped_before_its_analysis_is_analysed_by_the_same_command(recorded, capsys):
    arguments = [word for word in command(recorded.parent) if word != "--no-analysis"]
    assert main(arguments) == 0
    assert "epochs: 4, in" in capsys.readouterr().out
    written = (recorded / "analysis.h5").stat().st_mtime_ns
    assert main(arguments) == 0
    assert "Analysed" not in capsys.readouterr().out
    assert (recorded / "analysis.h5").stat().st_mtime_ns == written
    (recorded / "analysis.h5").write_bytes(b"damaged")
    assert main(arguments) == 0
    assert "epochs: 4, in" in capsys.readouterr().out


def test_provenance_says_where_the_record_comes_from(recorded):
    provenance = open_run(recorded).provenance
    assert provenance["libraries"]["torch"] == torch.__version__
    assert provenance["machine"]["threads"] == 1
    assert provenance["data"]["training_images"] == 48
    assert len(provenance["data"]["sha256"]) == 64
    assert len(provenance["code"]["sha256"]) == 64
    assert provenance["initial_weights"]["source"] == "none"
    assert provenance["parameters"] == 8 * 3 * 25 + 16 + 8 * 8 + 8


def test_the_configuration_contains_every_setting(recorded):
    configuration = open_run(recorded).configuration
    assert set(configuration) == {"data", "model", "weights", "training", "augmentation", "recording"}
    assert configuration["model"]["name"] == TINY
    assert configuration["data"]["source"] == "phantom"


def test_the_table_prints_a_row_a_run_in_both_forms(recorded, capsys):
    assert main(["table", str(recorded)]) == 0
    text = capsys.readouterr().out.splitlines()
    last = open_run(recorded).metrics().iloc[-1]
    assert text[1].split()[:4] == ["tiny", TINY, "phantom", "none"]
    cells = text[1].split()  # top-1, balanced, largest class, top-5
    assert (cells[4], cells[5]) == ("3/3", f"{last['validation_top1'] * 100:.2f}")
    assert cells[8] == f"{last['validation_top5'] * 100:.2f}"
    assert main(["table", "--markdown", str(recorded)]) == 0
    markdown = capsys.readouterr().out.splitlines()
    assert len({line.count("|") for line in markdown}) == 1
    assert markdown[1].replace("|", "").replace("-", "").replace(":", "").strip() == ""


def test_the_table_of_a_run_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["table", str(tmp_path / "absent")]) == 2
    assert "RunNotFound" in capsys.readouterr().err


def test_help_explains_every_setting(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    for name in ("training.learning_rate", "recording.variants", "weights.source", "--runs-dir", "--set"):
        assert name in text


def test_without_a_command_the_help_names_the_commands(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in ("train", "plan", "table", "analyse"))


@pytest.mark.parametrize("arguments", [["trian"], ["--profile", "quick"]])
def test_an_unknown_command_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == REFUSED
    assert "COMMAND" in capsys.readouterr().err


def test_seeds_trains_runs_that_differ_in_their_seed_alone_and_prints_their_mean(tmp_path, capsys):
    chosen = ("--seeds", "2", "--set", "training.epochs=1", "--set", 'recording.variants=["clean"]')
    assert main(command(tmp_path, *chosen)) == 0
    runs = [open_run(tmp_path / f"tiny-seed{seed}") for seed in (0, 1)]
    assert [run.configuration["training"]["seed"] for run in runs] == [0, 1]
    assert [run.provenance["group"] for run in runs] == ["tiny", "tiny"]
    assert len(replicates(runs[0], runs)) == 2
    top1 = [run.variant_metrics(epoch=1)["top1"].iloc[0] for run in runs]
    printed = capsys.readouterr().out
    assert "tiny: mean of 2 trainings" in printed
    assert f"{50 * sum(top1):.2f} ± {100 * abs(top1[0] - top1[1]) / 2**0.5:.2f}" in printed
    assert main(command(tmp_path, *chosen)) == 0
    assert capsys.readouterr().out.count("is complete (epochs recorded: 2)") == 2


@pytest.mark.parametrize("count", ["1", "0", "101"])
def test_a_number_of_seeds_that_makes_no_spread_is_refused(tmp_path, capsys, count):
    assert f"--seeds {count} is invalid: allowed are 2 to 100" in refused(capsys, tmp_path, "--seeds", count)
    assert not list(tmp_path.iterdir())


def test_analyse_writes_the_analysis_and_prints_its_findings(tmp_path, capsys):
    path = write_synthetic_run(tmp_path / "run", epochs=2)
    assert main(["analyse", str(path)]) == 0
    printed = capsys.readouterr().out
    assert ", epochs: 2, in" in printed
    assert "  1. " in printed
    assert read_analysis(open_run(path)).epochs == (1, 2)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("work", ["work()", "exec('work()')"])
def test_a_stop_in_the_first_imports_is_reported_without_a_traceback(tmp_path, number, work):
    """A library that sends the signal while it is imported, and would turn an exception into an abort."""
    (tmp_path / "h5py.py").write_text(
        "import os, signal, time\n"
        f"work = lambda: (os.kill(os.getpid(), signal.{number}), time.sleep(60))\n"
        "try:\n"
        f"    {work}\n"
        "except BaseException:\n"
        "    os.abort()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "compute", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 130
    assert done.stderr == "\nStopped. Complete epochs are kept. Run the same command again to resume.\n"


def test_the_table_takes_runs_that_were_not_recorded_by_this_program(tmp_path, capsys):
    write_synthetic_run(tmp_path / "other", epochs=1, classes=3)
    assert main(["table", str(tmp_path / "other")]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "other"


def test_more_epochs_than_any_disk_holds_are_refused_at_once(tmp_path, capsys):
    assert main(command(tmp_path, "--set", "training.epochs=1000000000")) == 2
    assert "tiny' needs about" in capsys.readouterr().err
    assert not (tmp_path / "tiny").exists()
