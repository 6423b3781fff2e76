"""What is asked of a broadcast counts whenever it comes: while it begins or is read, while the database fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.config import PushConfig
from pushdesk.engine import broadcast_turns, broadcast_worker
from pushdesk.engine.broadcast_chunks import BETWEEN, GIVES_WAY_S
from pushdesk.engine.broadcast_turns import AT_ONCE
from pushdesk.engine.broadcasts import BATCH
from pushdesk.engine.pressure import LOOK_S
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import BroadcastState, Notification, Outcome, Service
from pushdesk.storage.broadcasts import BroadcastTable
from pushdesk.storage.times import to_datetime
from tests.engine.broadcasting import each, find, subscribe, until
from tests.engine.outbox_bench import HELLO, RETRY_S, OutboxBench, Watched, open_bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.model import Dispatch
    from tests.push_service import PushService


def watch(bench: OutboxBench, table: object, method: str) -> Watched:
    """Watch a method of a table."""
    watched = Watched(getattr(table, method))
    bench.watched.append(watched)
    bench.monkeypatch.setattr(table, method, watched)
    return watched


def held(bench: OutboxBench, table: object, method: str) -> Watched:
    """Hold up a method of a table."""
    watched = watch(bench, table, method)
    watched.hold = asyncio.Event()
    return watched


def let_go(watched: Watched) -> None:
    assert watched.hold is not None
    watched.hold.set()


async def resumed(bench: OutboxBench, dispatch: Dispatch, devices: int) -> None:
    """See that a broadcast stood still before its first push, and that it goes to all when it is resumed."""
    broadcast = await until(bench.engine, dispatch, lambda now: now.started_at is not None)
    assert (broadcast.state, bench.service.pushes) == (BroadcastState.PAUSED, [])
    await bench.engine.resume_broadcast(dispatch.id)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: devices}


async def test_a_pause_while_it_begins_counts(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    begin = held(bench, bench.store.broadcasts, "begin")
    dispatch = await bench.engine.broadcast(HELLO)
    await begin.begun.get()
    assert (await bench.engine.pause_broadcast(dispatch.id)).state is BroadcastState.PAUSED
    let_go(begin)
    await resumed(bench, dispatch, 2)


async def test_a_pause_while_a_scheduled_one_is_planned_counts(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    later = to_datetime(round(bench.clock.time() * 1000)) + timedelta(hours=1)
    dispatch = await bench.engine.broadcast(Notification("Hello", send_at=later))
    plan = held(bench, bench.store.broadcast_users, "plan")
    await bench.later(3601)
    await plan.begun.get()
    assert (await bench.engine.pause_broadcast(dispatch.id)).state is BroadcastState.PAUSED
    let_go(plan)
    await resumed(bench, dispatch, 2)


async def test_a_pause_counts_while_it_is_read_what_a_failed_begin_came_to(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    bench.monkeypatch.setattr(broadcast_worker, "BACK_OFF_S", 0.0)
    begin = watch(bench, bench.store.broadcasts, "begin")
    begin.seems_to_fail = True
    find_stored, read, go = bench.store.broadcasts.find, asyncio.Event(), asyncio.Event()

    async def slow(dispatch: str) -> Any:
        found = await find_stored(dispatch)
        read.set()
        await go.wait()
        return found

    bench.monkeypatch.setattr(bench.store.broadcasts, "find", slow)
    dispatch = await bench.engine.broadcast(HELLO)
    await read.wait()
    assert (await bench.engine.pause_broadcast(dispatch.id)).state is BroadcastState.PAUSED
    go.set()
    await resumed(bench, dispatch, 2)


async def put_off(bench: OutboxBench) -> Dispatch:
    """Have a broadcast that is paused, and a delivery of it that waits for that."""
    await subscribe(bench, "ada")
    bench.service.answer("ada", 503, headers={"Retry-After": str(RETRY_S)})
    dispatch = await bench.engine.broadcast(Notification("Hello", ttl=3600))
    await until(bench.engine, dispatch, lambda now: now.counts == {Outcome.THROTTLED: 1})
    bench.service.answers.clear()
    bench.service.pushes.clear()
    await bench.engine.pause_broadcast(dispatch.id)
    await bench.later(RETRY_S + 1)
    await bench.delivery(dispatch, lambda delivery: "paused" in delivery.reason)
    return dispatch


async def test_what_waits_for_a_broadcast_goes_on_although_the_database_failed(bench: OutboxBench) -> None:
    bench.monkeypatch.setattr(broadcast_worker, "BACK_OFF_S", 0.0)
    dispatch = await put_off(bench)
    free = watch(bench, bench.store.broadcasts, "free")
    free.fails = True
    with suppress(DatabaseError):
        await bench.engine.resume_broadcast(dispatch.id)
    await free.begun.get()
    free.fails = False
    await bench.later(1)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}


async def test_what_waits_for_a_broadcast_goes_on_although_the_server_ended_when_it_was_resumed(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        dispatch = await put_off(bench)
        await bench.engine.drain(5)
    bench.sql("UPDATE broadcasts SET paused_at = NULL")
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}


async def left_waiting(bench: OutboxBench, *, paused: bool) -> Dispatch:
    """Have a process leave a broadcast of which a delivery is due."""
    await subscribe(bench, "ada")
    bench.service.answer("ada", 503, headers={"Retry-After": str(RETRY_S)})
    dispatch = await bench.engine.broadcast(Notification("Hello", ttl=3600))
    await until(bench.engine, dispatch, lambda now: now.counts == {Outcome.THROTTLED: 1})
    if paused:
        await bench.engine.pause_broadcast(dispatch.id)
    await bench.engine.drain(5)
    bench.service.answers.clear()
    bench.service.pushes.clear()
    bench.sql("UPDATE deliveries SET next_attempt_at = 1 WHERE dispatch = ?", dispatch.id)
    return dispatch


def slow(method: Any) -> Any:
    """Return a method that leaves the loop to others after it has read."""

    async def read(*args: Any) -> Any:
        found = await method(*args)
        for _ in range(100):
            await asyncio.to_thread(lambda: None)
        return found

    return read


async def test_a_paused_broadcast_is_paused_from_the_start_on(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        dispatch = await left_waiting(bench, paused=True)
    monkeypatch.setattr(BroadcastTable, "going_on", slow(BroadcastTable.going_on))
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        await bench.delivery(dispatch, lambda delivery: "paused" in delivery.reason)
        assert service.pushes == []


async def test_a_broadcast_that_ends_right_after_the_start_has_ended(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        dispatch = await left_waiting(bench, paused=False)
    monkeypatch.setattr(BroadcastTable, "unsettled", slow(BroadcastTable.unsettled))
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
        assert (await find(bench.engine, dispatch)).state is BroadcastState.DONE
        assert bench.engine.broadcasts_going_on() == ()


async def waits(bench: OutboxBench) -> Dispatch:
    """Have a broadcast that has begun and waits for its push service."""
    await subscribe(bench, "ada", "bob")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = await bench.engine.broadcast(HELLO)
    await until(bench.engine, dispatch, lambda now: now.started_at is not None)
    return dispatch


async def test_a_broadcast_that_ends_while_it_is_read_is_not_begun_again(bench: OutboxBench) -> None:
    dispatch = await waits(bench)
    going_on, read, go = bench.store.broadcasts.going_on, asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        found = await going_on()
        read.set()
        await go.wait()
        return found

    bench.monkeypatch.setattr(bench.store.broadcasts, "going_on", slow)
    bench.engine._outbox.runs.is_unsure = True
    bench.engine._outbox.broadcasts.wake()
    await read.wait()
    await bench.engine.abort_broadcast(dispatch.id)
    go.set()
    await bench.done(await bench.engine.broadcast(HELLO, each("nobody")))
    assert bench.engine.broadcasts_going_on() == ()


async def test_a_broadcast_that_was_aborted_by_what_seemed_to_fail_is_begun_no_more(bench: OutboxBench) -> None:
    dispatch = await waits(bench)
    bench.watch("cancel").seems_to_fail = True
    begin = watch(bench, bench.store.broadcasts, "begin")
    with pytest.raises(DatabaseError):
        await bench.engine.abort_broadcast(dispatch.id)
    await begin.begun.get()
    await bench.done(await bench.engine.broadcast(HELLO, each("nobody")))
    assert bench.engine.broadcasts_going_on() == ()
    assert (await find(bench.engine, dispatch)).state is BroadcastState.CANCELLED


async def test_a_broadcast_that_two_abort_is_aborted_although_one_of_them_fails(bench: OutboxBench) -> None:
    dispatch = await waits(bench)
    cancel = held(bench, bench.store.outbox, "cancel")
    cancel.fails = True
    first = asyncio.create_task(bench.engine.abort_broadcast(dispatch.id))
    await cancel.begun.get()
    between = asyncio.create_task(bench.engine._outbox._worker.looking.acquire())
    await asyncio.sleep(0)
    second = asyncio.create_task(bench.engine.abort_broadcast(dispatch.id))
    check = slow(bench.store.broadcasts.check)
    await check(dispatch.id, None)
    let_go(cancel)
    with pytest.raises(DatabaseError):
        await first
    await between
    cancel.fails = False
    await bench.engine.resume_service(Service.OTHER)
    await check(dispatch.id, None)
    bench.engine._outbox._worker.looking.release()
    assert (await second).state is BroadcastState.CANCELLED
    assert bench.service.pushes == []


async def test_broadcasts_that_wait_for_their_push_service_hold_up_no_other(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    bench.sql("UPDATE subscriptions SET service = 'wns' WHERE user = 'bob'")
    await bench.engine.pause_service(Service.WNS)
    for _ in range(AT_ONCE):
        waits = await bench.engine.broadcast(HELLO)
        await until(bench.engine, waits, lambda now: now.done == 1)
    bench.service.pushes.clear()
    dispatch = await bench.engine.broadcast(HELLO, each("ada"))
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}


async def test_those_that_waited_for_their_push_service_take_turns_once_it_is_back(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast_turns, "AT_ONCE", 1)
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=2)) as bench:
        await subscribe(bench, "ada", "bob", "cy")
        await bench.engine.pause_service(Service.OTHER)
        waiting = [await bench.engine.broadcast(Notification("Hello", ttl=ttl)) for ttl in (100, 200, 300)]
        for dispatch in waiting:
            await until(bench.engine, dispatch, lambda now: now.started_at is not None)
        service.pushes.clear()
        await bench.engine.resume_service(Service.OTHER)
        for dispatch in waiting:
            assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 3}
        assert [len(list(turn)) for _, turn in groupby(service.pushes, lambda push: push.headers["TTL"])] == [3, 3, 3]


async def test_a_broadcast_that_waits_for_its_turn_expires(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    bench.monkeypatch.setattr(broadcast_worker, "AT_ONCE", 0)
    dispatch = await bench.engine.broadcast(Notification("Hello", ttl=60))
    await bench.later(61)
    assert (await bench.done(dispatch)).counts == {Outcome.EXPIRED: 1}


async def test_a_list_is_refused_when_the_disk_fills_while_it_comes_in(bench: OutboxBench) -> None:
    async def users() -> AsyncIterator[str]:
        for number in range(10 * BATCH):
            if number == 2 * BATCH:
                bench.monkeypatch.setattr(bench.engine._pressure, "_free", lambda: 0)
                bench.clock.advance(LOOK_S)
            yield f"user{number}"

    add = watch(bench, bench.store.broadcast_users, "add")
    with pytest.raises(PushdeskError) as refused:
        await bench.engine.broadcast(HELLO, users())
    assert (refused.value.code, add.begun.qsize()) == ("disk_full", 2)


async def test_a_list_that_comes_in_leaves_the_database_to_others_as_long_as_it_wrote(bench: OutboxBench) -> None:
    add = bench.store.broadcast_users.add
    rested: list[float] = []
    sleep = asyncio.sleep

    async def takes_long(*args: Any) -> None:
        await add(*args)
        bench.clock.advance(3)

    async def rest(seconds: float) -> None:
        rested.append(seconds)
        await sleep(0)

    bench.monkeypatch.setattr(bench.store.broadcast_users, "add", takes_long)
    bench.monkeypatch.setattr(asyncio, "sleep", rest)
    await bench.engine.plan_broadcast(HELLO, each(*(f"user{number}" for number in range(2 * BATCH))))
    assert rested.count(3) == 2


async def test_a_broadcast_gives_way_once_for_several_recipients(bench: OutboxBench) -> None:
    await subscribe(bench, *(f"user{number}" for number in range(2 * BETWEEN)))
    bench.monkeypatch.setattr(bench.engine._outbox._chunks, "_is_busy", lambda: True)
    rested: list[float] = []
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        rested.append(seconds)
        await sleep(seconds)

    bench.monkeypatch.setattr(asyncio, "sleep", rest)
    assert (await bench.done(await bench.engine.broadcast(HELLO))).counts == {Outcome.ACCEPTED: 2 * BETWEEN}
    assert rested.count(GIVES_WAY_S) == 2
