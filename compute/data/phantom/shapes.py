"""The 25 outlines of the phantom and the distance of any point from them.

An outline is a list of closed polygons (P,2) of x, y with y growing downwards; a polygon inside another is a hole. Each
is centred, its farthest point between 1 and 1.25 away from the centre.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

Outline = list[np.ndarray]
TABLE_SIZE = 96  # Distances are tabulated on a 96 x 96 grid, about twice as fine as a 64-pixel image needs.
TABLE_REACH = 1.6  # The table covers -1.6 to 1.6.
LARGEST = 1.25  # Farthest point of the most slender shape.
_POINTS = 72  # Vertices of a curved outline: corners of 5 degrees are invisible at every allowed size.


def _polar(radius: Callable[[np.ndarray], np.ndarray], points: int = _POINTS) -> Outline:
    """The curve at distance radius(turn) from the centre, turn as in `direction`."""
    turn = np.arange(points) / points
    return [radius(turn)[:, None] * direction(turn)]


def direction(turn: np.ndarray) -> np.ndarray:
    """Unit vectors (n,2) of x, y: turn 0 = up, growing clockwise to 1."""
    return np.stack([np.sin(2 * np.pi * turn), -np.cos(2 * np.pi * turn)], 1)


def _regular(corners: int) -> Outline:
    return _polar(np.ones_like, corners)


def _star(points: int, inner: float) -> Outline:
    return _polar(lambda turn: np.where(np.arange(len(turn)) % 2 == 0, 1.0, inner), 2 * points)


def _polygon(*corners: tuple[float, float]) -> Outline:
    return [np.array(corners, float)]


def _arc(centre: tuple[float, float], radius: float, start: float, stop: float, points: int = 36) -> np.ndarray:
    return np.array(centre) + radius * direction(np.linspace(start, stop, points))


def _crescent() -> Outline:
    # Two circles through the same two horns: the outer one the long way round, the inner one back.
    outer = _arc((0, 0), 1.0, 0.16, 0.84)
    inner = _arc((0, -0.62), float(np.hypot(outer[0, 0], outer[0, 1] + 0.62)), 0.0, 1.0, 200)
    inner = inner[np.hypot(*inner.T) < 1.0]
    return [np.concatenate([outer, _start_near(inner, outer[-1])])]


def _start_near(points: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The same points in the same or the opposite order, beginning with the one nearest to `start`."""
    first = int(np.argmin(np.hypot(*(points - start).T)))
    rolled = np.roll(points, -first, axis=0)
    onwards = np.hypot(*(rolled[1] - rolled[0])) < np.hypot(*(rolled[-1] - rolled[0]))
    return rolled if onwards else np.roll(rolled[::-1], 1, axis=0)


def _cross() -> Outline:
    a, b = 0.32, 1.0
    return _polygon(
        (-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)
    )


def _arrow() -> Outline:
    return _polygon((0, -1), (0.75, -0.15), (0.3, -0.15), (0.3, 1), (-0.3, 1), (-0.3, -0.15), (-0.75, -0.15))


def _chevron() -> Outline:
    return _polygon((-0.95, 0.25), (0, -0.7), (0.95, 0.25), (0.95, 0.85), (0, -0.1), (-0.95, 0.85))


def _heart() -> Outline:
    t = 2 * np.pi * np.arange(_POINTS) / _POINTS
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [np.stack([16 * np.sin(t) ** 3, -y], 1) / 16]


def _drop() -> Outline:
    t = 2 * np.pi * np.arange(_POINTS) / _POINTS
    return [np.stack([0.78 * np.sin(t) * np.sin(t / 2) ** 1.6, -np.cos(t)], 1)]


def _leaf() -> Outline:
    side = _arc((-0.85, 0), 1.3, 0.11, 0.39)
    return [np.concatenate([side, side[::-1] * (-1, 1)])]


def _hourglass() -> Outline:
    return _polygon((-0.7, -1), (0.7, -1), (0.12, 0), (0.7, 1), (-0.7, 1), (-0.12, 0))


def _bolt() -> Outline:
    return _polygon((0.3, -1), (-0.6, 0.15), (-0.08, 0.15), (-0.3, 1), (0.6, -0.25), (0.08, -0.25))


def _flower() -> Outline:
    return _polar(lambda turn: 0.79 + 0.21 * np.cos(2 * np.pi * 6 * turn), 120)


def _gear() -> Outline:
    hole = 0.32 * _regular(24)[0]
    teeth = np.tile([1.0, 1.0, 0.74, 0.74], 8)
    turn = (np.repeat(np.arange(8), 4) + np.tile([-0.2, 0.2, 0.3, 0.7], 8)) / 8
    return [teeth[:, None] * direction(turn), hole]


def _fish() -> Outline:
    back, belly = _arc((-0.25, 0.62), 1.0, -0.125, 0.125, 20), _arc((-0.25, -0.62), 1.0, 0.375, 0.625, 20)
    tail = np.array([(1.0, -0.55), (0.85, 0.0), (1.0, 0.55)])
    return [np.concatenate([back[:-1], tail, belly[1:]])]


def _key() -> Outline:
    bow = _arc((0, -0.55), 0.45, 0.56, 1.44, 36)
    shaft = [(0.13, 0.25), (0.45, 0.25), (0.45, 0.48), (0.13, 0.48)]
    bit = [(0.13, 0.66), (0.45, 0.66), (0.45, 0.92), (-0.16, 0.92)]
    return [np.concatenate([bow, np.array(shaft + bit)]), _arc((0, -0.55), 0.18, 0, 1, 24)[:-1]]


_OUTLINES: dict[str, Callable[[], Outline]] = {
    "circle": lambda: _polar(np.ones_like),
    "ellipse": lambda: [_polar(np.ones_like)[0] * (1.0, 0.55)],
    "ring": lambda: [_polar(np.ones_like)[0], 0.55 * _polar(np.ones_like)[0]],
    "semicircle": lambda: [_arc((0, 0), 1.0, -0.25, 0.25)],
    "crescent": _crescent,
    "triangle": lambda: _regular(3),
    "square": lambda: _polygon((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "diamond": lambda: _polygon((0, -1), (0.58, 0), (0, 1), (-0.58, 0)),
    "pentagon": lambda: _regular(5),
    "hexagon": lambda: _regular(6),
    "spark": lambda: _star(4, 0.33),
    "star": lambda: _star(5, 0.42),
    "sun": lambda: _star(12, 0.68),
    "cross": _cross,
    "arrow": _arrow,
    "chevron": _chevron,
    "heart": _heart,
    "drop": _drop,
    "leaf": _leaf,
    "hourglass": _hourglass,
    "bolt": _bolt,
    "flower": _flower,
    "gear": _gear,
    "fish": _fish,
    "key": _key,
}
SHAPES: tuple[str, ...] = tuple(_OUTLINES)


def outline(shape: str) -> Outline:
    """The polygons of a shape, centred; slender shapes are larger, so that all are about equally easy to see."""
    polygons = _OUTLINES[shape]()
    points = np.concatenate(polygons)
    centre = (points.min(0) + points.max(0)) / 2
    centred = [(polygon - centre) / np.hypot(*(points - centre).T).max() for polygon in polygons]
    slender = 2.0 / _area(centred[0])
    scale = min(max(slender, 1.0) ** 0.25, LARGEST)
    return [polygon * scale for polygon in centred]


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


@cache
def distance_tables() -> np.ndarray:
    """Signed distance to every shape's outline, negative inside: float32 (25,96,96), y then x, from -1.6 to 1.6."""
    # Computed once: an image needs four distances of every pixel, and an outline has dozens of edges.
    axis = np.linspace(-TABLE_REACH, TABLE_REACH, TABLE_SIZE)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    tables = [signed_distance(grid, outline(shape)) for shape in SHAPES]
    return np.stack(tables).reshape(len(SHAPES), TABLE_SIZE, TABLE_SIZE).astype(np.float32)


def signed_distance(points: np.ndarray, polygons: Outline) -> np.ndarray:
    """Distance of each point (P,2) to the nearest edge, negative where an odd number of edges lies to its left."""
    nearest, inside = np.full(len(points), np.inf), np.zeros(len(points), bool)
    for polygon in polygons:
        for start, stop in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            edge = stop - start
            if not edge.any():
                continue
            along = np.clip(((points - start) @ edge) / (edge @ edge), 0, 1)
            offset = points - start - along[:, None] * edge
            nearest = np.minimum(nearest, (offset**2).sum(1))
            crosses = (start[1] > points[:, 1]) != (stop[1] > points[:, 1])
            if edge[1] != 0:
                inside ^= crosses & (points[:, 0] < start[0] + (points[:, 1] - start[1]) / edge[1] * edge[0])
    return np.where(inside, -1.0, 1.0) * np.sqrt(nearest)
