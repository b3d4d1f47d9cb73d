"""One image as tiles: itself, the maps of its classes, and the same over the epochs and under the variants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashboard import data
from dashboard.components.tiles import Tile, TileSet
from dashboard.images.maps import map_peaks
from dashboard.shared.image_tiles import tile_set
from dashboard.shared.theme import (
    NEUTRAL,
    PREDICTION,
    TRUE_CLASS,
    decimal,
    probability,
    role,
    tick_or_cross,
)
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection


def input_tile(selection: Selection, image: int, *, size: int = 264) -> TileSet:
    """The image as the network saw it, large."""
    row = data.predictions(*selection.key).iloc[image]
    tile = Tile(
        id=str(image),
        title=f"{tick_or_cross(row.correct)} {row.predicted_class}",
        lines=(f"P {probability(row.confidence)}", f"true class {row.true_class}"),
        images=(0,),
        role=role(row.correct),
    )
    images = data.image_atlas(selection.run, (image,), (selection.variant,), exact=True)
    return TileSet(tiles=(tile,), images=images, size=size, fixed=True)


def class_role(number: int, true_class: int, prediction: int) -> str:
    """Blue for the true class, orange for the prediction, green for a correct prediction."""
    if number == true_class:
        return role(True) if true_class == prediction else TRUE_CLASS
    return PREDICTION if number == prediction else NEUTRAL


def ranked_classes(selection: Selection, image: int, *, order: str = "probability", kept: bool = False) -> np.ndarray:
    """Class numbers in the order of display: by probability, by the peak of the map, by name or by group.

    `kept` leaves out the classes whose map of this image the run does not keep.
    """
    run = selection.run
    peaks = map_peaks(data.all_maps(*selection.key, image))
    if order == "name":
        classes = np.argsort(np.array(data.class_names(run)), kind="stable")
    elif order == "group":
        classes = np.lexsort((np.array(data.class_names(run)), np.array(data.class_groups(run))))
    elif order == "peak":
        classes = np.argsort(-np.nan_to_num(peaks, nan=-1), kind="stable")
    else:
        chances = data.probabilities(*selection.key, image)
        classes = np.argsort(-chances, kind="stable")
    return classes[np.isfinite(peaks[classes])] if kept else classes


def class_tiles(selection: Selection, image: int, classes: np.ndarray, *, size: int, over: bool = False) -> TileSet:
    """The maps of some classes for one image, with name and P_k (Fig. 6 and 7); `over` draws them over the image."""
    run = selection.run
    names, identifiers = data.class_names(run), data.class_ids(run)
    chances = data.probabilities(*selection.key, image)
    maps = data.all_maps(*selection.key, image)[classes]
    true_class, prediction = int(run.labels[image]), int(np.argmax(chances))
    ranks = np.empty(len(chances), int)
    ranks[np.argsort(-chances, kind="stable")] = np.arange(1, len(chances) + 1)
    address = url_state.linker("gallery", "class", {"image": None})
    logits = data.logits(*selection.key, image)[classes]
    tiles = []
    for position, number in enumerate(classes.tolist()):
        mark = "✓ " if number == true_class else ("✗ " if number == prediction else "")
        tiles.append(
            Tile(
                id=identifiers[number],
                title=f"{mark}{names[number]}",
                lines=(
                    f"P {probability(float(chances[number]))}"
                    + (f" · S {decimal(logits[position], 2)}" if run.has_maps else ""),
                    f"rank {ranks[number]}",
                ),
                images=(0,) if over else (),
                maps=(position,),
                role=class_role(number, true_class, prediction),
                bar=float(chances[number]),
                href=address(identifiers[number]),
            )
        )
    images = data.image_atlas(run, (image,), (selection.variant,), exact=True) if over else None
    return tile_set(selection, tiles, maps, size=size, images=images, overlay=True if over else None)


def film_epochs(epochs: Sequence[int], chosen: int, *, most: int = 16) -> tuple[int, ...]:
    """Epochs to show: all of them up to `most`, else that many at equal distances, and the chosen one."""
    # An epoch of the film reads 184 kB, since columns are read whole: 80 epochs would be 15 MB to open a page.
    places = np.linspace(0, len(epochs) - 1, min(most, len(epochs))).round().astype(int)
    return tuple(sorted({chosen, *(epochs[place] for place in places)}))


def film_tiles(selection: Selection, image: int, class_index: int, epochs: Sequence[int], *, size: int = 72) -> TileSet:
    """One class's map of the image at some epochs (Fig. 3 to 5), with its P_k and the prediction."""
    film = data.timeline(selection.run, image, class_index, selection.variant, epochs)
    names, true_class = data.class_names(selection.run), int(selection.run.labels[image])
    tiles = []
    for position, epoch in enumerate(film.epochs):
        prediction = int(film.predictions[position])
        tiles.append(
            Tile(
                id=str(int(epoch)),
                title=f"epoch {data.epoch_name(selection.run, int(epoch))}",
                lines=(
                    f"P {probability(float(film.probabilities[position]))}",
                    f"{tick_or_cross(prediction == true_class)} {names[prediction]}",
                ),
                maps=(position,),
                role=role(prediction == true_class),
                opens=True,
                chosen=int(epoch) == selection.epoch,
            )
        )
    return tile_set(selection, tiles, film.maps, size=size)


def variant_tiles(selection: Selection, image: int, *, size: int = 74) -> TileSet:
    """The image under every variant with the maps of the prediction and of the true class (Fig. 9 to 12)."""
    run = selection.run
    names, true_class = data.class_names(run), int(run.labels[image])
    maps, tiles = [], []
    for position, variant in enumerate(run.variants):
        chances = data.probabilities(run, selection.epoch, variant, image)
        prediction = int(np.argmax(chances))
        maps += list(data.all_maps(run, selection.epoch, variant, image)[[prediction, true_class]])
        tiles.append(
            Tile(
                id=variant,
                title=f"{tick_or_cross(prediction == true_class)} {names[prediction]}",
                lines=(
                    selection.run.variant(variant).label,
                    f"P {probability(float(chances[prediction]))} · true class "
                    f"{probability(float(chances[true_class]))}",
                ),
                images=(position,),
                maps=(2 * position, 2 * position + 1),
                role=role(prediction == true_class),
                opens=True,
                chosen=variant == selection.variant,
            )
        )
    images = data.image_atlas(run, (image,) * len(run.variants), tuple(run.variants), exact=True)
    return tile_set(selection, tiles, np.stack(maps), size=size, images=images)
