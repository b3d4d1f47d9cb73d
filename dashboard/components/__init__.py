"""Elements that Streamlit does not have: images with maps, a matrix, a playing wall, a grid to paint, a clipboard.

Each is a Python wrapper beside its JavaScript and CSS (`st.components.v2`). The browser enlarges the maps and applies
the colour map, so a gallery is one message of a few kilobytes, and overlay and zoom need no round trip. All text
reaches the page through `textContent`, never as HTML.
"""

from __future__ import annotations

from dashboard.components.clipboard import clipboard_box
from dashboard.components.correction import Dissection, dissection
from dashboard.components.matrix import Matrix, matrix_canvas
from dashboard.components.painter import painter, pattern_text, text_pattern
from dashboard.components.tiles import Tile, TileSet, tile_grid
from dashboard.components.wall import Wall, playing_wall

__all__ = [
    "Dissection",
    "Matrix",
    "Tile",
    "TileSet",
    "Wall",
    "clipboard_box",
    "dissection",
    "matrix_canvas",
    "painter",
    "pattern_text",
    "playing_wall",
    "text_pattern",
    "tile_grid",
]
