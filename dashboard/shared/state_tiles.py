"""Tiles that hold two or three states beside each other, with the signed difference of their maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.components import Tile, TileSet
from dashboard.images import difference_kind, scale_maps
from dashboard.shared.evidence_tiles import peaks
from dashboard.shared.image_tiles import predictions
from dashboard.shared.states import State, on_one_grid, state_names
from dashboard.shared.theme import percent, probability, role, verdict
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection

PATTERN_LEGEND = "later minus earlier pattern: warm is gained, cold is lost"


def focus_tiles(selection: Selection, states: Sequence[State], classes: Sequence[int], *, size: int = 168) -> TileSet:
    """One class of each state: its pattern, then what the last state's pattern has more or less than each other one.

    Args:
        selection: scale and colours.
        states: the compared ones first, the sidebar's last.
        classes: a class number for each state.
        size: edge of a pattern in CSS pixels.
    """
    names = data.class_names(selection.run)
    identifiers = data.class_ids(selection.run)
    patterns = on_one_grid([data.patterns(*each.key)[number] for each, number in zip(states, classes, strict=True)])
    tiles = []
    for place, (each, number, words) in enumerate(zip(states, classes, state_names(states), strict=True)):
        row = data.class_table(*each.key).iloc[number]
        lines = (words, f"{percent(row.accuracy, 0)} right", f"mean confidence {probability(row.mean_confidence)}")
        link = url_state.link("gallery", {**each.parameters, "class": identifiers[number], "image": None})
        tiles.append(Tile(id=str(place), title=names[number], lines=lines, maps=(place,), href=link))
    differences = patterns[-1] - patterns[:-1]
    for place, change in enumerate(differences):
        before, after = state_names([states[place], states[-1]])
        title = "difference" if classes[place] == classes[-1] else f"{names[classes[-1]]} − {names[classes[place]]}"
        reported = (f"{after} − {before}", f"mean S {_gain(float(change.mean()), 2)}")
        tiles.append(Tile(id=f"difference-{place}", title=title, lines=reported, differences=(place,)))
    return TileSet(
        tiles=tuple(tiles),
        maps=scale_maps(patterns, kind=selection.scale, signed=_signed(states)),
        peaks=peaks(patterns),
        differences=scale_maps(differences, kind=difference_kind(selection.scale), signed=True),
        difference_peaks=peaks(differences),
        difference_legend=PATTERN_LEGEND,
        colours=selection.colours,
        size=size,
        fixed=True,
    )


def pattern_tiles(selection: Selection, states: Sequence[State], table: pd.DataFrame, *, size: int = 58) -> TileSet:
    """The patterns of some classes in every state, with the differences of the last state from the others.

    Args:
        selection: scale and colours.
        states: the compared ones first, the sidebar's last.
        table: rows of `class_changes`, in the order of display.
        size: edge of a pattern in CSS pixels.
    """
    identifiers = data.class_ids(selection.run)
    order = table["class_index"].to_numpy()
    patterns = on_one_grid([data.patterns(*each.key)[order] for each in states]).swapaxes(0, 1)
    differences = patterns[:, -1:] - patterns[:, :-1]
    each, less = patterns.shape[1], differences.shape[1]
    tiles = tuple(
        Tile(
            id=identifiers[row.class_index],
            title=row.title,
            lines=(f"similarity {row.similarity:.2f}, {100 * row.change:+.0f} points",),
            maps=tuple(range(place * each, (place + 1) * each)),
            differences=tuple(range(place * less, (place + 1) * less)),
            href=url_state.link("gallery", {"class": identifiers[row.class_index], "image": None}),
        )
        for place, row in enumerate(table.rename(columns={"name": "title"}).itertuples(index=False))
    )
    return _sets(selection, states, tiles, patterns, differences, size=size, legend=PATTERN_LEGEND)


def flip_tiles(
    selection: Selection,
    before: State,
    after: State,
    images: Sequence[int],
    *,
    true_class: bool = False,
    size: int = 72,
) -> TileSet:
    """Images in two states, with what the true class's map gained or lost in between.

    Args:
        selection: scale and colours.
        before, after: the states, which may be of two runs; where their variants differ, both images are shown.
        images: image numbers.
        true class: show the maps of the true class instead of those of both predictions.
        size: edge of an image in CSS pixels.
    """
    order = tuple(int(image) for image in images)
    states = (before, after)
    first, second = (data.predictions(*each.key).iloc[list(order)] for each in states)
    gains = (second["label_logit"].to_numpy() - first["label_logit"].to_numpy()).tolist()
    own = on_one_grid([data.true_class_maps(*each.key, order) for each in states])
    maps = own if true_class else on_one_grid([data.predicted_class_maps(*each.key, order) for each in states])
    variants = [name for name in dict.fromkeys(each.variant for each in states) if name in after.run.variants]
    many = len(variants)
    tiles = tuple(
        Tile(
            id=str(image),
            title=f"{verdict(one.correct)} {one.predicted_class} → {verdict(two.correct)} {two.predicted_class}",
            lines=(
                f"P {probability(one.confidence)} → {probability(two.confidence)}",
                f"true class {two.true_class}, S {_gain(gains[place], 1)}",
            ),
            images=tuple(range(place * many, (place + 1) * many)),
            maps=(2 * place, 2 * place + 1),
            differences=(place,),
            role=role(two.correct),
            href=url_state.link("image", {**after.parameters, "image": image}),
        )
        for place, (image, one, two) in enumerate(zip(order, predictions(first), predictions(second), strict=True))
    )
    each_image = tuple(image for image in order for _ in variants)
    atlas = data.image_atlas(after.run, each_image, tuple(variants * len(order)))
    legend = "map of the true class, second state minus first"
    return _sets(selection, states, tiles, maps.swapaxes(0, 1), own[1] - own[0], size=size, legend=legend, images=atlas)


def _gain(value: float, digits: int) -> str:
    """A number with its sign, the minus as long as the plus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _signed(states: Sequence[State]) -> bool:
    return any(each.run.signed for each in states)


def _sets(
    selection: Selection,
    states: Sequence[State],
    tiles: tuple[Tile, ...],
    maps: np.ndarray,
    differences: np.ndarray,
    **more: object,
) -> TileSet:
    """A grid of tiles with maps (n, S, H, W) and differences (n, ..., H, W)."""
    legend = more.pop("legend")
    flat = maps.reshape(-1, *maps.shape[-2:])
    change = differences.reshape(-1, *differences.shape[-2:])
    return TileSet(
        tiles=tiles,
        maps=scale_maps(flat, kind=selection.scale, signed=_signed(states)),
        peaks=peaks(flat),
        differences=scale_maps(change, kind=difference_kind(selection.scale), signed=True),
        difference_peaks=peaks(change),
        difference_legend=str(legend),
        colours=selection.colours,
        **more,  # type: ignore[arg-type]
    )
