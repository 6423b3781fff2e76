"""What comes of a broadcast's recipients: each for himself, and what cannot be sent now does not hold up the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pushdesk.config import PushConfig
from pushdesk.engine import broadcast_chain, broadcast_chunks
from pushdesk.model import (
    BroadcastState,
    Notification,
    Outcome,
    PageQuery,
    Service,
    SubscriptionState,
    Urgency,
)
from tests.engine.broadcasting import each, find, sent_to, subscribe, until
from tests.engine.outbox_bench import HELLO, RETRY_S, OutboxBench, open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.push_service import PushService

NAMES = tuple(f"user{number}" for number in range(9))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of two recipients."""
    monkeypatch.setattr(broadcast_chain, "RECIPIENTS", 2)


async def move(bench: OutboxBench, service: Service, *names: str) -> None:
    """Have the devices of these users be of a push service, whatever their endpoints are."""
    for name in names:
        bench.sql("UPDATE subscriptions SET service = ? WHERE user = ?", service, name)


def chunks(bench: OutboxBench) -> list[tuple[int, int, int]]:
    found = bench.sql("SELECT recipients, accepted, superseded FROM chunks ORDER BY service, after")
    return [tuple(row) for row in found]


@pytest.mark.usefixtures("small")
async def test_it_goes_from_chunk_to_chunk(bench: OutboxBench) -> None:
    await subscribe(bench, *NAMES)
    dispatch = await bench.engine.broadcast(HELLO)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 9}
    assert sent_to(bench) == sorted(NAMES)
    assert chunks(bench) == [(2, 2, 0)] * 4 + [(1, 1, 0)]
    await bench.assert_at_rest()


@pytest.mark.usefixtures("small")
async def test_what_is_not_accepted_has_a_delivery_and_disables_as_ever(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob", "cy", "dan")
    bench.service.answer("bob", 410)
    bench.service.answer("cy", 400)
    dispatch = await bench.engine.broadcast(HELLO)
    done = await bench.done(dispatch)
    assert done.counts == {Outcome.ACCEPTED: 2, Outcome.GONE: 1, Outcome.REFUSED: 1}
    assert {delivery.user: delivery.outcome for delivery in done.deliveries} == {
        "bob": Outcome.GONE,
        "cy": Outcome.REFUSED,
    }
    states = {item.user: item for item in (await bench.engine.subscriptions(PageQuery())).items}
    assert states["bob"].state is SubscriptionState.GONE
    assert states["ada"].last_success_at is not None
    assert states["cy"].failures == 1
    (gone,) = [delivery for delivery in done.deliveries if delivery.outcome is Outcome.GONE]
    record = await bench.engine.delivery(gone.id)
    assert (gone.status, gone.attempts, len(record.attempts)) == (410, 1, 1)
    await bench.assert_at_rest()


async def test_what_was_throttled_is_tried_again_and_counts_once(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    bench.service.answer("bob", 429, headers={"Retry-After": str(RETRY_S)})
    dispatch = await bench.engine.broadcast(HELLO)
    broadcast = await until(bench.engine, dispatch, lambda now: now.done == 2)
    assert broadcast.state is BroadcastState.SENDING
    assert broadcast.counts == {Outcome.ACCEPTED: 1, Outcome.THROTTLED: 1}
    assert (await bench.engine.stats()).queue == 1
    bench.service.answers.clear()
    await bench.later(RETRY_S + 1)
    done = await bench.done(dispatch)
    assert done.counts == {Outcome.ACCEPTED: 2}
    assert [(delivery.user, delivery.attempts) for delivery in done.deliveries] == [("bob", 2)]
    broadcast = await find(bench.engine, dispatch)
    assert (broadcast.state, broadcast.counts) == (BroadcastState.DONE, {Outcome.ACCEPTED: 2})
    assert bench.engine.broadcasts_going_on() == ()
    await bench.assert_at_rest()


async def test_last_success_is_written_once_an_hour(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")

    async def last_success_after(seconds: float) -> object:
        bench.clock.advance(seconds)
        await bench.done(await bench.engine.broadcast(HELLO))
        return (await bench.engine.subscriptions(PageQuery())).items[0].last_success_at

    first = await last_success_after(0)
    assert await last_success_after(3599) == first
    assert await last_success_after(2) != first


async def test_a_service_whose_lane_is_shut_holds_up_no_other_and_expires(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob", "cy")
    await move(bench, Service.WNS, "bob", "cy")
    await bench.engine.pause_service(Service.WNS)
    dispatch = await bench.engine.broadcast(Notification("Hello", ttl=60))
    broadcast = await until(bench.engine, dispatch, lambda now: now.done == 1)
    assert {part.service: part.done for part in broadcast.parts} == {Service.OTHER: 1, Service.WNS: 0}
    assert broadcast.state is BroadcastState.SENDING
    await bench.later(61)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1, Outcome.EXPIRED: 2}
    broadcast = await find(bench.engine, dispatch)
    assert (broadcast.state, broadcast.done, broadcast.planned) == (BroadcastState.DONE, 1, 3)
    assert broadcast.counts == {Outcome.ACCEPTED: 1, Outcome.EXPIRED: 2}
    assert sent_to(bench) == ["ada"]
    assert (await bench.engine.dispatch(dispatch.id)).deliveries == ()
    await bench.until(lambda stats: stats.queue == 0)


@pytest.mark.usefixtures("small")
async def test_a_lane_that_is_throttled_lets_the_rest_wait_in_the_database(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=2)) as bench:
        await subscribe(bench, *NAMES)
        for name in NAMES:
            bench.service.answer(name, 429, headers={"Retry-After": str(RETRY_S)})
        dispatch = await bench.engine.broadcast(HELLO)
        # What is still under way would be put off once more, by a minute that does not come.
        await bench.until(lambda stats: not stats.in_flight and any(each.state != "open" for each in stats.services))
        # The lane is shut by the third answer, when one more may be under way.
        assert 3 <= len(bench.service.pushes) <= 4
        bench.service.answers.clear()
        await bench.later(RETRY_S + 1)
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 9}
        assert sorted(set(sent_to(bench))) == sorted(NAMES)
        await bench.assert_at_rest()


async def test_a_device_that_is_gone_meanwhile_is_not_sent_to(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob", "cy")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = await bench.engine.broadcast(HELLO)
    await bench.engine.remove_user("bob")
    await bench.engine.resume_service(Service.OTHER)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 2}
    broadcast = await find(bench.engine, dispatch)
    assert (broadcast.planned, broadcast.done) == (3, 3)


async def test_users_who_are_removed_after_they_were_read_are_not_sent_to(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=2)) as bench:
        await subscribe(bench, "ada", "bob", "cy", "dan")
        service.hold = asyncio.Event()
        dispatch = await bench.engine.broadcast(HELLO)
        await service.wait_for_pushes(1)
        first = service.pushes[0].path.removeprefix("/")
        last = max({"ada", "bob", "cy", "dan"} - {first})
        await bench.engine.remove_user(last)
        service.hold.set()
        service.hold = None
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 3}
        assert sent_to(bench) == sorted({"ada", "bob", "cy", "dan"} - {last})


async def test_a_user_who_is_removed_is_off_the_lists(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = await bench.engine.broadcast(HELLO, each("ada", "bob"))
    await bench.engine.remove_user("bob")
    assert bench.sql("SELECT user FROM broadcast_users") == [("ada",)]
    await bench.engine.resume_service(Service.OTHER)
    await bench.done(dispatch)
    assert sent_to(bench) == ["ada"]


async def test_nothing_is_sent_with_a_key_that_was_revoked_meanwhile(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = await bench.engine.broadcast(HELLO)
    await bench.engine.revoke_keys(confirm="revoke")
    await bench.engine.resume_service(Service.OTHER)
    assert (await bench.done(dispatch)).counts == {}
    assert sent_to(bench) == []


async def test_who_is_slow_holds_up_nobody(bench: OutboxBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast_chunks, "STRAGGLE_S", 0.05)
    monkeypatch.setattr(broadcast_chain, "RECIPIENTS", 2)
    await subscribe(bench, "ada", "bob", "cy")
    bench.service.silent.add("/bob")
    dispatch = await bench.engine.broadcast(HELLO)
    broadcast = await until(bench.engine, dispatch, lambda now: now.done == 3)
    assert broadcast.counts == {Outcome.ACCEPTED: 2, Outcome.WAITING: 1}
    (slow,) = (await bench.engine.dispatch(dispatch.id)).deliveries
    assert (slow.user, slow.outcome) == ("bob", Outcome.WAITING)
    stats = await bench.engine.stats()
    assert (stats.queue, stats.in_flight) == (1, 1)


async def test_who_is_slow_is_settled_by_his_own_answer(bench: OutboxBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast_chunks, "STRAGGLE_S", 0.05)
    await subscribe(bench, "ada", "bob")
    bench.service.hold = asyncio.Event()
    dispatch = await bench.engine.broadcast(HELLO)
    await until(bench.engine, dispatch, lambda now: now.done == 2)
    bench.service.hold.set()
    done = await bench.done(dispatch)
    assert done.counts == {Outcome.ACCEPTED: 2}
    assert {delivery.outcome for delivery in done.deliveries} == {Outcome.ACCEPTED}
    assert len(bench.service.pushes) == 2
    await bench.assert_at_rest()


async def test_a_notification_passes_a_broadcast_that_waits_for_the_same_lane(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=1)) as bench:
        await subscribe(bench, *NAMES)
        service.hold = asyncio.Event()
        dispatch = await bench.engine.broadcast(HELLO)
        await service.wait_for_pushes(1)
        await bench.engine.notify("user8", Notification("Hello", urgency=Urgency.HIGH))
        await bench.until(lambda stats: stats.in_flight == 2)
        service.hold.set()
        await bench.done(dispatch)
        assert service.pushes[1].path == "/user8"
        assert service.pushes[1].headers["Urgency"] == "high"


async def test_a_newer_notification_of_its_topic_is_not_followed_by_a_broadcast(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    await bench.engine.pause_service(Service.OTHER)
    older = await bench.engine.broadcast(Notification("Older", topic="tea"))
    newer = await bench.engine.notify("ada", Notification("Newer", topic="tea"))
    await bench.until(lambda stats: stats.queue == 3)
    await bench.engine.resume_service(Service.OTHER)
    assert (await bench.done(older)).counts == {Outcome.ACCEPTED: 1, Outcome.SUPERSEDED: 1}
    assert (await bench.done(newer)).counts == {Outcome.ACCEPTED: 1}
    assert sent_to(bench) == ["ada", "bob"]
    await bench.assert_at_rest()


async def test_a_broadcast_supersedes_what_is_older_of_its_topic(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    bench.service.answer("ada", 503, headers={"Retry-After": str(RETRY_S)})
    older = await bench.engine.notify("ada", Notification("Older", topic="tea"))
    await bench.delivery(older, lambda delivery: delivery.attempts == 1)
    bench.service.answers.clear()
    newer = await bench.engine.broadcast(Notification("Newer", topic="tea"))
    assert (await bench.done(older)).counts == {Outcome.SUPERSEDED: 1}
    # Its push service asked to leave the device alone for a while: that goes for the broadcast, too.
    await until(bench.engine, newer, lambda now: now.counts == {Outcome.WAITING: 1})
    await bench.later(RETRY_S + 1)
    assert (await bench.done(newer)).counts == {Outcome.ACCEPTED: 1}
    assert len(bench.service.pushes) == 2
    await bench.until(lambda stats: stats.queue == 0)
    await bench.assert_at_rest()


async def test_a_newer_broadcast_of_its_topic_leaves_an_older_one_nobody(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    await bench.engine.pause_service(Service.OTHER)
    older = await bench.engine.broadcast(Notification("Older", topic="tea"))
    newer = await bench.engine.broadcast(Notification("Newer", topic="tea"), each("ada"))
    await until(bench.engine, newer, lambda now: now.started_at is not None)
    await bench.engine.resume_service(Service.OTHER)
    assert (await bench.done(older)).counts == {Outcome.ACCEPTED: 1, Outcome.SUPERSEDED: 1}
    assert (await bench.done(newer)).counts == {Outcome.ACCEPTED: 1}
    assert sent_to(bench) == ["ada", "bob"]


async def test_a_delivery_of_a_broadcast_can_be_sent_again(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    bench.service.answer("ada", 400)
    refused = (await bench.done(await bench.engine.broadcast(HELLO))).deliveries[0]
    bench.service.answers.clear()
    again = await bench.engine.resend(refused.id)
    assert (await bench.done(again)).counts == {Outcome.ACCEPTED: 1}


@pytest.mark.usefixtures("small")
async def test_no_more_is_sent_while_too_much_of_it_waits_to_be_tried_again(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast_chain, "MOST_UNSETTLED", 1)
    monkeypatch.setattr(broadcast_chain, "OPEN", 1)
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=1)) as bench:
        await subscribe(bench, *NAMES)
        await move(bench, Service.WNS, *NAMES)
        for name in NAMES:
            service.answer(name, 403)
        dispatch = await bench.engine.broadcast(HELLO)
        # Three are refused because of the key; the lane is open, and the next ones wait for the key.
        broadcast = await until(bench.engine, dispatch, lambda now: now.done == 6)
        assert broadcast.counts == {Outcome.OUR_CONFIGURATION: 3, Outcome.WAITING: 3}
        await bench.look(wait_s=60)
        assert (await find(bench.engine, dispatch)).done == 6
        service.answers.clear()
        await bench.engine.reset_service(Service.WNS)
        done = await bench.done(dispatch)
        assert done.counts == {Outcome.ACCEPTED: 6, Outcome.OUR_CONFIGURATION: 3}
        await bench.assert_at_rest()


async def test_the_brake_holds_what_ends_by_a_broadcast(bench: OutboxBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushdesk.engine.brake.FEWEST", 2)
    await subscribe(bench, *NAMES)
    for name in NAMES:
        bench.service.answer(name, 410)
    dispatch = await bench.engine.broadcast(HELLO)
    done = await bench.done(dispatch)
    assert done.counts == {Outcome.GONE: 2, Outcome.HELD: 7}
    bench.service.pushes.clear()
    again = await bench.engine.broadcast(HELLO)
    assert (await bench.done(again)).counts == {}
    assert sent_to(bench) == []


async def test_one_of_a_broadcast_that_is_to_be_tried_again_is_so_whatever_else_is_sent(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    await bench.look(wait_s=10)
    bench.service.answer("bob", 503, headers={"Retry-After": "60"})
    dispatch = await bench.engine.broadcast(HELLO)
    await until(bench.engine, dispatch, lambda now: now.counts.get(Outcome.THROTTLED) == 1)
    bench.service.answers.clear()
    bench.clock.advance(61)
    # For somebody whose devices are known: nothing is looked for because of it.
    await bench.engine.notify("ada", HELLO, wait_s=10)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 2}
    await bench.assert_at_rest()
