"""The stream of a `Desk`, brought to a pace at which a person can look and a terminal can paint."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.desk import Gap, Hello, Position, StatsChanged
from pushdesk.errors import PushdeskError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.desk import AnyEvent, Desk
    from pushdesk.model import Scope, Stats

TICK_S: Final = 0.1
"""At most one publication in this time."""
FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 2.0
LAST_STARTING_RETRY_S: Final = 0.2
"""A server that is still starting is asked more often: the first picture waits for it."""
FINAL: Final = frozenset({"unauthorized", "forbidden"})
"""Answers that asking again does not change."""


class Connection(Enum):
    """How the console stands with its server."""

    STARTING = "starting"
    """Not connected yet."""
    LIVE = "live"
    LOST = "reconnecting"
    """Was connected; what is shown is old."""


class News(NamedTuple):
    """What a tick brings: at most one state of the server and one batch of events."""

    connection: Connection
    stats: Stats | None = None
    events: tuple[AnyEvent, ...] = ()
    anew: bool = False
    """Events were missed, or this is the first news: what was listed before is to be listed again."""
    scopes: frozenset[Scope] | None = None
    """What the server allows, after each greeting."""
    failure: PushdeskError | None = None
    """What the server answered instead of news; not told again while it goes on answering that."""


class Feed:
    """Follows a desk for ever: connects, resumes where it stopped, and publishes at most ten times a second."""

    def __init__(self, desk: Desk, publish: Callable[[News], None]) -> None:
        self._desk = desk
        self._publish = publish
        self._connection = Connection.STARTING
        self._position: Position | None = None
        self._stats: Stats | None = None
        self._events: list[AnyEvent] = []
        self._anew = False
        self._scopes: frozenset[Scope] | None = None
        self._failure: PushdeskError | None = None
        self._failing = ""
        self._something = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            PushdeskError: The server does not let us in. Of anything else it may recover: it is told, and tried again.
        """
        pace = asyncio.create_task(self._pace())
        try:
            await self._follow()
        finally:
            pace.cancel()

    async def _follow(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                async with aclosing(self._desk.events(self._position)) as events:
                    async for batch in events:
                        for event in batch:
                            await self._take(event)
                        retry_s = FIRST_RETRY_S
                        self._something.set()
            except UnreachableError:
                pass
            except PushdeskError as error:
                if error.code in FINAL:
                    raise
                self._fail(error)
            if self._connection is Connection.LIVE:
                self._connection = Connection.LOST
                self._something.set()
            await asyncio.sleep(retry_s)
            retry_s = min(
                retry_s * 2, LAST_STARTING_RETRY_S if self._connection is Connection.STARTING else LAST_RETRY_S
            )

    async def _take(self, event: AnyEvent) -> None:
        if isinstance(event, Hello):
            # Asked for after the greeting, so that no change falls between the answer and the stream.
            self._stats = await self._desk.stats()
            self._scopes = await self._desk.scopes()
            if self._position is None or self._position.epoch != event.epoch:
                self._position = Position(epoch=event.epoch, seq=event.seq)
                self._anew = True
                self._events.clear()
            self._connection = Connection.LIVE
            self._failing = ""
            return
        if self._position is not None:
            self._position = Position(epoch=self._position.epoch, seq=event.seq)
        if isinstance(event, Gap):
            self._anew = True
            self._events.clear()
        elif isinstance(event, StatsChanged):
            self._stats = event.stats
        else:
            self._events.append(event)

    def _fail(self, error: PushdeskError) -> None:
        if self._failing != error.detail:
            self._failing = error.detail
            self._failure = error
            self._something.set()

    async def _pace(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            news = News(self._connection, self._stats, tuple(self._events), self._anew, self._scopes, self._failure)
            self._stats, self._anew, self._scopes, self._failure = None, False, None, None
            self._events.clear()
            self._publish(news)
            await asyncio.sleep(TICK_S)
