"""Everything that can be read of a run, as digests: to compare two runs, or a run before and after damage."""

import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from store import Run, StoreError, open_run

REFUSED = "refused"
Digests = dict[str, str]  # what was read -> SHA-256 of the result, or REFUSED


def digests(
    given: str | Path | Run, epochs: Sequence[int] = (1, 2), variants: Sequence[str] = ("clean", "gray")
) -> Digests:
    """Digests of everything that can be read of the epochs and variants of a run, or of the run at a path."""
    found: Digests = {}

    def add(name: str, query: Callable[[], object]) -> None:
        try:
            found[name] = hashlib.sha256(pickle.dumps(query())).hexdigest()
        except StoreError:
            found[name] = REFUSED

    try:
        run = given if isinstance(given, Run) else open_run(given)
    except StoreError:
        return {"run": REFUSED}
    facts = (run.name, run.variants, run.labels.tolist(), run.image_names, run.classes.to_csv(), run.planned_epochs)
    add("facts", lambda: (*facts, json.dumps(run.configuration), json.dumps(run.provenance), run.layer_names))
    add("masks", run.masks)
    add("boxes", run.boxes)
    for variant in run.variants:
        add(f"pixels {variant}", partial(run.pixels, variant=variant))
    for epoch in epochs:
        if epoch not in run.epochs:
            found[f"epoch {epoch}"] = REFUSED if epoch in run.damaged else "silently absent"
            continue
        add(f"metrics {epoch}", lambda epoch=epoch: run.read(epoch, lambda data: data.metrics()))
        add(f"layers {epoch}", lambda epoch=epoch: [*run.layers(epoch=epoch, images=None).items()])
        add(f"stages {epoch}", lambda epoch=epoch: [*run.stages(epoch=epoch, images=None).items()])
        for variant in variants:
            at, where = {"epoch": epoch, "variant": variant}, f"{epoch} {variant}"
            for name in ("maps", "map_error"):
                add(f"{name} {where}", partial(getattr(run, name), images=None, **at))
            for name in ("probabilities", "true_class_maps", "predicted_class_maps", "confusion", "patterns"):
                add(f"{name} {where}", partial(getattr(run, name), **at))
            for name in ("predictions", "class_table"):
                add(f"{name} {where}", lambda name=name, at=at: getattr(run, name)(**at).to_csv())
    return found
