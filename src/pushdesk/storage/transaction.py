"""Transactions: worked to their end whoever is cancelled, and the writer's telling whose generations it raised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from pushdesk.storage.records import Raised

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from sqlalchemy import Executable

    from pushdesk.storage.driver import Line, Rows
    from pushdesk.storage.prepared import Prepared

OnRaised = Callable[[Sequence[Raised], bool], None]
"""Told after a transaction whose generations it raised, and whether the commit is certain to have happened.

Called on the event loop, with the writer still locked: it must not wait, and must not raise.
"""

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class Reader:
    """What the body of `Database.read()` works with: each statement sees what is committed when it begins."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def execute(self, statement: Executable | Prepared, parameters: Any = None) -> Rows:  # noqa: ANN401 (as SQLAlchemy)
        """Execute a statement, once or for each of a list of parameters."""
        return await self._do(self._line.execute, statement, parameters)

    async def scalar(self, statement: Executable | Prepared, parameters: Any = None) -> Any:  # noqa: ANN401 (as SQLAlchemy; a column of any type)
        """Return the first column of the first row, or None if there is no row."""
        row = (await self.execute(statement, parameters)).first()
        return None if row is None else row[0]

    async def _do(self, work: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
        return await self._line.run(work, *args)


class Snapshot(Reader):
    """What the body of `Database.snapshot()` works with: all that it reads is of one moment.

    A statement that was begun is ended, also when its caller is cancelled meanwhile: nobody can stop the thread that it
    runs in, whoever gets the connection next would meet it there, and until its rows are fetched the moment is held on
    to.
    """

    async def begin(self) -> None:
        """Begin."""
        await self._do(self._line.begin_snapshot)

    async def close(self) -> None:
        """Roll back what was not committed."""
        await self._do(self._line.end)

    async def _do(self, work: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
        # A body that is worked off in the database's thread is there already.
        return work(*args) if self._line.is_here else await to_its_end(self._line.run(work, *args))


class Transaction(Snapshot):
    """What the body of `Database.write()` works with: a snapshot that nobody else changes, and that is committed."""

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self.raised: list[Raised] = []
        """The generations that this transaction raised; `raise_generations` adds to it."""
        self._is_ending = False
        self._is_committed = False

    async def begin(self) -> None:
        """Begin."""
        await self._do(self._line.begin)

    async def close(self) -> None:
        """Roll back what was not committed."""
        if not self._is_committed:
            await super().close()

    async def commit(self) -> None:
        """Commit; `tell` then, however it ends."""
        self._is_ending = True
        await self._do(self._commit)

    def tell(self, on_raised: OnRaised) -> None:
        """Tell what was raised, unless it was not even tried to commit that; never before the database is done."""
        if self.raised and self._is_ending:
            on_raised(tuple(self.raised), self._is_committed)

    def _commit(self) -> None:
        self._line.commit()
        self._is_committed = True


async def to_its_end(work: Awaitable[_T], *, on_cancel: Callable[[], None] | None = None) -> _T:
    """Wait until `work` has ended, whether or not the caller is cancelled meanwhile.

    Args:
        work: Is never cancelled.
        on_cancel: Called if the caller is; it may have `work` end earlier.

    Raises:
        CancelledError: The caller was cancelled; `work` has ended all the same.
    """
    task = asyncio.ensure_future(work)
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
