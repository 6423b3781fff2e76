"""A world for the outbox: a real database, push services that answer when they are told to, and a power switch."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from sqlalchemy import Engine as Database
from sqlalchemy import event

from pushdesk.config import Config
from pushdesk.engine.dispatcher import TEST_NOTIFICATION
from pushdesk.engine.engine import Engine
from pushdesk.model import Service
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.services import FaultKind
from pushdesk.webpush.transport import PushAnswer, TransportFault
from tests.push_service import Device

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from pushdesk.webpush.request import PushRequest

FCM: Final = "https://fcm.googleapis.com/fcm/send/"
MOZILLA: Final = "https://updates.push.services.mozilla.com/wpush/v2/"
OWNERS: Final = {f"{FCM}phone": "ada", f"{MOZILLA}laptop": "ada", f"{FCM}pad": "ada", f"{FCM}tablet": "bob"}
"""Endpoints of devices, with whose they are."""
AT_FIRST: Final = tuple(OWNERS)[:2] + tuple(OWNERS)[3:]
"""Those that are there from the beginning."""
NO_ANSWER: Final = 0
"""In place of a status: the connection is lost."""
LONG_S: Final = 30.0


def service_of(endpoint: str) -> Service:
    return Service.MOZILLA if endpoint.startswith(MOZILLA) else Service.FCM


class SteppingClock:
    """Stands still until it is moved; its wall time can be set."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.wall = 1_800_000_000.0

    def time(self) -> float:
        return self.wall + self.passed

    def monotonic(self) -> float:
        return self.passed


class Answer(NamedTuple):
    """What a push service says."""

    status: int
    retry_after: str | None = None


@dataclass(eq=False)
class Push:
    """A push that is under way, and when it began by each clock."""

    dispatch: str
    endpoint: str
    topic: str | None
    time: float
    monotonic: float
    answered: asyncio.Future[Answer]


class Services:
    """The transport of one life of the server: what it posts waits until it is answered, but for the test push."""

    def __init__(self, devices: dict[str, Device], clock: SteppingClock) -> None:
        self._devices = devices
        self._clock = clock
        self.posted: list[Push] = []
        self.pending: list[Push] = []

    async def post(self, request: PushRequest) -> PushAnswer:
        shown = self._devices[request.endpoint].decrypt(request.body)["notification"]
        if shown["title"] == TEST_NOTIFICATION.title:
            return PushAnswer(201, {}, b"", 0.0)
        push = Push(
            shown["data"]["id"],
            request.endpoint,
            request.headers.get("Topic"),
            self._clock.time(),
            self._clock.monotonic(),
            asyncio.get_running_loop().create_future(),
        )
        self.posted.append(push)
        self.pending.append(push)
        try:
            answer = await push.answered
        finally:
            self.pending.remove(push)
        if answer.status == NO_ANSWER:
            raise TransportFault(FaultKind.RESET)
        headers = {} if answer.retry_after is None else {"retry-after": answer.retry_after}
        return PushAnswer(answer.status, headers, b"", 0.0)

    async def aclose(self) -> None:
        pass


class World:
    """The server, its clock and its push services; `crash` takes the power away at a moment."""

    def __init__(self, directory: Path, devices: dict[str, Device], *, seed: int = 1) -> None:
        self._directory = directory
        self._devices = devices
        self._lives = 0
        self._running = AsyncExitStack()
        # The same ids every time: what is of the same moment is in their order.
        self._chance = Random(seed)  # noqa: S311 (no secrets)
        self.clock = SteppingClock()
        self.services = Services(devices, self.clock)

    @property
    def file(self) -> Path:
        return self._directory / str(self._lives) / DATABASE_NAME

    async def start(self) -> Self:
        self.services = Services(self._devices, self.clock)
        self.file.parent.mkdir(exist_ok=True)
        store = await self._running.enter_async_context(Store(self.file))
        self.engine = await self._running.enter_async_context(
            Engine(
                Config(data_dir=self.file.parent),
                access_url="http://localhost:8484",
                store=store,
                transport=self.services,
                clock=self.clock,
                uniform=min,
                random_bytes=self._chance.randbytes,
            )
        )
        return self

    async def stop(self) -> None:
        await self._running.aclose()

    async def subscribe(self, endpoint: str) -> str:
        """Have a device, with its test push accepted; returns its subscription's id."""
        subscribed = await self.engine.subscribe(OWNERS[endpoint], self._devices[endpoint].request())
        return subscribed.subscription.id

    async def crash(self, commits: int, work: Coroutine[Any, Any, None] | None = None) -> bool:
        """Start again with what was committed when the power went, and nothing else.

        Args:
            commits: It goes after so many more commits, just before the next one; or when there is nothing left to do.
            work: What somebody does meanwhile; it is not heard of any more.

        Returns:
            Whether `work` was done before.
        """
        working = None if work is None else asyncio.create_task(work)
        left = itertools.count(commits, -1)
        kept: list[bool] = []

        def keep(_connection: object = None) -> None:
            if not kept and next(left) <= 0:
                kept.append(working is not None and working.done())
                self._copy()

        event.listen(Database, "commit", keep)
        try:
            await asyncio.sleep(0)
            async with asyncio.timeout(LONG_S):
                while not kept and (  # noqa: ASYNC110 (as with `idle`)
                    self._is_busy() or (working is not None and not working.done())
                ):
                    await asyncio.sleep(0)
        finally:
            event.remove(Database, "commit", keep)
        while not kept:
            keep()
        await self._running.aclose()
        if working is not None:
            working.cancel()
            await asyncio.wait((working,))
        self._running = AsyncExitStack()
        self._lives += 1
        await self.start()
        return kept[0]

    def _copy(self) -> None:
        """Keep what is committed, for the next life."""
        next_one = self._directory / str(self._lives + 1) / DATABASE_NAME
        next_one.parent.mkdir()
        with closing(sqlite3.connect(self.file)) as old, closing(sqlite3.connect(next_one)) as new:
            old.backup(new)

    async def look(self) -> None:
        """Let the outbox look at what is due now, and do all that can be done."""
        self.engine._outbox._wake()
        await self.idle()

    async def idle(self) -> None:
        """Wait until nothing happens any more but by an answer, by time or by somebody's asking."""
        async with asyncio.timeout(LONG_S):
            while self._is_busy():  # noqa: ASYNC110 (many things at once, of which most tell nobody)
                await asyncio.sleep(0)

    def _is_busy(self) -> bool:
        outbox = self.engine._outbox
        worker = outbox._worker
        in_line = sum(len(line) for lines in worker._pusher._senders._waiting.values() for line in lines)
        unanswered = sum(not push.answered.done() for push in self.services.pending)
        return bool(
            outbox._acceptance._incoming._waiting
            or outbox._settling._outgoing._waiting
            or outbox._stock.books.locked()
            or worker.looking.locked()
            or worker._awake.is_set()
            or len(worker._attempts) != unanswered + in_line
        )

    def sql(self, statement: str) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(self.file)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(statement).fetchall()


class Template(NamedTuple):
    """What every world begins with."""

    directory: Path
    devices: dict[str, Device]
    subscriptions: dict[str, str]
    """Endpoint -> id, of those that are there."""

    def copy_to(self, directory: Path) -> None:
        (directory / "0").mkdir()
        shutil.copyfile(self.directory / "0" / DATABASE_NAME, directory / "0" / DATABASE_NAME)


async def make_template(directory: Path) -> Template:
    """Make the database that every world begins with."""
    devices: dict[str, Any] = {endpoint: Device(endpoint) for endpoint in OWNERS}
    world = await World(directory, devices, seed=0).start()
    subscriptions = {endpoint: await world.subscribe(endpoint) for endpoint in AT_FIRST}
    await world.stop()
    return Template(directory, devices, subscriptions)
