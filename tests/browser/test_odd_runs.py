"""What only a browser shows of runs that are unlike others: shapes, maps that are not kept, estimates, no maps."""

import re

import pytest
from playwright.sync_api import expect

from dashboard.browser import serve_dashboard
from store.synthetic import write_synthetic_run
from tests.browser.chromium import IN_CHROMIUM, arrived, visit

pytestmark = IN_CHROMIUM

PLAIN = {"epochs": 2, "layers": {}, "stages": {}, "masks": None, "boxes": None, "variants": ("clean", "gray")}
RUNS = {
    "oblong": {"classes": 2, "image_shape": (96, 64), "map_shape": (3, 2)},
    "few": {"classes": 70, "images_per_class": 1, "kept_maps": 2, "signed": True, "map_shape": (4, 4)},
    "estimate": {"classes": 3, "evidence": "linearised", "signed": True, "map_shape": (4, 4)},
    "none": {"classes": 6, "evidence": "none", "signed": True, "map_shape": (1, 1)},
}
SHAPES = """parts => parts.map(part => {
    const box = part.getBoundingClientRect(); return box.width / box.height; })"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """The address of a dashboard over these runs."""
    folder = tmp_path_factory.mktemp("odd")
    for name, options in RUNS.items():
        write_synthetic_run(folder / name, **{**PLAIN, **options})
    with serve_dashboard(folder) as server:
        yield server.url


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("image", ".tiles .part"),
        ("image", ".correction canvas"),
        ("patterns", ".wall canvas"),
        ("search", ".painter canvas"),
    ],
)
def test_images_and_maps_keep_their_shape(page, odd, address, part):
    visit(page, f"{odd}/{address}?run=oblong")
    page.locator(part).first.wait_for()
    shapes = page.locator(part).evaluate_all(SHAPES)
    assert shapes and all(shape == pytest.approx(64 / 96, rel=0.05) for shape in shapes), shapes


def test_a_map_that_is_not_kept_says_so_and_the_rest_of_the_classes_is_a_page_away(page, odd):
    visit(page, f"{odd}/image?run=few&image=3")
    grid = page.locator(".tiles").last
    grid.locator(".tile").nth(41).wait_for()
    assert grid.locator(".tile").count() == 42
    assert grid.get_by_text("not kept").count() == 39  # 70 classes, of which two and the runner-up have a map
    assert grid.get_by_text("silent").count() == 0 and grid.get_by_text(re.compile(r"S 0\.00")).count() == 0
    page.get_by_test_id("stPagination").get_by_role("button", name="2").click()
    arrived(page, re.compile("classes=2"))
    grid.locator(".tile").nth(28).wait_for(state="detached")
    assert grid.locator(".tile").count() == 28


def test_an_estimated_correction_shows_about_how_many_cells(page, odd):
    visit(page, f"{odd}/image?run=estimate&image=7")
    expect(page.locator(".correction").get_by_text(re.compile("^k\\* ≈ "))).to_be_visible()
    visit(page, f"{odd}/image?run=oblong")
    expect(page.locator(".correction").get_by_text(re.compile("^k\\* = "))).to_be_visible()


@pytest.mark.parametrize("address", ["image", "compare", "robustness"])
def test_no_map_is_drawn_of_a_run_that_has_none(page, odd, address):
    visit(page, f"{odd}/{address}?run=none")
    page.locator(".tiles .tile").first.wait_for()
    assert page.locator(".part.map").count() == 0
