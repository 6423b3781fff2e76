"""`Simulator`: a push service on this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from pushdesk.errors import StartUpError
from pushdesk.simulator import control
from pushdesk.simulator.answers import PreparedAnswers
from pushdesk.simulator.authorization import check_authorization
from pushdesk.simulator.autopush import AutopushConnection
from pushdesk.simulator.changes import Changes
from pushdesk.simulator.personality import Personality
from pushdesk.simulator.refusal import Refusal
from pushdesk.simulator.registry import Limits, PushState, Registry
from pushdesk.simulator.request import LARGEST_BODY, check_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

T = TypeVar("T")

HOST = "127.0.0.1"
_BODY_WITHIN_S = 10.0
_SHUTDOWN_S = 0.3
_ABOUT = "This is the pushdesk simulator: a push service for this machine only. Browsers connect here by WebSocket.\n"


class Simulator:
    """A push service on 127.0.0.1: RFC 8030 for application servers, Mozilla's WebSocket for browsers.

    An async context manager: it listens inside of it, and closes every connection at its end.

    Args:
        port: 0 for any free one.
        personality: Which push service it takes after.
        clock: Seconds since the epoch.
        random_bytes: Returns that many unguessable bytes.
        limits: How much it remembers.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        personality: Personality = Personality.MOZILLA,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        limits: Limits | None = None,
    ) -> None:
        self.personality = personality
        self.answers = PreparedAnswers()
        self._port = port
        self._clock = clock
        self._limits = limits or Limits()
        self._changes = Changes()
        self.registry = Registry(
            clock=clock, random_bytes=random_bytes, limits=self._limits, changed=self._changes.tell
        )
        self._connections: set[AutopushConnection] = set()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            StartUpError: The port cannot be listened on.
        """
        app = web.Application()
        app.router.add_get("/", self._socket)
        app.router.add_post("/push/{id}", self._push)
        app.add_subapp("/_control", control.application(self))
        app.on_shutdown.append(self._close_connections)
        # No access log: it would hold endpoints. Bodies are taken as they come: a push service decodes nothing.
        self._runner = web.AppRunner(
            app, handle_signals=False, access_log=None, shutdown_timeout=_SHUTDOWN_S, auto_decompress=False
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            is_taken = error.errno == errno.EADDRINUSE
            # The words of `error` are asyncio's.
            why = (
                "is taken by another program" if is_taken else f"cannot be listened on: {os.strerror(error.errno or 0)}"
            )
            raise StartUpError(
                f"Port {self._port} on {HOST} {why}.", hint="Choose one with --port, or a free one with 0."
            ) from error
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def origin(self) -> str:
        """What `--allow-endpoint` and a token's `aud` name."""
        return f"http://{HOST}:{self._port}"

    @property
    def url(self) -> str:
        """Where it listens, for HTTP; a browser's `dom.push.serverURL` is the same with `ws:`."""
        return self.origin

    def endpoint(self, subscription: str) -> str:
        """Return the endpoint URL of a subscription's id."""
        return f"{self.origin}/push/{subscription}"

    async def wait_until(self, condition: Callable[[], T | None]) -> T:
        """Return what `condition` returns as soon as it is true; it is asked again after every change here."""
        return await self._changes.until(condition)

    def disconnect(self, uaid: str | None = None, *, new_uaid: bool = False) -> int:
        """Close the WebSocket of one browser or of all; returns how many were open.

        With `new_uaid` the browsers are also forgotten: their endpoints answer 410, and with the next hello they get
        a new id, at which Firefox fires `pushsubscriptionchange`.
        """
        browsers = [browser for browser in self.registry.browsers.values() if uaid in {None, browser.uaid}]
        connections = [browser.connection for browser in browsers if browser.connection is not None]
        if new_uaid:
            for browser in browsers:
                self.registry.forget_browser(browser)
        for connection in connections:
            connection.abort()
        return len(connections)

    async def _close_connections(self, _app: web.Application) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if len(self._connections) >= self._limits.browsers:
            raise web.HTTPServiceUnavailable(text="There are too many connections\n")
        connection = AutopushConnection(self.registry, self.endpoint)
        if not connection.can_serve(request):
            return web.Response(text=_ABOUT)
        if request.headers.get("Origin", "").startswith("http"):
            # A web page; Firefox itself names the push service's own ws: URL.
            raise web.HTTPForbidden(text="This is for browsers, not for their pages\n")
        self._connections.add(connection)
        try:
            return await connection.serve(request)
        finally:
            self._connections.discard(connection)

    async def _push(self, request: web.Request) -> web.Response:
        subscription = request.match_info["id"]
        body = await _read(request)
        prepared = self.answers.take(subscription)
        if prepared is not None:
            self.registry.note(subscription, status=prepared.status, size=len(body), state=PushState.ANSWERED)
            return web.Response(status=prepared.status, headers=prepared.headers, body=prepared.body.encode())
        try:
            return await self._deliver(request, subscription, body)
        except Refusal as refusal:
            noted = self.registry.note(
                subscription, status=int(refusal.status), size=len(body), state=PushState.REFUSED
            )
            noted.errno, noted.reason = refusal.errno, refusal.message
            return web.json_response(refusal.document(), status=refusal.status)

    async def _deliver(self, request: web.Request, subscription: str, body: bytes) -> web.Response:
        channel = self.registry.find(subscription)
        check_authorization(
            request.headers.get("Authorization"),
            origin=self.origin,
            registered_key=channel.key,
            now=self._clock(),
        )
        headers = check_request(request.headers, len(body))
        push = self.registry.accept(channel, headers, body)
        connection = channel.browser.connection
        if connection is not None:
            await connection.notify(channel, push)
        return web.Response(
            status=HTTPStatus.CREATED,
            headers={"Location": f"{self.origin}/message/{push.id}", "TTL": str(headers.ttl)},
        )


async def _read(request: web.Request) -> bytes:
    """Return the body, or its first `LARGEST_BODY` + 1 bytes."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            while len(body) <= LARGEST_BODY:
                chunk = await request.content.read(LARGEST_BODY + 1 - len(body))
                if not chunk:
                    break
                body += chunk
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The body took too long\n") from None
    except web.RequestPayloadError:
        raise web.HTTPBadRequest(text="The body cannot be read\n") from None
    return body
