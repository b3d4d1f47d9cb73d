"""Receipts: what one says of a file, and what is refused as one, whoever wrote it."""

import hashlib
import json

import pytest

from store.errors import DamagedFile
from store.format.receipts import RECEIPT_BYTES, parse_receipt, read_receipt

ENTRY = {"bytes": 5, "sha256": "0" * 64}
RECEIPT = {"run_id": "abc", "epoch": 1, "files": {"0001.h5": ENTRY}}


def test_a_receipt_has_size_and_sha256_of_its_file(tiny_run):
    content = (tiny_run / "epochs" / "0001.h5").read_bytes()
    files = read_receipt(tiny_run, 1)["files"]
    assert files == {"0001.h5": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run_id": 7}, "'receipt' is not a receipt: \"run_id\" must be a text"),
        ({"epoch": "1"}, '"epoch" a number or null'),
        ({"files": {}}, '"files" must map names'),
        ({"files": ["0001.h5"]}, '"files" must map names'),
        *(
            ({"files": {"0001.h5": {**ENTRY, **entry}}}, '"files" must map names to "bytes" and "sha256"')
            for entry in ({"bytes": -1}, {"bytes": 2**63}, {"bytes": "5"}, {"sha256": "0" * 63}, {"sha256": 0})
        ),
        ({"files": {"more/0001.h5": ENTRY}}, "names 'more/0001.h5', which is not in its folder"),
        ({"files": {"../0001.h5": ENTRY}}, "0001.h5"),
        ({"more": "x" * RECEIPT_BYTES}, "it has more than 1,048,576 bytes"),
    ],
)
def test_what_is_no_receipt_is_refused(changes, message):
    assert parse_receipt(json.dumps(RECEIPT).encode(), "'receipt'") == RECEIPT
    with pytest.raises(DamagedFile) as caught:
        parse_receipt(json.dumps(RECEIPT | changes).encode(), "'receipt'")
    assert message in str(caught.value)


def test_the_receipt_of_another_epoch_is_refused(copy):
    (copy / "epochs" / "0001.json").write_bytes((copy / "epochs" / "0002.json").read_bytes())
    with pytest.raises(DamagedFile, match="it is not the receipt of epoch 1"):
        read_receipt(copy, 1)
