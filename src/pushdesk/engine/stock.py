"""What there is to be done: counted from the database, and kept in step with every commit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushdesk.engine.outbox_observer import Observer
    from pushdesk.storage.outbox import OutboxTable


class Stock:
    """How much is queued.

    Args:
        table: The outbox in the database.
        observer: Told how many deliveries wait.
        claim: What is worked on is claimed with this.
    """

    def __init__(self, table: OutboxTable, observer: Observer, claim: str) -> None:
        self._claim = claim
        self._table = table
        self._observer = observer
        self.books = asyncio.Lock()
        """Held from a commit until it is counted: stock is not taken in between."""
        self.queued = 0
        """Dispatches that are not spread over their devices yet."""
        self.is_unsure = False
        """Whether something failed that may have been written all the same."""

    async def take(self) -> None:
        """Count what there is to be done.

        Raises:
            DatabaseError: The database does not answer.
        """
        async with self.books:
            self.queued, waiting = await self._table.backlog(self._claim)
            self._observer.resumed(waiting)
