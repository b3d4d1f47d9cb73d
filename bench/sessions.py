"""A browser's side of Streamlit's protocol without the browser: sessions that visit pages and time the server.

A rerun is one `BackMsg` with the page and the query string; the server predictions with `ForwardMsg`s up to
`script_finished`. Like a browser, a session remembers large elements for two runs and says so, and the server then
sends a reference instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from bench.walk import HOME, View, Walk

TIMEOUT = 120.0  # seconds for one rerun
REMEMBERED_RUNS = 2  # Streamlit's global.maxCachedMessageAge


@dataclass(frozen=True)
class Answer:
    """What one rerun took.

    Attributes:
        view: what was asked for.
        seconds: until the script had finished.
        size: bytes received.
        failure: what went wrong, '' where nothing did.
        processor: seconds of the server's processor time up to the next click; of this session alone only where there
            is no other.
    """

    view: View
    seconds: float
    size: int
    failure: str
    processor: float = 0.0


@dataclass
class Session:
    """A reader's session; made by `opened`."""

    connection: ClientConnection
    addresses: dict[str, str] = field(default_factory=dict)  # page -> Streamlit's number for it
    remembered: dict[str, int] = field(default_factory=dict)  # element -> the run that last had it
    runs: int = 0

    async def visit(self, view: View) -> Answer:
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
                finished = _ends(received)
        seconds = time.perf_counter() - began
        oldest = self.runs - REMEMBERED_RUNS
        self.remembered = {element: run for element, run in self.remembered.items() if run > oldest}
        return Answer(view, seconds, size, "; ".join(failures))

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
        kind = received.WhichOneof("type")
        if kind == "navigation":
            self.addresses = {
                page.url_pathname or HOME: page.page_script_hash for page in received.navigation.app_pages
            }
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


def _ends(received: ForwardMsg) -> bool:
    # A script that asks for another run of itself finishes early; the wait goes on until that other run is done.
    early = ForwardMsg.FINISHED_EARLY_FOR_RERUN
    return received.WhichOneof("type") == "script_finished" and received.script_finished != early


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Session]:
    """A new session with the server at host:port; closed at the end of the block."""
    target = f"ws://{address}/_stcore/stream"
    async with connect(target, subprotocols=["streamlit"], max_size=None, ping_interval=None) as connection:  # type: ignore[list-item]
        yield Session(connection)


async def visit_all(address: str, views: Sequence[View]) -> list[Answer]:
    """One session's predictions to some views, one after the other without a pause."""
    async with opened(address) as session:
        return [await session.visit(view) for view in views]


async def load(
    address: str,
    walks: Sequence[Walk],
    *,
    clicks: int,
    think: tuple[float, float],
    processor: Callable[[], float] = float,
) -> list[Answer]:
    """Predictions of as many sessions at once as there are walks.

    A session's first page is not counted: it brings the connection up.

    Args:
        address: host:port of the server.
        walks: where each session goes.
        clicks: how many each makes.
        think: fewest and most seconds between a prediction and the session's next click.
        processor: the server's processor time so far, seconds.
    """

    async def one(number: int, walk: Walk) -> list[Answer]:
        pauses = np.random.default_rng(number).uniform(*think, clicks + 1)
        await asyncio.sleep(pauses[-1] * number / len(walks))
        predictions = []
        async with opened(address) as session:
            await session.visit(walk.next())
            for pause in pauses[:-1]:
                before = processor()
                prediction = await session.visit(walk.next())
                await asyncio.sleep(pause)
                predictions.append(replace(prediction, processor=processor() - before))
        return predictions

    gathered = await asyncio.gather(*(one(number, walk) for number, walk in enumerate(walks)))
    return [prediction for predictions in gathered for prediction in predictions]
