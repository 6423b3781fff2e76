"""Who waits until nothing is left to do for a dispatch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.model import Dispatch


class Waiters:
    """One future for each dispatch that somebody waits for."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        """Return how many dispatches are waited for."""
        return len(self._waiting)

    def done(self, dispatch: str) -> asyncio.Future[None]:
        """Return what is set once nothing is left to do for a dispatch; ask before it is accepted."""
        return self._waiting.setdefault(dispatch, asyncio.get_running_loop().create_future())

    def forget(self, dispatch: str) -> None:
        """Nobody waits for this dispatch any longer."""
        self._waiting.pop(dispatch, None)

    def finish(self, dispatches: Sequence[Dispatch]) -> None:
        """Nothing is left to do for these."""
        for dispatch in dispatches:
            waiter = self._waiting.pop(dispatch.id, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
