"""The plane of images in a real Chromium: a line around points, a click, the same by keyboard and by touch."""

import re

from playwright.sync_api import expect

from tests.browser.chromium import IN_CHROMIUM, TIMEOUT, arrived, visit

pytestmark = IN_CHROMIUM


def plane(page, analysed):
    """The canvas of points, and the pixels of it that are left, top and as long as its side."""
    visit(page, f"{analysed}/map?run=demo")
    canvas = page.locator(".points[data-painted] canvas").first
    canvas.wait_for()
    box = canvas.bounding_box()
    return canvas, box["x"], box["y"], box["width"]


def test_a_line_around_points_chooses_their_images_and_show_all_gives_them_up(page, analysed):
    _, left, top, side = plane(page, analysed)
    everything = page.get_by_text("on the map; draw around some points")
    everything.wait_for()
    page.mouse.move(left + 2, top + 2)
    page.mouse.down()
    for x, y in ((0.6, 0), (0.6, 1), (0, 1)):
        page.mouse.move(left + 2 + x * (side - 4), top + 2 + y * (side - 4), steps=3)
    page.mouse.up()
    arrived(page, re.compile(r"area=\d+\.\d+"))
    page.get_by_text("in the area").wait_for()
    page.reload()  # the address holds the area
    page.get_by_text("in the area").wait_for()
    page.get_by_role("button", name="give up the area").click()
    everything.wait_for()
    assert "area=" not in page.url


def test_a_point_and_its_surroundings_are_reached_by_keyboard(page, analysed):
    canvas, *_ = plane(page, analysed)
    canvas.focus()
    for _ in range(2):  # to the nearest point, and to the next one at its right
        page.keyboard.press("ArrowRight")
    words = page.locator(".points .tip").inner_text()
    page.keyboard.press(" ")
    page.get_by_text("in the area").wait_for()
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    look = page.get_by_role("dialog")
    look.get_by_text("1 of ").wait_for()
    assert re.match(r"[✓✗] .+, P [01]\.\d\d( · true class .+)? · image \d+$", words)
    assert re.search(r"look=\d+", page.url)


def test_a_click_opens_the_image_of_a_point(page, analysed):
    canvas, left, top, _ = plane(page, analysed)
    canvas.focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator(".points .tip")
    image = tip.inner_text().rpartition("image ")[2]
    at = tip.evaluate("tip => [parseFloat(tip.style.left), parseFloat(tip.style.top), tip.offsetHeight]")
    side = canvas.bounding_box()["width"]
    x = at[0] - 12
    for y in (at[1] - 12, at[1] + at[2] + 10):  # the tip is under its point in the upper half, over it in the lower
        if 0 < y < side:
            page.mouse.move(left + x, top + y)
            if tip.inner_text().endswith(f"image {image}"):
                page.mouse.click(left + x, top + y)
                break
    expect(page.get_by_role("dialog").get_by_text(f"image {image} ·")).to_be_visible()


def drag(window, canvas, *places):
    """A finger that goes over places (x, y) of a canvas, in shares of its sides."""
    canvas.scroll_into_view_if_needed()
    box, touch = canvas.bounding_box(), window.context.new_cdp_session(window)
    points = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in places]
    for number, point in enumerate(points):
        kind = "touchMove" if number else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_draws_around_points_and_paints_a_pattern(browser, analysed):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(TIMEOUT)
    phone = context.new_page()
    canvas, *_ = plane(phone, analysed)
    phone.get_by_role("button", name="draw around points by touch").tap()
    drag(phone, canvas, (0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
    arrived(phone, re.compile(r"area=\d+\.\d+"))
    expect(phone.get_by_text("in the area")).to_be_visible()
    visit(phone, f"{analysed}/search?run=demo")
    painter = phone.locator(".painter canvas").first
    expect(painter).to_be_visible()
    drag(phone, painter, (0.1, 0.1), (0.5, 0.5), (0.9, 0.9))
    arrived(phone, re.compile(r"paint=[0-9a-f]+"))
    context.close()
