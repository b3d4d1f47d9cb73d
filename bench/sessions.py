"""Readers of a dashboard without a browser: random walks over its pages, by Streamlit's own protocol.

A rerun is one `BackMsg` with the page and the query string; the server answers with `ForwardMsg`s up to
`script_finished`. Like a browser, a session remembers large elements for two runs and says so, and the server then
sends a reference instead.
"""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from dashboard.shell import navigation
from dashboard.shell.url_state import HOME
from store import Run

TITLES: dict[str, str] = {page.name: page.title for page in navigation.PAGES}
PAGES: tuple[str, ...] = tuple(TITLES)
TIMEOUT = 120.0  # seconds for one rerun
REMEMBERED_RUNS = 2  # Streamlit's global.maxCachedMessageAge


@dataclass(frozen=True)
class View:
    """A page and its query string."""

    page: str
    query: str


class Walk:
    """A reader of one run, from a seed: every page once, in random order, then every page again, and so on.

    At each click the epoch and the variant change with even chances; class, image and pinned state are chosen again or
    dropped. So the caches are used as by a reader who looks at something new each time.
    """

    def __init__(self, run: Run, seed: int, *, pages: tuple[str, ...] = PAGES) -> None:
        self._run, self._random, self._pages = run, np.random.default_rng(seed), pages
        self._coming: list[str] = []
        self._state = {"run": run.path.name}
        self._classes = [str(identifier) for identifier in run.classes["id"]]

    def next(self) -> View:
        """The next view."""
        run, random = self._run, self._random
        self._coming = self._coming or [str(page) for page in random.permutation(self._pages)]
        page = self._coming.pop()
        choices = {
            "epoch": (0.5, str(random.choice(run.epochs))),
            "variant": (0.5, str(random.choice(run.variants))),
            "class": (0.75, str(random.choice(self._classes))),
            "image": (0.75, str(random.integers(len(run.labels)))),
            "pin": (0.75, f"{random.choice(run.epochs)}.{random.choice(run.variants)}"),
        }
        for name, (chance, value) in choices.items():
            if random.random() < chance:
                self._state[name] = value
            elif name not in ("epoch", "variant"):
                self._state.pop(name, None)
        is_cell = page == "confusion" and "class" in self._state
        return View(page, urlencode(self._state | ({"prediction": random.choice(self._classes)} if is_cell else {})))


@dataclass(frozen=True)
class Rerun:
    """What one rerun took: seconds until the script had finished, bytes received, what failed ('': nothing).

    processor: seconds of the server's processor time up to the next click; of this session only where it is alone.
    """

    view: View
    seconds: float
    size: int
    failure: str
    processor: float = 0.0


@dataclass
class Session:
    """A reader's session, from `open_session`."""

    connection: ClientConnection
    addresses: dict[str, str] = field(default_factory=dict)  # page -> Streamlit's number for it
    remembered: dict[str, int] = field(default_factory=dict)  # element -> the run that last had it
    runs: int = 0

    async def visit(self, view: View) -> Rerun:
        """Ask for a page and wait until its script has finished.

        Raises:
            TimeoutError: not within two minutes.
        """
        self.runs += 1
        message = self._request(view).SerializeToString()
        began = time.perf_counter()
        async with asyncio.timeout(TIMEOUT):
            await self.connection.send(message)
            size, failures, finished = 0, [], False
            while not finished:
                raw = await self.connection.recv()
                size += len(raw)
                received = ForwardMsg.FromString(raw)
                failures += self._note(received)
                # A script that asks for another run of itself finishes early; the other run is waited for.
                early = ForwardMsg.FINISHED_EARLY_FOR_RERUN
                finished = received.WhichOneof("type") == "script_finished" and received.script_finished != early
        seconds = time.perf_counter() - began
        oldest = self.runs - REMEMBERED_RUNS
        self.remembered = {element: run for element, run in self.remembered.items() if run > oldest}
        return Rerun(view, seconds, size, "; ".join(failures))

    def _request(self, view: View) -> BackMsg:
        message = BackMsg()
        message.rerun_script.query_string = view.query
        if view.page in self.addresses:
            message.rerun_script.page_script_hash = self.addresses[view.page]
        else:
            message.rerun_script.page_name = "" if view.page == HOME else view.page
        message.rerun_script.cached_message_hashes.extend(self.remembered)
        return message

    def _note(self, received: ForwardMsg) -> list[str]:
        """Remember what a message brings, and return what it says went wrong."""
        kind = received.WhichOneof("type")
        if kind == "navigation":
            pages = received.navigation.app_pages
            self.addresses = {page.url_pathname or HOME: page.page_script_hash for page in pages}
        elif kind == "ref_hash":
            self.remembered[received.ref_hash] = self.runs
        elif kind == "page_not_found":
            return [f"no page '{received.page_not_found.page_name}'"]
        elif received.metadata.cacheable:
            self.remembered[received.hash] = self.runs
        if kind == "delta" and received.delta.new_element.WhichOneof("type") == "exception":
            shown = received.delta.new_element.exception
            return [f"{shown.type}: {shown.message}"]
        return []


@asynccontextmanager
async def open_session(url: str) -> AsyncIterator[Session]:
    """A new session with the dashboard at `url`; closed at the end of the block."""
    target = f"ws://{urlsplit(url).netloc}/_stcore/stream"
    async with connect(target, subprotocols=["streamlit"], max_size=None, ping_interval=None) as connection:  # type: ignore[list-item]
        yield Session(connection)


async def visit_all(url: str, views: Sequence[View]) -> list[Rerun]:
    """The reruns of one session that visits some views without a pause."""
    async with open_session(url) as session:
        return [await session.visit(view) for view in views]


async def visit_at_once(
    url: str, walks: Sequence[Walk], *, clicks: int, pauses: tuple[float, float], processor: Callable[[], float]
) -> list[Rerun]:
    """The reruns of as many sessions at once as there are walks, each of the same number of clicks.

    A session's first page is not counted: it brings the connection up.

    Args:
        pauses: fewest and most seconds between an answer and the session's next click.
        processor: the server's processor time so far, seconds.
    """

    async def visit(number: int, walk: Walk) -> list[Rerun]:
        waits = np.random.default_rng(number).uniform(*pauses, clicks + 1)
        await asyncio.sleep(waits[-1] * number / len(walks))
        reruns = []
        async with open_session(url) as session:
            await session.visit(walk.next())
            for wait in waits[:-1]:
                before = processor()
                rerun = await session.visit(walk.next())
                await asyncio.sleep(wait)
                reruns.append(replace(rerun, processor=processor() - before))
        return reruns

    gathered = await asyncio.gather(*(visit(number, walk) for number, walk in enumerate(walks)))
    return [rerun for reruns in gathered for rerun in reruns]


# -- the server's process ---------------------------------------------------------------------------------------------


def memory(process_id: int) -> tuple[float, float]:
    """Resident memory in MB: the process's own (anonymous), and mapped from files (shared with the page cache)."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Rss")}
    return sizes["RssAnon"], sizes["RssFile"]


def processor_seconds(process_id: int) -> float:
    """Processor time used so far, all threads, to the microsecond."""
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(process_id, ctypes.byref(clock)):
        raise RuntimeError(f"The dashboard's process {process_id} has ended.")
    return time.clock_gettime(clock.value)


def has_library(process_id: int, name: str) -> bool:
    """Whether a shared library whose name starts so is in the process: proof that a module was loaded."""
    lines = Path(f"/proc/{process_id}/maps").read_text().splitlines()
    return any(Path(line.split()[-1]).name.startswith(name) for line in lines if "/" in line)
