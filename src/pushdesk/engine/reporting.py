"""The state of the server, put together when somebody asks, and told when it has changed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk import __version__
from pushdesk.engine.statistics import utc
from pushdesk.errors import DatabaseError
from pushdesk.log import write
from pushdesk.log_events import StatsFailed
from pushdesk.log_fields import Failure
from pushdesk.model import LOOK_UPS, CacheChange, Stats
from pushdesk.webpush.vapid import subscriber_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.brakes import Brakes
    from pushdesk.engine.carrier import Carrier
    from pushdesk.engine.keyring import Keyring
    from pushdesk.engine.lanes import Lanes
    from pushdesk.engine.outbox import Outbox
    from pushdesk.engine.pressure import Pressure
    from pushdesk.engine.publisher import Publisher
    from pushdesk.engine.statistics import Statistics
    from pushdesk.engine.subscriptions import SubscriptionCache
    from pushdesk.storage.store import Store

TICK_S: Final = 1.0
"""How often the state of the server is looked at, and told if it has changed."""


class Reporter:
    """Knows the state of an engine."""

    def __init__(
        self,
        *,
        store: Store,
        keyring: Keyring,
        outbox: Outbox,
        cache: SubscriptionCache,
        statistics: Statistics,
        lanes: Lanes,
        brakes: Brakes,
        pressure: Pressure,
        carrier: Carrier,
        publisher: Publisher,
        access_url: str,
        subscriber: str,
        sends: bool,
        standing_warnings: Sequence[str],
        clock: Clock,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._outbox = outbox
        self._cache = cache
        self._statistics = statistics
        self._lanes = lanes
        self._brakes = brakes
        self._pressure = pressure
        self._carrier = carrier
        self._publisher = publisher
        self._access_url = access_url
        self._subscriber = subscriber
        self._sends = sends
        self._standing_warnings = standing_warnings
        self._clock = clock
        self._started_at = utc(clock)
        self._totals = (0, 0)
        self._counting = asyncio.Lock()
        self._ending = asyncio.Event()

    async def stats(self) -> Stats:
        """Return the state of the server.

        Raises:
            DatabaseError: It could not be read.
        """
        users, subscriptions = await self._counted()
        key = self._keyring.current
        return Stats(
            time=utc(self._clock),
            version=__version__,
            url=self._access_url,
            started_at=self._started_at,
            storage=self._store.description,
            key_id=key.id,
            key_created_at=key.created_at,
            users=users,
            subscriptions=subscriptions,
            queue=self._queue,
            in_flight=self._outbox.in_flight,
            outcomes=dict(self._statistics.outcomes),
            sends_per_s=self._statistics.history.sends_per_s(),
            p95_ms=self._statistics.history.p95_ms(),
            services=self._brakes.told(self._lanes.told(self._statistics.services())),
            cache=self._cache.stats(),
            senders=self._carrier.stats(),
            sends=self._sends,
            refusing=tuple(self._pressure.reasons()),
            warnings=self._warnings(),
        )

    def end(self) -> None:
        """Let `run` end."""
        self._ending.set()

    async def run(self) -> None:
        """Watch the state until the end: remember it, and tell of it when it has changed."""
        # Each by itself: the history goes on while the database does not answer.
        await asyncio.gather(self._remember(), self._tell())

    async def _remember(self) -> None:
        while not self._ending.is_set():
            counts = self._cache.stats().counts
            self._statistics.history.looked(
                queue=self._queue,
                cache_hits=counts.get(CacheChange.HIT, 0),
                cache_lookups=sum(counts.get(change, 0) for change in LOOK_UPS),
            )
            await self._tick()

    async def _tell(self) -> None:
        last: Stats | None = None
        while not self._ending.is_set():
            try:
                stats = await self.stats()
            except Exception as error:  # noqa: BLE001 (the next tick may fare better; /readyz tells what is wrong)
                write(StatsFailed(Failure.of(error)))
            else:
                if last is None or structs.replace(stats, time=last.time) != last:
                    last = stats
                    self._publisher.stats_changed(stats)
            await self._tick()

    async def _tick(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):
                await self._ending.wait()

    @property
    def _queue(self) -> int:
        return self._outbox.queued + self._outbox.runs.left + self._statistics.waiting.total()

    def _warnings(self) -> tuple[str, ...]:
        refusals = [f"Nothing more is accepted. {reason}" for reason in self._pressure.reasons().values()]
        found = [*self._standing_warnings, *refusals, *self._carrier.warnings()]
        found += [*self._brakes.warnings(), *self._lanes.warnings()]
        if (problem := subscriber_problem(self._subscriber)) is not None:
            found.append(f"Apple will refuse pushes: {problem} Set subscriber in [push] to a mailto: address of yours.")
        if not self._access_url.startswith("https:"):
            found.append(
                f"{self._access_url} is not https: browsers subscribe on this machine only. "
                "For others, set --access-url to an https address."
            )
        return tuple(found)

    async def _counted(self) -> tuple[int, int]:
        async with self._counting:
            if self._publisher.totals_are_stale:
                # Lowered before they are counted: what changes meanwhile raises it again.
                self._publisher.totals_are_stale = False
                try:
                    self._totals = await self._store.subscriptions.totals()
                    if self._brakes.are_on:
                        self._brakes.held = await self._store.brakes.held()
                except DatabaseError:
                    self._publisher.totals_are_stale = True
                    raise
        return self._totals
