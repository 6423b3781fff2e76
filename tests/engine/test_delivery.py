"""From a notification to its outcome, over real HTTP."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.engine.lanes import IN_FLIGHT_PER_SERVICE
from pushdesk.errors import PayloadTooLargeError, PushdeskError
from pushdesk.model import (
    DispatchKind,
    DispatchState,
    Notification,
    Outcome,
    PageQuery,
    SubscriptionState,
    Urgency,
)

if TYPE_CHECKING:
    from pushdesk.engine.engine import Engine
    from pushdesk.model import Dispatch
    from tests.engine.conftest import OpenEngine
    from tests.push_service import Device, PushService

WAIT_S = 10.0


async def subscribe(engine: Engine, service: PushService, name: str, user: str = "ada") -> Device:
    device = service.device(name)
    await engine.subscribe(user, device.request())
    return device


async def until_done(engine: Engine, dispatch: str) -> Dispatch:
    """Wait for an event with nothing left to do for the dispatch."""
    async with aclosing(engine.events()) as events:
        async for _ in events:
            found = await engine.dispatch(dispatch)
            if found.state is DispatchState.DONE:
                return found
    raise AssertionError


async def test_a_notification_arrives_as_it_was_asked_for(engine: Engine, service: PushService) -> None:
    device = await subscribe(engine, service, "one")
    notification = Notification("Hello", body="wörld", url="/chat/1", topic="chat 1", ttl=60, urgency=Urgency.HIGH)
    dispatch = await engine.notify("ada", notification, wait_s=WAIT_S)
    assert (dispatch.state, dispatch.counts) == (DispatchState.DONE, {Outcome.ACCEPTED: 1})
    push = service.pushes[-1]
    message = device.decrypt(push.body)
    assert message["web_push"] == 8030
    assert message["notification"]["title"] == "Hello"
    assert message["notification"]["body"] == "wörld"
    assert message["notification"]["navigate"] == "http://localhost:8484/chat/1"
    assert message["notification"]["data"]["id"] == dispatch.id
    assert push.headers["Urgency"] == "high"
    assert 1 <= int(push.headers["TTL"]) <= 60
    assert len(push.headers["Topic"]) == 32
    assert push.headers["Content-Encoding"] == "aes128gcm"
    assert push.headers["Content-Type"] == "application/octet-stream"
    assert push.headers["Authorization"].startswith("vapid t=")


async def test_gone_device_is_disabled_while_a_sibling_fails_and_another_succeeds(
    engine: Engine, service: PushService
) -> None:
    for name in ("fine", "gone", "broken"):
        await subscribe(engine, service, name)
    service.answer("gone", 410)
    service.answer("broken", 400, body="what is this?")
    dispatch = await engine.notify("ada", Notification("Hello"), wait_s=WAIT_S)
    assert dispatch.counts == {Outcome.ACCEPTED: 1, Outcome.GONE: 1, Outcome.REFUSED: 1}
    assert "what is this?" in {delivery.reason for delivery in dispatch.deliveries}
    listed = await engine.subscriptions(PageQuery())
    assert sorted(item.state for item in listed.items) == [
        SubscriptionState.ACTIVE,
        SubscriptionState.ACTIVE,
        SubscriptionState.GONE,
    ]
    pushes = len(service.pushes)
    again = await engine.notify("ada", Notification("Hello"), wait_s=WAIT_S)
    assert again.counts == {Outcome.ACCEPTED: 1, Outcome.REFUSED: 1}
    assert len(service.pushes) == pushes + 2


async def test_notifying_nobody_is_done_without_deliveries(engine: Engine) -> None:
    dispatch = await engine.notify("nobody", Notification("Hello"), wait_s=WAIT_S)
    assert (dispatch.state, dispatch.deliveries) == (DispatchState.DONE, ())


async def test_without_waiting_the_dispatch_is_queued_and_can_be_looked_up(
    engine: Engine, service: PushService
) -> None:
    await subscribe(engine, service, "one")
    service.hold = asyncio.Event()
    dispatch = await engine.notify("ada", Notification("Hello"))
    assert dispatch.state is DispatchState.QUEUED
    await service.wait_for_pushes(2)
    found = await engine.dispatch(dispatch.id)
    assert (found.state, found.counts) == (DispatchState.SENDING, {Outcome.WAITING: 1})
    service.hold.set()


async def test_a_failing_service_is_tried_again_later(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    service.answer("one", 503, headers={"Retry-After": "3600"})
    dispatch = await engine.notify("ada", Notification("Hello"), wait_s=0.5)
    (delivery,) = dispatch.deliveries
    assert (delivery.outcome, delivery.status, delivery.attempts) == (Outcome.THROTTLED, 503, 1)
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at - delivery.at >= timedelta(seconds=3599)
    assert dispatch.state is DispatchState.SENDING


async def test_what_cannot_be_tried_again_within_its_ttl_is_expired(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    service.answer("one", 503)
    dispatch = await engine.notify("ada", Notification("Hello", ttl=1), wait_s=WAIT_S)
    (delivery,) = dispatch.deliveries
    assert delivery.outcome is Outcome.EXPIRED
    assert "TTL" in delivery.reason


async def test_a_retry_that_is_due_is_sent(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    service.answer("one", 503)
    waiting = asyncio.create_task(engine.notify("ada", Notification("Hello"), wait_s=30))
    await service.wait_for_pushes(2)
    service.answers.clear()
    dispatch = await waiting
    (delivery,) = dispatch.deliveries
    assert delivery.outcome is Outcome.ACCEPTED
    assert delivery.attempts >= 2


async def test_what_was_accepted_and_not_sent_is_sent_after_a_restart(start: OpenEngine, service: PushService) -> None:
    async with start() as first:
        await subscribe(first, service, "one")
        service.hold = asyncio.Event()
        dispatch = await first.notify("ada", Notification("Hello"))
        await service.wait_for_pushes(2)
        # The engine is left with the push in flight, as a crash would leave it.
    service.hold.set()
    service.hold = None
    async with start() as second:
        await service.wait_for_pushes(3)
        found = await until_done(second, dispatch.id)
        assert found.counts == {Outcome.ACCEPTED: 1}


async def test_draining_lets_what_is_in_flight_end(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    service.hold = asyncio.Event()
    dispatch = await engine.notify("ada", Notification("Hello"))
    await service.wait_for_pushes(2)
    draining = asyncio.create_task(engine.drain(WAIT_S))
    await asyncio.sleep(0)  # the task begins
    with pytest.raises(PushdeskError) as refused:
        await engine.notify("ada", Notification("Too late"))
    assert refused.value.code == "queue_full"
    service.hold.set()
    assert await draining == 0
    assert (await engine.dispatch(dispatch.id)).counts == {Outcome.ACCEPTED: 1}


async def test_each_device_is_signed_for_with_the_key_it_subscribed_with(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "old")
    old = engine.public_key()
    await engine.rotate_key(confirm="rotate")
    await subscribe(engine, service, "new")
    assert engine.public_key() != old
    service.pushes.clear()
    await engine.notify("ada", Notification("Hello"), wait_s=WAIT_S)
    keys = {push.path: push.headers["Authorization"].partition("k=")[2] for push in service.pushes}
    assert keys == {"/old": old.public_key, "/new": engine.public_key().public_key}


async def test_a_token_is_signed_once_and_used_again(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    for _ in range(3):
        await engine.notify("ada", Notification("Hello"), wait_s=WAIT_S)
    assert len({push.headers["Authorization"] for push in service.pushes}) == 1


async def test_a_message_over_the_limit_is_refused_with_both_numbers(engine: Engine) -> None:
    with pytest.raises(PayloadTooLargeError, match=r"3993") as refused:
        await engine.notify("ada", Notification("x", body="é" * 2000))
    assert refused.value.status == 413
    assert (await engine.dispatches(PageQuery())).items == ()


async def test_a_repeated_idempotency_key_returns_the_first_dispatch(engine: Engine) -> None:
    first = await engine.accept("ada", Notification("Hello"), idempotency_key="k")
    again = await engine.accept("ada", Notification("Hello"), idempotency_key="k", wait_s=WAIT_S)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.dispatch.id == first.dispatch.id
    with pytest.raises(PushdeskError) as conflict:
        await engine.accept("ada", Notification("Other"), idempotency_key="k")
    assert conflict.value.code == "idempotency_conflict"
    assert len((await engine.dispatches(PageQuery())).items) == 1


async def test_a_scheduled_notification_waits_for_its_time(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    tomorrow = (await engine.stats()).time + timedelta(days=1)
    dispatch = await engine.notify("ada", Notification("Hello", send_at=tomorrow), wait_s=0.2)
    assert (dispatch.state, dispatch.deliveries) == (DispatchState.SCHEDULED, ())
    assert (await engine.stats()).queue == 1


async def test_many_accepted_at_once_are_all_delivered(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    dispatches = await asyncio.gather(
        *(engine.notify("ada", Notification(f"Number {number}"), wait_s=30) for number in range(300))
    )
    assert all(dispatch.counts == {Outcome.ACCEPTED: 1} for dispatch in dispatches)
    assert len(service.pushes) == 301
    stats = await engine.stats()
    assert (stats.queue, stats.outcomes[Outcome.ACCEPTED]) == (0, 301)


async def test_the_test_push_of_a_user_without_devices_says_so_and_is_no_dispatch(engine: Engine) -> None:
    with pytest.raises(PushdeskError) as missing:
        await engine.test("nobody")
    assert missing.value.code == "subscription_not_found"
    assert (await engine.dispatches(PageQuery())).items == ()


async def test_the_test_push_can_be_for_one_device(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    await subscribe(engine, service, "two")
    wanted = await engine.find_subscription("ada", service.device("two").endpoint)
    service.pushes.clear()
    (delivery,) = await engine.test("ada", wanted.id)
    assert (delivery.subscription, delivery.outcome) == (wanted.id, Outcome.ACCEPTED)
    assert [push.path for push in service.pushes] == ["/two"]
    (dispatch,) = (await engine.dispatches(PageQuery(limit=1))).items
    assert dispatch.kind is DispatchKind.TEST


async def test_an_engine_can_be_left_as_soon_as_it_is_entered(start: OpenEngine) -> None:
    for _ in range(20):
        async with start():
            pass


async def test_a_burst_over_what_may_be_in_flight_is_delivered_to_its_end(engine: Engine, service: PushService) -> None:
    for name in ("one", "two", "three"):
        await subscribe(engine, service, name)
    before = len(service.pushes)
    dispatches = await asyncio.gather(*(engine.notify("ada", Notification(f"Number {n}")) for n in range(500)))
    await service.wait_for_pushes(before + 3 * len(dispatches))
    found = [await until_done(engine, dispatch.id) for dispatch in dispatches]
    assert all(dispatch.counts == {Outcome.ACCEPTED: 3} for dispatch in found)
    assert (await engine.stats()).queue == 0


async def test_a_service_that_hangs_takes_no_room_from_another(engine: Engine, service: PushService) -> None:
    await subscribe(engine, service, "one")
    service.hold = asyncio.Event()
    for number in range(IN_FLIGHT_PER_SERVICE + 50):
        await engine.notify("ada", Notification(f"Number {number}"))
    await service.wait_for_pushes(2)
    assert engine.in_flight <= IN_FLIGHT_PER_SERVICE
    assert (await engine.notify("nobody", Notification("Hello"), wait_s=WAIT_S)).state is DispatchState.DONE


async def test_a_retry_never_goes_to_whom_the_device_has_moved_to(engine: Engine, service: PushService) -> None:
    device = await subscribe(engine, service, "one", user="ada")
    service.answer("one", 503, headers={"Retry-After": "2"})
    dispatch = await engine.notify("ada", Notification("For ada's eyes only"), wait_s=0.3)
    assert dispatch.counts == {Outcome.THROTTLED: 1}
    service.answers.clear()
    await engine.subscribe("bo", device.request())
    service.pushes.clear()
    found = await until_done(engine, dispatch.id)
    assert found.counts == {Outcome.CANCELLED: 1}
    assert service.pushes == []
