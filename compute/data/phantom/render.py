"""Phantom scenes drawn as pixels.

Per pixel only additions, multiplications, divisions, comparisons and square roots of float32 are used, which IEEE 754
rounds the same way everywhere: a seed gives the same bytes on every machine. Sines are computed once per image, in
double precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compute.data.phantom.scene import Scene
from compute.data.phantom.shapes import TABLE_REACH, TABLE_SIZE, distance_tables

_ONE = np.float32(1)


def render(scene: Scene, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n,size,size,3) and object masks bool (n,size,size) of n scenes."""
    view = _View(scene, size)
    cover = _clip(0.5 - view.outline * size)  # How much of the pixel the object covers.
    colour = _background(view) * (1 - _shadow(view))[..., None]
    colour += (_object(view) - colour) * cover[..., None]
    colour += _grain(scene, size)
    images = (np.clip(colour, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return images, cover >= 0.5


@dataclass(frozen=True)
class _View:
    """Scenes on a pixel grid; the arrays that it returns are float32 (n,size,size) unless said otherwise."""

    scene: Scene
    size: int

    @cached_property
    def x(self) -> np.ndarray:
        """Columns of the pixels' centres, from 0 to 1: (1,1,size)."""
        return ((np.arange(self.size, dtype=np.float32) + np.float32(0.5)) / np.float32(self.size))[None, None, :]

    @cached_property
    def y(self) -> np.ndarray:
        """Rows of the pixels' centres, from 0 to 1: (1,size,1)."""
        return self.x.reshape(1, -1, 1)

    def per_image(self, values: np.ndarray) -> np.ndarray:
        """Values (n,) as (n,1,1), to combine with (n,size,size)."""
        return values[:, None, None]

    def along(self, vectors: np.ndarray) -> np.ndarray:
        """Distance from the object's centre along unit vectors (n,2)."""
        x0, y0 = self.per_image(self.scene.centre[:, 0]), self.per_image(self.scene.centre[:, 1])
        return (self.x - x0) * self.per_image(vectors[:, 0]) + (self.y - y0) * self.per_image(vectors[:, 1])

    @cached_property
    def outline(self) -> np.ndarray:
        """Signed distance to the object's outline, negative inside."""
        return self.distance(0, 0)

    def distance(self, right: np.ndarray | float, down: np.ndarray | float) -> np.ndarray:
        """Signed distance to the outline of the object moved by (right, down), in fractions of the image's side."""
        scene = self.scene
        cos, sin = self.per_image(scene.turn[:, 0]), self.per_image(scene.turn[:, 1])
        x = self.x - self.per_image(scene.centre[:, 0] + right)
        y = self.y - self.per_image(scene.centre[:, 1] + down)
        radius = self.per_image(scene.radius)
        shape_x = (x * cos + y * sin) * self.per_image(scene.mirrored) / radius
        shape_y = (y * cos - x * sin) / radius
        return _look_up(scene.shape, shape_x, shape_y) * radius


def _look_up(shapes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The shapes' distance tables, interpolated bilinearly at x, y in the outlines' units."""
    scale = np.float32((TABLE_SIZE - 1) / (2 * TABLE_REACH))
    reach, last = np.float32(TABLE_REACH), np.float32(TABLE_SIZE - 1.001)
    column, row = (np.minimum(np.maximum((each + reach) * scale, np.float32(0)), last) for each in (x, y))
    left, top = np.floor(column), np.floor(row)
    index = (top * TABLE_SIZE + left).astype(np.intp) + (shapes * TABLE_SIZE**2)[:, None, None]
    table, right_part = distance_tables().ravel(), column - left
    upper, lower = (_between(table, index + offset, right_part) for offset in (0, TABLE_SIZE))
    return upper + (lower - upper) * (row - top)


def _between(table: np.ndarray, index: np.ndarray, part: np.ndarray) -> np.ndarray:
    near = table.take(index)
    return near + (table.take(index + 1) - near) * part


def _object(view: _View) -> np.ndarray:
    """The object's colour everywhere, lit from one side: float32 (n,size,size,3)."""
    scene = view.scene
    lit = view.along(scene.light) / view.per_image(scene.radius)
    shade = _ONE + np.float32(0.16) * lit + view.per_image(scene.bevel) * _rim(view)
    albedo = scene.colour[:, None, None, :]
    body = albedo * (shade * _stripes(view))[..., None]
    return body + (view.per_image(scene.gloss) * _highlight(view))[..., None]


def _rim(view: _View) -> np.ndarray:
    """Light gained (+) or lost (-) on the bevelled rim: how much nearer the outline is one step towards the light."""
    scene, step = view.scene, np.float32(0.035)
    towards = view.distance(-step * scene.light[:, 0], -step * scene.light[:, 1])
    away = view.distance(step * scene.light[:, 0], step * scene.light[:, 1])
    depth = _clip(_ONE + view.outline / (np.float32(0.22) * view.per_image(scene.radius)))
    return (towards - away) / (2 * step) * depth


def _stripes(view: _View) -> np.ndarray:
    """1 on plain objects; on striped ones a soft square wave about 1, so that a blur restores the plain object."""
    scene = view.scene
    period = view.per_image(scene.stripe[:, 2]) / np.float32(view.size)
    phase = view.along(scene.stripe[:, :2]) / period + view.per_image(scene.stripe[:, 3])
    triangle = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 4 - _ONE
    wave = np.clip(triangle * np.float32(1.6), -1, 1)
    return _ONE + view.per_image(scene.contrast * scene.striped.astype(np.float32)) * wave


def _highlight(view: _View) -> np.ndarray:
    """The gloss on the lit side: an ellipse that is longer across the light."""
    scene = view.scene
    radius = view.per_image(scene.radius)
    across = np.stack([-scene.light[:, 1], scene.light[:, 0]], 1)
    forward = view.along(scene.light) / radius - np.float32(0.42)
    sideways = view.along(across) / radius
    return _clip(_ONE - (forward * forward * 9 + sideways * sideways * 3)) ** 2


def _shadow(view: _View) -> np.ndarray:
    """How much light the object takes from the background."""
    scene = view.scene
    offset = -np.float32(0.2) * scene.radius[:, None] * scene.light
    far = view.distance(offset[:, 0], offset[:, 1]) / (np.float32(0.32) * view.per_image(scene.radius))
    return view.per_image(scene.shadow) * _smooth(np.float32(0.5) - far)


def _background(view: _View) -> np.ndarray:
    """One of four kinds (gradient, bokeh, bands, horizon), darker towards the corners: float32 (n,size,size,3)."""
    scene = view.scene
    slope = scene.slope
    across = (view.x - np.float32(0.5)) * view.per_image(slope[:, 0])
    across = across + (view.y - np.float32(0.5)) * view.per_image(slope[:, 1])
    blend = _clip(across + np.float32(0.5))
    bands = np.abs((across * 3) - np.floor(across * 3) - np.float32(0.5)) * 2
    bands = _smooth((bands - np.float32(0.5)) * 4 + np.float32(0.5))
    horizon = _clip((view.y - np.float32(0.66) - across * np.float32(0.12)) * 40 + np.float32(0.5))
    kind = view.per_image(scene.background)
    blend = np.where(kind == 2, bands, np.where(kind == 3, horizon, blend))
    colour = _mix(scene.near, scene.far, blend)
    bokeh = view.per_image((scene.background == 1).astype(np.float32))
    for spot in range(scene.spots.shape[1]):
        disc = _spot(view, scene.spots[:, spot]) * bokeh
        colour += disc[..., None] * scene.tints[:, spot][:, None, None, :]
    edge = (view.x - np.float32(0.5)) ** 2 + (view.y - np.float32(0.5)) ** 2
    return colour * (np.float32(1.04) - np.float32(0.3) * edge)[..., None]


def _spot(view: _View, spot: np.ndarray) -> np.ndarray:
    x, y = view.x - view.per_image(spot[:, 0]), view.y - view.per_image(spot[:, 1])
    far = np.sqrt(x * x + y * y) / view.per_image(spot[:, 2])
    return _clip((_ONE - far) * 5)


def _mix(near: np.ndarray, far: np.ndarray, blend: np.ndarray) -> np.ndarray:
    return near[:, None, None, :] + (far - near)[:, None, None, :] * blend[..., None]


def _grain(scene: Scene, size: int) -> np.ndarray:
    """Noise of the same strength in all channels, each value the sum of two uniform bytes: float32 (n,size,size,3)."""
    values = 2 * size * size * 3
    raw = [np.random.Generator(np.random.PCG64(int(seed))).bytes(values) for seed in scene.noise]
    pairs = np.frombuffer(b"".join(raw), np.uint8).reshape(len(raw), 2, size, size, 3)
    total = pairs[:, 0].astype(np.float32) + pairs[:, 1] - np.float32(255)
    return total * (scene.grain / np.float32(104))[:, None, None, None]  # 104: the sum's standard deviation.


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(values, np.float32(0), _ONE)


def _smooth(values: np.ndarray) -> np.ndarray:
    part = _clip(values)
    return part * part * (3 - 2 * part)
