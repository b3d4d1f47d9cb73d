"""Runs in a bucket: what the first page and the next epoch cost in seconds, requests and bytes, cold and warm.

    python -m bench bucket --run RUN [--latency 20] [--copies 3]

The run is copied into a bucket of an S3-speaking server on this machine (moto), which waits before it answers each
request, as a server at that distance does. The dashboard is started over the bucket twice: with an empty cache, and
again with the cache that the first one has filled. Nothing but pages asks the server meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench import document, sessions
from bench.document import failure_lines, table
from bench.sessions import HOME, View
from dashboard.browser import serve_dashboard
from store import Run, open_run
from store.tools.copy import copy_run

BUCKET = "runs"


@dataclass
class Traffic:
    """What a server was asked so far."""

    requests: int = 0
    files: int = 0  # requests for a file, not for a listing
    sent: int = 0  # bytes of answers
    received: int = 0  # bytes of requests, as they say themselves


class Distant:
    """A WSGI application that answers late, and counts."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application, self._lock = application, threading.Lock()
        self.latency, self.traffic = 0.0, Traffic()

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """The application's answer, `latency` seconds later."""
        time.sleep(self.latency)
        body = b"".join(self._application(environment, start))
        with self._lock:
            self.traffic.requests += 1
            self.traffic.files += environment["PATH_INFO"].count("/") > 1
            self.traffic.sent += len(body)
            self.traffic.received += int(environment.get("CONTENT_LENGTH") or 0)
        return [body]


@contextmanager
def serve_bucket() -> Iterator[Distant]:
    """Run the block with an S3-speaking server on this machine that holds one empty bucket, `s3://runs`.

    The environment leads s3:// to it, here and in every program that the block starts, and `CLASSPRINT_CACHE` to a
    folder of its own.
    """
    import s3fs
    from fsspec.config import conf, set_conf_env
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    distant = Distant(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, distant, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.port}"
    # What such a server keeps belongs to the process: an earlier one of it has left its buckets.
    urllib.request.urlopen(urllib.request.Request(f"{address}/moto-api/reset", method="POST")).close()
    with tempfile.TemporaryDirectory() as cache:
        variables = {
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
            "FSSPEC_S3_ENDPOINT_URL": address,
            "CLASSPRINT_CACHE": cache,
        }
        with patch.dict(os.environ, variables), patch.dict(conf):
            set_conf_env(conf)
            s3fs.S3FileSystem.clear_instance_cache()  # one of these may know another server
            s3fs.S3FileSystem().mkdir(BUCKET)
            yield distant
    s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print tables in Markdown."""
    parser = document.parser("bucket", __doc__)
    parser.add_argument("--run", required=True, type=Path, help="the run that is copied into the bucket")
    parser.add_argument("--latency", type=float, default=20.0, help="milliseconds before each answer")
    parser.add_argument("--copies", type=int, default=3, help="runs in the bucket, which are listed with it")
    options = parser.parse_args(arguments)
    run = open_run(options.run)
    with serve_bucket() as distant:
        distant.latency = options.latency / 1000
        rows = [_row("copied there", distant, lambda: copy_run(str(options.run), f"s3://{BUCKET}/{run.path.name}"))]
        distant.latency = 0.0
        for number in range(1, options.copies):
            copy_run(str(options.run), f"s3://{BUCKET}/{run.path.name}-{number}")
        distant.latency = options.latency / 1000
        failures = []
        for state in ("empty cache", "a new process, filled cache"):
            with serve_dashboard(f"s3://{BUCKET}") as server:
                failures += asyncio.run(_visit(server.url, run, distant, state, rows))
    print(f"{options.copies} runs in the bucket, {options.latency:.0f} ms before each answer.\n")
    print(table(("what", "seconds", "requests", "for files", "MB"), rows) + failure_lines(failures))


async def _visit(url: str, run: Run, distant: Distant, state: str, rows: list[Sequence[str]]) -> list[str]:
    """Add a row for each of some views of one reader; returns what failed."""
    views = [("first page", View(HOME, f"run={run.path.name}"))]
    if len(run.epochs) > 1:
        views.append(("epoch before it", View(HOME, f"run={run.path.name}&epoch={run.epochs[-2]}")))
    views += [("same page again", views[-1][1]), ("Image", View("image", f"run={run.path.name}"))]
    views.append(("Learning, all epochs", View("learning", f"run={run.path.name}")))
    failures = []
    async with sessions.open_session(url) as session:
        for name, view in views:
            before, began = Traffic(**vars(distant.traffic)), time.perf_counter()
            failures.append((await session.visit(view)).failure)
            rows.append(_figures(f"{name}, {state}", distant, before, time.perf_counter() - began))
    return failures


def _row(name: str, distant: Distant, work: Callable[[], object]) -> Sequence[str]:
    before, began = Traffic(**vars(distant.traffic)), time.perf_counter()
    work()
    return _figures(name, distant, before, time.perf_counter() - began)


def _figures(name: str, distant: Distant, before: Traffic, seconds: float) -> Sequence[str]:
    now = distant.traffic
    size = (now.sent - before.sent + now.received - before.received) / 1e6
    counts = str(now.requests - before.requests), str(now.files - before.files)
    return name, f"{seconds:.1f}", *counts, f"{size:.1f}"
