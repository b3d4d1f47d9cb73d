"""The anatomy of a prediction in words: how few cells turn it, how certain that is, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shared.theme import plain, plural
from store.queries import MinimalCorrection


def fewest(correction: MinimalCorrection, names: Sequence[str]) -> str:
    """How few cells turn the prediction, how certain that number is, and who wins then."""
    prediction, against = plain(names[correction.prediction]), plain(names[correction.against])
    cells, winner = correction.cells, int(correction.winners[correction.cells])
    margin = float(correction.difference.mean())
    if not cells:
        return f"**{against}** ties with **{prediction}** as it is: no cell has to go."
    sure = (
        "the coding of the maps leaves no doubt about that number"
        if correction.low == correction.high
        else f"{correction.low} to {correction.high}, as far as the coding of the maps can tell"
    )
    then = (
        "it then wins" if winner == correction.against else f"yet a third class, **{plain(names[winner])}**, then wins"
    )
    return (
        f"**{prediction}** beats **{against}** by {margin:.3g}, the mean of the difference of their maps. Without the "
        f"**{plural(cells, 'cell')}** of {len(correction.order)} that {'speaks' if cells == 1 else 'speak'} most for it, "
        f"**{against}** draws level ({sure}); {then}."
    )


def checked(correction: MinimalCorrection) -> str:
    """Whether the scores of the decoded maps are the recorded ones, and what k* means."""
    found = (
        f"Checked on load: the means of the decoded maps are the recorded scores to within {correction.logit_error:.2g}, "
        f"where the coding allows {correction.logit_bound:.2g} ✓."
        if correction.exact
        else f"✗ The means of the decoded maps differ from the recorded scores by {correction.logit_error:.2g}, more than "
        f"the {correction.logit_bound:.2g} that the coding explains: do not trust this part, and verify the run."
    )
    return (
        "Few cells: a local misreading. Many: the whole pattern was predicted as the other class. Exact and without "
        f"another pass, because S is the mean of the map (Eq. 8). {found}"
    )
