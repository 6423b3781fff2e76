"""A broadcast can be paused, resumed and aborted, and goes on after a restart or a crash with what was not settled."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from pushdesk.config import PushConfig
from pushdesk.engine import broadcast_chain, broadcast_chunks
from pushdesk.errors import PushdeskError
from pushdesk.model import BroadcastState, DispatchState, Notification, Outcome, PageQuery, Service
from pushdesk.storage.store import DATABASE_NAME
from tests.engine.broadcasting import each, find, sent_to, subscribe, until
from tests.engine.outbox_bench import HELLO, RETRY_S, OutboxBench, Watched, open_bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.model import Dispatch
    from pushdesk.storage.records import Chunk, Ended, Settled
    from tests.engine.conftest import OpenEngine
    from tests.push_service import PushService

NAMES = tuple(f"user{number}" for number in range(6))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast_chain, "RECIPIENTS", 2)


@pytest.fixture
async def narrow(service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OutboxBench]:
    """An engine that sends one at a time."""
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=1)) as bench:
        await subscribe(bench, *NAMES)
        yield bench


async def halted(bench: OutboxBench, dispatch: Dispatch) -> None:
    """Wait until nothing more of a broadcast may start."""
    run = bench.engine._outbox.runs.get(dispatch.id)
    async with asyncio.timeout(10):
        while run is not None and not run.is_halted:  # noqa: ASYNC110 (nobody is told)
            await asyncio.sleep(0)


async def test_a_paused_broadcast_stands_still_and_goes_on(narrow: OutboxBench) -> None:
    narrow.service.hold = asyncio.Event()
    dispatch = await narrow.engine.broadcast(HELLO)
    await narrow.service.wait_for_pushes(1)
    paused = await narrow.engine.pause_broadcast(dispatch.id)
    assert (paused.state, paused.per_s, paused.left_s) == (BroadcastState.PAUSED, None, None)
    narrow.service.hold.set()
    await until(narrow.engine, dispatch, lambda now: now.done == 1)
    await narrow.look()
    assert len(narrow.service.pushes) == 1
    resumed = await narrow.engine.resume_broadcast(dispatch.id)
    assert resumed.state is BroadcastState.SENDING
    assert (await narrow.done(dispatch)).counts == {Outcome.ACCEPTED: 6}
    assert sent_to(narrow) == sorted(NAMES)
    await narrow.assert_at_rest()


async def test_a_pause_survives_a_restart(start: OpenEngine, service: PushService) -> None:
    async with start() as engine:
        for name in NAMES:
            await engine.subscribe(name, service.device(name).request())
        service.pushes.clear()
        await engine.pause_service(Service.OTHER)
        dispatch = await engine.broadcast(HELLO, each(*NAMES[:4]))
        await engine.pause_broadcast(dispatch.id)
        await engine.resume_service(Service.OTHER)
    async with start() as engine:
        broadcast = await find(engine, dispatch)
        assert (broadcast.state, broadcast.done) == (BroadcastState.PAUSED, 0)
        assert service.pushes == []
        await engine.resume_broadcast(dispatch.id)
        await until(engine, dispatch, lambda now: now.state is BroadcastState.DONE)
    assert sorted(push.path for push in service.pushes) == sorted(f"/{name}" for name in NAMES[:4])


async def test_retries_wait_while_it_is_paused(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    bench.service.answer("bob", 503, headers={"Retry-After": str(RETRY_S)})
    dispatch = await bench.engine.broadcast(HELLO)
    await until(bench.engine, dispatch, lambda now: now.done == 2)
    bench.service.answers.clear()
    await bench.engine.pause_broadcast(dispatch.id)
    await bench.later(RETRY_S + 1)
    paused = await bench.delivery(dispatch, lambda delivery: "paused" in delivery.reason)
    assert (paused.outcome, paused.attempts) == (Outcome.THROTTLED, 1)
    assert len(bench.service.pushes) == 2
    await bench.engine.resume_broadcast(dispatch.id)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 2}
    assert len(bench.service.pushes) == 3
    await bench.until(lambda stats: stats.queue == 0)


async def test_a_paused_broadcast_expires(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = await bench.engine.broadcast(Notification("Hello", ttl=60))
    await bench.engine.pause_broadcast(dispatch.id)
    await bench.later(61)
    assert (await bench.done(dispatch)).counts == {Outcome.EXPIRED: 1}
    assert (await find(bench.engine, dispatch)).state is BroadcastState.DONE


async def test_what_of_an_aborted_broadcast_was_not_sent_is_cancelled(narrow: OutboxBench) -> None:
    narrow.service.hold = asyncio.Event()
    dispatch = await narrow.engine.broadcast(HELLO)
    await narrow.service.wait_for_pushes(1)
    aborting = asyncio.create_task(narrow.engine.abort_broadcast(dispatch.id))
    await halted(narrow, dispatch)
    narrow.service.hold.set()
    aborted = await aborting
    assert aborted.state is BroadcastState.CANCELLED
    assert aborted.counts == {Outcome.ACCEPTED: 1, Outcome.CANCELLED: 5}
    assert (await narrow.engine.dispatch(dispatch.id)).state is DispatchState.CANCELLED
    assert len(narrow.service.pushes) == 1
    assert (await narrow.engine.broadcasts(PageQuery())).items == (aborted,)
    assert narrow.engine.broadcasts_going_on() == ()
    await narrow.assert_at_rest()


async def test_what_is_under_way_when_it_is_aborted_counts_as_it_is_answered(
    narrow: OutboxBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast_chunks, "STRAGGLE_S", 0.01)
    narrow.service.hold = asyncio.Event()
    dispatch = await narrow.engine.broadcast(HELLO, each(*NAMES[:2]))
    await narrow.service.wait_for_pushes(1)
    # It does not wait for the answer.
    assert (await narrow.engine.abort_broadcast(dispatch.id)).state is BroadcastState.CANCELLED
    narrow.service.hold.set()
    await narrow.until(lambda stats: stats.in_flight == 0)
    broadcast = await until(narrow.engine, dispatch, lambda now: Outcome.WAITING not in now.counts)
    assert broadcast.counts == {Outcome.ACCEPTED: 1, Outcome.CANCELLED: 1}
    assert len(narrow.service.pushes) == 1
    await narrow.assert_at_rest()


async def test_retries_of_an_aborted_broadcast_are_cancelled(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    bench.service.answer("bob", 503, headers={"Retry-After": str(RETRY_S)})
    dispatch = await bench.engine.broadcast(HELLO)
    await until(bench.engine, dispatch, lambda now: now.done == 2)
    aborted = await bench.engine.abort_broadcast(dispatch.id)
    assert aborted.counts == {Outcome.ACCEPTED: 1, Outcome.CANCELLED: 1}
    await bench.assert_at_rest()


async def test_a_scheduled_broadcast_can_be_aborted_as_a_dispatch(bench: OutboxBench) -> None:
    await subscribe(bench, "ada")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = await bench.engine.broadcast(HELLO, each("ada"))
    cancelled = await bench.engine.cancel(dispatch.id)
    assert (cancelled.state, cancelled.counts) == (DispatchState.CANCELLED, {Outcome.CANCELLED: 1})
    await bench.engine._outbox.broadcasts._look()
    assert bench.sql("SELECT count(*) FROM broadcast_users") == [(0,)]
    await bench.engine.resume_service(Service.OTHER)
    await bench.assert_at_rest()
    assert bench.service.pushes == []


async def test_what_has_ended_or_is_not_there_cannot_be_changed(bench: OutboxBench) -> None:
    dispatch = await bench.engine.broadcast(HELLO)
    notification = await bench.engine.notify("nobody", HELLO)
    await bench.done(dispatch)
    for change in (bench.engine.pause_broadcast, bench.engine.resume_broadcast, bench.engine.abort_broadcast):
        for id_, code in ((dispatch.id, "already_ended"), (notification.id, "not_found"), ("f" * 26, "not_found")):
            with pytest.raises(PushdeskError) as refused:
                await change(id_)
            assert refused.value.code == code


async def test_only_whoever_asked_for_it_may_change_it_unless_he_may_everything(bench: OutboxBench) -> None:
    await bench.engine.pause_service(Service.OTHER)
    await subscribe(bench)
    bench.clock.advance(1)
    await bench.engine.resume_service(Service.OTHER)
    await subscribe(bench, "ada")
    await bench.engine.pause_service(Service.OTHER)
    dispatch = (await bench.engine.accept_broadcast(HELLO, sender="one")).dispatch
    for change in (bench.engine.pause_broadcast, bench.engine.resume_broadcast, bench.engine.abort_broadcast):
        with pytest.raises(PushdeskError) as refused:
            await change(dispatch.id, sender="other")
        assert refused.value.code == "forbidden"
    assert (await bench.engine.abort_broadcast(dispatch.id, sender="one")).state is BroadcastState.CANCELLED


async def test_a_crash_repeats_the_open_chunk_only(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "left"
    left.mkdir()
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        await subscribe(bench, *NAMES)
        settle = bench.store.broadcasts.settle
        last = Watched(settle)
        last.hold = asyncio.Event()
        bench.watched.append(last)
        calls = count(1)

        async def settle_all_but_the_third(chunk: Chunk, now_ms: int, *, again: bool = False) -> tuple[Settled, Ended]:
            method = last if next(calls) == 3 else settle
            return await method(chunk, now_ms, again=again)

        monkeypatch.setattr(bench.store.broadcasts, "settle", settle_all_but_the_third)
        dispatch = await bench.engine.broadcast(HELLO)
        await until(bench.engine, dispatch, lambda now: now.done == 4)
        # What is in the database by now is what a crash would leave.
        bench.sql("VACUUM INTO ?", str(left / DATABASE_NAME))
        (chunk, _) = await last.begun.get()
    service.pushes.clear()
    async with open_bench(service, left, monkeypatch) as bench:
        done = await until(bench.engine, dispatch, lambda now: now.state is BroadcastState.DONE)
        assert done.counts == {Outcome.ACCEPTED: 6}
        assert sent_to(bench) == sorted(item.delivery.user for item in chunk.settlements)
        assert len(service.pushes) == 2


@pytest.mark.parametrize("timeout_s", [0, 5])
async def test_a_server_that_stops_writes_down_what_was_answered(
    start: OpenEngine, service: PushService, timeout_s: float
) -> None:
    async with start() as engine:
        for name in NAMES:
            await engine.subscribe(name, service.device(name).request())
        service.pushes.clear()
        service.hold = asyncio.Event()
        dispatch = await engine.broadcast(HELLO)
        await service.wait_for_pushes(6)
        draining = asyncio.create_task(engine.drain(timeout_s))
        await asyncio.sleep(0)
        if timeout_s:
            service.hold.set()
        assert await draining == (0 if timeout_s else 6)
    service.hold.set()
    service.hold = None
    before = len(service.pushes)
    async with start() as engine:
        broadcast = await until(engine, dispatch, lambda now: now.state is BroadcastState.DONE)
        assert broadcast.counts == {Outcome.ACCEPTED: 6}
    assert len(service.pushes) - before == (0 if timeout_s else 6)
