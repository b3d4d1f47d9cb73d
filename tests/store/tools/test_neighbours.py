import json

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from store import NotInRun, StoreError
from store.__main__ import main
from store.tools.neighbours import EXPORTS, export_cartography, export_cleanlab, export_gzip, export_thumbnails


def test_cleanlab_gets_probabilities_that_sum_to_one_and_the_labels(run, tmp_path):
    probabilities, labels = map(np.load, export_cleanlab(run, tmp_path, epoch=2, variant="gray"))
    assert np.array_equal(probabilities, run.probabilities(epoch=2, variant="gray"))
    assert np.allclose(probabilities.sum(1), 1, atol=1e-3) and np.array_equal(labels, run.labels)


def test_cartography_gets_a_file_for_each_epoch_with_all_logits(run, tmp_path):
    paths = export_cartography(run, tmp_path)
    assert [path.name for path in paths] == [f"dynamics_epoch_{number}.jsonl" for number in range(3)]
    lines = [json.loads(line) for line in paths[1].read_text().splitlines()]
    assert [line["guid"] for line in lines] == list(range(20)) and [
        line["gold"] for line in lines
    ] == run.labels.tolist()
    assert np.allclose([line["logits_epoch_1"] for line in lines], run.logits(epoch=2))


def test_thumbnails_are_the_pixels_and_the_table_names_them(run, tmp_path):
    export_thumbnails(run, tmp_path, variant="bgr")
    table = pd.read_csv(tmp_path / "labels.csv")
    for image in (0, 19):
        pixels = np.asarray(Image.open(tmp_path / table["filepath"][image]))
        assert np.array_equal(pixels, run.pixels(image, variant="bgr")[0])
    assert table["correct"].mean() == run.accuracy(variant="bgr")


def test_gzip_is_read_without_a_plugin_and_holds_the_decoded_maps(run, tmp_path):
    (path,) = export_gzip(run, tmp_path)
    with h5py.File(path) as file:
        assert {file[name].compression for name in ("maps", "pixels", "probabilities")} == {"gzip"}
        assert np.array_equal(file["maps"][:], run.maps()) and np.array_equal(file["pixels"][:], run.pixels())
        assert [name.decode() for name in file["class_names"]] == run.classes["name"].tolist()
        assert file.attrs["epoch"] == 3 and file.attrs["variant"] == "clean"


@pytest.mark.parametrize("reader", EXPORTS)
def test_the_command_writes_it_once_and_refuses_to_write_over_it(run, tmp_path, capsys, reader):
    words = ["export", str(run.path), str(tmp_path / "out"), "--for", reader]
    assert main(words) == 0 and capsys.readouterr().out.count("\n") >= 1
    assert main(words) == 1 and "exists already" in capsys.readouterr().err


def test_what_is_not_in_the_run_is_refused_before_anything_is_written(run, tmp_path):
    for export in (export_cleanlab, export_thumbnails, export_gzip):
        with pytest.raises(NotInRun):
            export(run, tmp_path / "out", epoch=9)
    with pytest.raises(StoreError):
        export_cartography(run, tmp_path / "out", variant="fog")
    assert not list(tmp_path.rglob("*.*"))
