"""What is shown of a dispatch is of one moment, whatever is written while it is read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import DispatchState, Outcome, PageQuery
from pushdesk.storage.store import Store
from tests.contract.storing import CLAIM, NOW, message, outcome, put, spread, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from pushdesk.model import Dispatch
    from pushdesk.storage.records import Job
    from tests.contract.tracing import Trace

BEGIN, END = "BEGIN DEFERRED", "ROLLBACK"
THE_DISPATCH, ITS_DELIVERIES, COUNTS = "SELECT dispatches.", "SELECT deliveries.id", "SELECT deliveries.dispatch"


@pytest.fixture
async def store(path: Path, trace: Trace) -> AsyncIterator[Store]:
    async with Store(path) as opened:
        trace.statements.clear()
        yield opened


async def sending(store: Store, dispatch: str = "m1") -> list[Job]:
    """Have a dispatch under way to two devices."""
    await put(store, subscription("one"))
    await put(store, subscription("two"))
    return await spread(store, message(dispatch))


async def settle(store: Store, jobs: Sequence[Job]) -> None:
    await store.outbox.settle([outcome(job, Outcome.ACCEPTED) for job in jobs], CLAIM, NOW)


async def one(store: Store) -> Dispatch:
    return await store.listings.dispatch("m1")


async def listed(store: Store) -> Dispatch:
    (found,) = (await store.listings.dispatches(PageQuery())).items
    return found


async def is_in_no_transaction(path: Path) -> bool:
    """Return whether the log can be emptied: it cannot as long as anybody reads from it."""

    def empty() -> bool:
        with closing(sqlite3.connect(path)) as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    return await asyncio.to_thread(empty)


@pytest.mark.parametrize(("read", "at"), [(one, ITS_DELIVERIES), (one, COUNTS), (listed, COUNTS)])
async def test_what_is_settled_in_the_middle_of_reading_is_not_seen_at_all(
    store: Store, trace: Trace, read: Callable[[Store], Awaitable[Dispatch]], at: str
) -> None:
    jobs = await sending(store)
    with trace.hold(at) as held:
        reading = asyncio.ensure_future(read(store))
        await held.begun.wait()
        await settle(store, jobs)
    found = await reading
    assert (found.state, found.counts) == (DispatchState.SENDING, {Outcome.WAITING: 2})
    assert {delivery.outcome for delivery in found.deliveries} <= {Outcome.WAITING}
    found = await read(store)
    assert (found.state, found.counts) == (DispatchState.DONE, {Outcome.ACCEPTED: 2})


async def test_a_dispatch_never_contradicts_itself_while_it_is_settled(store: Store) -> None:
    names = [f"m{number}" for number in range(50)]
    jobs = {name: await sending(store, name) for name in names}
    settled: list[str] = []

    async def settle_all() -> None:
        for name in names:
            for job in jobs[name]:
                await settle(store, [job])
            settled.append(name)

    settling = asyncio.create_task(settle_all())
    while len(settled) < len(names):
        found = await store.listings.dispatch(names[len(settled)])
        assert found.counts == Counter(delivery.outcome for delivery in found.deliveries)
        assert (found.state is DispatchState.DONE) is (found.counts == {Outcome.ACCEPTED: 2})
    await settling


@pytest.mark.parametrize("cancellations", [1, 5])
@pytest.mark.parametrize("at", [BEGIN, THE_DISPATCH, ITS_DELIVERIES, COUNTS, END])
async def test_who_is_cancelled_in_the_middle_leaves_no_transaction_behind(
    store: Store, trace: Trace, path: Path, at: str, cancellations: int
) -> None:
    jobs = await sending(store)
    with trace.hold(at) as held:
        reading = asyncio.create_task(one(store))
        await held.begun.wait()
        for _ in range(cancellations):
            reading.cancel()
            # Time enough for a cancellation to come through.
            await store.ping()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await settle(store, jobs)
    assert await is_in_no_transaction(path)
    # More than there are connections: each of them works, and is up to date.
    assert {(await one(store)).state for _ in range(8)} == {DispatchState.DONE}


async def test_one_that_is_not_found_leaves_no_transaction_behind(store: Store, path: Path) -> None:
    with pytest.raises(PushdeskError, match="no such dispatch"):
        await one(store)
    await sending(store)
    assert await is_in_no_transaction(path)
