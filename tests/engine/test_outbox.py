"""A commit that was done and reported as failed: what it claimed is sent all the same, without a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.config import PushConfig
from pushdesk.errors import DatabaseError
from pushdesk.model import DispatchState, Notification, Outcome, PageQuery, Service
from pushdesk.storage.times import to_datetime
from tests.contract.storing import NOW
from tests.engine.cache_bench import settle, soon
from tests.engine.outbox_bench import HELLO, RETRY_S, open_bench

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.storage.records import Due
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log
    from tests.push_service import PushService


async def test_what_was_spread_by_a_commit_that_seemed_to_fail_is_sent(bench: OutboxBench, log: Log) -> None:
    await bench.subscribe("ada", "phone")
    await bench.engine.invalidate_cache("ada")
    bench.service.pushes.clear()
    bench.watch("spread").seems_to_fail = True
    dispatch = await bench.engine.notify("ada", HELLO)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert len(bench.service.pushes) == 1
    assert len(log.of("outbox_pass_failed")) == 1
    await bench.assert_at_rest()


async def test_what_was_accepted_and_spread_by_a_commit_that_seemed_to_fail_is_sent(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    bench.watch("accept").seems_to_fail = True
    with pytest.raises(DatabaseError):
        await bench.engine.notify("ada", HELLO)
    await bench.until(lambda stats: not stats.queue and stats.outcomes.get(Outcome.ACCEPTED) == 2)
    assert len(bench.service.pushes) == 1
    await bench.assert_at_rest()


async def test_what_is_accepted_while_claims_are_released_keeps_its_own(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    bench.service.hold = asyncio.Event()
    accept, release = bench.watch("accept"), bench.watch("release_claims")
    accept.seems_to_fail = True
    release.hold = asyncio.Event()
    with pytest.raises(DatabaseError):
        await bench.engine.notify("ada", HELLO)
    await soon(release.begun.get())
    accepted = asyncio.create_task(bench.engine.notify("ada", HELLO))
    release.hold.set()
    await soon(accepted)
    await soon(bench.service.wait_for_pushes(2))
    bench.service.hold.set()
    await bench.until(lambda stats: not stats.queue and stats.outcomes.get(Outcome.ACCEPTED) == 3)
    assert len(bench.service.pushes) == 2
    await bench.assert_at_rest()


async def test_nothing_is_sent_to_a_device_that_is_removed_while_a_message_is_accepted(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    await bench.subscribe("ada", "tablet")
    bench.service.pushes.clear()
    accept = bench.watch("accept")
    accept.hold = asyncio.Event()
    accepted = asyncio.create_task(bench.engine.notify("ada", HELLO))
    await soon(accept.begun.get())
    await bench.engine.unsubscribe("ada", bench.service.endpoint("phone"))
    accept.hold.set()
    dispatch = await bench.done(await soon(accepted))
    assert dispatch.counts == {Outcome.ACCEPTED: 1}
    assert [push.path for push in bench.service.pushes] == ["/tablet"]
    await bench.assert_at_rest()


async def test_nothing_is_sent_for_a_user_who_is_removed_while_a_message_is_accepted(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    accept = bench.watch("accept")
    accept.hold = asyncio.Event()
    accepted = asyncio.create_task(bench.engine.notify("ada", HELLO))
    await soon(accept.begun.get())
    removing = asyncio.create_task(bench.engine.remove_user("ada"))
    await bench.until(lambda stats: stats.subscriptions == 0)
    accept.hold.set()
    await soon(accepted)
    await soon(removing)
    await bench.until(lambda stats: not stats.queue and not stats.in_flight)
    assert bench.service.pushes == []
    await bench.assert_at_rest()


async def test_what_seems_to_fail_while_claims_are_released_is_sent_too(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    await bench.subscribe("bob", "pad")
    bench.service.pushes.clear()
    accept, release = bench.watch("accept"), bench.watch("release_claims")
    accept.seems_to_fail = True
    release.hold = asyncio.Event()
    with pytest.raises(DatabaseError):
        await bench.engine.notify("ada", HELLO)
    await soon(release.begun.get())
    accept.seems_to_fail = True
    accepted = asyncio.create_task(bench.engine.notify("bob", HELLO))
    await settle()
    release.hold.set()
    with pytest.raises(DatabaseError):
        await soon(accepted)
    await soon(bench.service.wait_for_pushes(2))
    assert sorted(push.path for push in bench.service.pushes) == ["/pad", "/phone"]
    # With the two by which they subscribed.
    await bench.until(lambda stats: not stats.queue and stats.outcomes.get(Outcome.ACCEPTED) == 4)
    await bench.assert_at_rest()


async def test_what_was_for_later_and_is_due_is_sent_before_what_is_accepted_then(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    await bench.subscribe("bob", "pad")
    bench.service.pushes.clear()
    send_at = to_datetime(round(bench.clock.time() * 1000)) + timedelta(seconds=60)
    scheduled = await bench.engine.notify("ada", Notification("Hello", send_at=send_at))
    await bench.engine.invalidate_cache("bob")
    # With it, something is due for somebody whose devices take their time.
    bench.reads.hanging.add("bob")
    bench.clock.advance(61)
    await bench.engine.notify("bob", HELLO)
    await soon(bench.reads.hung.get())
    later = await bench.engine.notify("ada", HELLO)
    assert (await bench.engine.dispatch(later.id)).state is DispatchState.QUEUED
    bench.reads.hanging.clear()
    bench.reads.let_go.set()
    for dispatch in (scheduled, later):
        await bench.done(dispatch)
    await bench.assert_at_rest()


async def test_what_is_left_while_it_is_looked_for_what_is_due_is_sent_before_what_is_accepted_then(
    bench: OutboxBench,
) -> None:
    await bench.subscribe("ada", "phone")
    await bench.look(wait_s=10)
    bench.service.pushes.clear()
    await bench.engine.pause_service(Service.OTHER)
    await bench.look(wait_s=10)
    looks, table_due = asyncio.Queue[None](), bench.store.outbox.due
    go_on = asyncio.Semaphore(0)

    async def due(now_ms: int, limit: int) -> Due:
        found = await table_due(now_ms, limit)
        looks.put_nowait(None)
        await go_on.acquire()
        return found

    bench.monkeypatch.setattr(bench.store.outbox, "due", due)
    bench.engine._outbox._wake()
    await soon(looks.get())
    first = await bench.engine.notify("ada", HELLO)
    await bench.engine.resume_service(Service.OTHER)
    go_on.release()
    await soon(looks.get())
    second = await bench.engine.notify("ada", HELLO)
    assert (await bench.engine.dispatch(second.id)).state is DispatchState.QUEUED
    bench.monkeypatch.setattr(bench.store.outbox, "due", table_due)
    go_on.release()
    for dispatch in (first, second):
        await bench.done(dispatch)
    await bench.assert_at_rest()


async def test_what_waits_for_a_service_is_sent_before_what_is_accepted_later(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch, push=PushConfig(concurrency=1)) as bench:
        await bench.subscribe("ada", "phone")
        await bench.subscribe("bob", "pad")
        bench.service.pushes.clear()
        await bench.engine.pause_service(Service.OTHER)
        sent = [await bench.engine.notify("ada", HELLO) for _ in range(3)]
        claim = bench.watch("claim")
        claim.hold = asyncio.Event()
        await bench.engine.resume_service(Service.OTHER)
        await soon(claim.begun.get())
        sent.append(await bench.engine.notify("bob", HELLO))
        claim.hold.set()
        for dispatch in sent:
            await bench.done(dispatch)
        assert [push.path for push in bench.service.pushes] == [*["/phone"] * 3, "/pad"]


async def test_what_was_claimed_by_a_commit_that_seemed_to_fail_is_sent(bench: OutboxBench, log: Log) -> None:
    dispatch = await bench.waiting("ada", "phone")
    bench.watch("claim").seems_to_fail = True
    await bench.later(RETRY_S)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert len(bench.service.pushes) == 1
    assert len(log.of("outbox_pass_failed")) == 1
    await bench.assert_at_rest()


async def test_users_without_devices_are_done_after_a_commit_that_seemed_to_fail(bench: OutboxBench) -> None:
    spread = bench.watch("spread")
    spread.seems_to_fail = True
    dispatch = await bench.engine.notify("nobody", HELLO)
    await soon(spread.begun.get())
    # It is told of no longer; whoever looks sees it.
    await bench.look(wait_s=60)
    assert (await bench.engine.dispatch(dispatch.id)).state is DispatchState.DONE
    await bench.assert_at_rest()


async def test_what_is_under_way_while_a_claim_seems_to_fail_is_not_sent_twice(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    await bench.subscribe("bob", "laptop")
    bench.service.pushes.clear()
    bench.service.hold = asyncio.Event()
    under_way = await bench.engine.notify("ada", HELLO)
    await soon(bench.service.wait_for_pushes(1))
    bench.watch("spread").seems_to_fail = True
    freed = await bench.engine.notify("bob", HELLO)
    await soon(bench.service.wait_for_pushes(2))
    assert bench.engine.in_flight == 2
    bench.service.hold.set()
    for dispatch in (under_way, freed):
        assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert sorted(push.path for push in bench.service.pushes) == ["/laptop", "/phone"]
    await bench.assert_at_rest()


async def test_what_was_accepted_by_a_commit_that_seemed_to_fail_is_sent_and_counted(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    bench.clock.advance(1)
    bench.watch("accept").seems_to_fail = True
    with pytest.raises(DatabaseError):
        await bench.engine.notify("ada", HELLO)
    await soon(bench.service.wait_for_pushes(1))
    dispatch = (await bench.engine.dispatches(PageQuery(limit=1))).items[0]
    assert dispatch.user == "ada"
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    await bench.assert_at_rest()


async def test_what_was_cancelled_by_a_commit_that_seemed_to_fail_is_not_counted(bench: OutboxBench) -> None:
    dispatch = await bench.engine.notify("ada", Notification("later", send_at=to_datetime(NOW + 60_000)))
    bench.watch("cancel").seems_to_fail = True
    with pytest.raises(DatabaseError):
        await bench.engine.cancel(dispatch.id)
    assert (await bench.engine.dispatch(dispatch.id)).state is DispatchState.CANCELLED
    await bench.until(lambda stats: stats.queue == 0)
    await bench.assert_at_rest()


@pytest.mark.parametrize("writing", ["accept", "settle"])
async def test_stock_is_not_taken_between_a_commit_and_its_being_counted(bench: OutboxBench, writing: str) -> None:
    await bench.subscribe("ada", "phone")
    written, backlog = bench.watch(writing), bench.watch("backlog")
    written.hold = asyncio.Event()
    notifying = asyncio.create_task(bench.engine.notify("ada", HELLO))
    await soon(written.begun.get())
    taking_stock = asyncio.create_task(bench.engine._outbox.take_stock())
    await settle()
    assert backlog.begun.empty()
    written.hold.set()
    await soon(taking_stock)
    assert (await bench.done(await notifying)).counts == {Outcome.ACCEPTED: 1}
    await bench.assert_at_rest()


async def test_what_could_not_be_written_by_a_mistake_is_not_lost(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    settle = bench.store.outbox.settle
    mistakes = [ValueError("a mistake")]

    async def mistaken(*args: object, **options: object) -> object:
        if mistakes:
            raise mistakes.pop()
        return await settle(*args, **options)  # type: ignore[arg-type]

    bench.monkeypatch.setattr(bench.store.outbox, "settle", mistaken)
    dispatch = await bench.engine.notify("ada", HELLO)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
    assert len(bench.service.pushes) == 2
    await bench.assert_at_rest()
