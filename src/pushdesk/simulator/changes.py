"""Waiting for a state instead of for a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Changes:
    """Tells those who wait that something changed. For one event loop."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Let every waiter look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def until(self, condition: Callable[[], T | None]) -> T:
        """Return what `condition` returns as soon as it is true; it is asked at once and after every change."""
        while True:
            changed = self._changed
            found = condition()
            if found:
                return found
            await changed.wait()
