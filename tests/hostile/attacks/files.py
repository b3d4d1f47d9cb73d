"""Files of a run that are none, or not its own: pipes, folders, links, nothing; receipts that are no receipts."""

import os
import shutil
import socket
from functools import partial
from pathlib import Path

from tests.hostile.attacks.registry import EPOCH, FILES, add, attack


def fifo(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)


def socket_file(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    here = Path.cwd()
    os.chdir(run / Path(name).parent)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(Path(name).name)
    finally:
        os.chdir(here)


def folder(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).mkdir()


def symlink_to_secret(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(secret)


def symlink_to_device(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to("/dev/zero")


def symlink_loop(name: str, run: Path, secret: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(run / name)


def symlink_to_a_moved_file(name: str, run: Path, secret: Path) -> None:
    outside = secret.parent / f"moved-{Path(name).name}"
    shutil.move(run / name, outside)
    (run / name).symlink_to(outside)


def empty(name: str, run: Path, secret: Path) -> None:
    (run / name).write_bytes(b"")


def text(name: str, run: Path, secret: Path) -> None:
    (run / name).write_text("<html><body>404 Not Found</body></html>")


for _name in (*FILES, "run.json", "epochs/0001.json"):
    for _kind in (fifo, socket_file, folder, symlink_to_secret, symlink_to_device, symlink_loop, empty, text):
        add(f"{_kind.__name__.replace('_', ' ')} {_name}", partial(_kind, _name))
for _name in FILES:
    add(f"symlink to a moved file {_name}", partial(symlink_to_a_moved_file, _name))


@attack
def epochs_is_a_symlink(run: Path, secret: Path) -> None:
    """The whole folder of epochs lies elsewhere."""
    outside = secret.parent / "outside-epochs"
    shutil.move(run / "epochs", outside)
    (run / "epochs").symlink_to(outside)


@attack
def epochs_is_a_fifo(run: Path, secret: Path) -> None:
    shutil.rmtree(run / "epochs")
    os.mkfifo(run / "epochs")


@attack
def odd_names_among_the_epochs(run: Path, secret: Path) -> None:
    for name in ("0000000000000000099999999999999999999.h5", "-001.h5", "0001 .h5", "1e3.h5", "٠٠٠٣.h5", "00²1.h5"):
        shutil.copy(run / EPOCH, run / "epochs" / name)
    os.mkfifo(run / "epochs" / "0009.h5")
    (run / "epochs" / "0010.h5").mkdir()


@attack
def ten_thousand_epochs_of_nothing(run: Path, secret: Path) -> None:
    for number in range(100, 10_100):
        (run / "epochs" / f"{number:04d}.h5").touch()


def receipt(text: str, run: Path, secret: Path) -> None:
    for name in ("run.json", "epochs/0001.json"):
        (run / name).write_text(text)


_RECEIPTS = {
    "a list": "[]",
    "a number": "1e999",
    "null": "null",
    "deep": "[" * 200_000 + "]" * 200_000,
    "deep objects": '{"files":' * 100_000 + "1" + "}" * 100_000,
    "files is a list": '{"run_id": "x", "epoch": null, "files": [1]}',
    "an entry is null": '{"run_id": "x", "epoch": null, "files": {"run.h5": null}}',
    "sizes are texts": '{"run_id": 5, "epoch": null, "files": {"run.h5": {"bytes": "many", "sha256": []}}}',
    "a path outside": '{"run_id": "x", "epoch": 1, "files": {"../../outside": {"bytes": 1, "sha256": "0"}}}',
    "an absolute path": '{"run_id": "x", "epoch": 1, "files": {"/etc/passwd": {"bytes": 1, "sha256": "0"}}}',
    "a huge number": '{"run_id": "x", "epoch": ' + "9" * 100_000 + ', "files": {}}',
    "no UTF-8": "\udcff",
}
for _name, _content in _RECEIPTS.items():
    if _name != "no UTF-8":
        add(f"receipt: {_name}", partial(receipt, _content))


@attack
def receipt_without_utf8(run: Path, secret: Path) -> None:
    (run / "run.json").write_bytes(b'{"run_id": "\xff\xfe"}')


@attack
def receipt_of_300_megabytes(run: Path, secret: Path) -> None:
    with (run / "epochs/0001.json").open("wb") as file:
        file.write(b'{"run_id": "')
        file.truncate(300_000_000)
