"""The last lines of the log, in memory: what the console shows of it."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pushdesk.model import LogEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from pushdesk.model import LogLevel

HELD: Final = 1000
"""How many lines are held."""


class LogRing:
    """Holds the last lines of the log, whichever thread wrote them.

    Args:
        held: How many.
    """

    def __init__(self, held: int = HELD) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=held)
        self._seq = 0
        self._listeners: list[Callable[[LogEntry], None]] = []
        # Reentrant: a listener may ask for the entries.
        self._lock = threading.RLock()

    def add(self, time: datetime, level: LogLevel, event: str, logger: str, fields: Mapping[str, Any]) -> None:
        """Hold one more line, and tell the listeners of it."""
        with self._lock:
            self._seq += 1
            entry = LogEntry(self._seq, time, level, event, logger, dict(fields))
            self._entries.append(entry)
            # While it is locked, so that every listener hears of the lines in their order.
            for listener in tuple(self._listeners):
                listener(entry)

    def entries(self) -> tuple[LogEntry, ...]:
        """Return the lines that are held, the oldest first."""
        with self._lock:
            return tuple(self._entries)

    @contextmanager
    def listen(self, callback: Callable[[LogEntry], None]) -> Iterator[None]:
        """Call back with every line from now on, until the end of the block.

        The callback is called in the thread that wrote the line, holds everybody's lines up until it returns, and is
        not to raise or to write to the log: it hands the entry over to whoever is to work on it.
        """
        with self._lock:
            self._listeners.append(callback)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(callback)
