"""A real engine on a real database, with every read of devices counted. The push services take whatever comes."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Engine as Database
from sqlalchemy import event

from pushdesk.config import CacheConfig, Config
from pushdesk.engine.engine import Engine
from pushdesk.model import Notification, SubscriptionState
from pushdesk.storage.key_bindings import ENDED
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.transport import PushAnswer
from tests.clocks import FrozenClock
from tests.engine.population import populate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from pathlib import Path

    from pushdesk.webpush.request import PushRequest

ACCESS_URL: Final = "https://desk.example"
HELLO: Final = Notification("Hello", body="Something happened that you wanted to know of.")
NOTIFICATIONS: Final = 10_000
USERS: Final = 500
DEVICES: Final = {f"user-{number}": 1 + number % 3 for number in range(USERS)}
BURST: Final = 500
"""Notifications that are offered at once."""
TTL_S: Final = CacheConfig().ttl_s
_READS_SUBSCRIPTIONS: Final = re.compile(r"SELECT\b.*\b(?:FROM|JOIN) subscriptions\b", re.DOTALL)

_OTHER_PARAMETERS: Final = frozenset({1, SubscriptionState.ACTIVE.value, *ENDED})


class Read(NamedTuple):
    """One statement of `Subscriptions.targets`."""

    at: float
    """The clock when it began."""
    users: frozenset[str]


class Reads:
    """Which statements looked at the table of subscriptions, and whose devices they asked for."""

    def __init__(self, clock: FrozenClock) -> None:
        self._clock = clock
        self.of_devices: list[Read] = []
        self.others: list[str] = []
        """Statements that read the table for anything else."""

    def __call__(self, *args: Any) -> None:
        _connection, _cursor, statement, parameters, _context, _many = args
        if "AS last_generation" in statement:
            self.of_devices.append(Read(self._clock.now, frozenset(parameters) - _OTHER_PARAMETERS))
        elif _READS_SUBSCRIPTIONS.match(statement):
            self.others.append(statement)

    @property
    def per_user(self) -> Counter[str]:
        """How often each user's devices were read."""
        return Counter(user for read in self.of_devices for user in read.users)

    def forget(self) -> None:
        """Count from now on."""
        self.of_devices.clear()
        self.others.clear()


class OpenGate:
    """A transport to push services that accept at once, unless they are closed; counts what they get."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.gone: set[str] = set()
        """Endpoints that are answered with 410."""
        self.pushes: Counter[str] = Counter()

    async def post(self, request: PushRequest) -> PushAnswer:
        await self.is_open.wait()
        self.pushes[request.endpoint] += 1
        return PushAnswer(410 if request.endpoint in self.gone else 201, {}, b"", 0.0)

    async def aclose(self) -> None:
        pass


class Town:
    """Users with devices, the engine that notifies them, and what that read."""

    def __init__(
        self, store: Store, engine: Engine, devices: Mapping[str, int], services: OpenGate, clock: FrozenClock
    ) -> None:
        self.store = store
        self.engine = engine
        self.devices = devices
        self.services = services
        self.clock = clock
        self.reads = Reads(clock)

    async def offer(self, users: Sequence[str]) -> None:
        """Notify users, all at once, as an application does that has many requests under way."""
        await asyncio.gather(*[self.engine.accept(user, HELLO) for user in users])

    async def settled(self) -> None:
        """Wait until nothing is left to do."""
        async with aclosing(self.engine.events()) as events:
            async for _ in events:
                stats = await self.engine.stats()
                if stats.queue == stats.in_flight == 0:
                    return

    async def spread(self, deliveries: int) -> None:
        """Wait until so many deliveries are under way or wait to be claimed, and no dispatch is unspread."""
        async with aclosing(self.engine.events()) as events:
            async for _ in events:
                stats = await self.engine.stats()
                if stats.queue == sum(service.waiting for service in stats.services) == deliveries:
                    return


def bursts(notifications: int) -> Iterator[list[str]]:
    """Yield whom to notify: some users ten times as often as others."""
    chance = random.Random(1)  # noqa: S311 (the same ones every time)
    weights = [1 + number % 10 for number in range(USERS)]
    for _ in range(0, notifications, BURST):
        yield chance.choices(list(DEVICES), weights, k=BURST)


@asynccontextmanager
async def town(folder: Path, devices: Mapping[str, int], *, ttl_s: int = TTL_S) -> AsyncIterator[Town]:
    """Run an engine for users with so many devices each; what it reads is counted from its start on."""
    clock = FrozenClock()
    services = OpenGate()
    config = Config(data_dir=folder, cache=CacheConfig(ttl_s=ttl_s))
    async with (
        Store(folder / DATABASE_NAME) as store,
        Engine(
            config,
            access_url=ACCESS_URL,
            store=store,
            transport=services,
            clock=clock,
            uniform=min,
        ) as engine,
    ):
        await populate(store, devices, key_id=engine.public_key().id)
        running = Town(store, engine, devices, services, clock)
        # Counts the totals of the overview, which else happens at some moment or other.
        await engine.stats()
        with _listening(running.reads):
            yield running


@contextmanager
def _listening(reads: Reads) -> Iterator[None]:
    event.listen(Database, "before_cursor_execute", reads)
    try:
        yield
    finally:
        event.remove(Database, "before_cursor_execute", reads)
