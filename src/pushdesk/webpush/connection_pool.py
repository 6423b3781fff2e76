"""The connections that are open, by origin: kept for the next request, bounded in number, and waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pushdesk.webpush.connection import Connection
from pushdesk.webpush.push_answer import TransportFault
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.webpush.connecting import Connector
    from pushdesk.webpush.origins import Origin

MAX_PER_ORIGIN: Final = 1000
"""Connections to an origin: as many pushes as may be in flight to a push service at once."""

MAX_KEPT: Final = 1000
"""Connections that nothing is asked on, to all origins together; beyond that the oldest is closed."""

READ_SIZE: Final = 65_536
"""Bytes that are read at once. By itself the event loop asks for new memory for four times as many at each read."""


class _Place:
    """What is open to one origin."""

    __slots__ = ("kept", "taken", "waiting")

    def __init__(self) -> None:
        self.kept: list[Connection] = []
        """The one used last is used next, so that those beyond need grow old and are closed."""
        self.taken = 0
        """How many are open or being opened."""
        self.waiting: deque[asyncio.Future[Connection | None]] = deque()
        """For a connection that was kept, or for leave to open one."""


class ConnectionPool:
    """Opens connections and keeps them.

    Args:
        connector: How one is opened.
        clock: Monotonic time in seconds.
        connect_timeout_s: For opening one.
        max_per_origin: How many may be open to an origin.
        max_kept: How many are kept in all.
    """

    def __init__(
        self,
        connector: Connector,
        clock: Callable[[], float],
        *,
        connect_timeout_s: float,
        max_per_origin: int = MAX_PER_ORIGIN,
        max_kept: int = MAX_KEPT,
    ) -> None:
        self._connector = connector
        self._clock = clock
        self._connect_timeout_s = connect_timeout_s
        self._max_per_origin = max_per_origin
        self._max_kept = max_kept
        self._places: dict[str, _Place] = {}
        self._open: set[Connection] = set()
        self._kept: dict[Connection, None] = {}
        """The oldest first."""
        self._under_way: set[asyncio.Timeout] = set()
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._is_closed = False
        self._emptied = asyncio.Event()
        """It is closed, and all sockets are."""

    def __len__(self) -> int:
        """Return how many connections are open or being opened."""
        return sum(place.taken for place in self._places.values())

    def take(self, origin: Origin) -> Connection | None:
        """Take a connection that was kept, if there is one that is still good.

        Those that the other side has closed by now are closed here too: nothing was sent on them, so that the request
        goes to another one.
        """
        place = self._places.get(origin.name)
        if place is None:
            return None
        kept = place.kept
        while kept:
            connection = kept.pop()
            del self._kept[connection]
            if connection.is_quiet():
                return connection
            connection.close()
        return None

    async def open(self, origin: Origin, deadline: float) -> Connection:
        """Open a connection, or wait for one where there are as many as there may be.

        Args:
            origin: Where to.
            deadline: On the event loop's clock.

        Raises:
            TransportFault: None could be had.
        """
        is_next = False
        while True:
            place = self._places.get(origin.name)
            if place is None:
                place = self._places[origin.name] = _Place()
            if place.taken < self._max_per_origin:
                place.taken += 1
            else:
                connection = await self._wait(origin.name, place, deadline, is_next=is_next)
                if connection is not None:
                    if connection.is_quiet():
                        return connection
                    connection.close()
                    # This was no turn: those who came later have theirs later.
                    is_next = True
                    continue
            return await self._connect(origin, deadline)

    async def aclose(self) -> None:
        """Close every connection, and end what waits for one. Returns when all sockets are closed."""
        self._is_closed = True
        loop = asyncio.get_running_loop()
        for timeout in self._under_way:
            if not timeout.expired():
                timeout.reschedule(loop.time())
        for connection in list(self._open):
            connection.close()
        self._emptied_if_so()
        await self._emptied.wait()
        await self._connector.aclose()

    def keep(self, connection: Connection) -> None:
        """An answer has been read to its end, and another request may follow."""
        if self._is_closed:
            connection.close()
            return
        place = self._places[connection.origin]
        while place.waiting:
            waiting = place.waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return
        place.kept.append(connection)
        self._kept[connection] = None
        if len(self._kept) > self._max_kept:
            next(iter(self._kept)).close()

    def drop(self, connection: Connection) -> None:
        """No other request may follow."""
        if connection in self._kept:
            del self._kept[connection]
            self._places[connection.origin].kept.remove(connection)

    def lose(self, connection: Connection) -> None:
        """The socket is closed."""
        if connection in self._open:
            self._open.remove(connection)
            self._free(connection.origin)
            self._emptied_if_so()

    def _emptied_if_so(self) -> None:
        if self._is_closed and not self._open and not self._under_way:
            self._emptied.set()

    async def _connect(self, origin: Origin, deadline: float) -> Connection:
        connection = Connection(origin.name, self, self._clock, self._buffer)
        kind = None
        opened_by = asyncio.get_running_loop().time() + self._connect_timeout_s
        if self._is_closed:
            self._free(origin.name)
            raise TransportFault(FaultKind.CONNECT)
        try:
            async with asyncio.timeout_at(min(opened_by, deadline)) as timeout:
                self._under_way.add(timeout)
                try:
                    await self._connector.connect(origin, connection)
                finally:
                    self._under_way.discard(timeout)
                    self._emptied_if_so()
        except TimeoutError:
            kind = FaultKind.TIMEOUT
        except BaseException:
            self._free(origin.name)
            raise
        if kind is None and not connection.is_closed:
            self._open.add(connection)
            return connection
        connection.close()
        self._free(origin.name)
        raise TransportFault(kind or FaultKind.RESET)

    async def _wait(self, name: str, place: _Place, deadline: float, *, is_next: bool) -> Connection | None:
        """Wait for a connection that was kept, or, with None, for leave to open one; `is_next`: before all others."""
        waiting: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        if is_next:
            place.waiting.appendleft(waiting)
        else:
            place.waiting.append(waiting)
        try:
            async with asyncio.timeout_at(deadline) as timeout:
                self._under_way.add(timeout)
                try:
                    return await waiting
                finally:
                    self._under_way.discard(timeout)
                    self._emptied_if_so()
        except TimeoutError:
            self._give_back(name, place, waiting)
        except BaseException:
            self._give_back(name, place, waiting)
            raise
        raise TransportFault(FaultKind.TIMEOUT)

    def _give_back(self, name: str, place: _Place, waiting: asyncio.Future[Connection | None]) -> None:
        """Hand on what came for somebody who waits no longer."""
        with suppress(ValueError):
            place.waiting.remove(waiting)
        if waiting.done() and not waiting.cancelled():
            connection = waiting.result()
            if connection is None:
                self._free(name)
            elif not connection.is_closed:
                self.keep(connection)

    def _free(self, name: str) -> None:
        """One that was open or being opened is not any more."""
        place = self._places[name]
        while place.waiting:
            waiting = place.waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
        place.taken -= 1
        if not place.taken:
            del self._places[name]
