"""A linked run: one array for any HDF5 tool."""

import subprocess
import sys

import hdf5plugin  # noqa: F401 - lets h5py read the linked chunks
import numpy as np

from store import open_run
from store.check.verify import verify_run
from store.tools.link import link_run


def test_a_linked_run_is_one_array_for_any_tool_also_after_a_move(copy, run, tmp_path):
    assert link_run(open_run(copy)) == copy / "all.h5"
    moved = copy.rename(tmp_path / "elsewhere")
    code = f"""
import h5py, hdf5plugin, numpy as np
with h5py.File({str(moved / "all.h5")!r}) as file:
    print(file["maps"].shape, file["epoch"][:].tolist(), file["pixels"].shape, file["images/confidence"].shape)
    np.save({str(tmp_path / "maps.npy")!r}, file["maps"][1, 3, 7, 2] * file["map_scale"][1, 3, 7, 2])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "(3, 8, 20, 5, 8, 8) [1, 2, 3] (8, 20, 16, 16, 3) (3, 8, 20)"
    mine = run.maps(epoch=2, variant=run.variants[3], images=[7], classes=[2])[0, 0]
    np.testing.assert_allclose(np.load(tmp_path / "maps.npy"), mine, rtol=1e-6)
    assert verify_run(moved) == []
