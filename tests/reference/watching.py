"""A store whose reads of users' devices are counted, and can be held back on their way to whoever asked."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from pushdesk.storage.store import Store
from pushdesk.storage.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pushdesk.storage.records import Targets


class Held:
    """A read that the database has answered, and whose answer is still on its way: by now it may be out of date."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()


class WatchedSubscriptions(Subscriptions):
    """The real ones, watched."""

    def __init__(self, real: Subscriptions) -> None:
        super().__init__(real._database, real._digest_key, real._sealer)
        self.reads: list[frozenset[str]] = []
        """Whose devices were read, statement by statement."""
        self.next_held: Held | None = None

    async def targets(self, users: Collection[str]) -> dict[str, Targets]:
        self.reads.append(frozenset(users))
        held, self.next_held = self.next_held, None
        found = await super().targets(users)
        if held is not None:
            held.begun.set()
            await held.let_go.wait()
        return found


class WatchedStore(Store):
    """A real store with watched subscriptions."""

    watched: WatchedSubscriptions

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.subscriptions = self.watched = WatchedSubscriptions(self.subscriptions)
        return self

    def reads_of(self, user: str) -> int:
        """Return how often a user's devices were read since the store was opened."""
        return sum(user in read for read in self.watched.reads)

    @contextmanager
    def hold_next_read(self) -> Iterator[Held]:
        """Hold back the answer to the next read, until it is let go or the block ends."""
        held = self.watched.next_held = Held()
        try:
            yield held
        finally:
            held.let_go.set()
