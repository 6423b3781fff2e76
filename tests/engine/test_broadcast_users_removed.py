"""Of a user who is removed nothing is left of a broadcast but the number, and it ends all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pushdesk.engine import broadcast_chunks
from pushdesk.model import BroadcastState, Notification, Outcome
from tests.engine.broadcasting import find, subscribe, until
from tests.engine.outbox_bench import HELLO, RETRY_S

if TYPE_CHECKING:
    from pushdesk.model import Dispatch
    from tests.engine.outbox_bench import OutboxBench


async def assert_forgotten(bench: OutboxBench, dispatch: Dispatch) -> None:
    """Ada was got to, and so was somebody of whom nothing is left, in memory as in the database."""
    assert (await bench.engine.dispatch(dispatch.id)).counts == {Outcome.ACCEPTED: 1}
    found = await find(bench.engine, dispatch)
    assert (found.state, found.done, found.counts) == (BroadcastState.DONE, 2, {Outcome.ACCEPTED: 1})
    assert bench.sql("SELECT * FROM deliveries WHERE user = 'bob' AND dispatch = ?", dispatch.id) == []
    assert dispatch.id not in bench.engine._outbox.runs
    await bench.assert_at_rest()


async def test_a_broadcast_ends_whose_last_user_who_waits_is_removed(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob")
    bench.service.answer("bob", 429, headers={"Retry-After": str(RETRY_S)})
    dispatch = await bench.engine.broadcast(Notification("Hello", ttl=2 * RETRY_S))
    await until(bench.engine, dispatch, lambda now: now.counts == {Outcome.ACCEPTED: 1, Outcome.THROTTLED: 1})
    await bench.engine.remove_user("bob")
    await assert_forgotten(bench, dispatch)


async def test_a_broadcast_that_goes_on_counts_nobody_who_was_removed(bench: OutboxBench) -> None:
    await subscribe(bench, "ada", "bob", "cy")
    bench.service.answer("bob", 400)
    bench.service.answer("cy", 429, headers={"Retry-After": str(RETRY_S)})
    dispatch = await bench.engine.broadcast(HELLO)
    await until(bench.engine, dispatch, lambda now: now.done == 3)
    await bench.engine.remove_user("bob")
    counts = {Outcome.ACCEPTED: 1, Outcome.THROTTLED: 1}
    assert (await find(bench.engine, dispatch)).counts == counts
    assert (await bench.engine.dispatch(dispatch.id)).counts == counts


@pytest.mark.parametrize("status", [400, 500])
async def test_who_is_removed_while_he_is_sent_to_leaves_no_delivery(bench: OutboxBench, status: int) -> None:
    await subscribe(bench, "ada", "bob")
    bench.service.answer("bob", status)
    bench.service.hold = asyncio.Event()
    dispatch = await bench.engine.broadcast(HELLO)
    await bench.service.wait_for_pushes(2)
    await bench.engine.remove_user("bob")
    bench.service.hold.set()
    await bench.done(dispatch)
    await assert_forgotten(bench, dispatch)


async def test_who_is_removed_while_nobody_waits_for_him_leaves_no_delivery(
    bench: OutboxBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast_chunks, "STRAGGLE_S", 0.01)
    await subscribe(bench, "ada", "bob")
    bench.service.answer("bob", 500)
    settle = bench.store.broadcasts.settle
    written, go_on = asyncio.Event(), asyncio.Event()

    async def held(*args: object, **options: object) -> object:
        written.set()
        await go_on.wait()
        return await settle(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.store.broadcasts, "settle", held)
    bench.service.hold = asyncio.Event()
    dispatch = await bench.engine.broadcast(HELLO)
    await written.wait()
    await bench.store.users.remove("bob")
    go_on.set()
    await until(bench.engine, dispatch, lambda now: now.done == 2)
    bench.service.hold.set()
    await bench.done(dispatch)
    await assert_forgotten(bench, dispatch)
