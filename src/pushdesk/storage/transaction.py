"""Transactions: worked to their end whoever is cancelled, and the writer's telling whose generations it raised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pushdesk.storage.records import Raised

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

OnRaised = Callable[[Sequence[Raised], bool], None]
"""Told after a transaction whose generations it raised, and whether the commit is certain to have happened.

Called on the event loop, with the writer still locked: it must not wait, and must not raise.
"""

_T = TypeVar("_T")


class Snapshot:
    """What the body of `Database.snapshot()` works with: all that it reads is of one moment.

    A statement that was begun is ended, also when its caller is cancelled meanwhile: the driver runs it in a thread
    that nobody can stop, whoever gets the connection next would meet it there, and until its rows are fetched the
    moment is held on to.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:  # noqa: ANN401 (as SQLAlchemy)
        """Execute a statement, once or for each of a list of parameters."""
        return await to_its_end(self._connection.execute(statement, parameters))

    async def scalar(self, statement: Executable) -> Any:  # noqa: ANN401 (a column of any type)
        """Return the first column of the first row, or None if there is no row."""
        return await to_its_end(self._connection.scalar(statement))

    async def begin(self) -> None:
        """Take the connection and begin."""
        await to_its_end(self._begin())

    async def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""
        await to_its_end(self._close())

    async def _begin(self) -> None:
        await self._connection.start()
        await self._connection.begin()

    async def _close(self) -> None:
        if self._connection.sync_connection is None:
            # It could not even be opened.
            return
        try:
            await self._connection.rollback()
        finally:
            await self._connection.close()


class Transaction(Snapshot):
    """What the body of `Database.write()` works with: a snapshot that nobody else changes, and that is committed."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self.raised: list[Raised] = []
        """The generations that this transaction raised; `raise_generations` adds to it."""

    async def commit(self, on_raised: OnRaised) -> None:
        """Commit, then tell what was raised: never before the database is done, however the commit ends."""
        await to_its_end(self._commit(on_raised))

    async def _commit(self, on_raised: OnRaised) -> None:
        committed = False
        try:
            await self._connection.commit()
            committed = True
        finally:
            if self.raised:
                on_raised(tuple(self.raised), committed)


async def to_its_end(work: Coroutine[Any, Any, _T], *, on_cancel: Callable[[], None] | None = None) -> _T:
    """Wait until `work` has ended, whether or not the caller is cancelled meanwhile.

    Args:
        work: Is never cancelled.
        on_cancel: Called if the caller is; it may have `work` end earlier.

    Raises:
        CancelledError: The caller was cancelled; `work` has ended all the same.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
            if on_cancel is not None:
                on_cancel()
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        # Looked at, so that asyncio does not report it as lost: who is cancelled gets nothing else.
        task.exception()
    raise cancelled
