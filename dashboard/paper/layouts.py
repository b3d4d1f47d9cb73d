"""The layouts of the paper's figures of maps: given images of a run, a drawing. Which images is chosen elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.images.maps import map_colours, map_images, scale_maps
from dashboard.paper.canvas import COLUMN, PAGE, Canvas
from dashboard.shared.theme import probability
from store import Run
from store.metrics.maps import cosine

_GAP = 4.0
_LINE = 7.6  # from one line of text to the next
_COLOURS = "magma"
_NOTE = 6.0  # size of what is said beside an image


@dataclass(frozen=True)
class Predictions:
    """What a run says of some images at an epoch under a variant: pixels, maps of the predictions, and their words."""

    pixels: np.ndarray
    maps: list[np.ndarray]
    names: list[str]
    confidences: list[float]
    correct: list[bool]


def coloured(run: Run, maps: np.ndarray) -> list[np.ndarray]:
    """Maps (n, H, W), each by its own maximum (Eq. 10), as colours (H, W, 3) uint8; gray where not kept."""
    scaled = scale_maps(maps, signed=run.signed)
    return map_images(scaled, map_colours(scaled, _COLOURS))


def predictions_of(run: Run, images: Sequence[int], *, epoch: int, variant: str) -> Predictions:
    """The `Predictions` of images."""
    rows, names = np.asarray(images, np.int64), run.classes["name"].to_numpy()
    predicted = run.column("prediction", epoch=epoch, variant=variant)[rows]
    return Predictions(
        pixels=run.pixels(rows, variant=variant),
        maps=coloured(run, run.predicted_class_maps(epoch=epoch, variant=variant, images=rows)),
        names=[str(names[index]) for index in predicted],
        confidences=run.column("confidence", epoch=epoch, variant=variant)[rows].tolist(),
        correct=(predicted == run.labels[rows]).tolist(),
    )


def formation(run: Run, image: int, *, epochs: Sequence[int], variant: str = "clean") -> Canvas:
    """One image and, for each epoch, the map of its prediction and that of its true class (Fig. 3 to 5)."""
    left, pitch, most, head = 60.0, 55.5, 8, 12.0
    canvas = Canvas(COLUMN if left + len(epochs) * pitch <= COLUMN else PAGE)
    edge, label = pitch - _GAP, int(run.labels[image])
    true_name = str(run.classes["name"][label])
    line = run.timeline(image=image, class_index=label, variant=variant, epochs=epochs)
    own = coloured(run, line.maps)
    at = [predictions_of(run, [image], epoch=epoch, variant=variant) for epoch in epochs]
    canvas.text(0, 7, true_name, style="bold", room=canvas.width)
    canvas.image((0, head + 9, edge, edge), run.pixels([image], variant=variant)[0], name=true_name)
    for place, epoch in enumerate(epochs):
        row, column = divmod(place, most)
        x, top, now = left + column * pitch, head + row * (2 * edge + 3 * _LINE + 18), at[place]
        canvas.text(x, top + 6, f"epoch {epoch}", style="faint")
        canvas.image((x, top + 9, edge, edge), now.maps[0], name=f"map of the prediction {now.names[0]}")
        _prediction(canvas, (x, top + 9 + edge), now, 0, edge)
        below = top + 9 + edge + 2 * _LINE + 4
        canvas.image((x, below, edge, edge), own[place], name=f"map of the true class {true_name}")
        canvas.text(x, below + edge + _LINE, f"P {probability(float(line.probabilities[place]))}", size=_NOTE)
        if column == 0:
            if row:
                canvas.text(0, top + 9 + edge / 2, "prediction", style="faint")
            canvas.text(0, below + edge / 2, "true class", style="faint")
    return canvas


def _prediction(canvas: Canvas, corner: tuple[float, float], found: Predictions, place: int, room: float) -> None:
    """Two lines under a map: the prediction's name, which needs all the room, then a tick or a cross and its P."""
    x, y = corner
    canvas.text(x, y + _LINE, found.names[place], size=_NOTE, room=room)
    canvas.mark(x, y + 2 * _LINE - 0.6, found.correct[place])
    canvas.text(x + 6.5, y + 2 * _LINE - 0.6, f"P {probability(found.confidences[place])}", size=_NOTE)


def examples(run: Run, images: Sequence[int], *, epoch: int, variant: str = "clean") -> Canvas:
    """Images with their true class on top and their most probable classes beside them, each with its map and
    probability (Fig. 6 and 7); three to a row.
    """
    rows, names = np.asarray(images, np.int64), run.classes["name"].to_numpy()
    classes = run.column("top5", epoch=epoch, variant=variant)[rows]
    shares = run.column("top5_probability", epoch=epoch, variant=variant)[rows]
    across, count = 3, classes.shape[1]
    width, photo, edge = (PAGE - (across - 1) * 12) / across, 60.0, 26.0
    height = _LINE + 4 + max(photo, count * (edge + 3)) + 10
    canvas, pixels = Canvas(PAGE), run.pixels(rows, variant=variant)
    for place, image in enumerate(rows):
        left, top = (place % across) * (width + 12), (place // across) * height
        label = int(run.labels[image])
        canvas.text(left, top + 7, str(names[label]), style="bold", room=width)
        canvas.image((left, top + 11, photo, photo), pixels[place], name=str(names[label]))
        maps = coloured(run, run.maps(epoch=epoch, variant=variant, images=[image], classes=classes[place])[0])
        for rank, class_index in enumerate(classes[place]):
            x, y = left + photo + 5, top + 11 + rank * (edge + 3)
            name, beside = str(names[class_index]), x + edge + 4
            canvas.image((x, y, edge, edge), maps[rank], name=f"map of {name}")
            style = "bold" if class_index == label else ""
            canvas.text(beside, y + 11, name, size=_NOTE + 0.5, style=style, room=left + width - beside)
            canvas.text(beside, y + 20, f"P {probability(float(shares[place, rank]))}", size=_NOTE + 0.5)
    return canvas


def pairs(run: Run, images: Sequence[tuple[int, int]], *, epoch: int, variant: str = "clean") -> Canvas:
    """Two images of a class with the map of each, a row for each class (Fig. 8), and how similar the maps are."""
    canvas, pitch = Canvas(COLUMN), (COLUMN + _GAP) / 4
    edge, height = pitch - _GAP, pitch + 2 * _LINE + 12
    for row, pair in enumerate(images):
        found, top = predictions_of(run, pair, epoch=epoch, variant=variant), row * height
        maps = run.true_class_maps(epoch=epoch, variant=variant, images=list(pair))
        name, similarity = str(run.classes["name"][int(run.labels[pair[0]])]), float(cosine(maps[0], maps[1]))
        canvas.text(0, top + 7, name, style="bold", room=COLUMN - 110)
        canvas.text(COLUMN, top + 7, f"cosine similarity of the maps {similarity:.2f}", size=_NOTE, style="faint end")
        for place in (0, 1):
            x = 2 * place * pitch
            canvas.image((x, top + 11, edge, edge), found.pixels[place], name=name)
            canvas.image((x + pitch, top + 11, edge, edge), found.maps[place], name=f"map of {found.names[place]}")
            _prediction(canvas, (x + pitch, top + 11 + edge), found, place, edge)
    return canvas


def perturbed(run: Run, images: Sequence[int], variants: Sequence[str], *, epoch: int) -> Canvas:
    """Images under several variants, each beside the map of its prediction there (Fig. 9 to 12); a row an image.

    Two variants fill a column, more a page.
    """
    canvas = Canvas(COLUMN if len(variants) < 3 else PAGE)
    pitch = (canvas.width + _GAP) / (2 * len(variants))
    edge, height, head = pitch - _GAP, pitch + 2 * _LINE + 5, 12.0
    found = [predictions_of(run, images, epoch=epoch, variant=variant) for variant in variants]
    for column, variant in enumerate(variants):
        canvas.text(2 * column * pitch, 7, run.variant(variant).label, style="bold", room=2 * pitch - _GAP)
    for row, image in enumerate(images):
        top, true_name = head + row * height, str(run.classes["name"][int(run.labels[image])])
        for column, here in enumerate(found):
            x = 2 * column * pitch
            canvas.image((x, top, edge, edge), here.pixels[row], name=true_name)
            canvas.image((x + pitch, top, edge, edge), here.maps[row], name=f"map of {here.names[row]}")
            _prediction(canvas, (x + pitch, top + edge), here, row, edge)
        canvas.text(0, top + edge + _LINE, true_name, size=_NOTE, room=edge)
    return canvas
