"""Group commit."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pushdesk.engine.groups import GroupCommit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Ledger:
    """Writes down each group, and waits to be let go on."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.go_on = asyncio.Semaphore(0)
        self.in_commit = asyncio.Semaphore(0)

    async def commit(self, group: Sequence[int]) -> None:
        self.in_commit.release()
        await self.go_on.acquire()
        self.groups.append(list(group))


@asynccontextmanager
async def running(ledger: Ledger, *, limit: int) -> AsyncIterator[GroupCommit[int]]:
    groups = GroupCommit(ledger.commit, limit=limit)
    task = asyncio.create_task(groups.run())
    yield groups
    groups.close()
    await task


async def test_what_comes_in_during_a_commit_is_the_next_group() -> None:
    ledger = Ledger()
    async with running(ledger, limit=10) as groups:
        groups.add(1)
        await ledger.in_commit.acquire()
        for item in (2, 3, 4):
            groups.add(item)
        for _ in range(2):
            ledger.go_on.release()
    assert ledger.groups == [[1], [2, 3, 4]]


async def test_no_group_is_over_the_limit_and_none_is_lost() -> None:
    ledger = Ledger()
    async with running(ledger, limit=3) as groups:
        for item in range(8):
            groups.add(item)
        for _ in range(3):
            ledger.go_on.release()
    assert ledger.groups == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_a_commit_that_waits_first_takes_what_comes_in_meanwhile_up_to_the_limit() -> None:
    written: list[list[int]] = []
    lock, waits = asyncio.Lock(), asyncio.Event()

    async def commit(group: list[int]) -> None:
        waits.set()
        async with lock:
            groups.fill(group)
            written.append(group)

    groups = GroupCommit(commit, limit=3)
    async with lock:
        task = asyncio.create_task(groups.run())
        groups.add(1)
        await waits.wait()
        for item in (2, 3, 4):
            groups.add(item)
    groups.close()
    await task
    assert written == [[1, 2, 3], [4]]


async def test_a_group_that_fails_does_not_keep_the_next_from_being_written() -> None:
    written: list[list[int]] = []

    async def commit(group: Sequence[int]) -> None:
        await asyncio.sleep(0)
        if 1 in group:
            raise ZeroDivisionError
        written.append(list(group))

    groups = GroupCommit(commit, limit=1)
    task = asyncio.create_task(groups.run())
    for item in (1, 2):
        groups.add(item)
    groups.close()
    await task
    assert written == [[2]]
