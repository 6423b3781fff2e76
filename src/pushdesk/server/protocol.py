"""What aiohttp answers before there is a request, or when a handler is at its end: in our words, with our headers."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from pushdesk.errors import PushdeskError
from pushdesk.log import bound, write
from pushdesk.log_events import ConnectionFailed, RequestUnreadable
from pushdesk.log_fields import Failure, Word
from pushdesk.server.middleware import add_security_headers
from pushdesk.server.problems import problem
from pushdesk.server.request_log import HEADER, request_id

if TYPE_CHECKING:
    from collections.abc import Mapping


class Runner(web.AppRunner):
    """Runs an application on connections that refuse with problem documents.

    Args:
        app: The application.
        shutdown_timeout_s: Seconds that requests under way may take when the server stops.
        options: What is said to each connection's `aiohttp.web.RequestHandler`.
    """

    def __init__(self, app: web.Application, *, shutdown_timeout_s: float, options: Mapping[str, Any]) -> None:
        # A request that was accepted is finished, whether or not somebody still waits for the answer.
        super().__init__(app, handle_signals=False, handler_cancellation=False, shutdown_timeout=shutdown_timeout_s)
        self._options = options

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(self.app, server, self._options)


class _Server(web.Server):
    def __init__(self, app: web.Application, server: web.Server, options: Mapping[str, Any]) -> None:
        super().__init__(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
        )
        self.app = app
        self.options = options

    def __call__(self) -> web.RequestHandler:
        return _Connection(self)


class _Connection(web.RequestHandler):
    __slots__ = ("_app",)

    def __init__(self, server: _Server) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **server.options)
        self._app = server.app

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
        write(ConnectionFailed(failure=None if exc_info is None else Failure.of(exc_info)))


def _unreadable(error: BaseException | None) -> PushdeskError:
    if isinstance(error, LineTooLong):
        return PushdeskError("The request's first line or one of its headers is too long.", code="too_large")
    if isinstance(error, HttpProcessingError):
        return PushdeskError("What was sent cannot be read as an HTTP/1.1 request.", code="bad_field")
    return PushdeskError("The server met a mistake of its own.", code="internal", hint="The server's log says more.")
