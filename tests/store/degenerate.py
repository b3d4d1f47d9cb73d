"""Runs of networks that went wrong in their second and last epoch, and one that is never wrong."""

import numpy as np

from store.synthetic import create_synthetic_run, synthetic_description, synthetic_maps, synthetic_metrics


def _one_class(maps):
    return np.concatenate([maps[:, :1] + 100, maps[:, 1:]], axis=1)


DEGENERATE = {
    "dead": np.zeros_like,
    "constant": lambda maps: np.broadcast_to(maps.mean((2, 3), keepdims=True), maps.shape),
    "blind": lambda maps: np.broadcast_to(maps[:1], maps.shape),
    "undecided": lambda maps: maps * np.float32(1e-8),
    "exploded": lambda maps: maps * 1e30,
    "one class": _one_class,
}

PERFECT = "perfect"


def write_degenerate_run(path, fault, *, classes=5, images_per_class=4, labels=None, faulty=None, **options):
    """Path of a run of two epochs, the second with the fault, in the variant `faulty` alone where it is given.

    `labels` (N,) stand for equally large classes.
    """
    options |= {"layers": {}, "stages": {}}
    if labels is not None:
        classes, images_per_class = int(labels.max()) + 1, 1
        options |= {"labels": labels, "image_names": tuple(f"{i}.png" for i in range(len(labels)))}
        options |= {"masks": None, "boxes": None}
    description = synthetic_description(path.name, classes, images_per_class, epochs=2, options=options)
    writer = create_synthetic_run(path, description)
    for epoch in (1, 2):
        with writer.epoch(epoch, synthetic_metrics(epoch)) as recording:
            for variant in description.variant_names:
                maps = synthetic_maps(description, epoch, variant)
                if fault == PERFECT:
                    maps[np.arange(len(maps)), description.labels] += 10
                elif epoch == 2 and faulty in (None, variant):
                    maps = DEGENERATE[fault](maps)
                recording.write(variant, 0, np.ascontiguousarray(maps, np.float32))
    return path
