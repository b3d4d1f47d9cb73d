"""Chunks whose own checksum cannot be trusted are refused, before and after they are decoded."""

import h5py
import numpy as np
import pytest
import zstandard

from store import open_run
from store.check.verify import verify_run
from store.errors import DamagedFile
from store.format.chunks import compress, decompress

NUMBERS = np.arange(24, dtype="<f4").reshape(2, 3, 4)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_chunk_is_decoded_as_it_was(shuffle):
    frame = compress(NUMBERS, shuffle=shuffle)
    assert np.array_equal(decompress(frame, NUMBERS.shape, NUMBERS.dtype, shuffle=shuffle), NUMBERS)


@pytest.mark.parametrize(
    "frame",
    [
        zstandard.ZstdCompressor(write_checksum=False).compress(NUMBERS.tobytes()),
        zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress(NUMBERS.tobytes()),
        compress(NUMBERS[:1]),
        compress(np.concatenate([NUMBERS, NUMBERS])),
    ],
    ids=["no checksum", "no size", "too short", "too long"],
)
def test_a_frame_that_does_not_fit_its_chunk_is_refused(frame):
    with pytest.raises(ValueError, match="a frame header does not fit its chunk of 96 bytes"):
        decompress(frame, NUMBERS.shape, NUMBERS.dtype, shuffle=False)


def test_a_changed_byte_is_noticed_by_the_frame_itself():
    frame = bytearray(compress(NUMBERS))
    frame[-6] ^= 1
    with pytest.raises(ValueError, match=r"[Cc]hecksum|corrupt"):
        decompress(bytes(frame), NUMBERS.shape, NUMBERS.dtype, shuffle=False)


def test_a_chunk_that_says_that_it_skipped_the_compression_is_not_read(copy):
    with h5py.File(copy / "epochs" / "0001.h5", "r+", locking=False) as file:
        chunk = file["maps"][:1]
        # in fewer bytes: HDF5 keeps what it knows of a chunk that is replaced by one as long
        frame = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(chunk.tobytes())
        file["maps"].id.write_direct_chunk((0,) * chunk.ndim, frame, filter_mask=1)
    assert any("is not compressed as declared" in problem.text for problem in verify_run(copy))
    with pytest.raises(DamagedFile, match="is not compressed as declared"):
        open_run(copy).maps(epoch=1, variant="clean", images=[0])
