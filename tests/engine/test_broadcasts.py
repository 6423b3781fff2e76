"""Broadcasts are accepted whole or not at all, sent to everybody once, and told of as they move on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.desk import BroadcastChanged, DispatchChanged
from pushdesk.engine import broadcasts as accepting
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import (
    BroadcastState,
    DispatchKind,
    DispatchState,
    Notification,
    Outcome,
    PageQuery,
    Service,
)
from pushdesk.storage.times import to_datetime
from tests.engine.broadcasting import each, find, sent_to, subscribe, until
from tests.engine.outbox_bench import HELLO, Watched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.model import Broadcast
    from tests.engine.outbox_bench import OutboxBench


async def listed(bench: OutboxBench) -> int:
    """Return how many rows there are of lists, once nobody removes any."""
    await bench.engine._outbox.broadcasts._look()
    return int(bench.sql("SELECT count(*) FROM broadcast_users")[0][0])


async def test_a_broadcast_reaches_every_device_once_and_costs_no_delivery(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob", "cy")
    await bench.subscribe("ada", "laptop")
    bench.service.pushes.clear()
    dispatch = await bench.engine.broadcast(HELLO)
    assert (dispatch.kind, dispatch.user, dispatch.state) == (DispatchKind.BROADCAST, None, DispatchState.QUEUED)
    done = await bench.done(dispatch)
    assert done.counts == {Outcome.ACCEPTED: 4}
    assert done.deliveries == ()
    assert sent_to(bench) == ["ada", "bob", "cy", "laptop"]
    broadcast = await find(bench.engine, dispatch)
    assert (broadcast.state, broadcast.planned, broadcast.done) == (BroadcastState.DONE, 4, 4)
    assert broadcast.counts == {Outcome.ACCEPTED: 4}
    assert [part.service for part in broadcast.parts] == [Service.OTHER]
    assert (await bench.engine.dispatches(PageQuery(filter="Hello"))).items[0].counts == {Outcome.ACCEPTED: 4}
    await bench.assert_at_rest()


async def test_a_broadcast_to_nobody_is_done_at_once(bench: OutboxBench) -> None:
    dispatch = await bench.engine.broadcast(HELLO)
    assert (await bench.done(dispatch)).counts == {}
    assert (await find(bench.engine, dispatch)).planned == 0


async def test_a_broadcast_to_a_list_reaches_each_of_it_once(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob", "cy")
    dispatch = await bench.engine.broadcast(HELLO, each("cy", "ada", "cy", "nobody"))
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 2}
    assert sent_to(bench) == ["ada", "cy"]
    broadcast = await find(bench.engine, dispatch)
    assert (broadcast.users, broadcast.planned) == (3, 2)
    assert await listed(bench) == 0


async def test_who_subscribes_after_a_broadcast_was_accepted_is_not_sent_it(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = await bench.engine.broadcast(HELLO)
    await bench.engine.pause_broadcast(dispatch.id)
    await bench.engine.resume_service(Service.OTHER)
    bench.clock.advance(1)
    await subscribe(bench, "bob")
    await bench.engine.resume_broadcast(dispatch.id)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert sent_to(bench) == ["ada"]


async def test_bad_users_are_named_and_nothing_is_stored(bench: OutboxBench) -> None:
    bad = [f"{number}/" for number in range(25)]
    with pytest.raises(PushdeskError, match="25 of the list cannot be users' ids") as refused:
        await bench.engine.broadcast(HELLO, each("ada", *bad, "bob"))
    assert refused.value.code == "bad_field"
    assert refused.value.fields == tuple(f"users[{number}]" for number in range(1, 21))
    assert (await bench.engine.broadcasts(PageQuery())).items == ()
    assert await listed(bench) == 0


async def test_bad_users_are_left_out_where_that_is_asked_for(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    dispatch = await bench.engine.broadcast(HELLO, each("ada", "b/b"), skip_bad=True)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert sent_to(bench) == ["ada"]


async def test_a_list_that_breaks_off_leaves_nothing(bench: OutboxBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "BATCH", 2)

    async def breaking() -> AsyncIterator[str]:
        for user in ("ada", "bob", "cy"):
            yield user
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await bench.engine.broadcast(HELLO, breaking())
    assert (await bench.engine.broadcasts(PageQuery())).items == ()
    assert await listed(bench) == 0


async def test_a_list_of_nobody_is_refused(bench: OutboxBench) -> None:
    with pytest.raises(PushdeskError, match="names nobody"):
        await bench.engine.broadcast(HELLO, each())


@pytest.mark.parametrize(
    ("notification", "code"),
    [
        (Notification("x" * 4000), "payload_too_large"),
        (Notification("Hello", url="https://elsewhere.example/"), "bad_field"),
        (Notification("Hello", send_at=to_datetime(1_000_000)), "bad_field"),
    ],
)
async def test_what_no_notification_may_be_no_broadcast_may_be(
    bench: OutboxBench, notification: Notification, code: str
) -> None:
    for ask in (bench.engine.broadcast, bench.engine.plan_broadcast):
        with pytest.raises(PushdeskError) as refused:
            await ask(notification, each("ada"))
        assert refused.value.code == code
    assert (await bench.engine.broadcasts(PageQuery())).items == ()


async def test_a_repeat_returns_the_first_and_another_list_is_refused(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    first = await bench.engine.accept_broadcast(HELLO, each("ada"), idempotency_key="k")
    again = await bench.engine.accept_broadcast(HELLO, each("ada"), idempotency_key="k")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.dispatch.id == first.dispatch.id
    for users in (each("ada", "bob"), each("bob"), None):
        with pytest.raises(PushdeskError) as refused:
            await bench.engine.accept_broadcast(HELLO, users, idempotency_key="k")
        assert refused.value.code == "idempotency_conflict"
    await bench.done(first.dispatch)
    assert sent_to(bench) == ["ada"]
    assert await listed(bench) == 0


async def test_two_that_come_at_once_with_a_key_are_one(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    both = await asyncio.gather(
        *(bench.engine.accept_broadcast(HELLO, each("ada"), idempotency_key="k") for _ in range(2))
    )
    assert sorted(accepted.repeated for accepted in both) == [False, True]
    await bench.done(both[0].dispatch)
    assert sent_to(bench) == ["ada"]
    assert await listed(bench) == 0


async def test_a_scheduled_one_is_for_those_who_are_there_then(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    later = to_datetime(round(bench.clock.time() * 1000)) + timedelta(hours=1)
    dispatch = await bench.engine.broadcast(Notification("Hello", send_at=later))
    broadcast = await find(bench.engine, dispatch)
    assert (broadcast.state, broadcast.send_at, broadcast.planned) == (BroadcastState.SCHEDULED, later, 1)
    await subscribe(bench, "bob")
    await bench.later(3601)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 2}
    assert sent_to(bench) == ["ada", "bob"]
    await bench.assert_at_rest()


async def test_a_plan_counts_and_sends_nothing(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    plan = await bench.engine.plan_broadcast(HELLO, each("ada", "nobody", "ada", "no one"))
    assert [(part.service, part.subscriptions) for part in plan.parts] == [(Service.OTHER, 1)]
    assert (plan.subscriptions, plan.users) == (1, 3)
    assert (plan.unknown, plan.unknown_users) == (2, ("no one", "nobody"))
    assert 0 < plan.message_bytes < plan.limit_bytes == 3993
    assert await listed(bench) == 0
    everybody = await bench.engine.plan_broadcast(HELLO)
    assert (everybody.subscriptions, everybody.users, everybody.unknown) == (2, None, 0)
    assert everybody.duration_s is not None
    assert bench.service.pushes == []
    assert (await bench.engine.dispatches(PageQuery(filter="Hello"))).items == ()


async def test_a_plan_says_that_a_lane_is_shut(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    await bench.engine.pause_service(Service.OTHER)
    (part,) = (await bench.engine.plan_broadcast(HELLO)).parts
    assert "paused" in part.note


async def test_a_broadcast_is_told_of_when_it_is_accepted_moves_on_and_ends(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    async with asyncio.timeout(10), aclosing(bench.engine.events()) as events:
        await anext(events)
        dispatch = await bench.engine.broadcast(HELLO)
        states: list[DispatchState] = []
        broadcasts: list[BroadcastState] = []
        told: list[Broadcast] = []
        async for batch in events:
            states += [event.dispatch.state for event in batch if isinstance(event, DispatchChanged)]
            told = [event.broadcast for event in batch if isinstance(event, BroadcastChanged)]
            assert {broadcast.id for broadcast in told} <= {dispatch.id}
            broadcasts += [broadcast.state for broadcast in told]
            if BroadcastState.DONE in broadcasts:
                break
    assert states == [DispatchState.QUEUED, DispatchState.DONE]
    assert told[-1].counts == {Outcome.ACCEPTED: 1}


async def test_a_failed_commit_leaves_no_broadcast(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    bench.watch("accept").fails = True
    with pytest.raises(DatabaseError):
        await bench.engine.broadcast(HELLO, each("ada"))
    assert (await bench.engine.broadcasts(PageQuery())).items == ()
    assert await listed(bench) == 0


async def test_one_that_was_accepted_by_a_commit_that_seemed_to_fail_is_sent(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    bench.watch("accept").seems_to_fail = True
    with pytest.raises(DatabaseError):
        await bench.engine.broadcast(HELLO, each("ada"))
    (broadcast,) = (await bench.engine.broadcasts(PageQuery())).items
    dispatch = await bench.engine.dispatch(broadcast.id)
    await bench.look()
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert sent_to(bench) == ["ada"]


async def test_the_queue_counts_whom_a_broadcast_has_not_got_to(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob", "cy")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = await bench.engine.broadcast(HELLO)
    await until(bench.engine, dispatch, lambda broadcast: broadcast.started_at is not None)
    assert (await bench.engine.stats()).queue == 3
    await bench.engine.resume_service(Service.OTHER)
    await bench.done(dispatch)
    await bench.assert_at_rest()


async def test_what_was_answered_and_could_not_be_written_is_written_later(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    settle = Watched(bench.store.broadcasts.settle)
    bench.monkeypatch.setattr(bench.store.broadcasts, "settle", settle)
    bench.monkeypatch.setattr("pushdesk.engine.broadcast_chunks.BACK_OFF_S", 0.01)
    settle.seems_to_fail = True
    dispatch = await bench.engine.broadcast(HELLO)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert sent_to(bench) == ["ada"]
    assert settle.begun.qsize() == 2
