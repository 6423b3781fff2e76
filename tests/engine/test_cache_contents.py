"""What the subscription cache holds, in how much room, and what it tells of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from pushdesk.engine.subscriptions import NEGATIVE_SHARE, NEGATIVE_TTL_S
from pushdesk.errors import DatabaseError
from pushdesk.model import LOOK_UPS, CacheChange
from pushdesk.storage.records import Targets
from tests.engine.cache_bench import NOBODY, ONE, TTL_S, Bench, devices, settle, soon

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


async def test_the_least_recently_used_gives_way_when_there_is_no_more_room() -> None:
    plain = Bench()
    await plain.hold("anna")
    room = plain.cache.stats().size * 3
    bench = Bench(max_size=round(room / (1 - NEGATIVE_SHARE)))
    for user in ("anna", "bert", "cara"):
        await bench.hold(user)
    await bench.cache.get("anna")
    # To look at what is held is not to use it.
    bench.entries()
    bench.told.clear()
    await bench.hold("dora", devices(1, "phone"))
    assert [entry.user for entry in bench.entries()] == ["dora", "anna", "cara"]
    # Pruning makes room, and is no use either.
    bench.cache.prune("cara", 1, 2, {"no-device"})
    waiter = bench.ask("emil")
    (await bench.read()).give(devices(1, "phone", "laptop"))
    await soon(waiter)
    assert [(change, user) for change, user, _ in bench.told if change is CacheChange.EVICTED] == [
        (CacheChange.EVICTED, "cara"),
        (CacheChange.EVICTED, "anna"),
    ]
    assert [entry.user for entry in bench.entries()] == ["emil", "dora"]
    assert bench.cache.stats().size <= room


async def test_what_is_larger_than_all_the_room_there_is_is_served_and_not_kept() -> None:
    bench = Bench(max_size=1000)
    waiter = bench.ask()
    (await bench.read()).give(devices(1, "phone", "laptop"))
    assert await soon(waiter) == devices(1, "phone", "laptop")
    assert (bench.entries(), bench.cache.stats().size) == ((), 0)


async def test_users_without_devices_take_no_room_from_those_with() -> None:
    bench = Bench(max_size=50_000)
    await bench.hold("ada")
    for number in range(50):
        await bench.hold(f"stranger-{number}", NOBODY)
    stats = bench.cache.stats()
    assert 0 < stats.negative < 50
    assert stats.size <= 50_000 * NEGATIVE_SHARE + bench.entries()[0].size
    assert await bench.cache.get("ada") is ONE


async def test_entries_and_figures_show_what_is_held() -> None:
    bench = Bench(max_size=123_456)
    await bench.hold("ada", devices(7, "phone", "laptop"))
    bench.clock.advance(20)
    await bench.hold("bob", Targets(9, ()))
    bench.clock.advance(1)
    await bench.cache.get("ada")
    ada, bob = bench.entries()
    assert (ada.user, ada.generation, ada.devices, ada.age_s, ada.time_left_s) == ("ada", 7, 2, 21, TTL_S - 21)
    assert (bob.user, bob.generation, bob.devices, bob.age_s, bob.time_left_s) == ("bob", 9, 0, 1, NEGATIVE_TTL_S - 1)
    stats = bench.cache.stats()
    assert (stats.ttl_s, stats.max_size, stats.size) == (TTL_S, 123_456, ada.size + bob.size)
    assert (stats.entries, stats.negative, stats.loading, stats.reads) == (1, 1, 0, 2)
    assert stats.counts == {CacheChange.MISS: 2, CacheChange.STORED: 2, CacheChange.HIT: 1}
    bench.clock.advance(1000)
    assert [entry.time_left_s for entry in bench.entries()] == [0, 0]


async def test_what_was_handed_out_does_not_change_with_the_cache() -> None:
    bench = Bench()
    await bench.hold(targets=devices(1, "phone", "laptop"))
    handed_out, stats = await bench.cache.get("ada"), bench.cache.stats()
    bench.cache.prune("ada", 1, 2, {"phone"})
    assert handed_out == devices(1, "phone", "laptop")
    assert CacheChange.PRUNED not in stats.counts


async def test_who_waits_for_a_read_that_is_too_old_has_looked_once() -> None:
    bench = Bench()
    waiter = bench.ask(floor=2)
    (await bench.read()).give(devices(1, "phone"))
    (await bench.read()).give(devices(2, "phone"))
    assert await soon(waiter) == devices(2, "phone")
    counts = bench.cache.stats().counts
    assert sum(counts.get(change, 0) for change in LOOK_UPS) == 1
    assert (counts[CacheChange.STORED], counts[CacheChange.INVALIDATED]) == (2, 1)


Told: TypeAlias = "list[tuple[CacheChange, str, int | None]]"
"""What is told in a scenario: of whom, and the generation that is held after it."""


async def _hit(bench: Bench) -> Told:
    await bench.hold()
    await bench.cache.get("ada")
    return [(CacheChange.HIT, "ada", 1)]


async def _miss(bench: Bench) -> Told:
    waiter = bench.ask()
    await bench.read()
    waiter.cancel()
    return [(CacheChange.MISS, "ada", None)]


async def _expired(bench: Bench) -> Told:
    await bench.hold()
    bench.clock.advance(TTL_S)
    bench.ask()
    await bench.read()
    return [(CacheChange.EXPIRED, "ada", None)]


async def _outdated(bench: Bench) -> Told:
    await bench.hold()
    bench.ask(floor=2)
    await bench.read()
    return [(CacheChange.OUTDATED, "ada", None)]


async def _joined(bench: Bench) -> Told:
    bench.ask()
    await bench.read()
    bench.ask()
    await settle()
    return [(CacheChange.MISS, "ada", None), (CacheChange.JOINED, "ada", None)]


async def _stored(bench: Bench) -> Told:
    waiter = bench.ask()
    (await bench.read()).give()
    await soon(waiter)
    return [(CacheChange.MISS, "ada", None), (CacheChange.STORED, "ada", 1)]


async def _discarded(bench: Bench) -> Told:
    waiter = bench.ask()
    read = await bench.read()
    bench.cache.invalidate("ada")
    read.give()
    await soon(waiter)
    return [(CacheChange.MISS, "ada", None), (CacheChange.DISCARDED, "ada", None)]


async def _invalidated(bench: Bench) -> Told:
    await bench.hold()
    bench.cache.invalidate("ada")
    bench.cache.invalidate("bob")
    return [(CacheChange.INVALIDATED, "ada", None)]


async def _pruned(bench: Bench) -> Told:
    await bench.hold()
    bench.cache.prune("ada", 1, 4, {"phone"})
    return [(CacheChange.PRUNED, "ada", 4)]


async def _evicted(bench: Bench) -> Told:
    await bench.hold("large", devices(1, *map(str, range(11))))
    await bench.hold("user", devices(2, *map(str, range(11))))
    bench.told.clear()
    waiter = bench.ask()
    (await bench.read()).give()
    await soon(waiter)
    return [(CacheChange.MISS, "ada", None), (CacheChange.EVICTED, "large", None), (CacheChange.STORED, "ada", 1)]


async def _cleared(bench: Bench) -> Told:
    await bench.hold()
    bench.cache.clear()
    return [(CacheChange.CLEARED, "", None)]


async def _failed(bench: Bench) -> Told:
    waiter = bench.ask()
    (await bench.read()).fail(DatabaseError("The database failed."))
    with pytest.raises(DatabaseError):
        await soon(waiter)
    return [(CacheChange.MISS, "ada", None), (CacheChange.FAILED, "ada", None)]


SCENARIOS: Final[dict[CacheChange, Callable[[Bench], Coroutine[Any, Any, Told]]]] = {
    CacheChange.HIT: _hit,
    CacheChange.MISS: _miss,
    CacheChange.EXPIRED: _expired,
    CacheChange.OUTDATED: _outdated,
    CacheChange.JOINED: _joined,
    CacheChange.STORED: _stored,
    CacheChange.DISCARDED: _discarded,
    CacheChange.INVALIDATED: _invalidated,
    CacheChange.PRUNED: _pruned,
    CacheChange.EVICTED: _evicted,
    CacheChange.CLEARED: _cleared,
    CacheChange.FAILED: _failed,
}


@pytest.mark.parametrize("change", list(CacheChange))
async def test_each_kind_of_change_is_counted_and_told_with_what_is_held_after_it(change: CacheChange) -> None:
    # Room for two users with many devices.
    bench = Bench(max_size=15_000)
    told = await SCENARIOS[change](bench)
    assert change in {kind for kind, _, _ in told}
    assert bench.changes == told
    assert bench.cache.stats().counts[change] == 1
