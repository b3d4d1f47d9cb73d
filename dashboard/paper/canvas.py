"""A page to draw on in points, and what is drawn as SVG, PDF or PNG.

SVG by hand, because a figure here is text and small images at exact places; vl-convert, which the charts need anyway,
turns it into PDF with its fonts embedded.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from html import escape

import numpy as np

from dashboard.images.maps import upsample_colours
from dashboard.images.sheet import png_bytes
from dashboard.shared.theme import LIGHT, one_line

COLUMN, PAGE = 240.0, 504.0  # points: one column, and the text, of a two-column paper (3.33 and 7 inches)
FORMATS = ("pdf", "svg", "png")
INK, FAINT, LINE = LIGHT.ink, "#5A626C", "#C4CAD1"
# Liberation Sans comes with vl-convert, so that every machine draws the same; the others have the same widths.
_FONTS = "Liberation Sans, Arial, Helvetica, sans-serif"
_SHARPEST = 192  # pixels: cells are enlarged to about so many, since some viewers blur small images
_DOTS_PER_INCH = 300
_BOLD = 1.07  # how much wider bold letters are
# Widths of Helvetica from blank to tilde in thousandths of its size (Adobe's font metrics, Core 14).
_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, *[556] * 10, 278, 278),
    *(584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778),
    *(722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556),
    *(556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334),
    584,
)


def text_width(words: str, size: float) -> float:
    """About how wide a text is at a size, both in points."""

    def wide(letter: str) -> int:
        place = ord(letter) - 32
        if 0 <= place < len(_WIDTHS):
            return _WIDTHS[place]
        return 1000 if unicodedata.east_asian_width(letter) in "WF" else 620

    return sum(map(wide, words)) * size / 1000


def shortened(words: str, room: float, size: float) -> str:
    """The text on one line, its end replaced by "…" where it is wider than `room` points."""
    words = one_line(words)
    if text_width(words, size) <= room:
        return words
    while words and text_width(f"{words}…", size) > room:
        words = words[:-1]
    return f"{words.rstrip()}…"


class Canvas:
    """A drawing of a fixed width that is as high as what it holds. All lengths are points, from the upper left."""

    def __init__(self, width: float = PAGE) -> None:
        self.width, self.height = width, 0.0
        self._parts: list[str] = []

    def text(
        self, x: float, baseline: float, words: str, *, size: float = 7, style: str = "", room: float | None = None
    ) -> None:
        """One line of text.

        Args:
            words: the text; blanks are joined.
            style: any of the words bold, faint, middle, end: the last two say what of the text stands at `x`.
            room: the text is shortened to so many points.
        """
        chosen = style.split()
        wider = _BOLD if "bold" in chosen else 1
        shown = one_line(words) if room is None else shortened(words, room, size * wider)
        anchor = next((name for name in ("middle", "end") if name in chosen), "start")
        weight = "bold" if "bold" in chosen else "normal"
        colour = FAINT if "faint" in chosen else INK
        self._add(
            f'<text x="{x:.2f}" y="{baseline:.2f}" font-size="{size:g}" font-weight="{weight}" '
            f'text-anchor="{anchor}" fill="{colour}">{escape(shown)}</text>',
            baseline + 0.3 * size,
        )

    def image(self, box: tuple[float, float, float, float], pixels: np.ndarray, *, name: str) -> None:
        """An image (h, w, 3) uint8 as large as fits into a box (x, y, width, height), in its middle; `name` is read
        aloud where it cannot be seen.
        """
        x, y, width, height = box
        scale = min(width / pixels.shape[1], height / pixels.shape[0])
        across, down = pixels.shape[1] * scale, pixels.shape[0] * scale
        left, top = x + (width - across) / 2, y + (height - down) / 2
        large = upsample_colours(pixels, max(1, round(_SHARPEST / max(pixels.shape[:2]))))
        content = base64.b64encode(png_bytes(large)).decode()
        self._add(
            f'<image x="{left:.2f}" y="{top:.2f}" width="{across:.2f}" height="{down:.2f}" '
            f'preserveAspectRatio="none" aria-label="{escape(one_line(name))}" '
            f'href="data:image/png;base64,{content}"/>',
            y + height,
        )

    def line(
        self, start: tuple[float, float], end: tuple[float, float], *, colour: str = LINE, width: float = 0.5
    ) -> None:
        """A straight line between two points."""
        self.path(f"M{start[0]:.2f} {start[1]:.2f}L{end[0]:.2f} {end[1]:.2f}", colour=colour, width=width)
        self.height = max(self.height, start[1], end[1])

    def path(self, commands: str, *, colour: str, width: float, fill: str = "none") -> None:
        """An SVG path."""
        self._add(f'<path d="{commands}" fill="{fill}" stroke="{colour}" stroke-width="{width:g}"/>')

    def mark(self, x: float, baseline: float, correct: bool) -> None:
        """A tick or a cross of 5 points, drawn and not written: not every font has them."""
        shape = f"M{x:.2f} {baseline - 2.2:.2f}l1.6 1.9l2.8 -4.4" if correct else ""
        shape = shape or f"M{x + 0.3:.2f} {baseline - 4:.2f}l3.8 3.8m0 -3.8l-3.8 3.8"
        self.path(shape, colour=LIGHT.correct if correct else LIGHT.wrong, width=1)

    def drawing(self, x: float, y: float, svg: str, size: tuple[float, float], *, prefix: str) -> None:
        """Another SVG at a place and of a size; `prefix` keeps its names apart from those of others."""
        inner = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", svg)
        opening = f'<svg x="{x:.2f}" y="{y:.2f}" width="{size[0]:.2f}" height="{size[1]:.2f}" '
        inner = re.sub(r'(<svg\b[^>]*?)\s(?:width|height)="[^"]*"', r"\1", inner, count=1)
        inner = re.sub(r'(<svg\b[^>]*?)\s(?:width|height)="[^"]*"', r"\1", inner, count=1)
        self._add(inner.replace("<svg ", opening, 1), y + size[1])

    def svg(self) -> str:
        """The drawing as an SVG document on white."""
        width, height = f"{self.width:g}", f"{self.height + 2:.2f}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}pt" '
            f'height="{height}pt" viewBox="0 0 {width} {height}" font-family="{_FONTS}">'
            f'<rect width="{width}" height="{height}" fill="white"/>{"".join(self._parts)}</svg>'
        )

    _repr_svg_ = svg  # notebooks show it

    def to_bytes(self, form: str) -> bytes:
        """The drawing in one of `FORMATS`: PDF with its fonts embedded, SVG, or PNG of 300 dots per inch.

        Raises:
            ValueError: the format is unknown.
        """
        import vl_convert  # loads a JavaScript engine: only when a file is asked for

        if form not in FORMATS:
            raise ValueError(f"Format {form!r} is unknown: choose one of {', '.join(FORMATS)}.")
        svg = self.svg()
        if form == "svg":
            return svg.encode()
        svg = svg.replace("pt", "", 2)  # vl-convert's own unit is the point in PDF
        if form == "pdf":
            return vl_convert.svg_to_pdf(svg)
        return vl_convert.svg_to_png(svg, ppi=_DOTS_PER_INCH)

    def _add(self, part: str, bottom: float = 0) -> None:
        self._parts.append(part)
        self.height = max(self.height, bottom)
