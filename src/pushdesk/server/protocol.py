"""The connections: what aiohttp answers by itself in our words, and guards against clients that hold one for nothing.

aiohttp waits for ever for a header that drips, for an answer to be read, and takes any number of connections.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from pushdesk.errors import PushdeskError
from pushdesk.log import bound, write
from pushdesk.log_events import ConnectionFailed, RequestUnreadable
from pushdesk.log_fields import Cut, Failure, Word
from pushdesk.server.client_address import TRUSTED_PROXIES, is_in, network_of, read_address
from pushdesk.server.guard import GUARD
from pushdesk.server.local_page import is_loopback
from pushdesk.server.middleware import add_security_headers
from pushdesk.server.problems import problem
from pushdesk.server.request_log import HEADER, NEW_REQUEST_ID, request_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader
    from aiohttp.typedefs import Handler

    from pushdesk.server.guard import Patience

MAX_LEFT: Final = 256 * 1024
"""Bytes of a body that nobody wanted, after which the connection is not worth reading to its end."""


_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""`SO_LINGER` that resets a connection where it is closed (socket(7))."""


@web.middleware
async def turn_away(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request that came on a connection too many.

    Raises:
        PushdeskError: `too_many_connections`.
    """
    if isinstance(request.protocol, _Connection) and request.protocol.is_too_many:
        raise PushdeskError(
            "There are too many connections.", code="too_many_connections", hint="Try again soon.", retry_after_s=5
        )
    return await handler(request)


class Runner(web.AppRunner):
    """Runs an application on guarded connections that refuse with problem documents.

    Args:
        app: The application, with its `GUARD`.
        shutdown_timeout_s: Seconds that requests under way may take when the server stops.
        patience: How long clients are waited for.
        options: What else is said to each connection's `aiohttp.web.RequestHandler`.
    """

    def __init__(
        self, app: web.Application, *, shutdown_timeout_s: float, patience: Patience, options: Mapping[str, Any]
    ) -> None:
        # A request that was accepted is finished, whether or not somebody still waits for the answer.
        super().__init__(app, handle_signals=False, handler_cancellation=False, shutdown_timeout=shutdown_timeout_s)
        self._patience = patience
        self._options = options

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(self.app, server, self._patience, self._options)


class _Server(web.Server):
    def __init__(
        self, app: web.Application, server: web.Server, patience: Patience, options: Mapping[str, Any]
    ) -> None:
        super().__init__(
            server.request_handler, request_factory=self._begin, handler_cancellation=server.handler_cancellation
        )
        self._make = server.request_factory
        self.app = app
        self.patience = patience
        self.options = options

    def __call__(self) -> web.RequestHandler:
        return _Connection(self)

    def _begin(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        """Make a request: its header is there, and so it begins."""
        if isinstance(protocol, _Connection):
            protocol.begin(payload)
        return self._make(message, payload, protocol, writer, task)


class _Connection(web.RequestHandler):
    __slots__ = (
        "_app",
        "_closing_timer",
        "_guard",
        "_has_begun",
        "_header_due_s",
        "_header_timer",
        "_is_working",
        "_left",
        "_patience",
        "_payload",
        "_reading_timer",
        "_socket",
        "is_too_many",
    )

    def __init__(self, server: _Server) -> None:
        self._patience = server.patience
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._patience.rest_s,
            lingering_time=self._patience.left_s,
            **server.options,
        )
        self._app = server.app
        self._guard = server.app[GUARD]
        self.is_too_many = False
        self._socket: asyncio.Transport | None = None
        """The transport, also while it closes."""
        self._is_working = False
        self._payload: StreamReader | None = None
        """The latest request's body."""
        self._left = 0
        """Bytes of that which came when nobody wanted them."""
        self._has_begun = False
        """Whether a part of a header is there."""
        self._header_due_s: float | None = None
        self._header_timer: asyncio.TimerHandle | None = None
        self._reading_timer: asyncio.TimerHandle | None = None
        self._closing_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let a connection in, in place of another if need be, or prepare to refuse it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (what a server's connections have)
        self._socket = transport
        peername = transport.get_extra_info("peername")
        peer = peername[0] if isinstance(peername, tuple) else ""
        address = read_address(peer)
        trusted = self._app[TRUSTED_PROXIES]
        is_limited = not is_loopback(peer) and not is_in(address, trusted)
        verdict = self._guard.connections.admit(self, network_of(address), is_limited=is_limited)
        if verdict.evicted is not None:
            self._guard.count(Cut.ROOM)
            verdict.evicted.make_room()
        elif not verdict.is_admitted:
            self.is_too_many = True
            self._guard.count(Cut.TOO_MANY)
            if not self._guard.connections.refuse(self):
                transport.abort()
                return
        super().connection_made(transport)
        self._await_header(self._patience.left_s if self.is_too_many else self._patience.header_s)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget a connection."""
        self._guard.connections.leave(self)
        self._socket = None
        for timer in (self._header_timer, self._reading_timer, self._closing_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    async def start(self) -> None:
        """Answer requests until the connection is to be closed."""
        try:
            await super().start()
        finally:
            # A transport that closes waits for what is unread, for ever.
            if self._socket is not None:
                self._closing_timer = self._loop.call_later(self._patience.closing_s, self._abort)

    def data_received(self, data: bytes) -> None:
        """Take what came, and look at the time if it is a part of a header."""
        super().data_received(data)
        if self._is_working or not data:
            return
        if self._payload is not None and not self._payload.is_eof():
            self._left += len(data)
            if self._left > MAX_LEFT:
                self.force_close()
        else:
            self._guard.connections.rest(self)
            self._has_begun = True
            if self._header_due_s is None:
                self._await_header(self._patience.header_s)

    def begin(self, payload: StreamReader) -> None:
        """Note that a request's header is there."""
        self._is_working, self._has_begun, self._header_due_s = True, False, None
        self._payload, self._left = payload, 0
        self._guard.connections.work(self)

    def make_room(self) -> None:
        """Close at once: a connection that is no longer counted does not wait for what is unread."""
        if self._socket is not None and self._socket.get_write_buffer_size():
            self._abort()
        self.force_close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer a request, which ends it."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._is_working = False
            if self._payload is None or self._payload.is_eof():
                self._guard.connections.rest(self)

    def pause_writing(self) -> None:
        """Wait for the reader, but not for ever."""
        super().pause_writing()
        self._reading_timer = self._loop.call_later(self._patience.answer_s, self._cut_reader)

    def resume_writing(self) -> None:
        """Note that the answer is read."""
        super().resume_writing()
        if self._reading_timer is not None:
            self._reading_timer.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read, or what nobody caught. What was received is neither repeated nor logged."""
        name = request_id(self._app, request)
        with bound(request=name):
            if isinstance(exc, HttpProcessingError):
                write(RequestUnreadable(error=Word(type(exc).__name__)))
            else:
                self.log_exception(message or HTTPStatus(status).phrase, exc_info=exc)
        if request.writer.output_size > 0:
            # aiohttp closes the connection of whoever raises this; an answer has begun, and there is only one.
            raise ConnectionError
        response = problem(_unreadable(exc))
        add_security_headers(self._app, response)
        response.headers[HEADER] = name
        response.force_close()
        return response

    def log_exception(self, *_args: object, exc_info: BaseException | None = None, **_more: object) -> None:
        """Log a failure of the connection itself, without its message, which quotes what was received."""
        if isinstance(exc_info, RuntimeError) and not self._is_working and not self.connected:
            # After the answer aiohttp reads what is left of the body; that the connection is closed meanwhile, by us
            # because it is too much or by the client, is no failure.
            return
        write(ConnectionFailed(failure=None if exc_info is None else Failure.of(exc_info)))

    def _await_header(self, patience_s: float) -> None:
        """Expect a whole header in time. The timer of an earlier one serves again: most headers come at once."""
        self._header_due_s = self._loop.time() + patience_s
        if self._header_timer is None:
            self._header_timer = self._loop.call_at(self._header_due_s, self._check_header)

    def _check_header(self) -> None:
        self._header_timer = None
        if self._header_due_s is None or self.transport is None:
            return
        if self._loop.time() < self._header_due_s:
            self._header_timer = self._loop.call_at(self._header_due_s, self._check_header)
            return
        self._guard.count(Cut.HEADER)
        if self._has_begun:
            self.transport.write(self._too_late())
        self.force_close()

    def _too_late(self) -> bytes:
        """Return an answer as it is sent: there is no request that one could be made for."""
        error = PushdeskError("The request's header did not arrive in time.", code="request_timeout")
        response = problem(error)
        add_security_headers(self._app, response)
        body = response.body if isinstance(response.body, bytes) else b""
        response.headers[HEADER] = self._app[NEW_REQUEST_ID]()
        response.headers["Content-Length"] = str(len(body))
        response.headers["Date"] = formatdate(usegmt=True)
        response.headers["Connection"] = "close"
        fields = (f"{name}: {value}" for name, value in response.headers.items())
        return "\r\n".join((f"HTTP/1.1 {response.status} {response.reason}", *fields, "", "")).encode() + body

    def _cut_reader(self) -> None:
        self._guard.count(Cut.READER)
        self._abort()

    def _abort(self) -> None:
        """End a connection whose client does not read, and have the system forget what is not read."""
        if self._socket is not None:
            opened = self._socket.get_extra_info("socket")
            with suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self._socket.abort()


def _unreadable(error: BaseException | None) -> PushdeskError:
    if isinstance(error, LineTooLong):
        return PushdeskError("The request's first line or one of its headers is too long.", code="too_large")
    if isinstance(error, HttpProcessingError):
        return PushdeskError("What was sent cannot be read as an HTTP/1.1 request.", code="bad_field")
    return PushdeskError("The server met a mistake of its own.", code="internal", hint="The server's log says more.")
