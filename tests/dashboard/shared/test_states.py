"""Two and three states beside each other: what the tiles hold, and the page that shows them."""

import base64

import numpy as np
import pytest

from dashboard.components import tiles
from dashboard.images.maps import EQ10
from dashboard.shared.states import State, flip_tiles
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection
from dashboard.views.compare.parts import class_changes, focus_tiles, pattern_tiles
from store import open_run
from store.synthetic import write_synthetic_run


@pytest.fixture
def selection(run, monkeypatch):
    monkeypatch.setattr(url_state, "link", lambda page, changes=None: f"{page}?{changes}")
    return Selection(run, 3, "clean", None, None, EQ10, "magma", None)


def test_each_difference_is_the_last_pattern_minus_another_one(run, selection):
    states = [State(run, 1, "clean"), State(run, 2, "gray"), State(run, 3, "clean")]
    content = focus_tiles(selection, states, [2, 2, 2])
    assert [len(tile.maps) for tile in content.tiles] == [1, 1, 1, 0, 0]
    patterns = [run.patterns(epoch=each.epoch, variant=each.variant)[2] for each in states]
    expected = [np.abs(patterns[2] - patterns[place]).max() for place in (0, 1)]
    assert content.differences.peaks == pytest.approx(expected)
    change = float((patterns[2] - patterns[0]).mean())
    assert content.tiles[3].lines[1] == f"mean S {change:+.2f}".replace("-", "−")


def test_two_classes_of_one_state_are_subtracted_too(run, selection):
    same = State(run, 3, "clean")
    content = focus_tiles(selection, [same, same], [0, 1])
    assert content.tiles[2].title == "school bus − brown bear"
    assert not content.differences.silent[0]


def test_a_state_minus_itself_is_silent(run, selection):
    same = State(run, 3, "clean")
    data = tiles.payload(focus_tiles(selection, [same, same], [0, 0]))
    codes = np.frombuffer(base64.b64decode(data["differences"]["codes"]), np.uint8)
    assert (codes == 128).all() and data["differences"]["marks"] == ["silent"]


def test_tiles_hold_a_pattern_per_state_and_one_difference_fewer(run, selection):
    states = [State(run, 1, "clean"), State(run, 2, "clean"), State(run, 3, "clean")]
    table = class_changes(states[0], states[2])
    content = pattern_tiles(selection, states, table)
    assert [tile.maps for tile in content.tiles[:2]] == [(0, 1, 2), (3, 4, 5)]
    assert [tile.differences for tile in content.tiles[:2]] == [(0, 1), (2, 3)]
    data = tiles.payload(content)
    assert data["parts"] == 5 and "each by its own" in data["difference_legend"]["label"]


def test_flips_between_two_runs_show_their_images_and_both_maps(run, selection, tmp_path):
    other = open_run(write_synthetic_run(tmp_path / "coarse", epochs=1, map_shape=(4, 4)))
    content = flip_tiles(selection, State(other, 1, "clean"), State(run, 3, "clean"), [4, 7])
    assert content.maps.codes.shape == (4, 8, 8)
    assert content.tiles[0].title.startswith("✗ guacamole → ✓ school bus")
    assert [tile.images for tile in content.tiles] == [(0,), (1,)]


def test_a_pinned_third_state_is_taken_up_by_the_page(opened, tiny_run):
    app = opened(tiny_run.parent, "compare", pin="1.clean,2.gray")
    chosen = {box.key: box.value for box in app.selectbox}
    assert chosen["control-with_epoch"] == "1" and chosen["control-third_epoch"] == "2"
    assert chosen["control-third_variant"] == "gray"
    assert not app.exception and not app.warning


def test_the_third_state_is_in_the_link_and_can_be_left_out(opened, tiny_run):
    app = opened(tiny_run.parent, "compare", third="tiny", third_epoch="2", third_variant="bgr", pair="2-3")
    assert not app.exception and not app.warning, app.warning
    assert "epoch 2, [B,G,R] → epoch 3, clean" in list(app.get("button_group")[0].options)
    app.selectbox(key="control-third").set_value("none").run()
    assert not {"third", "third_epoch", "third_variant", "pair"} & set(app.query_params)
    assert not app.exception and not app.warning


def test_a_run_of_other_images_is_compared_by_class_but_not_by_image(opened, tmp_path):
    write_synthetic_run(tmp_path / "one", epochs=2)
    write_synthetic_run(tmp_path / "two", epochs=1, images_per_class=6, image_shape=(12, 20))
    app = opened(tmp_path, "compare", run="one", **{"with": "two"})
    assert not app.exception and not app.warning
    assert "recorded on different images" in app.info[0].value
    assert "Class patterns that changed most" in [part.value for part in app.subheader]


def test_a_run_of_other_classes_is_refused_with_a_reason(opened, tmp_path):
    write_synthetic_run(tmp_path / "one", epochs=2)
    write_synthetic_run(tmp_path / "two", epochs=1, classes=7)
    app = opened(tmp_path, "compare", run="one", **{"with": "two"})
    assert not app.exception
    assert "do not have the same classes" in app.warning[0].value
