"""Tiles and texts of the Image page alone: the layers and the minimal correction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashboard import data
from dashboard.components.correction import CorrectionPanels
from dashboard.components.tiles import Tile, TileSet
from dashboard.images.maps import COMMON, EQ10, ScaledMaps, scale_maps, upsample
from dashboard.shared.run_facts import is_exact
from dashboard.shared.theme import escape_markdown, plural
from dashboard.shell.url_state import Selection
from store.queries import MinimalCorrection


def minimal_correction_text(correction: MinimalCorrection, names: Sequence[str]) -> str:
    """How few cells have to go, how certain that number is, and which class wins then."""
    prediction, against = escape_markdown(names[correction.prediction]), escape_markdown(names[correction.against])
    cells, winner = correction.cells, int(correction.winners[correction.cells])
    margin = float(correction.difference.mean())
    if not cells:
        return f"**{against}** ties with **{prediction}** already: no cell has to be removed."
    if cells == len(correction.order):
        return (
            f"The logit of **{prediction}** is {margin:.3g} above that of **{against}**. They draw level only when all "
            f"{cells} cells are removed, and nothing is left of either."
        )
    certainty = "certain in spite of quantisation"
    if correction.low < correction.high:
        certainty = f"between {correction.low} and {correction.high} because of quantisation"
    third = "" if winner == correction.against else f"catches up, but **{escape_markdown(names[winner])}** "
    return (
        f"The logit of **{prediction}** is {margin:.3g} above that of **{against}**. Remove the "
        f"**{plural(cells, 'cell')}** of {len(correction.order)} with the largest difference ({certainty}), and "
        f"**{against}** {third}then wins."
    )


def consistency_text(correction: MinimalCorrection, *, exact: bool) -> str:
    """What k* means, and whether the means of the decoded maps are the recorded logits.

    Args:
        correction: of the image.
        exact: whether cells may be removed one by one, so that k* is not an estimate.
    """
    text = (
        "The minimal correction k* is the fewest cells to remove from both maps so that the second class draws level. "
        "Few cells: a local confusion. Many cells: the whole pattern resembles the other class. "
    )
    if exact:
        text += "The count needs no further pass through the network, because each cell adds its share to the logit "
        text += "(Eq. 8). "
    if correction.exact:
        return (
            f"{text}Checked: the means of the decoded maps equal the recorded logits to within "
            f"{correction.logit_error:.2g}; quantisation allows {correction.logit_bound:.2g} ✓."
        )
    return (
        f"{text}✗ The means of the decoded maps differ from the recorded logits by {correction.logit_error:.2g}, but "
        f"quantisation explains only {correction.logit_bound:.2g}: do not trust this section, and verify the run."
    )


def layer_tiles(selection: Selection, image: int, class_index: int, *, over: bool) -> TileSet:
    """The clean image through the network: each stage's mean activation, the layers before the class map, and the map.

    Each view is divided by its own maximum, because layers have no common unit; `over` draws them over the image.
    """
    run, epoch, clean = selection.run, selection.epoch, selection.run.variants[0]
    name = data.class_names(run)[class_index]
    stages, layers = data.stages(run, epoch, image), data.layers(run, epoch, image)
    views = [(stage, "mean |activation|", stages[stage][0]) for stage in run.stage_names]
    for layer in sorted(layers, key=lambda name: layers[name].shape[-1]):
        values = layers[layer]
        own = values.shape[1] == len(run.classes)
        shown = values[0, class_index] if own else np.abs(values[0]).mean(0)
        views.append((layer, f"channel of {name}" if own else "mean |activation|", shown))
    views.append(("class map", f"f of {name}", data.all_maps(run, epoch, clean, image)[class_index]))
    edge = max(max(view.shape) for _, _, view in views)
    scaled = [scale_maps(view[None].astype(np.float32), signed=run.signed).codes[0] for _, _, view in views]
    # Views of all sizes travel in one array, enlarged to the largest by repeating cells.
    codes = np.stack([upsample(code, (edge, edge)) for code in scaled])
    tiles = [Tile(id="input", title="input", lines=("×".join(map(str, run.image_shape)),), images=(0,))]
    for position, (title, meaning, view) in enumerate(views):
        size_of = "×".join(map(str, view.shape))
        behind = (0,) if over else ()
        tiles.append(Tile(id=title, title=title, lines=(size_of, meaning), images=behind, maps=(position,)))
    peaks = np.array([np.abs(view).max(initial=0) for _, _, view in views])
    return TileSet(
        tiles=tuple(tiles),
        images=data.image_atlas(run, (image,), (clean,), exact=True),
        maps=ScaledMaps(codes, peaks <= 0, peaks, EQ10, run.signed, None),
        colours=selection.colours,
        size=90,
        overlay=True if over else None,
        legend="each view by its own maximum",
    )


def correction_content(
    selection: Selection, image: int, correction: MinimalCorrection, *, start: int
) -> CorrectionPanels:
    """The prediction and the class that it is compared with, for the component that removes cells."""
    run = selection.run
    pair = data.all_maps(*selection.key, image)[[correction.prediction, correction.against]]
    return CorrectionPanels(
        correction=correction,
        photograph=data.image_atlas(run, (image,), (selection.variant,), exact=True),
        # One scale for both maps: their difference decides the prediction.
        maps=scale_maps(pair, kind=COMMON, signed=run.signed),
        names=data.class_names(run),
        colours=selection.colours,
        start=start,
        exact=is_exact(run),
    )
