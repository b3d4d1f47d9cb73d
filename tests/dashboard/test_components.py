"""What the components send to the browser."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashboard.components import assets, matrix, points, tiles, wall
from dashboard.components.clipboard import pasted_bytes
from dashboard.components.matrix import Matrix
from dashboard.components.points import Plane
from dashboard.components.tiles import Tile, TileSet
from dashboard.components.wall import Wall
from dashboard.images.maps import scale_maps

FOLDER = Path(assets.__file__).parent


def decoded(text, dtype=np.uint8):
    return np.frombuffer(base64.b64decode(text), dtype)


def test_a_grid_sends_one_byte_for_each_cell_of_a_map():
    maps = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    content = TileSet((Tile("7", "bear", maps=(1, 0), bar=0.5, role="correct"),), maps=scale_maps(maps))
    data = tiles.payload(content)
    assert decoded(data["maps"]["codes"]).tolist() == [0, 85, 170, 255, 146, 182, 219, 255]
    assert data["maps"]["peaks"] == [3.0, 7.0]
    assert data["tiles"][0]["maps"] == (1, 0)
    assert "Eq. 10" in data["legend"]["label"]


def test_a_silent_map_says_so():
    maps = np.stack([np.zeros((2, 2)), np.ones((2, 2))])
    data = tiles.payload(TileSet((Tile("0", "a", maps=(0, 1)),), maps=scale_maps(maps)))
    assert data["maps"]["marks"] == ["silent", ""]


def test_the_readout_knows_the_ends_of_each_map_on_the_relief_alone():
    maps = np.array([[[2.0, 4.0]], [[-1.0, 1.0]]], np.float32)
    content = TileSet((Tile("0", "a", maps=(0, 1)),), maps=scale_maps(maps, kind="relief", signed=True))
    assert tiles.payload(content)["maps"]["ends"] == [[2, 4], [-1, 1]]
    plain = tiles.payload(TileSet((Tile("0", "a", maps=(0, 1)),), maps=scale_maps(maps, signed=True)))
    assert plain["maps"]["ends"] is None


def test_the_identity_changes_with_what_is_shown_and_only_then():
    one = tiles.payload(TileSet((Tile("0", "a"),)))
    assert tiles.payload(TileSet((Tile("0", "a"),)))["identity"] == one["identity"]
    assert tiles.payload(TileSet((Tile("0", "b"),)))["identity"] != one["identity"]


def test_a_matrix_leaves_empty_cells_empty_and_orders_the_others_by_their_logarithm():
    codes, largest = matrix.cell_codes(Matrix(np.array([[100, 1], [0, 50]]), ["a", "b"], ["a", "b"], logarithmic=True))
    assert largest == 100
    assert codes[0, 0] == 255 and codes[1, 0] == 0
    assert codes[0, 1] == 1 + round(254 * np.log(2) / np.log(101))


def test_a_single_mistake_stands_out_from_the_page_in_light_and_dark():
    data = matrix.payload(Matrix(np.array([[100, 1], [0, 50]]), ["a", "b"], ["a", "b"], logarithmic=True), title="t")
    lightness = {name: decoded(data[name]).reshape(256, 3)[1].astype(int).sum() for name in ("table", "table_light")}
    assert lightness["table"] > 150 and lightness["table_light"] < 600


def test_a_signed_matrix_diverges_from_zero():
    codes, largest = matrix.cell_codes(Matrix(np.array([[-4.0, 2.0], [0.0, 4.0]]), ["a", "b"], ["a", "b"], signed=True))
    assert largest == 4 and codes.tolist() == [[1, 192], [0, 255]]


def test_a_matrix_sends_the_values_of_its_filled_cells_in_reading_order():
    data = matrix.payload(Matrix(np.array([[3, 0], [0, 5]]), ["a", "b"], ["a", "b"]), title="t")
    assert decoded(data["values"], "<f4").tolist() == [3.0, 5.0]


def test_selecting_a_cell_does_not_change_what_is_drawn():
    plain = Matrix(np.eye(2), ["a", "b"], ["a", "b"])
    chosen = Matrix(np.eye(2), ["a", "b"], ["a", "b"], selected=(0, 1))
    assert matrix.payload(plain, title="t")["identity"] == matrix.payload(chosen, title="t")["identity"]


def test_neighbours_of_one_group_are_framed_together():
    assert matrix.group_starts(["dogs", "dogs", "cats", "dogs"]) == [[0, "dogs"], [2, "cats"], [3, "dogs"]]


def test_a_wall_sends_all_epochs_at_once():
    patterns = scale_maps(np.ones((3, 2, 4, 4), np.float32))
    made = Wall(
        (Tile("n1", "bear", maps=(1,)),),
        patterns,
        np.array([[0.1, 0.2]] * 3),
        (1, 2, 5),
        ("1", "2", "5 (best)"),
        start=2,
    )
    data = wall.payload(made)
    assert len(decoded(data["codes"])) == 3 * 2 * 16
    assert data["epochs"] == [1, 2, 5] and data["start"] == 2 and data["tiles"][0]["maps"] == (1,)


def test_a_point_takes_few_bytes_and_its_area_belongs_to_what_is_shown():
    number = 1000
    numbers = np.arange(number)
    plane = Plane(
        places=np.stack([numbers / number, np.full(number, 2.0)], 1),
        images=3 * numbers,
        labels=numbers % 200,
        predictions=numbers % 7,
        confidences=np.linspace(0, 1, number),
        names=["a"] * 200,
        codes=numbers % 5,
        colours=["#000000"] * 5,
        legend=[("#000000", "a")],
    )
    data = points.payload(plane, title="points")
    assert decoded(data["places"]).view("<u2").reshape(-1, 2)[500].tolist() == [32768, 65535]
    assert decoded(data["images"]).view("<u4")[-1] == 2997 and decoded(data["predictions"]).view("<u2")[8] == 1
    assert decoded(data["confidences"])[-1] == 255
    assert len(json.dumps(data)) < 25 * number
    chosen = points.payload(replace(plane, area=((0, 0), (9, 0), (9, 9))), title="points")
    assert chosen["identity"] != data["identity"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.js")), ids=lambda path: path.name)
def test_scripts_never_write_html_or_evaluate_text(path):
    source = path.read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", source)


@pytest.mark.parametrize("name", ["tiles", "matrix", "wall", "points"])
def test_each_component_is_one_module_with_one_default_export(name):
    assert assets.source("js", name).count("export default function") == 1
    assert "--st-text-color" in assets.source("css", name)


def test_a_pasted_image_arrives_as_its_file():
    content = b"any bytes"
    assert pasted_bytes("data:image/png;base64," + base64.b64encode(content).decode()) == content


@pytest.mark.parametrize("uri", ["hello", None, 7, "data:text/html;base64,AAAA", "data:image/png,AAAA"])
def test_what_is_pasted_must_be_an_image(uri):
    with pytest.raises(ValueError, match="not an image"):
        pasted_bytes(uri)


def test_a_damaged_paste_is_refused():
    with pytest.raises(ValueError, match="damaged"):
        pasted_bytes("data:image/png;base64,?!")
