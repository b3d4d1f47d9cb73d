"""The network of a run as a flow chart, drawn from the shapes that were recorded."""

from __future__ import annotations

from itertools import pairwise

from store import Run


def flowchart(run: Run) -> str:
    """Mermaid source: the picture, the recorded stages and layers with their shapes, the class maps, S and P."""
    height, width = run.picture_shape
    nodes = [("picture", f"picture<br/>3 × {height} × {width}", True)]
    for stage, (rows, columns) in sorted(run.description.stages.items(), key=_inwards):
        nodes.append((stage, f"{stage}<br/>{rows} × {columns}", True))
    for layer, (channels, rows, columns) in sorted(run.description.layers.items(), key=lambda item: item[1][1]):
        nodes.append((layer, f"{layer}<br/>{channels} × {rows} × {columns}", True))
    classes, (rows, columns) = len(run.classes), run.map_shape
    nodes.append(("maps", f"class maps f<br/>{classes} × {rows} × {columns}", True))
    nodes.append(("scores", f"S = mean of each map<br/>{classes}", False))
    nodes.append(("probabilities", f"P = softmax of S<br/>{classes}", True))
    lines = ["flowchart LR"]
    lines += [f'  {name}["{label}"]' for name, label, _ in nodes]
    lines += [f"  {one[0]} --> {two[0]}" for one, two in pairwise(nodes)]
    lines += [f"  style {name} stroke-width:3px" for name, _, recorded in nodes if recorded]
    return "\n".join(lines)


def _inwards(item: tuple[str, tuple[int, int]]) -> tuple[int, bool, str]:
    name, (rows, _) = item
    return -rows, name != "stem", name
