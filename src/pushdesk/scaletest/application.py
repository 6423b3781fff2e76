"""The application that tells of turns: a lean client of the server's HTTP API.

It shares the machine with the server that is measured, so it does no more than it must: a fixed number of connections,
each with one request under way, whose answers are read by hand. What the server drops unanswered is asked again on a
new connection; every request here may be.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from pushdesk.errors import PushdeskError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

RECONNECT_AFTER_S: Final = 0.2
MOST_TRIES: Final = 5
"""How often a request is asked that is dropped each time."""
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,12}) *\r\n", re.IGNORECASE)
_RETRY_AFTER: Final = re.compile(rb"\r\nretry-after: *(\d{1,6}) *\r\n", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection: *close *\r\n", re.IGNORECASE)
_WITHOUT_BODY: Final = frozenset({204, 304})


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    """0 if it answered nothing, however often it was asked."""
    body: bytes
    retry_after_s: int | None = None


@dataclass(slots=True)
class _Request:
    content: bytes
    done: Callable[[Answer], None]
    tries: int = 0


class _Problem(msgspec.Struct):
    code: str = "internal"
    detail: str = ""
    title: str = ""


class Application:
    """A client with a token; an async context manager.

    Args:
        url: The server's.
        token: A Bearer token.
        connections: How many there are.
        patience_s: For how many seconds `ask` waits for an answer.
    """

    def __init__(self, url: str, *, token: str, connections: int, patience_s: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        self.connections = connections
        self._patience_s = patience_s
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._waiting: deque[_Request] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False
        self.reconnects = 0
        """Connections that were lost with a request under way: others the server may close."""

    def __repr__(self) -> str:
        return f"Application({self._host}:{self._port})"

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            UnreachableError: Nothing listens there.
        """
        try:
            for _ in range(self.connections):
                await self._connect()
        except OSError as error:
            await self.__aexit__()
            raise UnreachableError(f"The server does not answer: {error.strerror or error}.") from None
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close every connection; what is under way is answered by nobody."""
        self._closed = True
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._open):
            connection.abort()

    def request(self, method: str, path: str, body: bytes = b"", *, key: str = "") -> bytes:
        """Return a request as it is sent.

        Args:
            method: GET or POST.
            path: With a query, if there is one.
            body: JSON; empty for none.
            key: The idempotency key, if there is one.
        """
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if key:
            head += f"Idempotency-Key: {key}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body

    def submit(self, content: bytes, done: Callable[[Answer], None]) -> None:
        """Send a request as soon as a connection is free; `done` is called once, with its answer."""
        self._send(_Request(content, done))

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Send a request and return the body of its answer.

        Raises:
            UnreachableError: There is none.
            PushdeskError: It is a refusal.
        """
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.submit(self.request(method, path, body), done)
        try:
            async with asyncio.timeout(self._patience_s):
                answer = await answered
        except TimeoutError:
            raise UnreachableError(f"The server has not answered within {self._patience_s:g} s.") from None
        if not 200 <= answer.status < 300:
            raise refusal(answer)
        return answer.body

    async def read(self, path: str, kind: type[T]) -> T:
        """Ask for something with GET and return it.

        Raises:
            UnreachableError: There is no answer.
            PushdeskError: It is a refusal.
        """
        return msgspec.json.decode(await self.ask("GET", path), type=kind)

    def freed(self, connection: _Connection) -> None:
        """Take a connection whose request was answered."""
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection, request: _Request | None) -> None:
        """Take note that a connection is lost, with a request that was not answered to its end."""
        self._open.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)
        if self._closed:
            return
        task = asyncio.get_running_loop().create_task(self._reconnect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        if request is None:
            return
        self.reconnects += 1
        if request.tries >= MOST_TRIES:
            request.done(Answer(0, b""))
        else:
            self._waiting.appendleft(request)

    def _send(self, request: _Request) -> None:
        if self._idle:
            self._idle.pop().send(request)
        else:
            self._waiting.append(request)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), self._host, self._port)
        self._open.add(connection)
        self.freed(connection)

    async def _reconnect(self) -> None:
        """Connect again, however long it takes: whether the server still runs is somebody else's to know."""
        while not self._closed:
            with suppress(OSError):
                await self._connect()
                return
            await asyncio.sleep(RECONNECT_AFTER_S)


class _Connection(asyncio.Protocol):
    """One request after the other; what is left of an answer goes with the connection."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._request: _Request | None = None
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (what TCP gives)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        request, self._request = self._request, None
        self._application.lost(self, request)

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def send(self, request: _Request) -> None:
        """Send a request; nothing else is under way."""
        self._request = request
        request.tries += 1
        self._transport.write(request.content)

    def data_received(self, data: bytes) -> None:
        held = self._held = self._held + data if self._held else data
        request = self._request
        if request is None:
            # Nothing was asked: whatever this is, it is no answer to what will be.
            self._transport.abort()
            return
        end = held.find(_HEAD_END)
        if end < 0:
            return
        try:
            status = int(held[9:12])
        except ValueError:
            self._transport.abort()
            return
        length = _LENGTH.search(held, 0, end + 2)
        if length is None and status not in _WITHOUT_BODY:
            self._transport.abort()
            return
        begin = end + len(_HEAD_END)
        whole = begin + (int(length[1]) if length is not None else 0)
        if len(held) < whole:
            return
        wait = _RETRY_AFTER.search(held, 0, end + 2)
        answer = Answer(status, held[begin:whole], int(wait[1]) if wait is not None else None)
        self._request, self._held = None, b""
        if len(held) > whole or _CLOSE.search(held, 0, end + 2) is not None:
            self._transport.abort()
        else:
            self._application.freed(self)
        request.done(answer)


def refusal(answer: Answer) -> PushdeskError:
    """Return the error that an answer tells of."""
    if not answer.status:
        return UnreachableError("The server drops every connection.")
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    return PushdeskError(f"The server answered {answer.status}: {problem.detail or problem.title or problem.code}")
