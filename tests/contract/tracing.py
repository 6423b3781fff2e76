"""What SQLite itself is told to do, and a statement held in the middle of it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_S = 20.0
"""After this a statement goes on by itself, so that a test that fails does not hang."""


class Held:
    """A statement that has begun in the database's thread, and ends when it is let go."""

    def __init__(self, beginning: str) -> None:
        self.beginning = beginning
        self.begun = asyncio.Event()
        self.let_go = threading.Event()


class Trace:
    """Every statement as SQLite begins it, with its parameters filled in."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._held: Held | None = None

    @contextmanager
    def hold(self, beginning: str) -> Iterator[Held]:
        """Hold the next statement that begins like this."""
        held = self._held = Held(beginning)
        try:
            yield held
        finally:
            held.let_go.set()

    def __call__(self, statement: str) -> None:
        """Called in the database's thread, in the middle of the statement."""
        self.statements.append(statement)
        held = self._held
        if held is not None and statement.startswith(held.beginning):
            self._held = None
            self._loop.call_soon_threadsafe(held.begun.set)
            held.let_go.wait(LONGEST_S)


@contextmanager
def tracing() -> Iterator[Trace]:
    """Trace the connections that are made inside of this."""
    trace = Trace()

    def set_up(connection: Any, _record: object) -> None:
        connection.set_trace_callback(trace)

    event.listen(Engine, "connect", set_up)
    try:
        yield trace
    finally:
        event.remove(Engine, "connect", set_up)


@contextmanager
def built_to_leave_what_is_deleted() -> Iterator[None]:
    """Have SQLite's own default be to leave deleted content in the file, for the connections made inside of this.

    Which it is unless SQLite was built with `SECURE_DELETE`.
    """

    def set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA secure_delete = OFF")
        cursor.close()

    event.listen(Engine, "connect", set_up)
    try:
        yield
    finally:
        event.remove(Engine, "connect", set_up)
