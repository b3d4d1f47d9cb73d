"""What the pages are told after files changed: never an old number, never old and new ones mixed."""

import os

import numpy as np
import pytest

from dashboard import data
from store import open_run
from store.analysis import analysis_file
from store.analysis.analyse import analyse
from store.errors import DamagedFile
from store.synthetic import synthetic_maps, synthetic_metrics, write_synthetic_run
from store.write.run_writer import resume_run
from tests.dashboard.app import assert_no_errors, texts


def record_again(path, epoch, shift=1):
    """Record an epoch of a synthetic run again, every image predicted as a class further on, its times as they were."""
    files = [path / "epochs" / f"{epoch:04d}.{ending}" for ending in ("h5", "json")]
    times = [file.stat().st_mtime_ns for file in files]
    for file in files:
        file.unlink()
    run = open_run(path)
    with resume_run(path, configuration=run.configuration).epoch(epoch, synthetic_metrics(epoch)) as recording:
        for variant in run.variants:
            recording.write(variant, 0, np.roll(synthetic_maps(run.description, epoch, variant), shift, axis=1))
    for file, time in zip(files, times, strict=True):
        os.utime(file, ns=(time, time))


@pytest.fixture
def plain_run(tmp_path):
    return write_synthetic_run(tmp_path / "run", epochs=2, layers={}, stages={})


def test_an_epoch_that_is_recorded_again_shows_its_new_numbers_everywhere(opened, plain_run):
    analyse(open_run(plain_run))
    questions = {
        "predictions": lambda run: data.predictions(run, 2, "clean")["prediction"].tolist(),
        "maps": lambda run: data.true_class_maps(run, 2, "clean", (0, 1)).tolist(),
        "class table": lambda run: data.class_table(run, 2, "clean")["accuracy"].tolist(),
        "counts": lambda run: data.confusion(run, 2, "clean").tolist(),
        "accuracy": lambda run: data.variant_row(run, 2, "clean")["top1"],
        "history": lambda run: data.class_accuracy(run, variant="clean")["accuracy"].tolist(),
        "pairs": lambda run: data.pair_history(run, true_class=0, predicted_class=1)["count"].tolist(),
        "best": lambda run: data.table1_row(run, best=True)["top1"],
    }
    old = [metric.value for metric in opened(plain_run.parent, epoch="2").metric]
    before = {name: ask(data.open_named_run("run")) for name, ask in questions.items()}
    record_again(plain_run, 2)
    fresh, shown = open_run(plain_run), data.open_named_run("run")
    (plain_run / "analysis.h5").rename(plain_run / "away")
    right = {name: ask(fresh) for name, ask in questions.items()}
    (plain_run / "away").rename(plain_run / "analysis.h5")
    assert {name: ask(shown) for name, ask in questions.items()} == right
    assert all(before[name] != right[name] for name in right)
    app = opened(plain_run.parent, "overview", epoch="2")
    assert_no_errors(app)
    assert app.metric[0].value == "0.0 %" != old[0]
    assert "was computed before epoch 2 was recorded again" in texts(app)


def test_what_is_known_of_the_other_epochs_stays_cached(plain_run):
    run = open_run(plain_run)
    first, second = (data.predictions(run, epoch, "clean") for epoch in (1, 2))
    record_again(plain_run, 2)
    run.refresh()
    again = data.predictions(run, 1, "clean"), data.predictions(run, 2, "clean")
    assert np.shares_memory(first["confidence"].to_numpy(), again[0]["confidence"].to_numpy())
    assert not np.shares_memory(second["confidence"].to_numpy(), again[1]["confidence"].to_numpy())


def test_an_analysis_that_could_not_be_read_once_is_read_at_the_next_look(plain_run, monkeypatch):
    analyse(open_run(plain_run))
    run, whole = open_run(plain_run), (plain_run / "analysis.h5").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(analysis_file, "_read", lambda *_: (_ for _ in ()).throw(DamagedFile("no more files")))
        assert data.analysis_damage(run) == "no more files"
        assert data.findings(run) == [] and data.localisation(run) == "unknown"
    assert data.analysis_damage(run) == "" and data.findings(run) and data.analysis_epochs(run) == (1, 2)
    time = (plain_run / "analysis.h5").stat().st_mtime_ns
    for content, readable in ((whole[:-9] + b"\0" * 9, False), (whole, True)):
        (plain_run / "analysis.h5").write_bytes(content)
        os.utime(plain_run / "analysis.h5", ns=(time, time))
        assert bool(data.findings(run)) is readable or not data.analysis_damage(run)
    assert data.findings(run)


def test_a_run_in_the_place_of_another_is_another_run(plain_run, monkeypatch):
    monkeypatch.setenv("CLASSPRINT_RUNS", str(plain_run.parent))
    names = data.class_names(data.open_named_run("run"))
    time = (plain_run / "run.h5").stat().st_mtime_ns
    plain_run.rename(plain_run.with_name("old"))
    write_synthetic_run(plain_run, epochs=1, classes=3)
    os.utime(plain_run / "run.h5", ns=(time, time))
    run = data.open_named_run("run")
    assert run.epochs == (1,) and data.class_names(run) == names[:3]
