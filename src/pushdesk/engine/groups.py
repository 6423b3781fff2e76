"""Group commit: what comes in while one transaction runs is written by the next one, together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")

log = structlog.get_logger()


class GroupCommit(Generic[T]):
    """Collects items and hands them to `commit` in groups, one group at a time, in their order.

    Args:
        commit: Writes a group and answers for its failures; what it raises is logged, and the group passed over.
        limit: The largest group.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Awaitable[None]], *, limit: int) -> None:
        self._commit = commit
        self._limit = limit
        self._waiting: list[T] = []
        self._in_commit = 0
        self._has_items = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def add(self, item: T) -> None:
        """Put an item into the next group."""
        self._waiting.append(item)
        self._is_idle.clear()
        self._has_items.set()

    @property
    def pending(self) -> int:
        """How many items are not written yet."""
        return len(self._waiting) + self._in_commit

    async def run(self) -> None:
        """Write groups until cancelled."""
        while True:
            await self._has_items.wait()
            group, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
            self._in_commit = len(group)
            try:
                await self._commit(group)
            except Exception:
                # A fault of ours, in one group: the ones after it are written all the same.
                log.exception("group_commit_failed", items=len(group))
            self._in_commit = 0
            if not self._waiting:
                self._has_items.clear()
                self._is_idle.set()

    async def drained(self) -> None:
        """Return once everything that was added is written."""
        await self._is_idle.wait()
