"""One connection to a push service, over which one request after the other is asked and answered."""

from __future__ import annotations

import asyncio
import re
import select
import ssl
from typing import TYPE_CHECKING, Final, Protocol

from pushdesk.webpush.http_answer import AnswerReader
from pushdesk.webpush.push_answer import PushAnswer
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S: Final = 50.0
"""For which a connection is kept that nothing is asked on. Many servers and middle boxes close after 60."""

MARGIN_S: Final = 1.0
"""How much earlier than the other side said (`Keep-Alive: timeout=`) a connection is closed here."""

_TIMEOUT: Final = re.compile(r"(?:^|[,;\s])timeout\s*=\s*(\d{1,9})", re.IGNORECASE)


class Keeper(Protocol):
    """Who keeps connections for the next request."""

    def keep(self, connection: Connection) -> None:
        """An answer has been read to its end, and another request may follow."""
        ...

    def drop(self, connection: Connection) -> None:
        """No other request may follow; the connection is being closed."""
        ...

    def lose(self, connection: Connection) -> None:
        """The connection is closed, and its socket with it."""
        ...


class Connection(asyncio.BufferedProtocol):
    """A connection, from the moment that it is ready for a request.

    There is one exchange at a time. Its future is done with the answer, or with the kind of the fault; who gives it up
    calls `abandon`. Whatever is not a whole answer closes the connection, and so do bytes that nobody asked for.

    Args:
        keeper: Who is told what becomes of it.
        clock: Monotonic time in seconds.
        buffer: Where answers are read into: one for all connections of an event loop, as none waits there.
    """

    __slots__ = (
        "_buffer",
        "_due",
        "_keeper",
        "_loop",
        "_poll",
        "_reader",
        "_started",
        "_timer",
        "_transport",
        "_waiting",
        "is_closed",
        "origin",
    )

    def __init__(self, origin: str, keeper: Keeper, clock: Callable[[], float], buffer: memoryview) -> None:
        self.origin = origin
        self.is_closed = False
        """Nothing can be asked any more."""
        self._keeper = keeper
        self._buffer = buffer
        self._reader = AnswerReader(clock)
        self._transport: asyncio.Transport | None = None
        """None before it begins, and when its socket is closed."""
        self._waiting: asyncio.Future[PushAnswer | FaultKind] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._started = 0.0

    def begin(self, transport: asyncio.Transport) -> None:
        """Take the transport, which has connected; TLS is established, if there is any."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        if self.is_closed or transport.is_closing():
            self.is_closed = True
            transport.abort()
            return
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def is_quiet(self) -> bool:
        """Whether the other side has neither closed nor said anything since the last answer.

        The socket is asked, as the event loop may not have come round to it yet: what is sent on a connection that has
        been closed is lost, and a POST is not sent twice.
        """
        return not self.is_closed and not self._poll.poll(0)

    def exchange(self, request: bytes, *, started: float, deadline: float) -> asyncio.Future[PushAnswer | FaultKind]:
        """Send a request.

        Args:
            request: As it goes over the wire.
            started: When it began on the clock, for the answer's latency.
            deadline: By when the answer is to have ended, on the event loop's clock.
        """
        self._started = started
        self._reader.begin()
        self._waiting = waiting = self._loop.create_future()
        if self._transport is None or self.is_closed:
            self._end(FaultKind.RESET)
        else:
            self._expire_at(deadline)
            self._transport.write(request)
        return waiting

    def abandon(self, waiting: asyncio.Future[PushAnswer | FaultKind]) -> None:
        """Close the connection if this exchange is still under way."""
        if self._waiting is waiting:
            self._waiting = None
            self.close()

    def close(self) -> None:
        """Close at once; an exchange that is under way ends."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._keeper.drop(self)
        if self._transport is not None:
            # Without TLS's good-bye, for which a server could have us wait: the length of an answer is known.
            self._transport.abort()
        self._end(FaultKind.RESET)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by the event loop."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the event loop."""
        waiting = self._waiting
        if waiting is None:
            self.close()
            return
        reader = self._reader
        reader.feed(self._buffer[:nbytes])
        if reader.is_complete:
            self._finish(waiting)
        elif reader.is_broken:
            self._end(FaultKind.PROTOCOL)
            self.close()
        elif reader.status:
            if reader.has_enough:
                self.close()
        elif reader.is_flooded and self._transport is not None:
            # Whoever hints without an end does not answer, and is not listened to until the deadline.
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Called by the event loop."""
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        if not self.is_closed:
            if isinstance(exc, ssl.SSLError):
                self._end(FaultKind.TLS)
            self.close()
        self._transport = None
        self._keeper.lose(self)

    def _finish(self, waiting: asyncio.Future[PushAnswer | FaultKind]) -> None:
        """The answer has come to its end."""
        self._waiting = None
        if self._reader.may_be_reused and (idle_s := self._idle_s()) > 0:
            self._expire_at(self._loop.time() + idle_s)
            self._keeper.keep(self)
        else:
            self.close()
        if not waiting.done():
            waiting.set_result(self._answer())

    def _end(self, kind: FaultKind) -> None:
        """End the exchange with what there is: with the status, if it came, as it says what there is to say."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(self._answer() if self._reader.status else kind)

    def _answer(self) -> PushAnswer:
        reader = self._reader
        return PushAnswer(reader.status, reader.headers, reader.body, reader.head_at - self._started)

    def _idle_s(self) -> float:
        said = _TIMEOUT.search(self._reader.headers.get("keep-alive", ""))
        return IDLE_S if said is None else min(IDLE_S, int(said[1]) - MARGIN_S)

    def _expire_at(self, due: float) -> None:
        """Have the connection closed at a time of the event loop's clock.

        Most of these times are put off before they come; so a timer that is early enough already is left as it is, and
        looks at the time when it rings.
        """
        self._due = due
        if self._timer is None or self._timer.when() > due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._expire)

    def _expire(self) -> None:
        rang_at, self._timer = self._timer.when() if self._timer is not None else self._due, None
        if rang_at < self._due:
            self._timer = self._loop.call_at(self._due, self._expire)
            return
        self._end(FaultKind.TIMEOUT)
        self.close()
