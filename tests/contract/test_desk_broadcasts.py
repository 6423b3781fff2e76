"""Broadcasts, as every `Desk` has them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from pushdesk.desk import BroadcastChanged
from pushdesk.errors import PayloadTooLargeError, PushdeskError
from pushdesk.message import MAX_MESSAGE
from pushdesk.model import (
    BroadcastState,
    DispatchKind,
    DispatchState,
    LaneState,
    Notification,
    Outcome,
    PageQuery,
    Service,
)
from tests.contract.test_desk import EVERYTHING, Bench, bench, code_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.desk import Desk
    from pushdesk.model import Broadcast

__all__ = ["bench"]

HELLO = Notification("Hello")


async def listed(*users: str) -> AsyncIterator[str]:
    for user in users:
        yield user


async def breaking_off() -> AsyncIterator[str]:
    yield "anna"
    raise PushdeskError("The file is broken.", code="bad_field", fields=("users",))


async def the_only(desk: Desk) -> Broadcast:
    (found,) = (await desk.broadcasts(EVERYTHING)).items
    return found


async def ended(desk: Desk, id_: str) -> Broadcast:
    """Wait until a broadcast has ended."""
    async with asyncio.timeout(10), aclosing(desk.events()) as events:
        await anext(events)
        found = await the_only(desk)
        if found.ended_at is not None:
            return found
        async for batch in events:
            for event in batch:
                if isinstance(event, BroadcastChanged) and event.broadcast.ended_at is not None:
                    assert event.broadcast.id == id_
                    return event.broadcast
    raise AssertionError


async def subscribed(bench: Bench) -> Service:
    """Subscribe three devices of two users; returns their push service."""
    first, *_ = [await bench.subscribe(user) for user in ("anna", "anna", "bert")]
    return first.service


async def test_a_broadcast_goes_to_every_device_of_all_users(bench: Bench) -> None:
    service = await subscribed(bench)
    dispatch = await bench.desk.broadcast(HELLO)
    assert (dispatch.kind, dispatch.user, dispatch.title) == (DispatchKind.BROADCAST, None, "Hello")
    found = await ended(bench.desk, dispatch.id)
    assert (found.id, found.state, found.users) == (dispatch.id, BroadcastState.DONE, None)
    assert [(part.service, part.planned, part.done) for part in found.parts] == [(service, 3, 3)]
    assert (found.planned, found.done, found.counts) == (3, 3, {Outcome.ACCEPTED: 3})
    assert found.started_at is not None
    told = await bench.desk.dispatch(dispatch.id)
    assert (told.state, told.counts, told.deliveries) == (DispatchState.DONE, {Outcome.ACCEPTED: 3}, ())
    kept = await the_only(bench.desk)
    assert kept.ended_at is not None
    # A few milliseconds lie between the commit and the word of it.
    assert structs.replace(kept, ended_at=found.ended_at) == found


async def test_a_broadcast_to_a_list_goes_to_its_users_once(bench: Bench) -> None:
    await subscribed(bench)
    dispatch = await bench.desk.broadcast(HELLO, listed("bert", "nobody", "bert"))
    found = await ended(bench.desk, dispatch.id)
    assert (found.users, found.planned, found.counts) == (2, 1, {Outcome.ACCEPTED: 1})


async def test_a_broadcast_to_nobody_with_a_device_is_done_at_once(bench: Bench) -> None:
    dispatch = await bench.desk.broadcast(HELLO, listed("nobody"))
    found = await ended(bench.desk, dispatch.id)
    assert (found.state, found.planned, found.counts) == (BroadcastState.DONE, 0, {})


async def test_a_plan_says_what_it_would_be_and_keeps_nothing(bench: Bench) -> None:
    service = await subscribed(bench)
    of_all = await bench.desk.plan_broadcast(HELLO)
    assert [(part.service, part.subscriptions) for part in of_all.parts] == [(service, 3)]
    assert (of_all.subscriptions, of_all.users, of_all.unknown, of_all.unknown_users) == (3, None, 0, ())
    assert 0 < of_all.message_bytes < of_all.limit_bytes == MAX_MESSAGE
    strangers = [f"stranger-{number:02}" for number in range(25)]
    of_some = await bench.desk.plan_broadcast(HELLO, listed("anna", *strangers, "anna"))
    assert (of_some.subscriptions, of_some.users, of_some.unknown) == (2, 26, 25)
    assert len(of_some.unknown_users) == 20
    assert set(of_some.unknown_users) < set(strangers)
    assert (await bench.desk.broadcasts(EVERYTHING)).items == ()
    assert (await bench.desk.dispatches(PageQuery(filter="Hello"))).items == ()


async def test_a_list_that_cannot_be_used_is_refused_whole(bench: Bench) -> None:
    await subscribed(bench)
    for ask in (bench.desk.broadcast, bench.desk.plan_broadcast):
        code, fields = await code_of(ask(HELLO, listed("anna", "a/b", "bert", "me")))
        assert (code, len(fields)) == ("bad_field", 2)
        assert await code_of(ask(HELLO, listed())) == ("bad_field", ("users",))
        assert await code_of(ask(HELLO, listed("me"), skip_bad=True)) == ("bad_field", ("users",))
        with pytest.raises(PushdeskError, match="The file is broken"):
            await ask(HELLO, breaking_off())
    assert (await bench.desk.dispatches(PageQuery(filter="Hello"))).items == ()
    assert (await bench.desk.broadcasts(EVERYTHING)).items == ()


async def test_what_is_bad_of_a_list_is_left_out_if_that_is_asked_for(bench: Bench) -> None:
    await subscribed(bench)
    some = "anna", "a/b", "bert", "x" * 200, "\ud800"
    assert (await bench.desk.plan_broadcast(HELLO, listed(*some), skip_bad=True)).users == 2
    dispatch = await bench.desk.broadcast(HELLO, listed(*some), skip_bad=True)
    assert (await ended(bench.desk, dispatch.id)).counts == {Outcome.ACCEPTED: 3}


async def test_a_message_that_no_push_service_takes_is_refused(bench: Bench) -> None:
    large = Notification("Hello", body="x" * 4000)
    for ask in (bench.desk.broadcast, bench.desk.plan_broadcast):
        code, _ = await code_of(ask(large))
        assert code == PayloadTooLargeError.code


async def test_a_repeat_returns_the_first_broadcast(bench: Bench) -> None:
    await subscribed(bench)
    first = await bench.desk.broadcast(HELLO, idempotency_key="k")
    assert (await bench.desk.broadcast(HELLO, idempotency_key="k")).id == first.id
    code, _ = await code_of(bench.desk.broadcast(Notification("Other"), idempotency_key="k"))
    assert code == "idempotency_conflict"
    assert (await the_only(bench.desk)).id == first.id


async def test_broadcasts_are_listed_the_newest_first_and_by_title(bench: Bench) -> None:
    ids = [(await bench.desk.broadcast(Notification(title))).id for title in ("One", "Two", "Three")]
    listing = bench.desk.broadcasts
    assert [one.id for one in (await listing(EVERYTHING)).items] == ids[::-1]
    assert [one.id for one in (await listing(PageQuery(sort="accepted_at"))).items] == ids
    assert [one.title for one in (await listing(PageQuery(filter="T"))).items] == ["Three", "Two"]
    assert [one.title for one in (await listing(PageQuery(filter="^T", limit=1))).items] == ["Three"]


async def test_a_scheduled_broadcast_waits_and_can_be_aborted(bench: Bench) -> None:
    await subscribed(bench)
    send_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    dispatch = await bench.desk.broadcast(Notification("Later", send_at=send_at))
    assert (dispatch.state, dispatch.send_at) == (DispatchState.SCHEDULED, send_at)
    scheduled = await the_only(bench.desk)
    assert (scheduled.state, scheduled.send_at, scheduled.done) == (BroadcastState.SCHEDULED, send_at, 0)
    aborted = await bench.desk.abort_broadcast(dispatch.id)
    assert (aborted.state, aborted.send_at) == (BroadcastState.CANCELLED, None)
    assert (await bench.desk.dispatch(dispatch.id)).state is DispatchState.CANCELLED


async def test_a_broadcast_is_paused_resumed_and_aborted(bench: Bench) -> None:
    await waiting(bench)
    dispatch = await bench.desk.broadcast(HELLO)
    paused = await bench.desk.pause_broadcast(dispatch.id)
    assert (paused.id, paused.state, paused.planned, paused.done) == (dispatch.id, BroadcastState.PAUSED, 3, 0)
    assert (await bench.desk.pause_broadcast(dispatch.id)).state is BroadcastState.PAUSED
    assert (await the_only(bench.desk)).state is BroadcastState.PAUSED
    assert (await bench.desk.resume_broadcast(dispatch.id)).state is BroadcastState.SENDING
    assert (await bench.desk.resume_broadcast(dispatch.id)).state is BroadcastState.SENDING
    aborted = await bench.desk.abort_broadcast(dispatch.id)
    assert (aborted.state, aborted.done, aborted.counts) == (BroadcastState.CANCELLED, 0, {Outcome.CANCELLED: 3})
    for change in (bench.desk.pause_broadcast, bench.desk.resume_broadcast, bench.desk.abort_broadcast):
        assert (await code_of(change(dispatch.id)))[0] == "already_ended"


async def test_to_cancel_its_dispatch_is_to_abort_it(bench: Bench) -> None:
    await waiting(bench)
    dispatch = await bench.desk.broadcast(HELLO)
    assert (await bench.desk.cancel(dispatch.id)).state is DispatchState.CANCELLED
    assert (await the_only(bench.desk)).state is BroadcastState.CANCELLED
    assert (await code_of(bench.desk.abort_broadcast(dispatch.id)))[0] == "already_ended"


async def test_a_broadcast_that_is_not_there_is_not_found(bench: Bench) -> None:
    await bench.subscribe("anna")
    other = await bench.desk.notify("anna", HELLO)
    for change in (bench.desk.pause_broadcast, bench.desk.resume_broadcast, bench.desk.abort_broadcast):
        assert (await code_of(change("nothing")))[0] == "not_found"
        assert (await code_of(change(other.id)))[0] == "not_found"


async def waiting(bench: Bench) -> None:
    """Subscribe three devices to which nothing is sent."""
    service = await subscribed(bench)
    if hasattr(bench.desk, "settles"):
        bench.desk.settles = False
    assert (await bench.desk.pause_service(service)).state is LaneState.PAUSED
