"""The anatomy of an answer in words: how few cells turn it, how certain that is, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.theme import plain, plural
from store.queries import Anatomy


def fewest(anatomy: Anatomy, names: Sequence[str]) -> str:
    """How few cells turn the answer, how certain that number is, and who wins then."""
    answer, against = plain(names[anatomy.prediction]), plain(names[anatomy.against])
    cells, winner = anatomy.cells, int(anatomy.winners[anatomy.cells])
    margin = float(anatomy.difference.mean())
    if not cells:
        return f"**{against}** ties with **{answer}** as it is: no cell has to go."
    sure = (
        "the coding of the maps leaves no doubt about that number"
        if anatomy.low == anatomy.high
        else f"{anatomy.low} to {anatomy.high}, as far as the coding of the maps can tell"
    )
    then = "it then wins" if winner == anatomy.against else f"yet a third class, **{plain(names[winner])}**, then wins"
    return (
        f"**{answer}** beats **{against}** by {margin:.3g}, the mean of the difference of their maps. Without the "
        f"**{plural(cells, 'cell')}** of {len(anatomy.order)} that {'speaks' if cells == 1 else 'speak'} most for it, "
        f"**{against}** draws level ({sure}); {then}."
    )


def checked(anatomy: Anatomy) -> str:
    """Whether the scores of the decoded maps are the recorded ones, and what k* means."""
    found = (
        f"Checked on load: the means of the decoded maps are the recorded scores to within {anatomy.score_error:.2g}, "
        f"where the coding allows {anatomy.score_bound:.2g} ✓."
        if anatomy.exact
        else f"✗ The means of the decoded maps differ from the recorded scores by {anatomy.score_error:.2g}, more than "
        f"the {anatomy.score_bound:.2g} that the coding explains: do not trust this part, and verify the run."
    )
    return (
        "Few cells: a local misreading. Many: the whole pattern was taken for the other class. Exact and without "
        f"another pass, because S is the mean of the map (Eq. 8). {found}"
    )
