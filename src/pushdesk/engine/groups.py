"""Group commit: what comes in while one transaction runs is written by the next one, together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from pushdesk.log import write
from pushdesk.log_events import GroupCommitFailed
from pushdesk.log_fields import Failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class GroupCommit(Generic[T]):
    """Collects items and hands them to `commit` in groups, one group at a time, in their order.

    Args:
        commit: Writes a group and answers for its failures; what it raises is logged, and the group passed over. It may
            `fill` the group once it has waited for what it needs.
        limit: The largest group.
    """

    def __init__(self, commit: Callable[[list[T]], Awaitable[None]], *, limit: int) -> None:
        self._commit = commit
        self._limit = limit
        self._waiting: list[T] = []
        self._is_committing = False
        self._closed = False
        self._wake = asyncio.Event()

    def add(self, item: T) -> None:
        """Put an item into the next group."""
        self._waiting.append(item)
        self._wake.set()

    def fill(self, group: list[T]) -> None:
        """Add to a group that is not written yet what has come in since it was made, if there is room."""
        room = self._limit - len(group)
        group += self._waiting[:room]
        del self._waiting[:room]

    async def run(self) -> None:
        """Write groups until closed, and then what is left."""
        while True:
            if not self._waiting:
                if self._closed:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            group: list[T] = []
            self.fill(group)
            self._is_committing = True
            try:
                await self._commit(group)
            except Exception as error:  # noqa: BLE001 (in one group: the ones after it are written all the same)
                write(GroupCommitFailed(Failure.of(error), items=len(group)))
            finally:
                self._is_committing = False

    @property
    def is_busy(self) -> bool:
        """Whether there is anything that is not written yet."""
        return self._is_committing or bool(self._waiting)

    def close(self) -> None:
        """Let `run` end once everything is written; it is not to be cancelled in the middle of a transaction."""
        self._closed = True
        self._wake.set()
