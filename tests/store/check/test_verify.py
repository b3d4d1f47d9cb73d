"""Values that the format rules out, under valid checksums: verify names each of them."""

from __future__ import annotations

import numpy as np
import pytest

from store.check.verify import verify_run
from store.format.chunks import ChunkReader, write_array
from store.format.hdf5_file import unfinished_file
from store.format.receipts import write_receipt
from store.format.schema import epoch_field, run_field


def change(run, path, at, value):
    """Set one number of a dataset of epoch 2, or of run.h5 where the path says so, as a faulty writer might."""
    in_run_file = path.startswith("run.h5/")
    file_path, path = run / ("run.h5" if in_run_file else "epochs/0002.h5"), path.removeprefix("run.h5/")
    field = run_field(path) if in_run_file else epoch_field(path)
    with unfinished_file(file_path, "r+") as file:
        values = ChunkReader(file[path], field).all().copy()
        values[at] = value
        attributes = dict(file[path].attrs)
        del file[path]
        write_array(file, path, field, values)
        file[path].attrs.update({name: attributes[name] for name in attributes if "check" not in name})
        run_id = file.attrs["run_id"].decode()
    write_receipt(run, None if in_run_file else 2, run_id)


NOT_FINITE = "it holds numbers that are not finite"
CHANGES = {
    "maps": ((2, 3, 0, 4, 4), 255, "probabilities are not the softmax of the means of the maps"),
    "map_scale": ((0, 0, 0), 0, "map_scale: it holds 0 to"),
    "probabilities": ((0, 0, 0), np.nan, f"probabilities: {NOT_FINITE}"),
    "stages/stem": ((0, 0, 0), np.inf, f"stages/stem: {NOT_FINITE}"),
    "layers/encoder/scale": ((0, 0), np.nan, f"layers/encoder/scale: {NOT_FINITE}"),
    "images/prediction": ((1, 7), 5, "images/prediction: it holds 0 to 5, allowed are 0 to 4"),
    "images/runner_up": ((0, 0), 4, "images/runner_up does not agree with"),
    "images/confidence": ((0, 0), 1.5, "images/confidence: it holds"),
    "images/margin": ((0, 0), 0.5, "images/margin does not agree with"),
    "images/label_rank": ((3, 3), 4, "images/label_rank does not agree with"),
    "images/label_logit": ((3, 3), 99, "logits of images differ from the means of cached/true_class_map"),
    "images/predicted_logit": ((3, 3), 99, "logits of images differ from the means of cached/predicted_class_map"),
    "images/peak": ((3, 3), 99, "images/peak is not the largest cell"),
    "images/consistency": ((3, 3), -2, "images/consistency: it holds -2 to"),
    "images/similarity": ((3, 3), 0, "images/similarity does not follow from"),
    "images/correction_cells": ((0, 0), 3, "images/correction_cells is not 0 for a correct prediction"),
    "classes/accuracy": ((0, 0), np.nan, "classes/accuracy does not follow from"),
    "classes/pattern": ((0, 0, 0, 0), np.nan, f"classes/pattern: {NOT_FINITE}"),
    "confusion": ((0, 0, 0), 3, "confusion does not follow from"),
    "variant_metrics/ece": (0, 0.5, "variant_metrics/ece does not follow from"),
    "run.h5/masks": ((0, 0, 0), 2, "masks: it holds 0 to 2, allowed are 0 to 1"),
    "run.h5/labels": (19, 5, "run.h5"),
    "run.h5/variants/changed_images": (1, 3, "variants/changed_images does not follow from the pixels"),
}


@pytest.mark.parametrize("path", CHANGES)
def test_a_value_that_cannot_be_is_named(copy, path):
    at, value, problem = CHANGES[path]
    change(copy, path, at, value)
    found = [str(problem) for problem in verify_run(copy)]
    assert any(problem in text for text in found), found
