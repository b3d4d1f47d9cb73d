"""The store against the obvious alternatives, on the maps of trained networks, and the time of every query.

    python -m bench.store_bench --run runs/quick --run runs/tiny-imagenet --repeat 20 [--document docs/benchmarks.md]

Writing: the network of each run's checkpoint gives its maps once more, before any coding; the same maps go to this
store, to float16 HDF5 without compression, to float16 HDF5 with gzip 4, and to Zarr 3 with its default compressor, and
every value is read back and compared. Reading: every query behind a page, warm and with the files dropped from the page
cache, on the last run named, or, with --repeat, on one of that many epochs made of copies of it (which takes as much
disk as they do). "CPU" is the time that a core worked for it, which a busy machine changes least.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import surroundings
from bench.__main__ import write_section
from bench.store_queries import reading_table, repeated
from bench.store_writing import forms_table, network_maps, threads_table
from store import open_run


def main() -> None:
    """Measure, and print the tables in Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.store_bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", action="append", help="may be given several times (default: runs/quick)")
    parser.add_argument("--epoch", type=int, help="whose checkpoint gives the maps (default: the last)")
    parser.add_argument("--images", type=int, default=4000, help="of each run (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=0, help="epochs to read from, copies of those of the last run")
    parser.add_argument("--folder", help="where to write (default: a temporary folder)")
    parser.add_argument("--document", type=Path, help='replace the section "Store" of this document')
    options = parser.parse_args()
    before, runs = surroundings.load(), [open_run(path) for path in options.run or ["runs/quick"]]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        recorded = [(run, *network_maps(run, options.epoch or run.epochs[-1], options.images)) for run in runs]
        lines = forms_table(recorded, Path(folder)) + threads_table(recorded[-1], Path(folder))
        del recorded
        read = repeated(runs[-1], options.repeat, Path(folder)) if options.repeat else runs[-1]
        lines += reading_table(read)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.document:
        reported = (
            f"`python -m bench.store_bench {' '.join(sys.argv[1:])}`, {surroundings.now()}.  \n"
            f"{surroundings.machine()}.  \n{surroundings.versions()}.  \n"
            f"Load average before: {before}; after: {surroundings.load()}."
        )
        write_section(options.document, "Store", f"{reported}\n\n{text.strip()}")


if __name__ == "__main__":
    main()
