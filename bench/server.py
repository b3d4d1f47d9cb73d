"""A dashboard started for a measurement: a real `streamlit run` on a free port of this machine."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "dashboard" / "app.py"
PATIENCE = 120.0  # seconds until a server that does not prediction is given up


@dataclass(frozen=True)
class Server:
    """A running dashboard.

    Attributes:
        address: host and port.
        process: its process number.
        began: when it was started, on the clock of `time.perf_counter`.
        answered: seconds from the start until it answered.
    """

    address: str
    process: int
    began: float
    answered: float

    @property
    def url(self) -> str:
        """Where a browser goes."""
        return f"http://{self.address}"

    def memory(self) -> dict[str, float]:
        """Resident memory in MB: `own` (anonymous) and `files` (mapped from files, shared with the page cache)."""
        lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
        return {"true_class": int(sizes["RssAnon"]) / 1024, "files": int(sizes["RssFile"]) / 1024}

    def processor_seconds(self) -> float:
        """Processor time used so far, all threads, to the microsecond."""
        clock = ctypes.c_int()
        if ctypes.CDLL(None).clock_getcpuclockid(self.process, ctypes.byref(clock)):
            raise RuntimeError(f"The process {self.process} of the dashboard has ended.")
        return time.clock_gettime(clock.value)

    def maps_library(self, name: str) -> bool:
        """Whether a shared library whose name starts so is in the process: proof that a module was loaded."""
        lines = Path(f"/proc/{self.process}/maps").read_text().splitlines()
        return any(Path(line.split()[-1]).name.startswith(name) for line in lines if "/" in line)


@contextmanager
def dashboard(runs: Path, *, script: Path = APP) -> Iterator[Server]:
    """Run the block with a dashboard over a folder of runs; it is ended afterwards.

    Args:
        runs: the folder of runs.
        script: another Streamlit script in its place, served with the same settings.

    Raises:
        RuntimeError: the server ended or did not prediction; what it said is quoted.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    environment = {**os.environ, "CLASSPRINT_RUNS": str(runs.absolute())}
    with tempfile.TemporaryFile("w+") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            if not _answers(process, f"http://127.0.0.1:{port}/_stcore/health"):
                log.seek(0)
                raise RuntimeError(f"The dashboard did not prediction within {PATIENCE:.0f} s. It said:\n{log.read()}")
            yield Server(f"127.0.0.1:{port}", process.pid, began, time.perf_counter() - began)
        finally:
            _end(process)


def _answers(process: subprocess.Popen[bytes], address: str) -> bool:
    until = time.perf_counter() + PATIENCE
    while process.poll() is None and time.perf_counter() < until:
        try:
            with urllib.request.urlopen(address, timeout=5) as prediction:
                return bool(prediction.status == 200)
        except urllib.error.URLError:
            time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
