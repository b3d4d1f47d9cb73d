"""What a query reads: one image costs a chunk, not the epoch; nothing that lists images touches all maps."""

from pathlib import Path

import numpy as np
import pytest

from store import open_run, queries
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run

COUNTER = Path("/proc/self/io")
pytestmark = pytest.mark.skipif(not COUNTER.exists(), reason="this system does not count what a process reads")
LAST = {"epoch": 2, "variant": "gray"}


def read_so_far():
    return int(COUNTER.read_text().split()[1])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "wide"
    write_synthetic_run(
        path, epochs=2, classes=80, images_per_class=10, layers={}, stages={}, variants=("clean", "gray")
    )
    analyse(open_run(path))
    return path


QUERIES = {
    "accuracy_by_variant": lambda run: queries.accuracy_by_variant(run),
    "class_accuracy": lambda run: queries.class_accuracy(run),
    "confused_pairs": lambda run: queries.confused_pairs(run, **LAST),
    "group_history": lambda run: queries.group_history(run),
    "failures": lambda run: queries.failures(run, **LAST),
    "evidence_under": lambda run: queries.evidence_under(run, **LAST),
    "cue_profiles": lambda run: queries.cue_profiles(run, epoch=2),
    "risk_coverage": lambda run: queries.risk_coverage(run, **LAST),
    "search_index": lambda run: queries.search_index(queries.pattern_index(run, **LAST), np.eye(*run.map_shape)),
    "minimal_correction": lambda run: queries.minimal_correction(run, 417, **LAST),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_reads_a_small_part_of_an_epoch(path, name):
    run = open_run(path)
    run.column("prediction", **LAST)  # opens the epoch: its index is read once, whoever asks
    before = read_so_far()
    assert QUERIES[name](run) is not None
    epoch = (path / "epochs" / "0002.h5").stat().st_size
    assert read_so_far() - before < epoch / 4, f"{name} read {read_so_far() - before} of {epoch} bytes"


def test_reading_all_maps_of_a_variant_would_be_noticed(path):
    run = open_run(path)
    run.column("prediction", **LAST)
    before = read_so_far()
    run.maps(images=None, **LAST)
    assert read_so_far() - before > (path / "epochs" / "0002.h5").stat().st_size / 4
