"""Whose devices cannot be read, or are gone by now: what is for him is put off or given up, and is no push."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from pushdesk.engine import recipients
from pushdesk.engine.recipients import PUT_OFF_S, Recipients, put_off_until
from pushdesk.engine.subscriptions import JOIN_AGE_S
from pushdesk.model import DispatchKind, DispatchState, Outcome, Service, Urgency
from pushdesk.storage.records import Message, Open
from tests.engine.cache_bench import Bench, devices, soon
from tests.engine.outbox_bench import HELLO, RETRY_S, broken_disk

if TYPE_CHECKING:
    from pushdesk.model import Delivery
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log


def message(number: int, user: str) -> Message:
    return Message(
        id=f"dispatch-{number}",
        user=user,
        kind=DispatchKind.NOTIFICATION,
        title="Hello",
        plaintext=b"{}",
        urgency=Urgency.NORMAL,
        topic=None,
        subscription=None,
        accepted_at_ms=0,
        due_at_ms=0,
        expires_at_ms=60_000,
    )


def is_put_off(delivery: Delivery) -> bool:
    return delivery.outcome is Outcome.TRANSIENT


@pytest.mark.parametrize("floors", [(4, 5), (5, 4)])
async def test_the_highest_of_a_users_generations_is_asked_for(bench: OutboxBench, floors: tuple[int, int]) -> None:
    cache = Bench()
    await cache.hold("ada", devices(4, "removed", "kept"))
    await cache.hold("bob", devices(2, "tablet"))
    wanted = [Open(message(number, "ada"), floor) for number, floor in enumerate(floors)]
    finding = asyncio.create_task(
        Recipients(cache.cache, bench.store.outbox).find([*wanted, Open(message(2, "bob"), 2)])
    )
    read = await cache.read()
    read.give(devices(5, "kept"))
    found = await soon(finding)
    assert read.users == {"ada"}
    assert {user: list(mine.active) for user, mine in found.items()} == {"ada": ["kept"], "bob": ["tablet"]}


async def test_a_retry_is_put_off_while_its_users_devices_cannot_be_read_and_is_no_push(
    bench: OutboxBench, log: Log
) -> None:
    dispatch = await bench.waiting("ada", "phone")
    before, failures = await bench.engine.stats(), await bench.failures()
    bench.reads.errors["ada"] = broken_disk()
    await bench.later(RETRY_S)
    delivery = await bench.delivery(dispatch, is_put_off)
    after = await bench.engine.stats()
    assert (delivery.status, delivery.latency_ms, delivery.attempts) == (None, None, 1)
    assert delivery.next_attempt_at == after.time + timedelta(seconds=PUT_OFF_S)
    assert "could not be read" in delivery.reason
    # Only that it was to be tried again is over.
    services = tuple(structs.replace(service, retry_at=None) for service in before.services)
    assert (after.services, after.outcomes) == (services, before.outcomes)
    assert (after.in_flight, after.services[0].waiting) == (0, 1)
    assert await bench.failures() == failures == [1]
    assert bench.service.pushes == []
    (line,) = log.of("subscriptions_unread")
    assert (line["error"], line["code"]) == ("DatabaseError", "database_error")

    bench.reads.errors.clear()
    await bench.later(PUT_OFF_S)
    found = await bench.done(dispatch)
    assert [(sent.outcome, sent.status, sent.attempts) for sent in found.deliveries] == [(Outcome.ACCEPTED, 201, 2)]
    assert await bench.failures() == [0]
    await bench.assert_at_rest()


async def test_a_dispatch_is_put_off_while_its_users_devices_cannot_be_read(
    bench: OutboxBench, rests_s: asyncio.Queue[float]
) -> None:
    await bench.subscribe("ada", "phone")
    await bench.engine.invalidate_cache("ada")
    bench.service.pushes.clear()
    put_off = bench.watch("put_off")
    bench.reads.errors["ada"] = broken_disk()
    dispatch = await bench.engine.notify("ada", HELLO)
    assert await soon(put_off.begun.get()) == ([dispatch.id], put_off_until(round(bench.clock.time() * 1000)))
    while await soon(rests_s.get()) != PUT_OFF_S:
        pass
    # Nobody else waits for it.
    assert (await soon(bench.engine.notify("nobody", HELLO, wait_s=60))).state is DispatchState.DONE
    found = await bench.engine.dispatch(dispatch.id)
    assert (found.state, found.deliveries, bench.service.pushes) == (DispatchState.QUEUED, (), [])
    assert (await bench.engine.stats()).queue == 1

    bench.reads.errors.clear()
    await bench.later(PUT_OFF_S)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert put_off.begun.empty()
    await bench.assert_at_rest()


async def test_a_device_whose_fate_cannot_be_read_is_put_off_and_given_up_when_it_can(bench: OutboxBench) -> None:
    dispatch = await bench.waiting("ada", "phone")
    bench.sql("DELETE FROM subscriptions")
    lost, settle = bench.watch("lost"), bench.watch("settle")
    lost.fails = True
    settle.hold = asyncio.Event()
    await bench.later(RETRY_S)
    await soon(settle.begun.get())
    assert bench.engine.in_flight == 1
    settle.hold.set()
    delivery = await bench.delivery(dispatch, is_put_off)
    assert (delivery.status, delivery.latency_ms, delivery.attempts) == (None, None, 1)
    assert bench.engine.in_flight == 0

    lost.fails = False
    await bench.later(PUT_OFF_S)
    assert (await bench.done(dispatch)).counts == {Outcome.CANCELLED: 1}
    assert bench.service.pushes == []
    await bench.assert_at_rest()


async def test_a_device_that_is_active_again_is_looked_at_again_later_and_sent_to(bench: OutboxBench) -> None:
    dispatch = await bench.waiting("ada", "phone")
    bench.sql("UPDATE subscriptions SET state = 'gone'")
    lost = bench.watch("lost")
    lost.hold = asyncio.Event()
    await bench.later(RETRY_S)
    await soon(lost.begun.get())
    bench.sql("UPDATE subscriptions SET state = 'active'")
    lost.hold.set()
    delivery = await bench.delivery(dispatch, is_put_off)
    assert (delivery.status, delivery.latency_ms) == (None, None)
    assert delivery.next_attempt_at == (await bench.engine.stats()).time + timedelta(seconds=PUT_OFF_S)
    assert (bench.service.pushes, bench.engine.in_flight) == ([], 0)
    assert lost.begun.empty()

    await bench.engine.invalidate_cache("ada")
    await bench.later(PUT_OFF_S)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    await bench.assert_at_rest()


async def test_a_read_that_hangs_keeps_nobody_waiting_whose_devices_are_held(
    bench: OutboxBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.subscribe("held", "laptop")
    retried = await bench.waiting("hung", "phone")
    put_off = bench.watch("put_off")
    bench.reads.hanging.add("hung")
    with monkeypatch.context() as patch:
        patch.setattr(recipients, "READ_TIMEOUT_S", 0.01)
        # In one batch.
        hung, held = await soon(
            asyncio.gather(bench.engine.notify("hung", HELLO), bench.engine.notify("held", HELLO, wait_s=60))
        )
        assert (held.counts, hung.state) == ({Outcome.ACCEPTED: 1}, DispatchState.QUEUED)
        assert (await soon(put_off.begun.get()))[0] == [hung.id]
        await bench.later(RETRY_S)
        await bench.delivery(retried, is_put_off)
    assert {push.path for push in bench.service.pushes} == {"/laptop"}

    bench.reads.hanging.clear()
    # The read that hangs still does: another takes its place.
    await bench.later(PUT_OFF_S + JOIN_AGE_S)
    for dispatch in (hung, retried):
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    await bench.assert_at_rest()


async def _waiting_at_three_services(bench: OutboxBench) -> None:
    """Have a delivery to each of three services, whose users' devices cannot be read once it is due."""
    for service in (Service.FCM, Service.MOZILLA, Service.APPLE):
        await bench.waiting(service, service)
        bench.sql("UPDATE deliveries SET service = ? WHERE user = ?", service, service)
        bench.reads.hanging.add(service)


async def test_stopping_waits_for_no_read(bench: OutboxBench, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await _waiting_at_three_services(bench)
    before = bench.sql("SELECT id, outcome, reason, attempts, next_attempt_at FROM deliveries ORDER BY id")
    monkeypatch.setattr(recipients, "READ_TIMEOUT_S", 3600.0)
    await bench.later(RETRY_S)
    await soon(bench.reads.hung.get())
    assert await soon(bench.engine.drain(0)) == 0
    assert bench.engine.in_flight == 0
    assert bench.sql("SELECT count(*) FROM deliveries WHERE claim_id IS NOT NULL") == [(0,)]
    assert bench.service.pushes == []
    assert bench.sql("SELECT id, outcome, reason, attempts, next_attempt_at FROM deliveries ORDER BY id") == before
    assert log.of("subscriptions_unread") == []


async def test_stopping_waits_for_no_read_that_begins_after_it(
    bench: OutboxBench, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _waiting_at_three_services(bench)
    monkeypatch.setattr(recipients, "READ_TIMEOUT_S", 3600.0)
    claim = bench.watch("claim")
    claim.hold = asyncio.Event()
    await bench.later(RETRY_S)
    await soon(claim.begun.get())
    stopping = asyncio.create_task(bench.engine.drain(0))
    await asyncio.sleep(0)  # the task begins
    claim.hold.set()
    assert await soon(stopping) == 0
    assert claim.begun.empty()
    assert bench.sql("SELECT count(*) FROM deliveries WHERE claim_id IS NOT NULL") == [(0,)]
    assert log.of("subscriptions_unread") == []


@pytest.mark.parametrize("cached", [False, True], ids=["read together", "with one who is held"])
async def test_a_user_whose_devices_cannot_be_understood_fails_by_himself(
    bench: OutboxBench,
    log: Log,
    cached: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    await bench.subscribe("good", "laptop")
    await bench.subscribe("bad", "phone")
    bench.service.pushes.clear()
    bench.sql("UPDATE subscriptions SET service = 'x' WHERE user = 'bad'")
    await bench.engine.invalidate_cache("bad")
    if not cached:
        await bench.engine.invalidate_cache("good")
    bad, good = await soon(
        asyncio.gather(bench.engine.notify("bad", HELLO), bench.engine.notify("good", HELLO, wait_s=60))
    )
    assert good.counts == {Outcome.ACCEPTED: 1}
    assert {push.path for push in bench.service.pushes} == {"/laptop"}
    assert (await bench.engine.dispatch(bad.id)).state is DispatchState.QUEUED
    while not bench.sql("SELECT 1 FROM dispatches WHERE id = ? AND due_at > accepted_at", bad.id):  # noqa: ASYNC110
        # It is put off by a transaction that nobody is told of.
        await asyncio.sleep(0.01)
    (line,) = log.of("subscriptions_unread")
    assert line["error"] == "ValueError"
    assert "to_target" in line["where"]

    bench.sql("UPDATE subscriptions SET service = 'other'")
    await bench.later(PUT_OFF_S)
    assert (await bench.done(bad)).counts == {Outcome.ACCEPTED: 1}
    await bench.assert_at_rest()
