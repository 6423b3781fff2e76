"""One push service's bad day is nobody else's: what waits because of its lane, and what comes of it then."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.config import Config, PushConfig
from pushdesk.engine.opening import open_engine
from pushdesk.engine.stopped_keys import TRIAL_S
from pushdesk.model import LaneState, Notification, Outcome, Service
from pushdesk.storage.store import DATABASE_NAME
from tests.database_changes import change_database
from tests.engine.cache_bench import settle, soon
from tests.engine.outbox_bench import ACCESS_URL, HELLO, open_bench
from tests.push_service import PushService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.engine.engine import Engine
    from pushdesk.model import Dispatch, ServiceHealth, Stats
    from tests.engine.conftest import OpenEngine
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log

MANY = 30
AT_ONCE = 5
OURS = "BadJwtToken"
_UNCLAIMED = "SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL AND claim_id IS NULL"


async def at(bench: OutboxBench, service: Service, user: str, *devices: str) -> None:
    """Have a user with devices at a push service."""
    for device in devices:
        await bench.subscribe(user, device)
    bench.sql('UPDATE subscriptions SET service = ? WHERE "user" = ?', service, user)
    await bench.engine.invalidate_cache(user)
    bench.service.pushes.clear()


async def notify(bench: OutboxBench, user: str, times: int = 1) -> list[Dispatch]:
    return list(await asyncio.gather(*(bench.engine.notify(user, HELLO) for _ in range(times))))


def lane(stats: Stats, service: Service) -> ServiceHealth:
    return next(health for health in stats.services if health.service is service)


def paths(bench: OutboxBench) -> list[str]:
    return [push.path for push in bench.service.pushes]


def outcomes(bench: OutboxBench) -> dict[str, int]:
    """Return what became of all that was sent besides the test pushes of subscribing."""
    return dict(
        bench.sql(
            "SELECT outcome, count(*) FROM deliveries WHERE dispatch IN "
            "(SELECT id FROM dispatches WHERE kind = 'notification') GROUP BY outcome"
        )
    )


async def untouched(bench: OutboxBench) -> None:
    """Let the outbox look at what is due a few times: it claims and writes nothing."""
    claim, settle_ = bench.watch("claim"), bench.watch("settle")
    for _ in range(3):
        await bench.later(0)
        await bench.look(wait_s=10)
    assert claim.begun.empty()
    assert settle_.begun.empty()


async def broken(bench: OutboxBench) -> list[Dispatch]:
    """Have a push service fail until its lane is broken, with more waiting for it."""
    await at(bench, Service.FCM, "ada", "phone")
    bench.service.answer("phone", 500)
    failed = await notify(bench, "ada", MANY)
    await bench.until(lambda stats: stats.outcomes.get(Outcome.TRANSIENT, 0) == MANY)
    assert lane(await bench.engine.stats(), Service.FCM).state is LaneState.BROKEN
    bench.service.pushes.clear()
    return failed


async def stopped(bench: OutboxBench) -> None:
    """Have Apple refuse what is signed for three devices, and nothing of it waiting."""
    await at(bench, Service.APPLE, "ada", "one", "two", "three")
    for device in ("one", "two", "three"):
        bench.service.answer(device, 403, body=f'{{"reason": "{OURS}"}}')
    dispatch = await bench.engine.notify("ada", HELLO, wait_s=10)
    assert dispatch.counts == {Outcome.OUR_CONFIGURATION: 3}
    bench.service.pushes.clear()


@asynccontextmanager
async def three_services(tmp_path: Path) -> AsyncIterator[tuple[Engine, dict[Service, PushService]]]:
    """Run an engine with a user at each of three push services that are really there."""
    async with PushService() as fcm, PushService() as mozilla, PushService() as apple:
        services = {Service.FCM: fcm, Service.MOZILLA: mozilla, Service.APPLE: apple}
        origins = tuple(service.origin for service in services.values())
        push = PushConfig(allow_endpoint=origins, concurrency=AT_ONCE)
        async with open_engine(Config(data_dir=tmp_path, push=push), access_url=ACCESS_URL) as engine:
            for name, service in services.items():
                await engine.subscribe(name, service.device("phone").request())
                await change_database(
                    tmp_path / DATABASE_NAME,
                    f"UPDATE subscriptions SET service = '{name}' WHERE \"user\" = '{name}'",  # noqa: S608 (names of ours)
                )
                await engine.invalidate_cache(name)
                service.pushes.clear()
            yield engine, services


async def test_a_silent_service_keeps_nobody_waiting_but_its_own(tmp_path: Path) -> None:
    async with three_services(tmp_path) as (engine, services):
        silent = services.pop(Service.FCM)
        silent.hold = asyncio.Event()
        for _ in range(MANY):
            await engine.notify(Service.FCM, HELLO)
        sent = [await engine.notify(name, HELLO, wait_s=30) for _ in range(MANY) for name in services]
        assert all(dispatch.counts == {Outcome.ACCEPTED: 1} for dispatch in sent)
        # It holds as many as it may, and has answered none: all others have got everything meanwhile.
        assert [len(service.pushes) for service in (silent, *services.values())] == [AT_ONCE, MANY, MANY]
        assert lane(await engine.stats(), Service.FCM).in_flight == AT_ONCE
        silent.hold.set()
        await soon(silent.wait_for_pushes(MANY))


async def test_a_service_that_resets_every_connection_is_left_alone_and_nobody_else_is(tmp_path: Path) -> None:
    async with three_services(tmp_path) as (engine, services):
        services[Service.FCM].broken.add("/phone")
        for _ in range(MANY):
            for name in services:
                await engine.notify(name, HELLO)
        for name in (Service.MOZILLA, Service.APPLE):
            await soon(services[name].wait_for_pushes(MANY))
        health = lane(await engine.stats(), Service.FCM)
        async with aclosing(engine.events()) as events:
            while health.state is not LaneState.BROKEN or health.in_flight:
                await anext(events)
                health = lane(await engine.stats(), Service.FCM)
        assert health.waiting == MANY
        assert "closed the connection" in health.reason
        for name in (Service.MOZILLA, Service.APPLE):
            assert lane(await engine.stats(), name).state is LaneState.OPEN


async def test_a_429_holds_that_subscription_for_all_messages_to_it_and_nobody_else(bench: OutboxBench) -> None:
    await at(bench, Service.FCM, "ada", "phone", "laptop")
    bench.service.answer("phone", 429, headers={"Retry-After": "60"})
    (first,) = await notify(bench, "ada")
    await bench.until(lambda stats: stats.outcomes.get(Outcome.THROTTLED) == 1)
    (second,) = await notify(bench, "ada")
    # With the test pushes of subscribing.
    await bench.until(lambda stats: stats.outcomes.get(Outcome.ACCEPTED) == 4)
    assert sorted(paths(bench)) == ["/laptop", "/laptop", "/phone"]
    waiting = [item for item in (await bench.engine.dispatch(second.id)).deliveries if not item.outcome.is_settled]
    assert [(item.outcome, item.attempts) for item in waiting] == [(Outcome.WAITING, 0)]
    assert "leave this device alone" in waiting[0].reason
    assert waiting[0].next_attempt_at == (await bench.engine.stats()).time + timedelta(seconds=60)
    await untouched(bench)

    bench.service.answers.clear()
    await bench.later(60)
    for dispatch in (first, second):
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 2}
    await bench.assert_at_rest()


@pytest.mark.parametrize("asked", ["31536000", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_who_asks_to_wait_for_longer_than_a_message_is_kept_is_asked_once_more_before_its_end(
    bench: OutboxBench, asked: str
) -> None:
    await at(bench, Service.FCM, "ada", "phone")
    bench.service.answer("phone", 429, headers={"Retry-After": asked})
    dispatch = await bench.engine.notify("ada", Notification("Hello", ttl=60))
    delivery = await bench.delivery(dispatch, lambda delivery: delivery.attempts == 1)
    assert delivery.next_attempt_at == delivery.at + timedelta(seconds=59)
    assert delivery.outcome is Outcome.THROTTLED
    assert "longer than this is kept" in delivery.reason
    other = await bench.engine.notify("ada", Notification("Another", ttl=60))
    await bench.later(59)
    found = await bench.done(dispatch)
    assert [(item.outcome, item.attempts) for item in found.deliveries] == [(Outcome.EXPIRED, 2)]
    assert (await bench.done(other)).counts == {Outcome.EXPIRED: 1}
    await bench.assert_at_rest()


@pytest.mark.parametrize("garbage", ["soon", "-5", "1e3"])
async def test_a_wait_that_cannot_be_read_is_noted_and_ignored(bench: OutboxBench, garbage: str) -> None:
    await at(bench, Service.FCM, "ada", "phone")
    bench.service.answer("phone", 429, body="Slow down", headers={"Retry-After": garbage})
    (dispatch,) = await notify(bench, "ada")
    delivery = await bench.delivery(dispatch, lambda delivery: delivery.attempts == 1)
    assert delivery.reason == "Slow down For how long it asks to wait cannot be read, and is ignored."
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at - delivery.at <= timedelta(seconds=10)


async def test_three_throttled_devices_throttle_their_service_and_no_other(bench: OutboxBench, log: Log) -> None:
    await at(bench, Service.FCM, "ada", "one", "two", "three", "four")
    await at(bench, Service.MOZILLA, "bob", "laptop")
    for name, seconds in (("one", 30), ("two", 60), ("three", 40)):
        bench.service.answer(name, 429, headers={"Retry-After": str(seconds)})
    await notify(bench, "ada")
    stats = await bench.until(lambda stats: stats.outcomes.get(Outcome.THROTTLED) == 3)
    throttled = lane(stats, Service.FCM)
    assert (throttled.state, throttled.until) == (LaneState.THROTTLED, stats.time + timedelta(seconds=60))
    (line,) = log.of("lane_changed")
    assert (line["service"], line["state"]) == ("fcm", "throttled")
    bench.service.answers.clear()
    bench.service.pushes.clear()
    (waiting,) = await notify(bench, "ada")
    assert (await bench.engine.notify("bob", HELLO, wait_s=10)).counts == {Outcome.ACCEPTED: 1}
    await untouched(bench)
    assert paths(bench) == ["/laptop"]
    await bench.later(60)
    assert (await bench.done(waiting)).counts == {Outcome.ACCEPTED: 4}
    assert lane(await bench.engine.stats(), Service.FCM).state is LaneState.OPEN


async def test_a_broken_service_is_asked_one_at_a_time_and_all_the_rest_waits_untouched(bench: OutboxBench) -> None:
    failed = await broken(bench)
    failed += await notify(bench, "ada")
    await untouched(bench)
    assert bench.service.pushes == []
    bench.service.hold = asyncio.Event()
    await bench.later(5)
    await soon(bench.service.wait_for_pushes(1))
    await untouched(bench)
    assert len(bench.service.pushes) == 1
    bench.service.hold.set()
    await bench.until(lambda stats: stats.in_flight == 0)
    # The trial failed: twice as long until the next one.
    await bench.later(9)
    await untouched(bench)
    assert len(bench.service.pushes) == 1
    bench.service.answers.clear()
    await bench.later(1)
    for dispatch in failed:
        await bench.done(dispatch)
    assert len(bench.service.pushes) == 1 + len(failed)
    assert outcomes(bench) == {Outcome.ACCEPTED: len(failed)}
    await bench.assert_at_rest()


async def test_a_reset_asks_a_broken_service_at_once(bench: OutboxBench) -> None:
    failed = await broken(bench)
    bench.service.answers.clear()
    bench.clock.advance(1)
    assert (await bench.engine.reset_service(Service.FCM)).state is LaneState.OPEN
    for dispatch in failed:
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}


async def test_what_was_at_hand_when_a_service_is_paused_goes_back_and_what_is_under_way_ends(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=AT_ONCE)) as bench:
        await at(bench, Service.FCM, "ada", "phone")
        bench.service.hold = asyncio.Event()
        sent = await notify(bench, "ada", MANY)
        await soon(bench.service.wait_for_pushes(AT_ONCE))
        await bench.until(lambda stats: stats.in_flight == MANY)
        paused = await bench.engine.pause_service(Service.FCM)
        assert (paused.state, paused.since, paused.until) == (LaneState.PAUSED, (await bench.engine.stats()).time, None)
        await bench.until(lambda stats: stats.in_flight == AT_ONCE)
        assert bench.sql(_UNCLAIMED) == [(MANY - AT_ONCE,)]
        bench.service.hold.set()
        await bench.until(lambda stats: stats.in_flight == 0)
        await untouched(bench)
        assert (len(bench.service.pushes), outcomes(bench)) == (
            AT_ONCE,
            {Outcome.ACCEPTED: AT_ONCE, Outcome.WAITING: MANY - AT_ONCE},
        )
        assert (await bench.engine.resume_service(Service.FCM)).state is LaneState.OPEN
        for dispatch in sent:
            assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
        await bench.assert_at_rest()


async def test_a_pause_outlives_a_restart(start: OpenEngine, service: PushService) -> None:
    async with start() as first:
        await first.subscribe("ada", service.device("phone").request())
        service.pushes.clear()
        since = (await first.pause_service(Service.OTHER)).since
        dispatch = await first.notify("ada", HELLO)
    async with start() as second:
        health = lane(await second.stats(), Service.OTHER)
        assert (health.state, health.reason) == (LaneState.PAUSED, "An operator paused it.")
        assert since is not None
        assert health.since is not None
        assert abs(health.since - since) <= timedelta(seconds=1)
        assert any("resume other" in warning for warning in (await second.stats()).warnings)
        assert (await second.notify("nobody", HELLO, wait_s=10)).deliveries == ()
        assert service.pushes == []
        await second.resume_service(Service.OTHER)
        await soon(service.wait_for_pushes(1))
    async with start() as third:
        assert [health.state for health in (await third.stats()).services if health.service is Service.OTHER] in (
            [],
            [LaneState.OPEN],
        )
        assert (await third.dispatch(dispatch.id)).user == "ada"


async def test_a_key_that_is_refused_as_our_mistake_is_not_used_there_and_others_are(
    bench: OutboxBench, log: Log
) -> None:
    await stopped(bench)
    key = bench.engine.public_key().id
    await bench.engine.rotate_key(confirm="rotate")
    await at(bench, Service.APPLE, "bob", "new")
    await at(bench, Service.FCM, "eve", "elsewhere")
    bench.sql("UPDATE subscriptions SET key_id = ? WHERE user = 'eve'", key)
    await bench.engine.invalidate_cache("eve")
    (waiting,) = await notify(bench, "ada")
    for user in ("bob", "eve"):
        assert (await bench.engine.notify(user, HELLO, wait_s=10)).counts == {Outcome.ACCEPTED: 1}
    await untouched(bench)
    assert paths(bench) == ["/new", "/elsewhere"]
    found = await bench.engine.dispatch(waiting.id)
    assert found.counts == {Outcome.WAITING: 3}
    assert all(key in delivery.reason and OURS in delivery.reason for delivery in found.deliveries)
    stats = await bench.engine.stats()
    ((name, since, until),) = [(stop.key, stop.since, stop.until) for stop in lane(stats, Service.APPLE).stopped]
    assert (name, since, until) == (key, stats.time, stats.time + timedelta(seconds=TRIAL_S))
    assert any("services reset apple" in warning for warning in stats.warnings)
    (line,) = log.of("key_stopped")
    assert (line["service"], line["key"]) == ("apple", key)


async def test_of_what_waits_for_a_stopped_key_one_is_tried_and_the_rest_is_not_touched(bench: OutboxBench) -> None:
    await stopped(bench)
    waiting = await notify(bench, "ada", 5)
    for _ in range(2):
        bench.service.pushes.clear()
        await bench.later(TRIAL_S)
        await soon(bench.service.wait_for_pushes(1))
        await bench.until(lambda stats: stats.in_flight == 0)
        await untouched(bench)
        assert len(bench.service.pushes) == 1
    assert outcomes(bench) == {Outcome.OUR_CONFIGURATION: 5, Outcome.WAITING: 13}
    bench.service.answers.clear()
    await bench.later(TRIAL_S)
    for dispatch in waiting:
        await bench.done(dispatch)
    assert outcomes(bench) == {Outcome.OUR_CONFIGURATION: 5, Outcome.ACCEPTED: 13}
    await bench.assert_at_rest()


async def test_a_reset_makes_what_waits_for_a_stopped_key_due_at_once(
    bench: OutboxBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.engine.worker.BATCH", 2)
    await stopped(bench)
    waiting = await notify(bench, "ada", 5)
    await untouched(bench)
    bench.service.answers.clear()
    assert (await bench.engine.reset_service(Service.APPLE)).stopped == ()
    for dispatch in waiting:
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 3}
    await bench.assert_at_rest()


async def test_what_waits_for_a_stopped_key_is_found_again_after_a_restart(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        await stopped(bench)
        (waiting,) = await notify(bench, "ada")
        await untouched(bench)
    service.answers.clear()
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        assert (await bench.done(waiting)).counts == {Outcome.ACCEPTED: 3}


async def test_what_waits_for_a_stopped_key_expires_with_its_ttl(bench: OutboxBench) -> None:
    await stopped(bench)
    dispatch = await bench.engine.notify("ada", Notification("Hello", ttl=60))
    await untouched(bench)
    await bench.later(60)
    assert (await bench.done(dispatch)).counts == {Outcome.EXPIRED: 3}
    assert bench.service.pushes == []


async def test_no_more_start_than_the_rate_allows(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(rate=2)) as bench:
        await at(bench, Service.FCM, "ada", "phone")
        await notify(bench, "ada", 5)
        for second in range(4):
            await soon(bench.service.wait_for_pushes(1 + second))
            await settle()
            assert len(bench.service.pushes) == 1 + second
            await bench.later(0.5)


async def test_what_has_not_begun_when_the_server_stops_waits_for_the_next_start(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=AT_ONCE)) as bench:
        await at(bench, Service.FCM, "ada", "phone")
        bench.service.hold = asyncio.Event()
        sent = await notify(bench, "ada", MANY)
        await bench.until(lambda stats: stats.in_flight == MANY)
        draining = asyncio.create_task(bench.engine.drain(10))
        await settle()
        bench.service.hold.set()
        assert await soon(draining) == 0
        assert outcomes(bench) == {Outcome.ACCEPTED: AT_ONCE, Outcome.WAITING: MANY - AT_ONCE}
        assert bench.sql("SELECT count(*) FROM deliveries WHERE claim_id IS NOT NULL") == [(0,)]
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        for dispatch in sent:
            await bench.done(dispatch)
    assert len(service.pushes) == MANY
