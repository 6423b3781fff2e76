"""The stream of a `Desk`, brought to a pace at which a person can look and a terminal can paint."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk import __version__
from pushdesk.desk import Gap, Hello, Position, StatsChanged
from pushdesk.errors import NoAnswerError, PushdeskError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushdesk.desk import AnyEvent, Desk
    from pushdesk.model import Scope, Stats

TICK_S: Final = 0.1
"""At most one publication in this time."""
SHARE: Final = 0.05
"""The share of a core that showing what happens may take in the long run: a server that works in the same process, and
at its limit, has the rest."""
SAVED_S: Final = 0.5
"""Seconds of that core which may be taken at once, after nothing was shown for a while."""
LONGEST_REST_S: Final = 1.0
"""Whatever showing it takes, what happens is seen after so many seconds."""
MOST_EVENTS: Final = 5000
"""Events that wait for a publication; when there are more, they are forgotten, and everything is to be listed anew."""
FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 2.0
LAST_STARTING_RETRY_S: Final = 0.2
"""A server that is still starting is asked more often: the first picture waits for it."""
REFUSED_RETRY_S: Final = 60.0
"""A server that refused the token is asked no more often: wrong ones are counted. None is left alone for longer."""
STEADY_S: Final = 5.0
"""A connection that lasts so long is a good one: the next is tried for at once again, and its trouble is told."""
FINAL: Final = frozenset({"unauthorized", "forbidden"})
"""Answers that asking again soon does not change."""


class Connection(Enum):
    """How the console stands with its server."""

    STARTING = "starting"
    """Not connected yet."""
    LIVE = "live"
    LOST = "reconnecting"
    """Was connected; what is shown is old."""
    REFUSED = "no longer let in"
    """Was connected; the server no longer takes the token, and what is shown is old."""


class News(NamedTuple):
    """What a tick brings: at most one state of the server and one batch of events."""

    connection: Connection
    stats: Stats | None = None
    events: tuple[AnyEvent, ...] = ()
    anew: bool = False
    """Events were missed, or this is the first news: what was listed before is to be listed again."""
    scopes: frozenset[Scope] | None = None
    """What the server allows, after each greeting."""
    version: str = ""
    """The server's, as it last greeted."""
    troubles: tuple[str, ...] = ()
    """All that is wrong between console and server at the moment, in sentences; not that the connection is lost."""
    failure: PushdeskError | None = None
    """What the server answered instead of news; not told again while it goes on answering that."""


class Budget:
    """What showing may take of a core: a share of the time, and what was saved of it meanwhile.

    Args:
        time_s: The monotonic time, in seconds.
        work_s: Seconds of CPU that were taken.
    """

    def __init__(self, time_s: float, work_s: float) -> None:
        self._time_s = time_s
        self._work_s = work_s
        self._left_s = SAVED_S

    def rest_s(self, time_s: float, work_s: float) -> float:
        """Return for how many seconds nothing more is to be shown."""
        self._left_s += (time_s - self._time_s) * SHARE - (work_s - self._work_s)
        self._left_s = max(-LONGEST_REST_S * SHARE, min(self._left_s, SAVED_S))
        self._time_s, self._work_s = time_s, work_s
        return max(0.0, -self._left_s / SHARE)


class Feed:
    """Follows a desk for ever: connects, resumes where it stopped, and publishes at most ten times a second.

    While much happens it publishes less often: what this thread does meanwhile is kept to a twentieth of a core.

    Args:
        desk: What is followed.
        publish: Takes news in; what comes meanwhile is told together, afterwards.
    """

    def __init__(self, desk: Desk, publish: Callable[[News], Awaitable[None]]) -> None:
        self._desk = desk
        self._publish = publish
        self._connection = Connection.STARTING
        self._position: Position | None = None
        self._version = ""
        self._stats: Stats | None = None
        self._events: list[AnyEvent] = []
        self._anew = False
        self._scopes: frozenset[Scope] | None = None
        self._trouble = ""
        self._failure: PushdeskError | None = None
        self._failing = ""
        self._retry_s = FIRST_RETRY_S
        self._steady: asyncio.TimerHandle | None = None
        self._something = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            PushdeskError: The server does not let us in, and never has. Of anything else it may recover: it is told,
                and tried again.
        """
        pace = asyncio.create_task(self._pace())
        try:
            while True:
                retry_s = await self._follow()
                await asyncio.sleep(retry_s)
        finally:
            pace.cancel()

    async def _follow(self) -> float:
        """Follow as long as there is a connection; returns in how many seconds to try for another."""
        try:
            async with aclosing(self._desk.events(self._position)) as events:
                async for batch in events:
                    await self._take(batch)
        except UnreachableError as error:
            return self._lose(error)
        except PushdeskError as error:
            if error.code in FINAL and self._connection is Connection.STARTING:
                raise
            return self._lose(error)
        finally:
            if self._steady is not None:
                self._steady.cancel()
        return self._lose(None)

    async def _take(self, batch: Sequence[AnyEvent]) -> None:
        for event in batch:
            if isinstance(event, Hello):
                await self._greet(event)
                continue
            if self._position is not None:
                self._position = Position(self._position.epoch, event.seq)
            if isinstance(event, Gap):
                self._forget()
            elif isinstance(event, StatsChanged):
                self._stats = event.stats
            else:
                self._events.append(event)
        if len(self._events) > MOST_EVENTS:
            self._forget()
        self._something.set()

    async def _greet(self, hello: Hello) -> None:
        # Asked for after the greeting, so that no change falls between the answer and the stream.
        self._stats = await self._desk.stats()
        self._scopes = await self._desk.scopes()
        self._version = hello.version
        if self._position is None or self._position.epoch != hello.epoch:
            self._position = Position(hello.epoch, hello.seq)
            self._forget()
        self._connection = Connection.LIVE
        self._steady = asyncio.get_running_loop().call_later(STEADY_S, self._settle)

    def _forget(self) -> None:
        self._events.clear()
        self._anew = True

    def _settle(self) -> None:
        self._retry_s = FIRST_RETRY_S
        self._failing = ""

    def _lose(self, error: PushdeskError | None) -> float:
        """Take note that there is no connection, and why; returns in how many seconds to try again."""
        is_away = error is None or (isinstance(error, UnreachableError) and not isinstance(error, NoAnswerError))
        is_refused = error is not None and error.code in FINAL
        is_starting = self._connection is Connection.STARTING
        before = self._connection, self._trouble, self._failure
        if is_refused:
            self._connection = Connection.REFUSED
        elif not is_starting:
            self._connection = Connection.LOST
        self._trouble = "" if is_away else str(error)
        if error is not None and not is_away and self._failing != error.detail:
            self._failing, self._failure = error.detail, error
        if before != (self._connection, self._trouble, self._failure):
            self._something.set()
        if is_refused:
            return REFUSED_RETRY_S
        retry_s = self._retry_s
        self._retry_s = min(retry_s * 2, LAST_STARTING_RETRY_S if is_starting and is_away else LAST_RETRY_S)
        wanted_s = 0 if error is None else error.retry_after_s or 0
        return max(retry_s, min(wanted_s, REFUSED_RETRY_S))

    def _troubles(self) -> tuple[str, ...]:
        """Return what is wrong."""
        troubles = (self._trouble,) if self._trouble and self._connection is not Connection.LIVE else ()
        if not self._desk.left_out:
            return troubles
        if self._version in {"", __version__}:
            return (*troubles, "Not all that the server says can be read; what cannot is left out.")
        versions = f"The server is {self._version}, this console is {__version__}"
        return (*troubles, f"{versions}: what it cannot read is left out.")

    async def _pace(self) -> None:
        now = asyncio.get_running_loop().time
        budget = Budget(now(), time.thread_time())
        while True:
            await self._something.wait()
            self._something.clear()
            news = News(
                self._connection,
                self._stats,
                tuple(self._events),
                self._anew,
                self._scopes,
                self._version,
                self._troubles(),
                self._failure,
            )
            self._stats, self._anew, self._scopes, self._failure = None, False, None, None
            self._events.clear()
            began = now()
            await self._publish(news)
            # However long it takes to take news in, as much time is left to whoever presses keys.
            await asyncio.sleep(max(TICK_S, now() - began))
            # By now it is painted too.
            await asyncio.sleep(budget.rest_s(now(), time.thread_time()))
