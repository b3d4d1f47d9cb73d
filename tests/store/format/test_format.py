"""The written format and the code agree, and a run of every released version stays readable."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from store.format.chunks import ChunkGrid
from store.format.schema import CACHED_BLOCK_ROWS, CHUNK_BYTES, EPOCH_FIELDS, FIELDS, FORMAT_VERSION, epoch_field

FORMAT = (Path(__file__).parents[3] / "store" / "FORMAT.md").read_text()


def row(field):
    must = "MAY" if field.optional else "MUST"
    return f"| `{field.path}` | {' '.join(field.dims)} | {field.dtype} | {field.unit} | {must} | {field.meaning} |"


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.path)
def test_every_dataset_stands_in_the_written_format_as_in_the_schema(field):
    assert row(field) in FORMAT


def test_the_written_format_has_no_dataset_that_the_schema_lacks():
    rows = [line for line in FORMAT.splitlines() if line.startswith("| `") and line.count("|") == 7]
    assert sorted(rows) == sorted(row(field) for field in FIELDS.values())


def test_the_written_format_names_the_constants():
    for text in (f"format version {FORMAT_VERSION}", f"{CHUNK_BYTES} bytes", f"each block of {CACHED_BLOCK_ROWS} rows"):
        assert text in FORMAT


def test_a_file_holds_exactly_what_the_format_lists(tiny_run):
    listed = {field.path for field in EPOCH_FIELDS if "*" not in field.path} - {"map_classes", "logits", "mean_map"}
    found = []
    with h5py.File(tiny_run / "epochs" / "0001.h5", "r", locking=False) as file:

        def look(path, item):
            if isinstance(item, h5py.Dataset):
                found.append(path)
                field = epoch_field(path)
                assert item.dtype == np.dtype(field.dtype), path
                assert item.attrs["axes"].decode() == field.of_all_classes().axes, path
                if field.storage == "contiguous":
                    assert item.chunks is None and item.id.get_offset() is not None
                else:
                    assert item.chunks == ChunkGrid.of(field, item.shape, item.dtype.itemsize).chunk
                    assert "check" in item.attrs
                    assert item.shuffle == (field.storage == "shuffled")

        file.visititems(look)
        assert file["maps"].shape == (8, 20, 5, 8, 8) and file["maps"].attrs["zero_point"] == 0
    assert listed <= set(found)
    assert {path for path in found if path not in listed} == {
        *(f"layers/{name}/{part}" for name in ("encoder", "decoder") for part in ("quantised", "scale")),
        *(f"stages/{name}" for name in ("stem", "layer1", "layer2", "layer3", "layer4")),
    }


def test_no_text_has_a_variable_length(tiny_run):
    for name in ("run.h5", "epochs/0001.h5"):
        with h5py.File(tiny_run / name, "r", locking=False) as file:

            def look(path, item):
                kinds = [h5py.check_string_dtype(item.attrs.get_id(key).dtype) for key in item.attrs]
                if isinstance(item, h5py.Dataset):
                    kinds.append(h5py.check_string_dtype(item.dtype))
                assert all(kind is None or kind.length is not None for kind in kinds), path

            look("/", file)
            file.visititems(look)
