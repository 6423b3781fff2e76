"""Subscription caches whose memory is measured."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from pushdesk.engine.subscriptions import BATCH, SubscriptionCache
from pushdesk.storage.store import Store
from tests.engine.population import populate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from pushdesk.model import CacheStats
    from pushdesk.storage.records import Targets

    Read = Callable[[Collection[str]], Awaitable[Mapping[str, Targets]]]

ROOMY: Final = 10**9


def name(number: int) -> str:
    return f"person-{number:07}@example.com"


def cache_of(read: Read, max_size: int = ROOMY) -> SubscriptionCache:
    return SubscriptionCache(
        read,
        ttl_s=180,
        max_size=max_size,
        # The times of an entry are its own, as they are where time passes.
        monotonic=asyncio.get_running_loop().time,
        now=partial(datetime.now, UTC),
        uniform=max,
        observer=lambda *_: None,
    )


async def ask_for(cache: SubscriptionCache, users: int) -> None:
    """Have so many users looked up, in pages as the outbox has them."""
    for start in range(0, users, BATCH):
        await cache.get_many({name(number): 0 for number in range(start, min(start + BATCH, users))})
    # What the last page leaves on the event loop goes too.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


class Taken:
    """Bytes that Python's allocator has given out."""

    size = 0


@contextmanager
def measured() -> Iterator[Taken]:
    """Measure what is allocated inside and still there at the end."""
    taken = Taken()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield taken
        gc.collect()
        taken.size = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


async def fill(folder: Path, *, users: int, devices: int) -> tuple[CacheStats, int]:
    """Fill a cache from a real database with users of so many devices; return it in figures, and its true size."""
    async with Store(folder / "pushdesk.db") as store:
        await populate(store, {name(number): devices for number in range(users)}, key_id="0a1b2c3d")
        # What the first reads leave behind in the driver is no part of it.
        await ask_for(cache_of(store.subscriptions.targets), BATCH)
        with measured() as taken:
            cache = cache_of(store.subscriptions.targets)
            await ask_for(cache, users)
        return cache.stats(), taken.size
