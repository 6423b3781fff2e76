"""An engine on the bench: its clock stands still, and its database fails, hangs or lies as a test says."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from pushdesk.config import Config, PushConfig
from pushdesk.engine.engine import Engine
from pushdesk.errors import DatabaseError
from pushdesk.model import DispatchState, Notification, PageQuery
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.transport import HttpTransport
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
    from pathlib import Path

    import pytest

    from pushdesk.model import Delivery, Dispatch, Stats, Subscription
    from pushdesk.storage.records import Targets
    from tests.push_service import PushService

ACCESS_URL: Final = "http://localhost:8484"
HELLO: Final = Notification("Hello")
RETRY_S: Final = 60
"""After how long a push service asks to be tried again."""


def broken_disk() -> DatabaseError:
    return DatabaseError("The database failed: disk I/O error.")


async def done(engine: Engine, dispatch: Dispatch) -> Dispatch:
    """Wait until nothing is left to do for a dispatch."""
    async with asyncio.timeout(10), aclosing(engine.events()) as events:
        async for _ in events:
            found = await engine.dispatch(dispatch.id)
            if found.state is DispatchState.DONE:
                return found
    raise AssertionError


class Reads:
    """The cache's reads of a real database, which fail or hang for whom a test says."""

    def __init__(self, read: Callable[[Collection[str]], Awaitable[Mapping[str, Targets]]]) -> None:
        self._read = read
        self.errors: dict[str, Exception] = {}
        self.hanging: set[str] = set()
        self.let_go = asyncio.Event()
        self.hung: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    async def __call__(self, users: Collection[str]) -> Mapping[str, Targets]:
        if self.hanging & set(users):
            self.hung.put_nowait(frozenset(users))
            await self.let_go.wait()
        for user in users:
            if user in self.errors:
                raise self.errors[user]
        return await self._read(users)


class Watched:
    """A method of the store: it can be held up, fail, or fail after it has done its work."""

    def __init__(self, method: Callable[..., Awaitable[Any]]) -> None:
        self._method = method
        self.begun: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self.hold: asyncio.Event | None = None
        self.fails = False
        self.seems_to_fail = False
        """Whether the next call reports an error after it was committed."""

    async def __call__(self, *args: Any, **options: Any) -> Any:
        self.begun.put_nowait(args)
        if self.hold is not None:
            await self.hold.wait()
        if self.fails:
            raise broken_disk()
        result = await self._method(*args, **options)
        if self.seems_to_fail:
            self.seems_to_fail = False
            raise broken_disk()
        return result


@dataclass(frozen=True)
class OutboxBench:
    """What a test of the outbox works with."""

    engine: Engine
    store: Store
    service: PushService
    clock: FrozenClock
    reads: Reads
    file: Path
    monkeypatch: pytest.MonkeyPatch
    watched: list[Watched] = field(default_factory=list)

    def watch(self, method: str) -> Watched:
        """Watch a method of the outbox's table."""
        watched = Watched(getattr(self.store.outbox, method))
        self.watched.append(watched)
        self.monkeypatch.setattr(self.store.outbox, method, watched)
        return watched

    async def subscribe(self, user: str, device: str) -> Subscription:
        return (await self.engine.subscribe(user, self.service.device(device).request())).subscription

    async def waiting(self, user: str, device: str) -> Dispatch:
        """Have a delivery that is to be tried again in a minute, and its user's devices not in the cache."""
        await self.subscribe(user, device)
        self.service.answer(device, 503, headers={"Retry-After": str(RETRY_S)})
        dispatch = await self.engine.notify(user, HELLO)
        await self.delivery(dispatch, lambda delivery: delivery.attempts == 1)
        self.service.answers.clear()
        self.service.pushes.clear()
        await self.engine.invalidate_cache(user)
        return dispatch

    async def later(self, seconds: float) -> None:
        """Let time pass, and the outbox look at what is due by then."""
        self.clock.advance(seconds)
        await self.look()

    async def look(self, wait_s: float = 0) -> None:
        """Have the outbox look at what is due: whose devices must be read first waits for that."""
        await self.engine.invalidate_cache("nobody")
        await self.engine.notify("nobody", HELLO, wait_s=wait_s)

    async def delivery(self, dispatch: Dispatch, is_so: Callable[[Delivery], bool]) -> Delivery:
        """Wait until the only delivery of a dispatch is so."""
        async with asyncio.timeout(10), aclosing(self.engine.events()) as events:
            async for _ in events:
                deliveries = (await self.engine.dispatch(dispatch.id)).deliveries
                if len(deliveries) == 1 and is_so(deliveries[0]):
                    return deliveries[0]
        raise AssertionError

    async def done(self, dispatch: Dispatch) -> Dispatch:
        """Wait until nothing is left to do for a dispatch."""
        return await done(self.engine, dispatch)

    async def until(self, holds: Callable[[Stats], bool]) -> Stats:
        """Wait until the state of the server is so."""
        async with asyncio.timeout(10):
            # It is told once a second: what comes and goes in between is no event.
            while not holds(stats := await self.engine.stats()):  # noqa: ASYNC110 (see above)
                await asyncio.sleep(0.01)
        return stats

    async def failures(self) -> list[int]:
        """Return how often each subscription has failed."""
        return [subscription.failures for subscription in (await self.engine.subscriptions(PageQuery())).items]

    async def assert_at_rest(self) -> None:
        """Nothing is left to be done, and the figures say so."""
        stats = await self.engine.stats()
        assert (stats.queue, stats.in_flight) == (0, 0)
        assert self.engine._outbox.queued == 0
        assert all(service.waiting == 0 for service in stats.services)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Change or read the database behind the engine's back."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def let_go(self) -> None:
        """Hold nothing up any longer."""
        self.reads.let_go.set()
        for watched in self.watched:
            if watched.hold is not None:
                watched.hold.set()


@asynccontextmanager
async def open_bench(
    service: PushService,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    push: PushConfig = PushConfig(),  # noqa: B008 (frozen)
) -> AsyncIterator[OutboxBench]:
    clock = FrozenClock()
    file = directory / DATABASE_NAME
    origins = frozenset({service.origin})
    transport = HttpTransport(allowed_origins=origins, clock=clock.monotonic)
    async with Store(file) as store:
        reads = Reads(store.subscriptions.targets)
        monkeypatch.setattr(store.subscriptions, "targets", reads)
        config = Config(data_dir=directory, push=structs.replace(push, allow_endpoint=(service.origin,)))
        async with Engine(
            config, access_url=ACCESS_URL, store=store, transport=transport, clock=clock, uniform=min
        ) as engine:
            bench = OutboxBench(engine, store, service, clock, reads, file, monkeypatch)
            try:
                yield bench
            finally:
                bench.let_go()
    await transport.aclose()
