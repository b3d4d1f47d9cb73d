"""The dashboard over runs in a bucket, on a server that speaks S3: listed, opened, and its silence reported."""

import time

import fsspec
import pytest
import streamlit as st

from dashboard import data
from store import open_run
from store.analysis.analyse import analyse
from store.remote import patience
from store.remote.place import Place
from store.synthetic import write_synthetic_run
from store.tools.copy import copy_run
from tests.dashboard.app import PAGES, assert_no_errors, texts


@pytest.fixture(scope="module")
def folders(bucket, tmp_path_factory):
    """CLASSPRINT_RUNS of a bucket with the run "team" and a folder with the run "own"."""
    own = write_synthetic_run(tmp_path_factory.mktemp("runs") / "own", epochs=2)
    analyse(open_run(own))
    copy_run(str(own), f"{bucket}/shared/team")
    return f"{own.parent}:{bucket}/shared"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_run_of_a_bucket(opened, folders, page):
    app = opened(folders, page, run="team")
    assert_no_errors(app)
    assert "team" in texts(app) and "No run" not in app.title[0].value


def test_runs_of_a_folder_and_a_bucket_stand_in_one_list(opened, folders):
    app = opened(folders)
    assert set(next(box for box in app.selectbox if box.label == "Run").options) == {"team", "own"}
    app = opened(folders, run="own")
    assert "Runs at URLs that are not shown now have no row (1)" in texts(app)


def test_overview_of_a_run_without_an_analysis_fetches_the_chosen_epoch_alone(opened, bucket, tiny_run):
    copy_run(str(tiny_run), f"{bucket}/plain/plain")
    app = opened(f"{bucket}/plain", run="plain", epoch="2")
    assert_no_errors(app)
    assert data.open_named_run("plain").epochs_at_hand == (2,)
    assert "1 of 3 epochs shown: the run is at a URL" in texts(app) and "computing time" not in texts(app)
    opened(f"{bucket}/plain", "learning", run="plain")
    app = opened(f"{bucket}/plain", run="plain", epoch="2")
    assert "epochs shown: the run is at a URL" not in texts(app)


@pytest.fixture
def impatient(monkeypatch):
    """Storage is asked again at once, also after an error."""
    for name in ("FRESH", "BACK_OFF"):
        monkeypatch.setattr(patience, name, 0.0)


def test_a_new_epoch_in_the_bucket_appears(opened, folders, bucket, monkeypatch, impatient):
    system, root = fsspec.core.url_to_fs(f"{bucket}/shared/team")
    kept = {name: system.cat_file(f"{root}/epochs/{name}") for name in ("0002.h5", "0002.json")}
    monkeypatch.setenv("CLASSPRINT_RUNS", folders)
    for name in kept:
        system.rm_file(f"{root}/epochs/{name}")
    _until(lambda: data.open_named_run("team").epochs == (1,))
    for name, content in kept.items():
        system.pipe_file(f"{root}/epochs/{name}", content)
    _until(lambda: data.open_named_run("team").epochs == (1, 2))


def test_a_bucket_that_answers_no_more_is_reported_and_its_fetched_epochs_stay(opened, folders, monkeypatch, impatient):
    assert_no_errors(opened(folders, run="team"))
    monkeypatch.setattr("store.remote.source.RemoteSource.look", _refuse)
    _until(lambda: "New epochs of " in texts(opened(folders, run="team")))
    app = opened(folders, run="team")
    assert_no_errors(app)
    assert "cannot be reached" in texts(app) and app.title[0].value == "Overview"


class _Stopped(fsspec.AbstractFileSystem):
    """Storage whose server has stopped."""

    protocol = "stopped"

    def ls(self, path, detail=True, **options):
        raise ConnectionRefusedError("Connection refused")


def test_without_any_run_the_reason_is_reported(opened):
    fsspec.register_implementation("stopped", _Stopped, clobber=True)
    st.cache_resource.clear()
    app = opened("stopped://server/runs")
    assert app.title[0].value == "No run can be read"
    assert "cannot be reached" in app.error[0].value and "Check the network" in app.error[0].value


def _refuse(source):
    """As `look` of a storage whose server has stopped."""
    Place("stopped://server/runs", _Stopped(), "server/runs").reach("ls", "")


def _until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
