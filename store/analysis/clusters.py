"""Tables of the kinds of maps that a class has: which of them fails, and what a perturbation leaves of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from store.analysis.gather import EpochRecord, FinalEpoch
from store.metrics import clusters


def cluster_table(record: EpochRecord, final: FinalEpoch) -> pd.DataFrame:
    """A row per mode of each class, largest first within the class, wrong predictions at the last epoch, clean.

    class_index, mode, medoid (image), count, share, silhouette, error, lift, low, high (95 %).
    """
    run = record.run
    wrong = record.predictions[-1][0] != run.labels
    rows = []
    for label, found in final.clusters.items():
        images = final.mode_images[label]
        lift = clusters.error_lift(found.member, wrong[images])
        rows.append(
            pd.DataFrame(
                {
                    "class_index": label,
                    "cluster": np.arange(len(found.count)),
                    "medoid": images[found.medoid],
                    "count": found.count,
                    "share": found.count / len(images),
                    "silhouette": found.silhouette,
                    "error": lift.error,
                    "lift": lift.lift,
                    "low": lift.low,
                    "high": lift.high,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def survival_table(record: EpochRecord, final: FinalEpoch) -> pd.DataFrame:
    """A row per mode of the classes that have several and per variant but clean, last epoch.

    class_index, mode, variant, count, share (of its images whose map stays nearest to it), low, high (Wilson).
    """
    run, epoch = record.run, record.epochs[-1]
    several = {label: found for label, found in final.clusters.items() if len(found.count) > 1}
    rows = []
    for variant in run.variants[1:] if several else ():
        own = run.true_class_maps(epoch=epoch, variant=variant)
        for label, found in several.items():
            images = final.mode_images[label]
            medoids = final.true_class_maps[images[found.medoid]]
            stayed = clusters.survival(
                clusters.assign(final.true_class_maps[images], medoids),
                clusters.assign(own[images], medoids),
                clusters=len(medoids),
            )
            row = {"class_index": label, "cluster": np.arange(len(medoids)), "variant": variant, "count": stayed.count}
            rows.append(pd.DataFrame({**row, "share": stayed.share, "low": stayed.low, "high": stayed.high}))
    columns = ["class_index", "cluster", "variant", "count", "share", "low", "high"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame({name: [] for name in columns})
