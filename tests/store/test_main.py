"""The store's command line."""

import pytest

from store import resume_run
from store.__main__ import main
from store.synthetic import record_synthetic_epoch


def test_every_command_works_from_the_command_line(copy, tmp_path, capsys):
    for arguments in (
        ["link", str(copy)],
        ["export", str(copy), str(tmp_path / "out"), "--format", "csv", "--epochs", "1-2", "--maps", "0,3-4"],
        ["prune", str(copy), str(tmp_path / "small"), "--epochs", "2", "--top", "1"],
        ["copy", str(tmp_path / "small"), str(tmp_path / "again"), "--quiet"],
        ["verify", str(tmp_path / "again"), "--quiet"],
        ["info", str(tmp_path / "again")],
    ):
        assert main(arguments) == 0, arguments
    said = capsys.readouterr().out
    assert "all.h5" in said and "maps_0002_gray.npz" in said and "4 files copied" in said and "1 of 1 planned" in said


def test_info_says_what_the_run_is_and_weighs(tiny_run, capsys):
    assert main(["info", str(tiny_run)]) == 0
    said = capsys.readouterr().out
    assert "3 of 3 planned, 1 to 3" in said and "20 of 5 classes" in said
    assert "probabilities" in said and "in all" in said
    assert "evidence    network: the network's last layer, each logit is the mean of its map" in said
    assert "wait" not in said and "_" not in said.partition("dataset")[0].rpartition("epoch 3")[2]


def test_without_a_command_the_help_is_printed(capsys):
    assert main([]) == 0
    assert "check every byte and value of a run" in capsys.readouterr().out


def test_verify_refuses_a_url_before_it_shows_progress(capsys):
    assert main(["verify", "s3://bucket/runs/paper"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("'s3://bucket/runs/paper' is a URL") and said.count("\n") == 1


def test_verify_on_the_command_line_names_the_problems(copy, capsys):
    assert main(["verify", str(copy), "--quiet"]) == 0
    assert "no problems found" in capsys.readouterr().out
    (copy / "epochs" / "0001.h5").write_bytes(b"")
    (copy / "epochs" / "0002.h5").unlink()
    assert main(["verify", str(copy), "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "epochs/0001.h5: it has 0 bytes" in said and "epochs/0002.h5: it was recorded, but the file is gone" in said
    assert main(["verify", str(copy / "nowhere"), "--quiet"]) == 1
    assert "There is no run at" in capsys.readouterr().err


def test_a_folder_of_runs_is_told_apart_from_a_run(tiny_run, capsys):
    assert main(["info", str(tiny_run.parent)]) == 1
    assert f"It is a folder of runs: name one, such as '{tiny_run}'." in capsys.readouterr().err


@pytest.mark.parametrize("text", ["-1", "5-1", "1-99999999999", "x", "1,,2"])
def test_a_list_of_epochs_that_is_invalid_is_refused(copy, tmp_path, capsys, text):
    with pytest.raises(SystemExit, match="2"):
        main(["prune", str(copy), str(tmp_path / "less"), f"--epochs={text}"])
    assert "is neither a number nor a range such as 20-25" in capsys.readouterr().err


def test_images_that_are_not_there_are_refused_before_anything_is_exported(tiny_run, tmp_path, capsys):
    assert main(["export", str(tiny_run), str(tmp_path / "out"), "--maps", "99999"]) == 1
    assert "Image 99999 is not in the run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["export", "prune"])
def test_an_epoch_that_is_left_out_as_damaged_is_named(copy, tmp_path, capsys, command):
    (copy / "epochs" / "0002.h5").write_bytes(b"short")
    assert main([command, str(copy), str(tmp_path / "out")]) == 0
    assert "Epoch 2 is left out: " in capsys.readouterr().err


@pytest.mark.parametrize("command", ["export", "prune"])
def test_a_url_is_no_folder_to_write_into(tiny_run, tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    assert main([command, str(tiny_run), "s3://bucket/run"]) == 1
    assert "'s3://bucket/run' is a URL, and this command writes into a folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_epoch_0_and_labels_of_epochs_are_known_to_every_command(copy, tmp_path, capsys):
    record_synthetic_epoch(resume_run(copy), 0, label="untrained")
    for arguments in (
        ["link", str(copy)],
        ["export", str(copy), str(tmp_path / "out"), "--epochs", "0"],
        ["prune", str(copy), str(tmp_path / "small"), "--epochs", "0,2", "--top", "1"],
        ["verify", str(copy), "--quiet"],
        ["verify", str(tmp_path / "small"), "--quiet"],
        ["info", str(tmp_path / "small")],
    ):
        assert main(arguments) == 0, arguments
    said = capsys.readouterr().out
    assert "1 of 1 planned, epoch 2, and epoch 0, before training" in said and "labels      0 untrained" in said
