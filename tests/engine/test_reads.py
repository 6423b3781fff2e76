"""How often devices are read while notifications are sent, counted at the database: once per user and TTL."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pushdesk.engine.lanes import IN_FLIGHT_PER_SERVICE
from pushdesk.model import Outcome, PageQuery, PushTest
from tests.engine.reads import BURST, DEVICES, NOTIFICATIONS, TTL_S, USERS, bursts, town
from tests.push_service import Device

if TYPE_CHECKING:
    from pathlib import Path


async def test_ten_thousand_notifications_read_each_users_devices_once_and_in_batches(tmp_path: Path) -> None:
    notified: Counter[str] = Counter()
    async with town(tmp_path, DEVICES, ttl_s=TTL_S) as here:
        for burst in bursts(NOTIFICATIONS):
            await here.offer(burst)
            notified.update(burst)
        await here.settled()
    assert notified.total() == NOTIFICATIONS
    assert here.reads.per_user == dict.fromkeys(notified, 1)
    assert len(here.reads.of_devices) < USERS / 5
    assert here.reads.others == []
    assert here.services.pushes.total() == sum(DEVICES[user] * count for user, count in notified.items())


async def test_each_user_is_read_once_per_ttl_however_often_it_passes(tmp_path: Path) -> None:
    expected: Counter[str] = Counter()
    read_at: dict[str, float] = {}
    async with town(tmp_path, DEVICES, ttl_s=TTL_S) as here:
        for burst in bursts(12 * BURST):
            for user in set(burst):
                if here.clock.now - read_at.get(user, 0) >= TTL_S:
                    read_at[user] = here.clock.now
                    expected[user] += 1
            await here.offer(burst)
            await here.settled()
            here.clock.advance(TTL_S / 4)
    assert max(expected.values()) == 3
    assert here.reads.per_user == expected
    assert here.reads.others == []


async def test_what_waited_in_the_database_for_a_slow_service_is_sent_without_reading_devices_again(
    tmp_path: Path,
) -> None:
    users = [user for burst in bursts(2000) for user in burst]
    async with town(tmp_path, DEVICES, ttl_s=TTL_S) as here:
        here.services.is_open.clear()
        await here.offer(users)
        await here.spread(sum(DEVICES[user] for user in users))
        stats = await here.engine.stats()
        assert [service.waiting > IN_FLIGHT_PER_SERVICE for service in stats.services] == [True] * 4
        assert stats.in_flight == 4 * IN_FLIGHT_PER_SERVICE
        here.services.is_open.set()
        await here.settled()
        assert here.reads.per_user == dict.fromkeys(users, 1)
        assert here.reads.others == []


async def test_what_waited_for_longer_than_the_ttl_has_each_user_read_once_more(tmp_path: Path) -> None:
    users = [user for burst in bursts(1500) for user in burst]
    async with town(tmp_path, DEVICES, ttl_s=TTL_S) as here:
        here.services.is_open.clear()
        await here.offer(users)
        await here.spread(sum(DEVICES[user] for user in users))
        here.reads.forget()
        here.clock.advance(TTL_S)
        here.services.is_open.set()
        await here.settled()
        assert len(here.reads.per_user) > USERS / 2
        assert set(here.reads.per_user.values()) == {1}
        assert len(here.reads.of_devices) < USERS / 5
        assert here.reads.others == []


async def test_without_the_cache_devices_are_read_again_and_again_yet_in_batches(tmp_path: Path) -> None:
    users = [user for burst in bursts(2000) for user in burst]
    async with town(tmp_path, DEVICES, ttl_s=0) as here:
        await here.offer(users)
        await here.settled()
        stats = await here.engine.stats()
    assert (stats.cache.entries, stats.cache.size) == (0, 0)
    assert here.reads.per_user.total() > 2 * len(set(users))
    assert here.reads.per_user.total() > 5 * len(here.reads.of_devices)


async def test_a_device_that_is_gone_costs_no_read(tmp_path: Path) -> None:
    async with town(tmp_path, {"ada": 2}) as here:
        await here.offer(["ada"])
        await here.settled()
        gone, left = here.services.pushes
        here.reads.forget()
        here.services.gone.add(gone)
        await here.offer(["ada"])
        await here.settled()
        await here.offer(["ada"])
        await here.settled()
        (held,) = (await here.engine.cache(PageQuery())).items
    assert here.services.pushes == {gone: 2, left: 3}
    assert held.devices == 1
    assert here.reads.of_devices == []


async def test_a_device_that_is_gone_costs_no_read_while_its_pushes_wait_in_the_database(tmp_path: Path) -> None:
    waiting = 100
    async with town(tmp_path, {"ada": 2}) as here:
        await here.offer(["ada"])
        await here.settled()
        gone, left = here.services.pushes
        here.reads.forget()
        here.services.gone.add(gone)
        here.services.is_open.clear()
        await here.offer(["ada"] * (IN_FLIGHT_PER_SERVICE + waiting))
        await here.spread(2 * (IN_FLIGHT_PER_SERVICE + waiting))
        here.services.is_open.set()
        await here.settled()
        stats = await here.engine.stats()
    assert here.services.pushes[left] == 1 + IN_FLIGHT_PER_SERVICE + waiting
    assert stats.outcomes == {
        Outcome.ACCEPTED: 2 + IN_FLIGHT_PER_SERVICE + waiting,
        Outcome.GONE: IN_FLIGHT_PER_SERVICE + waiting,
    }
    assert here.reads.of_devices == []


async def test_subscribing_costs_one_read_of_that_user(tmp_path: Path) -> None:
    users = ["ada", "bob", "cyd"]
    async with town(tmp_path, dict.fromkeys(users, 1)) as here:
        await here.offer(users)
        await here.settled()
        here.reads.forget()
        for user, name in (("ada", "new"), ("dan", "first")):
            device = Device(f"https://fcm.googleapis.com/fcm/send/{name}")
            assert (await here.engine.subscribe(user, device.request())).test is PushTest.ACCEPTED
        await here.offer([*users, "dan"] * 10)
        await here.settled()
    # The one that the test push begins with.
    assert [read.users for read in here.reads.of_devices] == [{"ada"}, {"dan"}]
    assert here.services.pushes.total() == 3 + 2 + 10 * 5
