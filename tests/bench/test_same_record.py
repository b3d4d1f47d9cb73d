"""Comparing the records of two versions of the code."""

import shutil
from pathlib import Path

from bench.same_record import compare
from store.synthetic import write_synthetic_run


def test_a_run_equals_its_copy_and_not_a_run_with_other_maps(tiny_run, tmp_path):
    lines, same = compare(tiny_run, Path(shutil.copytree(tiny_run, tmp_path / "copy")))
    assert same and all(line.startswith("equal ") for line in lines) and len(lines) > 100
    lines, same = compare(tiny_run, write_synthetic_run(tmp_path / "less", epochs=2))
    assert not same and any(line.startswith("MISSING  epochs/0003.h5/maps ") for line in lines)
    lines, same = compare(tiny_run, write_synthetic_run(tmp_path / "signed", signed=True))
    assert not same and any(line.startswith("DIFFERS  epochs/0001.h5/maps") for line in lines)
