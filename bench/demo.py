"""The demo run, which travels with the repository so that `make demo` has something to show before anything is trained.

    python -m bench demo [--output demo]

Trains the network of bench/demo.toml, analyses the run, verifies it, leaves its weights out and replaces the old one.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import document
from store.check.verify import verify_run
from store.errors import WriteFailed

FOLDER = document.ROOT / "demo"
NAME = "demo"
LARGEST = 12_000_000  # bytes: what a clone may carry
_PROFILE = Path(__file__).with_name("demo.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the demo run again; the old one stays until the new one is complete.

    Raises:
        WriteFailed: the new run is not as it has to be.
    """
    parser = document.parser("demo", __doc__)
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the demo run (default: %(default)s)")
    options = parser.parse_args(arguments)
    from compute.cli import main as compute  # torch: only when a run is made

    with tempfile.TemporaryDirectory() as folder:
        status = compute(["train", "--profile", str(_PROFILE), "--runs-dir", folder, "--run", NAME])
        if status:
            return status
        made = Path(folder) / NAME
        shutil.rmtree(made / "checkpoints")  # 45 MB of weights: only the page Live would need them
        _check(made)
        shutil.rmtree(options.output / NAME, ignore_errors=True)
        shutil.copytree(made, options.output / NAME)
    print(f"Written to {options.output / NAME}: {_size(options.output / NAME):,} bytes.", file=sys.stderr)
    return 0


def _check(run: Path) -> None:
    problems = verify_run(run)
    if problems or _size(run) > LARGEST:
        found = "; ".join(map(str, problems)) or f"it takes {_size(run):,} bytes, and {LARGEST:,} are allowed"
        raise WriteFailed(f"The demo run is not replaced: {found}. Change {_PROFILE.name} and make it again.")


def _size(run: Path) -> int:
    return sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
