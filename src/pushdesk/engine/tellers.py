"""What happens too often to be told each time: changes of the cache, broadcasts and the log, collected for a moment."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from pushdesk.desk import BroadcastChanged, CacheChanged, LogWritten
from pushdesk.engine.events import INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.engine.events import EventBus
    from pushdesk.model import Broadcast, CacheChange, CacheEntry, LogEntry

CHANGES_TOLD: Final = 50
"""The most changes of the cache that are told one by one at a time: at any load, the bus has room for the rest."""
LINES_TOLD: Final = 50
"""The most lines of the log that are told at a time, for the same reason."""


class CacheTeller:
    """The cache's observer: what happened to a user within a moment is one event per kind, with a count.

    Told in the order in which they happened last, so that the last event of a user says what is held of him.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._pending: dict[tuple[CacheChange, str], tuple[CacheEntry | None, int]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, change: CacheChange, user: str, entry: CacheEntry | None) -> None:
        """Note a change; it is told within a moment."""
        _, count = self._pending.pop((change, user), (None, 0))
        self._pending[change, user] = (entry, count + 1)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._tell)

    def stop(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self) -> None:
        self._timer = None
        pending, self._pending = list(self._pending.items()), {}
        earlier = len(pending) - CHANGES_TOLD
        if earlier > 0:
            sums: Counter[CacheChange] = Counter()
            for (change, _), (_, count) in pending[:earlier]:
                sums[change] += count
            for change, count in sums.items():
                self._bus.publish(CacheChanged, change, "", count=count)
        for (change, user), (entry, count) in pending[-CHANGES_TOLD:]:
            self._bus.publish(CacheChanged, change, user, entry, count)


class BroadcastTeller:
    """Tells of broadcasts, of each ten times a second at most, as it is by then."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._pending: dict[str, Callable[[], Broadcast]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, broadcast: str, shown: Callable[[], Broadcast]) -> None:
        """Note that a broadcast has moved on; it is told within a moment.

        Args:
            broadcast: Its id.
            shown: Returns how it is.
        """
        self._pending[broadcast] = shown
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._tell)

    def stop(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self) -> None:
        self._timer = None
        pending, self._pending = self._pending, {}
        for shown in pending.values():
            self._bus.publish(BroadcastChanged, shown())


class LogTeller:
    """Takes lines of the log from any thread, and tells them on its own event loop.

    Of many lines within a moment the latest are told; their numbers show the hole.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._pending: deque[LogEntry] = deque(maxlen=LINES_TOLD)
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None

    def written(self, entry: LogEntry) -> None:
        """Note a line; it is told within a moment."""
        # Without a lock, since whoever logs may hold others: at worst the loop is woken once for nothing.
        self._pending.append(entry)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon_threadsafe(self._wait)

    def stop(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = self._loop.call_later(INTERVAL_S, self._tell)

    def _tell(self) -> None:
        # Before they are taken: a line that comes now is either taken too, or wakes the loop again.
        self._is_due = False
        while self._pending:
            self._bus.publish(LogWritten, self._pending.popleft())
