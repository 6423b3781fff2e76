"""How many subscriptions each VAPID key has, how a retirement goes on, and who would be lost by its end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.engine.statistics import utc
from pushdesk.errors import DatabaseError
from pushdesk.model import KeyState, Page, PageQuery, VapidKey
from pushdesk.paging import every
from pushdesk.storage.records import KeyCounts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pushdesk.clock import Clock
    from pushdesk.engine.publisher import Publisher
    from pushdesk.storage.listings import Listings

AT_ONCE_S: Final = 0.05
"""A count that takes no longer than this is made anew whenever something has changed."""
SHARE: Final = 20
"""One that takes longer is used for so many times as long as it took: counting a million takes a second."""
FEW: Final = 1000
"""So many are counted anew whenever something has changed: what takes long there is a busy machine, not the count."""
NOTHING: Final = KeyCounts({}, {})


class KeyCensus:
    """Counts what was made with each key, as often as that is not too much.

    Args:
        listings: Lists the keys.
        count: Counts.
        publisher: Knows whether anything has changed since.
        clock: For how long counting takes, and for when a retirement will end.
    """

    def __init__(
        self,
        *,
        listings: Listings,
        count: Callable[[], Awaitable[KeyCounts]],
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._listings = listings
        self._count = count
        self._publisher = publisher
        self._clock = clock
        self._counts = NOTHING
        self._good_until = 0.0
        self._counting = asyncio.Lock()

    async def page(self, query: PageQuery) -> Page[VapidKey]:
        """List keys with what was counted.

        Raises:
            PushdeskError: See `Listings.keys`.
            DatabaseError: They could not be read or counted.
        """
        page = await self._listings.keys(query)
        counts = await self.counts()
        return Page(tuple(self._with(key, counts) for key in page.items), page.next)

    async def keys(self) -> tuple[VapidKey, ...]:
        """Return every key with what was counted, or without if that could not be counted.

        Raises:
            DatabaseError: They could not be read.
        """
        try:
            counts = await self.counts()
        except DatabaseError:
            counts = NOTHING
        return tuple(self._with(key, counts) for key in await every(self._listings.keys))

    async def counts(self, *, anew: bool = False) -> KeyCounts:
        """Return how many there are, as of now or, where counting takes its time, of a while ago.

        Args:
            anew: Count now, however long it takes.

        Raises:
            DatabaseError: They could not be counted.
        """
        async with self._counting:
            if anew or (self._publisher.key_counts_are_stale and self._clock.monotonic() >= self._good_until):
                began = self._clock.monotonic()
                # Lowered before they are counted: what changes meanwhile raises it again.
                self._publisher.key_counts_are_stale = False
                try:
                    self._counts = await self._count()
                except DatabaseError:
                    self._publisher.key_counts_are_stale = True
                    raise
                took_s = self._clock.monotonic() - began
                is_quick = took_s <= AT_ONCE_S or _total(self._counts) <= FEW
                self._good_until = began + took_s + (0.0 if is_quick else SHARE * took_s)
            return self._counts

    def forget(self) -> None:
        """Count anew next time: the keys themselves have changed."""
        self._publisher.key_counts_are_stale = True
        self._good_until = 0.0

    def _with(self, key: VapidKey, counts: KeyCounts) -> VapidKey:
        bound = dict(counts.bound.get(key.id, {}))
        left = sum(bound.values())
        expected_end = None
        if key.state is KeyState.RETIRING and key.retiring_at is not None:
            expected_end = end_of(key.retiring_at, sum(key.before.values()), left, now=utc(self._clock))
        return structs.replace(
            key,
            subscriptions=left,
            services=bound,
            expected_end=expected_end,
            users_left=counts.users_left.get(key.id, 0) if key.state is KeyState.RETIRING else 0,
        )


def _total(counts: KeyCounts) -> int:
    return sum(sum(services.values()) for services in counts.bound.values())


def end_of(since: datetime, before: int, left: int, *, now: datetime) -> datetime | None:
    """Return when the last subscription will have moved on, if they go on as they did.

    Args:
        since: When there were `before` of them.
        before: How many there were.
        left: How many there are.
        now: The time.

    Returns:
        None while none has moved, and when all have.
    """
    moved, passed_s = before - left, (now - since).total_seconds()
    if moved <= 0 or left <= 0 or passed_s <= 0:
        return None
    try:
        return now + timedelta(seconds=left * passed_s / moved)
    except OverflowError:
        return None
