"""The benchmark of runs in a bucket: that pages ask for one epoch only, and for nothing twice."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench import bucket
from store import open_run
from store.analysis.analyse import analyse


@pytest.mark.slow
def test_pages_of_a_run_in_a_bucket_fetch_what_they_show_once(tiny_run, tmp_path, capsys):
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    run = shutil.copytree(tiny_run, tmp_path / "tiny")
    analyse(open_run(run))
    with ThreadPoolExecutor(1) as pool:  # the browser of other tests keeps an event loop in this thread
        pool.submit(bucket.main, ["--run", str(run), "--latency", "1", "--copies", "1"]).result()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    requests = {row[0]: int(row[2]) for row in rows if len(row) == 5 and row[2].isdigit()}
    files = {row[0]: int(row[3]) for row in rows if len(row) == 5 and row[3].isdigit()}
    # Each file is written and read back; the listings before, and a question for each folder, come on top.
    count = sum(path.is_file() for path in run.rglob("*"))
    assert 2 * count <= requests["copied there"] <= 2 * count + 6
    # run.h5 and an epoch with their receipts, and the analysis. Where listings are renewed meanwhile, as on a busy
    # machine, a file's size is asked for once more.
    assert 5 <= files["first page, empty cache"] <= 10
    assert 2 <= files["epoch before it, empty cache"] <= 4
    assert files["same page again, empty cache"] == 0
    assert [number for name, number in files.items() if "filled cache" in name] == [0] * 5
