"""How much memory the subscription cache takes: what it says, what is true, and that nobody can make it more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from pushdesk.config import CacheConfig
from pushdesk.engine.subscriptions import BATCH, NEGATIVE_SHARE
from pushdesk.storage.records import Targets
from pushdesk.storage.store import Store
from pushdesk.webpush.device_keys import CACHE_SHARE
from tests.engine.cache_memory import ask_for, cache_of, fill, measured, name
from tests.engine.population import populate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

USERS: Final = 2000


@pytest.mark.parametrize("devices", [0, 1, 3])
async def test_the_estimate_is_within_a_quarter_of_the_truth(tmp_path: Path, devices: int) -> None:
    stats, truth = await fill(tmp_path, users=USERS, devices=devices)
    assert stats.entries + stats.negative == USERS
    assert stats.size == pytest.approx(truth, rel=0.25)


async def test_the_default_holds_users_by_the_ten_thousands(tmp_path: Path) -> None:
    stats, _ = await fill(tmp_path, users=USERS, devices=1)
    assert CacheConfig().max_size * (1 - CACHE_SHARE) * (1 - NEGATIVE_SHARE) / stats.size * stats.entries > 25_000


async def test_users_that_a_stranger_makes_up_take_a_tenth_of_the_room_and_nothing_besides() -> None:
    max_size = 1_000_000
    nobody = Targets(1, ())

    async def read(users: Collection[str]) -> Mapping[str, Targets]:
        return dict.fromkeys(users, nobody)

    cache = cache_of(read, max_size)
    with measured() as taken:
        await ask_for(cache, 20_000)
        for number in range(20_000):
            cache.invalidate(f"made up {number}")
            cache.prune(f"made up {number}", number, number + 1, {"a device"})
    stats = cache.stats()
    assert stats.negative > 100
    assert stats.size <= max_size * NEGATIVE_SHARE
    assert taken.size <= max_size * NEGATIVE_SHARE * 1.25


async def test_what_is_kept_about_reads_goes_with_them(tmp_path: Path) -> None:
    async def in_turmoil(users: list[str]) -> None:
        """Look users up, of whom some change meanwhile, and some are given up."""
        waiters = [asyncio.create_task(cache.get(user)) for user in users]
        await asyncio.sleep(0)
        assert cache.stats().loading == len(users)
        for user in users[::2]:
            cache.invalidate(user)
        for waiter in waiters[::3]:
            waiter.cancel()
        await asyncio.wait(waiters)

    async with Store(tmp_path / "pushdesk.db") as store:
        await populate(store, {name(number): 1 for number in range(USERS)}, key_id="0a1b2c3d")
        # Without room for anybody, there is nothing else to be found.
        cache = cache_of(store.subscriptions.targets, max_size=0)
        await ask_for(cache, BATCH)
        with measured() as taken:
            for start in range(0, USERS, BATCH):
                await in_turmoil([name(number) for number in range(start, start + BATCH)])
            await cache.aclose()
            await asyncio.sleep(0)
    assert (cache.stats().loading, cache.stats().size) == (0, 0)
    # A number for each user would be more.
    assert taken.size < 32 * USERS
