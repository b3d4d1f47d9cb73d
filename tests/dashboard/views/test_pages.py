"""Every page under AppTest: with a good run, a bad link, and a missing, empty, damaged and growing run."""

import json
import shutil
import subprocess
import sys

import pytest

from dashboard.shell import navigation
from store import resume_run
from store.synthetic import create_synthetic_run, record_synthetic_epoch, synthetic_description, write_synthetic_run
from tests.dashboard.app import APP, PAGES, assert_no_errors, texts


@pytest.fixture(scope="session")
def good_runs(tmp_path_factory):
    """A folder with two runs: 'plain', and 'signed' whose maps may be negative and which has no layers."""
    folder = tmp_path_factory.mktemp("good")
    write_synthetic_run(folder / "signed", epochs=2, signed=True, layers={}, stages={})
    write_synthetic_run(folder / "plain", epochs=3, classes=6, images_per_class=5)
    return folder


def parameter(app, name):
    """A parameter of the address after the run."""
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_a_good_run_without_warning(opened, good_runs, name):
    app = opened(good_runs, name, run="plain")
    assert_no_errors(app, warnings=False)
    assert app.title[0].value == navigation.page_info(name).title
    assert "plain" in texts(app)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_a_signed_run_without_layers_at_an_older_epoch_under_a_variant(opened, good_runs, name):
    app = opened(good_runs, name, run="signed", epoch="1", variant="bgr", scale="common", colours="cividis")
    assert_no_errors(app)
    assert r"**\[B,G,R\]**" in texts(app)


@pytest.mark.parametrize("name", ["overview", "image"])
@pytest.mark.parametrize(
    ("parameter", "value", "holds"),
    [
        ("epoch", "99", "has epochs 1 to 3"),
        ("epoch", "two", "has epochs 1 to 3"),
        ("variant", "sepia", "allowed are clean, gray"),
        ("run", "../../etc", "allowed are"),
        ("image", "-3", "a whole number from 0 to 29"),
        ("class", "n99999999", "allowed are n00000000"),
        ("pin", "7.clean", "such as “1.clean”"),
    ],
)
def test_an_invalid_value_in_a_link_is_reported_with_what_is_allowed(opened, good_runs, name, parameter, value, holds):
    run = {} if parameter == "run" else {"run": "plain"}
    app = opened(good_runs, name, **run, **{parameter: value})
    assert_no_errors(app)
    reported = "\n".join(warning.value for warning in app.warning)
    assert f"“{value}”" in reported and holds in reported


def test_an_unknown_parameter_is_reported_and_can_be_removed(opened, good_runs):
    app = opened(good_runs, run="plain", epoc="2")
    assert "“epoc”" in app.warning[0].value
    next(button for button in app.button if button.label == "Remove invalid parameters").click().run()
    assert not app.warning and "epoc" not in app.query_params and parameter(app, "run") == "plain"


def test_a_page_of_its_own_parameters_reports_invalid_values(opened, good_runs):
    app = opened(good_runs, "failures", run="plain", confidence="0.9-0.2", sort="beauty")
    reported = "\n".join(warning.value for warning in app.warning)
    assert "“0.9-0.2”" in reported and "“beauty”" in reported


@pytest.mark.parametrize("exists", [True, False])
def test_without_a_run_the_dashboard_explains_how_to_make_one(opened, tmp_path, exists):
    folder = tmp_path if exists else tmp_path / "nowhere"
    app = opened(folder)
    assert_no_errors(app)
    assert app.title[0].value == "No run yet"
    assert "make compute" in texts(app)


def test_a_run_in_the_place_of_the_folder_of_runs_is_explained(opened, good_runs):
    app = opened(good_runs / "plain")
    assert app.title[0].value == "This folder is a run"
    assert f"CLASSPRINT_RUNS={good_runs.resolve()}" in texts(app)


def test_a_run_without_a_finished_epoch_says_that_it_waits(opened, tmp_path):
    create_synthetic_run(tmp_path / "young", synthetic_description("young", 3, 2, epochs=2))
    app = opened(tmp_path)
    assert_no_errors(app)
    assert "no complete epoch yet" in texts(app)


def test_a_damaged_epoch_is_named_and_the_others_stay_readable(opened, tmp_path):
    write_synthetic_run(tmp_path / "hurt", epochs=2)
    path = tmp_path / "hurt" / "epochs" / "0002.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    app = opened(tmp_path)
    assert_no_errors(app)
    assert "Epoch 2" in "\n".join(warning.value for warning in app.warning)
    assert "epoch **1**" in texts(app)


def test_a_damaged_run_file_is_reported_and_does_not_break_the_page(opened, tmp_path):
    write_synthetic_run(tmp_path / "broken", epochs=1)
    (tmp_path / "broken" / "run.h5").write_bytes(b"not HDF5 at all")
    app = opened(tmp_path)
    assert not app.exception
    assert "run.h5" in app.error[0].value


def test_a_new_epoch_of_a_growing_run_appears_on_the_next_look(opened, tmp_path):
    path = write_synthetic_run(tmp_path / "growing", epochs=1, planned_epochs=2)
    app = opened(tmp_path)
    assert "epoch **1**" in texts(app)
    assert app.get("progress")[0].proto.text.startswith("1 of 2 epochs")
    record_synthetic_epoch(resume_run(path), 2)
    app.run()
    assert "epoch **2**" in texts(app)


def test_a_run_that_is_deleted_while_it_is_shown_is_reported(opened, tmp_path):
    write_synthetic_run(tmp_path / "short", epochs=1, planned_epochs=2)
    write_synthetic_run(tmp_path / "other", epochs=1)
    app = opened(tmp_path, run="short")
    shutil.rmtree(tmp_path / "short")
    app.run()
    assert not app.exception
    assert "“short”" in texts(app)


def test_moving_a_control_writes_the_link_and_the_default_is_left_out(opened, good_runs):
    app = opened(good_runs, run="plain")
    app.select_slider(key="control-epoch").set_value(1).run()
    app.selectbox(key="control-variant").set_value("gray").run()
    assert parameter(app, "epoch") == "1" and parameter(app, "variant") == "gray"
    app.selectbox(key="control-variant").set_value("clean").run()
    assert "variant" not in app.query_params


def test_choosing_another_run_removes_the_parameters_of_the_old_one(opened, good_runs):
    app = opened(good_runs, run="plain", epoch="2", image="4")
    app.selectbox(key="control-run").set_value("signed").run()
    assert "epoch" not in app.query_params and "image" not in app.query_params
    assert_no_errors(app)


def test_the_chosen_cell_of_the_matrix_shows_its_images(opened, good_runs):
    app = opened(good_runs, "confusion", run="plain", **{"class": "n00000001", "prediction": "n00000002"})
    assert "school bus predicted as guacamole" in texts(app)
    assert "1 image of 5 (20.0 %)" in texts(app)


def test_the_failures_page_lists_only_wrong_predictions_in_the_range(opened, good_runs):
    app = opened(good_runs, "failures", run="plain")
    table = app.dataframe[0].value
    assert len(table) == 3 and (table["true_class"] != table["predicted_class"]).all()
    app = opened(good_runs, "failures", run="plain", confidence="0-0.01")
    assert "0 wrong predictions" in texts(app).replace("**", "")


def test_the_overview_draws_figure_2_with_the_chosen_epoch(opened, good_runs):
    app = opened(good_runs, run="plain", epoch="2")
    specs = [json.loads(element.proto.spec) for element in app.get("vega_lite_chart")]
    assert {spec.get("title") for spec in specs} >= {"Loss", "Accuracy", "Accuracy by variant"}


def test_the_dashboard_starts_without_torch():
    program = (
        "import sys; sys.argv=['x']; from streamlit.testing.v1 import AppTest; "
        f"AppTest.from_file({str(APP)!r}, default_timeout=60).run(); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, cwd=APP.parent)
    assert done.returncode == 0
