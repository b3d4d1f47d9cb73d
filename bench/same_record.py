"""Do two versions of the code record the same? Compares two runs of the same settings, dataset by dataset.

    python -m bench same_record OLD_RUN NEW_RUN

Record both with the same profile, seed and one thread (`python -m compute train --threads 1 ...`). Every dataset of
run.h5, of the epochs and of analysis.h5 is compared bit for bit; `RENAMED` says what a dataset or column of the older
layout is called now. Exits with 1 if numbers differ or are missing. Texts of the analysis may be reworded: they are
reported but do not count.
"""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - lets h5py read the chunks
import numpy as np
from numpy.typing import NDArray

from bench import document

# Parts of a path between slashes, old=new; one with a slash replaces the end of a path, and comes first.
OLDER_NAMES = """
run.h5/variants=run.h5/variants/name classes/silent=classes/silent_share findings/figure=findings/value
images/run=images/error_run league/pictures=failure_ranking/images @zero=@zero_point area=object_area better=direction
between=between_classes birth=onset cells_to_fix=correction_cells codes=quantised compared=comparisons death=resolved
elsewhere=evidence_on_others entrenchment=persistence figure=metric figures=variant_metrics first_right=first_correct
fix_winner=corrected_prediction follow=object_following follow_high=object_following_high
follow_low=object_following_low forgettings=forgetting_count gained=localisation_gain half=half_correct hot=cached
inside=evidence_on_object kept_consistency=unchanged_consistency lead=map_lead league=failure_ranking
likeness=similarity likeness_order=similarity_order lost=newly_wrong lucky_share=different_reason_share
map_step=map_scale mean_truth_probability=mean_label_probability mode=cluster mode_survival=cluster_survival
modes=clusters never_right=never_correct own_check=true_class_crc32 own_map=true_class_map own_step=true_class_scale
peak_inside=peak_on_object picture_formation=image_formation pictures=pixels place=localisation possible=possible_gain
predicted=predicted_class predicted_check=predicted_class_crc32 predicted_index=predicted_class_index
predicted_map=predicted_class_map predicted_score=predicted_logit predicted_step=predicted_class_scale
purpose=criterion run_confidence=error_run_confidence settling=stabilisation step=scale sure=selection_share
truth=true_class truth_index=true_class_index truth_probability=label_probability truth_rank=label_rank
truth_score=label_logit within=within_class won=newly_correct
"""
RENAMED = dict(pair.split("=") for pair in OLDER_NAMES.split())
# Identity, texts about the run and times differ between any two runs. Nothing read the array that is gone.
NOT_COMPARED = (
    # What no page read is no longer derived.
    *(
        f"analysis.h5/arrays/{name}"
        for name in ("place_means", "mode_shares", "league_reported", "likeness_order", "cue_order")
    ),
    "analysis.h5/tables/pairs/mutual",
    *(f"analysis.h5/tables/league_{name}/*" for name in ("epochs", "weights")),
    "*/configuration",
    "*/provenance",
    "*/layout",
    "*/@run_id",
    "*/@recorded",
    "*seconds",
    "*_per_second",
)


def contents(run: Path, opened: ExitStack) -> Iterator[tuple[str, NDArray | h5py.Dataset]]:
    """Path -> values of every dataset, of every column of a compound dataset, and of every attribute of numbers."""
    for path in (run / "run.h5", *sorted((run / "epochs").glob("[0-9][0-9][0-9][0-9].h5")), run / "analysis.h5"):
        if not path.exists():
            continue
        file = opened.enter_context(h5py.File(path, "r", locking=False))
        items: list[tuple[str, h5py.Group | h5py.Dataset]] = [("", file)]
        file.visititems(lambda name, item, items=items: items.append((f"/{name}", item)))
        for name, item in items:
            where = f"{path.relative_to(run)}{name}"
            for key, value in item.attrs.items():
                if key in ("zero", "zero_point", "signed", "planned_epochs", "epoch") or name == "/metrics":
                    yield f"{where}/@{key}", np.asarray(value)
            if isinstance(item, h5py.Dataset):
                if item.dtype.names:
                    rows = item[...]
                    yield from ((f"{where}/{column}", rows[column]) for column in item.dtype.names)
                else:
                    yield where, item


def renamed(path: str) -> str:
    """What the dataset at a path of the older layout is called now."""
    for old, new in RENAMED.items():
        if "/" in old and path.endswith(old):
            return path[: -len(old)] + new
    return "/".join(RENAMED.get(part, part) for part in path.split("/"))


def difference(old: NDArray, new: NDArray) -> str:
    """ "" where two arrays are the same bit for bit, else what differs."""
    if old.dtype.kind == "S" or new.dtype.kind == "S":
        return "" if old.shape == new.shape and (old == new).all() else "text differs"
    if old.shape != new.shape:
        return f"shape {old.shape}, now {new.shape}"
    if old.dtype == new.dtype and old.tobytes() == new.tobytes():
        return ""
    first, second = old.astype(np.float64), new.astype(np.float64)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    if same.all():
        return "" if old.dtype.kind == new.dtype.kind else f"type {old.dtype}, now {new.dtype}, same values"
    off = np.abs(first - second)[~same]
    return f"{(~same).sum()} of {same.size} differ, by {np.nanmax(off, initial=0):.3g} at most"


def compare(old_run: Path, new_run: Path) -> tuple[list[str], bool]:
    """A line for each dataset, and whether all numbers are the same."""
    with ExitStack() as opened:
        old, new = dict(contents(old_run, opened)), dict(contents(new_run, opened))
        lines, same = [], True
        for path, values in old.items():
            now = renamed(path)
            if any(fnmatch.fnmatch(path, pattern) for pattern in NOT_COMPARED):
                continue
            if now not in new:
                lines.append(f"MISSING  {path}")
                same = False
                continue
            found = difference(values[...], new[now][...])
            reworded = found == "text differs" and path.startswith("analysis.h5")
            same &= not found or reworded
            name = path if path == now else f"{path} -> {now}"
            lines.append(
                f"{'equal   ' if not found else 'reworded' if reworded else 'DIFFERS '} {name}  {found}".rstrip()
            )
        known = {renamed(path) for path in old}
        added = sorted({re.sub(r"^epochs/\d+", "epochs/*", path) for path in new if path not in known})
        lines += [f"new      {path}" for path in added]
    return lines, same


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 where numbers differ."""
    parser = document.parser("same_record", __doc__)
    parser.add_argument("old", type=Path, help="folder of the run that the older code recorded")
    parser.add_argument("new", type=Path, help="folder of the run that this code recorded")
    options = parser.parse_args(arguments)
    lines, same = compare(options.old, options.new)
    print(*lines, "All numbers are the same." if same else "Some numbers differ or are missing.", sep="\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
