import numpy as np
import pytest

from store import DamagedFile, open_run, queries
from store.analysis import read_analysis
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run


def test_an_analysis_is_stale_once_the_run_has_more_epochs(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "growing", epochs=3))
    analyse(run)
    (run.path / "epochs" / "0003.h5").rename(tmp_path / "0003.h5")
    (run.path / "epochs" / "0003.json").unlink(missing_ok=True)
    shorter = open_run(run.path)
    assert shorter.epochs == (1, 2)
    assert not read_analysis(run).stale(run)
    assert read_analysis(shorter).stale(shorter)
    assert set(queries.accuracy_by_variant(shorter)["epoch"]) == {1, 2}


def test_the_analysis_of_another_run_is_ignored(tmp_path):
    first, second = (open_run(write_synthetic_run(tmp_path / name, epochs=1)) for name in ("first", "second"))
    analyse(first)
    (first.path / "analysis.h5").rename(second.path / "analysis.h5")
    assert read_analysis(first) is None and read_analysis(second) is None


def test_a_damaged_analysis_is_reported_with_a_remedy(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=1))
    analyse(run)
    path = run.path / "analysis.h5"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedFile, match=r"analysis\.h5' cannot be opened"):
        read_analysis(run)


def test_a_flipped_byte_in_the_analysis_is_noticed(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=2))
    analyse(run)
    path = run.path / "analysis.h5"
    whole = {name: read_analysis(run).table(name) for name in ("images", "epochs", "failure_ranking")}
    content = bytearray(path.read_bytes())
    noticed = 0
    for offset in np.linspace(2048, len(content) - 64, 16).astype(int):
        flipped = content.copy()
        flipped[offset] ^= 0x10
        path.write_bytes(flipped)
        try:
            found = {name: read_analysis(run).table(name) for name in whole}
        except DamagedFile:
            noticed += 1
        else:
            assert all(found[name].equals(whole[name]) for name in whole)  # it hit what these tables do not hold
    assert noticed > 0
