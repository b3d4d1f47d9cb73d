"""Ten thousand points on a canvas: a click opens the image of one, a line drawn around some chooses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.components.assets import identity, on_trigger, register, to_base64, to_json

_POINTS = register("points")
Area = tuple[tuple[int, int], ...]  # corners in thousandths of the plane


@dataclass(frozen=True)
class Plane:
    """Points with what is said about each; n of them.

    Attributes:
        places: (n, 2) float, 0..1 from left to right and from top to bottom.
        images: (n,) numbers of their images.
        labels, predictions: (n,) class numbers.
        confidences: (n,) 0..1.
        names: of the classes.
        codes: (n,) uint8 into `colours`; 0 is drawn first and fainter, as what is not in question.
        colours: hex strings.
        legend: (colour, text) for each kind of point.
        area: corners of what is chosen; none where nothing is.
    """

    places: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray
    names: Sequence[str]
    codes: np.ndarray
    colours: Sequence[str]
    legend: Sequence[tuple[str, str]]
    area: Area = ()


def payload(plane: Plane, *, title: str) -> dict[str, Any]:
    """What travels to the browser for a plane; JSON-able, 17 bytes a point."""
    data: dict[str, Any] = {
        "title": title,
        # Two bytes for each coordinate: finer than a pixel, also after zooming in.
        "places": to_base64(np.round(np.clip(plane.places, 0, 1) * 65535).astype("<u2")),
        "images": to_base64(plane.images.astype("<u4")),
        "labels": to_base64(plane.labels.astype("<u2")),
        "predictions": to_base64(plane.predictions.astype("<u2")),
        "confidences": to_base64(np.round(np.nan_to_num(plane.confidences) * 255).astype(np.uint8)),
        "names": list(plane.names),
        "codes": to_base64(plane.codes.astype(np.uint8)),
        "colours": list(plane.colours),
        "legend": [list(entry) for entry in plane.legend],
        "area": [list(corner) for corner in plane.area],
    }
    return data | {"identity": identity(data)}


def points_canvas(
    plane: Plane, *, title: str, key: str, on_open: Callable[[int], None], on_area: Callable[[Area], None]
) -> None:
    """Draw points.

    Args:
        plane: the points.
        title: what a screen reader says.
        key: of the element.
        on_open: called with a point's image when it is clicked, before the page runs again.
        on_area: called with the corners of what was drawn around, none where the choice was given up.
    """

    def drawn(corners: Any) -> None:
        on_area(tuple((int(x), int(y)) for x, y in corners))

    _POINTS(
        key=key,
        data=to_json(payload(plane, title=title)),
        on_open_change=on_trigger(key, "open", lambda image: on_open(int(image))),
        on_area_change=on_trigger(key, "area", drawn),
    )
