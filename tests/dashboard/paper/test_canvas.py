import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from dashboard.paper.canvas import COLUMN, Canvas, shortened, text_width


@pytest.fixture
def canvas():
    drawn = Canvas(COLUMN)
    drawn.text(0, 10, 'a <b> & "c"\n\x00', style="bold")
    drawn.image((0, 20, 60, 60), np.full((4, 8, 3), (255, 0, 0), np.uint8), name="red & flat")
    return drawn


def test_widths_are_those_of_helvetica():
    assert text_width("iMW ", 10) == pytest.approx((222 + 833 + 944 + 278) / 100)
    assert text_width("車", 10) == pytest.approx(10)


def test_a_long_text_ends_with_dots_and_fits():
    long = shortened("Christmas stocking by the fire", 50, 7)
    assert long.endswith("…") and text_width(long, 7) <= 50 < text_width("Christmas stocking", 7)
    assert shortened("sock", 50, 7) == "sock"


def test_texts_are_escaped_and_the_svg_is_as_high_as_what_it_holds(canvas):
    root = ElementTree.fromstring(canvas.svg())
    assert [element.text for element in root.iter() if element.text] == ['a <b> & "c"']
    assert root.get("viewBox") == "0 0 240 82.00"


def test_an_image_keeps_its_shape_inside_its_box(canvas):
    image = ElementTree.fromstring(canvas.svg()).find("{http://www.w3.org/2000/svg}image")
    assert [float(image.get(name)) for name in ("x", "y", "width", "height")] == [0, 35, 60, 30]


def test_pdf_embeds_its_fonts_and_has_the_size_in_points(canvas):
    pdf = canvas.to_bytes("pdf")
    assert pdf.startswith(b"%PDF") and b"/FontFile" in pdf and b"LiberationSans-Bold" in pdf
    assert b"/MediaBox [0 0 240 82]" in pdf


def test_png_has_300_dots_per_inch(canvas):
    image = Image.open(io.BytesIO(canvas.to_bytes("png"))).convert("RGB")
    assert image.width == pytest.approx(240 / 72 * 300, abs=1)
    assert image.getpixel((125, 208)) == (255, 0, 0)


def test_every_format_is_the_same_each_time(canvas):
    for form in ("pdf", "svg", "png"):
        assert canvas.to_bytes(form) == canvas.to_bytes(form)
    with pytest.raises(ValueError, match="'gif' is unknown: choose one of pdf, svg, png"):
        canvas.to_bytes("gif")
