"""The network of a run, drawn from the shapes that were recorded."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import log2

from store import Run

PITCH, _MIDDLE, _HEIGHT = 104, 92, 196


@dataclass(frozen=True)
class Layer:
    """One layer of the network: its name, its shape in words, the edge of its maps, and whether it was recorded."""

    name: str
    shape: str
    edge: int
    recorded: bool = True


def layers(run: Run) -> list[Layer]:
    """The layers from the image to the probabilities, in order."""
    height, width = run.image_shape
    steps = [Layer("image", f"3 × {height} × {width}", height)]
    for name in run.stage_names:
        rows, columns = run.description.stages[name]
        steps.append(Layer(name, f"{rows} × {columns}", rows))
    for name, (channels, rows, columns) in sorted(run.description.layers.items(), key=lambda item: item[1][1]):
        steps.append(Layer(name, f"{channels} × {rows} × {columns}", rows))
    classes, (rows, columns) = len(run.classes), run.map_shape
    steps.append(Layer("class maps f", f"{classes} × {rows} × {columns}", rows))
    return [*steps, Layer("S: mean of f", f"{classes}", 1, recorded=False), Layer("P: softmax", f"{classes}", 1)]


def network_svg(run: Run, *, ink: str, accent: str) -> str:
    """The network as an SVG image: a square per layer, its size the logarithm of the map size, joined by arrows."""
    parts, steps = [], layers(run)
    for place, layer in enumerate(steps):
        centre = PITCH * place + PITCH // 2
        # The logarithm, since edges run from 64 pixels to a single cell.
        side = 14 + 11 * log2(max(layer.edge, 1))
        corner = (centre - side / 2, _MIDDLE - side / 2)
        fill = accent if layer.recorded else "none"
        parts.append(
            f'<rect x="{corner[0]:.1f}" y="{corner[1]:.1f}" width="{side:.1f}" height="{side:.1f}" rx="3" '
            f'fill="{fill}" fill-opacity=".28" stroke="{accent}" stroke-width="1.6"/>'
        )
        parts.append(_text(layer.name, centre, 162, 600, ink) + _text(layer.shape, centre, 181, 400, ink))
        if place + 1 < len(steps):
            after = 14 + 11 * log2(max(steps[place + 1].edge, 1))
            start, end = centre + side / 2 + 4, centre + PITCH - after / 2 - 5
            parts.append(f'<path d="M{start:.1f} {_MIDDLE}H{end:.1f}" stroke="{ink}" stroke-opacity=".5"/>')
            parts.append(
                f'<path d="M{end - 4:.1f} {_MIDDLE - 4}l5 4l-5 4" fill="none" stroke="{ink}" stroke-opacity=".6"/>'
            )
    width = PITCH * len(steps)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" '
        f'font-family="system-ui, sans-serif">{"".join(parts)}</svg>'
    )


def _text(words: str, centre: int, baseline: int, weight: int, ink: str) -> str:
    return (
        f'<text x="{centre}" y="{baseline}" font-size="13" font-weight="{weight}" text-anchor="middle" '
        f'fill="{ink}">{escape(words)}</text>'
    )
