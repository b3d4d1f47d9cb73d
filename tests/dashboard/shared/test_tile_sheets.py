"""A grid as a PNG sheet: the images come back out of their atlas, and every scale is named at its foot."""

import io

import numpy as np
import pytest
from PIL import Image

from dashboard.components.tiles import Tile, TileSet
from dashboard.images.maps import colour_map, scale_maps
from dashboard.images.sheet import atlas
from dashboard.shared.theme import LIGHT, rgb
from dashboard.shared.tile_sheets import file_part, split_atlas, tile_sheet


def pixels(sheet):
    """A PNG's pixels, (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB"))


def holds(image, colour):
    """Whether a colour occurs anywhere."""
    return bool((image == np.asarray(colour)).all(-1).any())


@pytest.mark.parametrize("count", [1, 3, 7])
def test_images_come_back_out_of_an_atlas_in_their_order(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 4, 3), np.uint8)
    assert np.array_equal(split_atlas(atlas(images, exact=True))[:count], images)
    assert split_atlas(None) == []


def test_a_sheet_holds_image_map_difference_rule_and_a_bar_for_each_scale():
    red = np.full((1, 8, 8, 3), (250, 10, 20), np.uint8)
    maps = scale_maps(np.eye(8, dtype=np.float32)[None])
    change = scale_maps(-np.ones((1, 8, 8), np.float32), signed=True)
    tile = Tile("a", "✗ bus", ("P 0.5",), images=(0,), maps=(0,), differences=(0,), role="wrong")
    content = TileSet((tile,), images=atlas(red, exact=True), maps=maps, differences=change)
    sheet = pixels(tile_sheet(content, title="one", size=32))
    assert holds(sheet, (250, 10, 20))
    assert holds(sheet, colour_map("magma")[255]) and holds(sheet, colour_map("berlin")[1])
    assert holds(sheet, rgb(LIGHT.wrong))
    without = pixels(tile_sheet(TileSet((tile,), images=content.images, maps=maps, differences=change), title=""))
    assert without.shape[0] > sheet.shape[0]  # tiles of 96 pixels instead of 32
    one_scale = TileSet((Tile("a", "✗ bus", ("P 0.5",), maps=(0,)),), maps=maps)
    assert sheet.shape[0] - pixels(tile_sheet(one_scale, title="one", size=32)).shape[0] == 20


def test_signed_maps_are_drawn_in_the_diverging_colours():
    maps = scale_maps(np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 4, 4), signed=True)
    sheet = pixels(tile_sheet(TileSet((Tile("a", "a", maps=(0,)),), maps=maps, colours="cividis"), title="signed"))
    assert holds(sheet, colour_map("berlin")[255])


def test_without_a_tile_there_is_no_sheet():
    with pytest.raises(ValueError, match="at least one tile"):
        tile_sheet(TileSet(()), title="nothing")


@pytest.mark.parametrize(
    ("name", "part"), [("a/../b", "a-..-b"), ("<b>x</b>", "b-x-b"), ("lauf 1", "lauf-1"), ("..", "run")]
)
def test_a_run_of_any_name_gives_a_name_for_a_file(name, part):
    assert file_part(name) == part


@pytest.mark.parametrize(
    ("page", "parameters"),
    [
        ("patterns", {}),
        ("image", {"image": "3"}),
        ("gallery", {}),
        ("search", {}),
        ("failures", {"epoch": "1", "variant": "brg"}),
        ("robustness", {"epoch": "1", "variant": "brg", "outcome": "correct"}),
        ("learning", {}),
        ("trust", {"confidence": "0-0.9999"}),
        ("compare", {"with_epoch": "1"}),
    ],
)
def test_every_gallery_offers_its_sheet(opened, tiny_run, page, parameters):
    app = opened(tiny_run.parent, page, **parameters)
    assert not app.exception
    assert any(button.label == "PNG sheet" for button in app.get("download_button"))
