"""The subscription cache when subscriptions change: nobody is given less than is known to exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.engine.statistics import utc
from pushdesk.engine.subscriptions import JOIN_AGE_S, TRIES
from pushdesk.errors import DatabaseError
from pushdesk.model import CacheChange, Discarded
from pushdesk.storage.records import Raised, Targets
from tests.engine.cache_bench import NOBODY, ONE, TTL_S, Bench, answers, devices, settle, soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.engine.subscriptions import SubscriptionCache


async def test_what_is_held_is_read_again_when_something_newer_is_known_of() -> None:
    bench = Bench()
    await bench.hold(targets=devices(4, "phone"))
    assert await bench.cache.get("ada", floor=4) == devices(4, "phone")
    waiter = bench.ask(floor=5)
    (await bench.read()).give(devices(5, "laptop"))
    assert await soon(waiter) == devices(5, "laptop")


async def test_a_joiner_is_not_given_less_than_it_asked_for() -> None:
    bench = Bench()
    first, second = bench.ask(), bench.ask(floor=2)
    (await bench.read()).give(devices(1, "phone"))
    (await bench.read()).give(devices(2, "laptop"))
    assert await answers(first, second) == [devices(1, "phone"), devices(2, "laptop")]
    assert bench.entries()[0].generation == 2


async def test_a_database_that_stays_behind_is_an_error_with_a_hint_after_three_tries() -> None:
    bench = Bench(answer=ONE)
    with pytest.raises(DatabaseError) as raised:
        await bench.cache.get("ada", floor=2)
    assert raised.value.hint
    assert len(bench.read_users) == TRIES == 3
    # Whoever asks next has it read again: it may have caught up.
    assert bench.entries() == ()


async def test_pruned_devices_are_gone_without_a_read_and_the_entry_ends_when_it_would_have() -> None:
    bench = Bench()
    await bench.hold(targets=devices(1, "phone", "laptop", "tablet"))
    bench.clock.advance(50)
    bench.cache.prune("ada", 1, 4, {"phone", "tablet", "unheard-of"})
    assert await bench.cache.get("ada", floor=4) == devices(4, "laptop")
    (entry,) = bench.entries()
    assert (entry.generation, entry.devices, entry.age_s, entry.time_left_s) == (4, 1, 50, TTL_S - 50)
    assert len(bench.read_users) == 1


@pytest.mark.parametrize("held", [devices(2, "phone", "laptop"), devices(5, "phone", "laptop"), Targets(2, ())])
async def test_what_is_not_as_it_was_before_devices_were_removed_is_dropped(held: Targets) -> None:
    bench = Bench()
    await bench.hold(targets=held)
    bench.cache.prune("ada", 3, 4, {"phone"})
    assert bench.entries() == ()
    assert bench.changes == [(CacheChange.INVALIDATED, "ada", None)]


async def test_pruning_what_is_not_held_does_nothing() -> None:
    bench = Bench()
    bench.cache.prune("ada", 1, 2, {"phone"})
    assert (bench.entries(), bench.told) == ((), [])


async def test_a_user_whose_last_device_is_pruned_is_one_without_devices() -> None:
    bench = Bench()
    await bench.hold()
    bench.cache.prune("ada", 1, 2, {"phone"})
    assert await bench.cache.get("ada", floor=2) == Targets(2, ())
    assert (bench.cache.stats().entries, bench.cache.stats().negative) == (0, 1)


@pytest.mark.parametrize(
    "forget",
    [
        lambda cache: cache.invalidate("ada"),
        lambda cache: cache.prune("ada", 1, 2, {"phone"}),
        lambda cache: cache.clear(),
        lambda cache: cache.follow([Raised("ada", 1, 2, None)], is_certain=True),
        lambda cache: cache.follow([Raised("ada", 1, 2, frozenset({"phone"}))], is_certain=True),
        lambda cache: cache.follow([Raised("ada", 1, 2, frozenset({"phone"}))], is_certain=False),
    ],
    ids=["invalidate", "prune", "clear", "a change", "a removal", "a removal that is not certain"],
)
async def test_a_read_that_a_change_overtook_is_neither_joined_nor_stored(
    forget: Callable[[SubscriptionCache], object],
) -> None:
    bench = Bench()
    before = bench.ask()
    old = await bench.read()
    forget(bench.cache)
    assert bench.cache.stats().loading == 0
    after = bench.ask()
    await settle()
    old.give(devices(1, "phone"))
    (await bench.read()).give(devices(2, "laptop"))
    assert await answers(before, after) == [devices(1, "phone"), devices(2, "laptop")]
    assert await bench.cache.get("ada") == devices(2, "laptop")


async def test_the_last_read_that_was_discarded_is_told_with_what_is_held_instead() -> None:
    bench = Bench()
    assert bench.cache.stats().last_discarded is None
    waiter = bench.ask()
    read = await bench.read()
    bench.cache.invalidate("ada")
    bench.clock.advance(3)
    read.give(devices(17, "phone"))
    await soon(waiter)
    assert bench.cache.stats().last_discarded == Discarded(utc(bench.clock), "ada", read=17, current=None)
    waiter = bench.ask()
    read = await bench.read()
    bench.clock.advance(JOIN_AGE_S + 1)
    await bench.hold(targets=devices(18, "laptop"))
    read.give(devices(17, "phone"))
    await soon(waiter)
    discarded = bench.cache.stats().last_discarded
    assert discarded == Discarded(utc(bench.clock), "ada", read=17, current=18)
    # What is stored discards nothing.
    bench.clock.advance(1)
    await bench.hold("bob")
    assert bench.cache.stats().last_discarded == discarded


async def test_a_change_that_took_devices_away_is_followed_without_a_read_if_it_is_certain() -> None:
    bench = Bench()
    removal = Raised("ada", 1, 2, frozenset({"phone"}))
    await bench.hold(targets=devices(1, "phone", "laptop"))
    bench.cache.follow([removal], is_certain=True)
    assert await bench.cache.get("ada", floor=2) == devices(2, "laptop")
    bench.cache.follow([Raised("ada", 2, 3, frozenset({"laptop"}))], is_certain=False)
    assert bench.entries() == ()
    await bench.hold(targets=devices(3, "phone"))
    bench.cache.follow([Raised("bob", 0, 5, None), Raised("ada", 3, 5, None)], is_certain=True)
    assert bench.entries() == ()


async def test_invalidating_tells_whether_anything_was_held() -> None:
    bench = Bench()
    await bench.hold("ada")
    await bench.hold("bob", NOBODY)
    assert [bench.cache.invalidate(user) for user in ("ada", "ada", "bob", "cyd")] == [True, False, True, False]


async def test_clearing_drops_everything_and_tells_how_many_users_were_held() -> None:
    bench = Bench()
    await bench.hold("ada")
    await bench.hold("bob", NOBODY)
    assert bench.cache.clear() == 2
    assert bench.entries() == ()
    assert bench.cache.stats().size == 0
    assert bench.cache.clear() == 0
