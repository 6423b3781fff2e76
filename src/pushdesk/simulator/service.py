"""`Simulator`: a push service on this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import secrets
import time
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from pushdesk.errors import StartUpError
from pushdesk.simulator import control
from pushdesk.simulator.answers import PreparedAnswers
from pushdesk.simulator.autopush import AutopushConnection
from pushdesk.simulator.changes import Changes
from pushdesk.simulator.fault_text import parse_fault
from pushdesk.simulator.faults import AT_CONNECTING, AT_SUBSCRIBING, Faults
from pushdesk.simulator.personality import REMOVED_ORIGIN, THE_FOUR, Personality
from pushdesk.simulator.pushing import Pushing
from pushdesk.simulator.registry import Limits, Registry
from pushdesk.simulator.tunnel import Names, TunnelSite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from pushdesk.simulator.registry import Channel

T = TypeVar("T")

HOST = "127.0.0.1"
_SHUTDOWN_S = 0.3
_ABOUT = "This is the pushdesk simulator: a push service for this machine only. Browsers connect here by WebSocket.\n"


class Simulator:
    """A push service on 127.0.0.1: RFC 8030 for application servers, Mozilla's WebSocket for browsers.

    An async context manager: it listens inside of it, and closes every connection at its end.

    Args:
        port: 0 for any free one.
        personalities: Which push services it takes after. A browser chooses by the path that it connects to, `/fcm`;
            at `/` it gets the first.
        tls: Whether endpoints are at the services' own names, which are reached by TLS and through the simulator as a
            proxy; else they are at `origin`.
        clock: Seconds since the epoch.
        random_bytes: Returns that many unguessable bytes.
        chance: Draws for faults at a rate.
        limits: How much it remembers.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        personalities: Sequence[Personality] = (),
        tls: bool = False,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        chance: random.Random | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.personalities = tuple(personalities) or (THE_FOUR if tls else (Personality.OTHER,))
        self.answers = PreparedAnswers()
        self.faults = Faults(chance or random.Random(0))  # noqa: S311  (the same every time)
        self._port = port
        self._limits = limits or Limits()
        self._changes = Changes()
        self.registry = Registry(
            clock=clock, random_bytes=random_bytes, limits=self._limits, changed=self._changes.tell
        )
        self._names = Names(self.personalities, self.faults) if tls else None
        self._pushing = Pushing(
            registry=self.registry,
            answers=self.answers,
            faults=self.faults,
            otherwise=self.personalities[0],
            origin_of=self.origin_of,
            clock=clock,
        )
        self._connections: set[AutopushConnection] = set()
        self._runner: web.AppRunner | None = None
        self._tunnels: TunnelSite | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            StartUpError: The port cannot be listened on.
        """
        app = web.Application()
        app.router.add_get("/", self._socket)
        for personality in self.personalities:
            app.router.add_get(f"/{personality}", self._socket)
        app.router.add_post("/push/{id}", self._pushing.push)
        app.add_subapp("/_control", control.application(self))
        app.on_shutdown.append(self._close_connections)
        # No access log: it would hold endpoints. Bodies are taken as they come: a push service decodes nothing.
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=_SHUTDOWN_S,
            auto_decompress=False,
            # A fault goes on for as long as somebody is there to meet it.
            handler_cancellation=True,
        )
        await self._runner.setup()
        try:
            if self._names is None:
                await web.TCPSite(self._runner, HOST, self._port).start()
            else:
                self._tunnels = TunnelSite(self._runner, HOST, self._port, self._names)
                await self._tunnels.start()
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
        """Where it listens: what `--allow-endpoint` names, or with TLS `[push] egress_proxy`."""
        return f"http://{HOST}:{self._port}"

    @property
    def url(self) -> str:
        """Where it listens, for HTTP; a browser's `dom.push.serverURL` is the same with `ws:`."""
        return self.origin

    @property
    def certificate(self) -> bytes | None:
        """The certificate (PEM) that a server has to trust; None without TLS."""
        return self._names.authority.certificate if self._names is not None else None

    def origin_of(self, personality: Personality) -> str:
        """Return the origin of a service's endpoints, which a token's `aud` has to name."""
        return self.origin if self._names is None else f"https://{personality.rules.host}"

    def set_faults(self, faults: Sequence[str]) -> None:
        """Let these go wrong from now on, and nothing else; docs/simulator.md says how a fault is written.

        Raises:
            ValueError: One of them is no fault, or cannot be met here.
            PushdeskError: They are too many.
        """
        parsed = [parse_fault(fault) for fault in faults]
        if self._names is None and (unmet := next((one for one in parsed if one.kind in AT_CONNECTING), None)):
            raise ValueError(f"{unmet.text} needs TLS: start the simulator with --tls.")
        self.faults.set(parsed)
        if self._tunnels is not None and self.faults.has(AT_CONNECTING):
            self._tunnels.close_tunnels()

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
        asked = request.path.removeprefix("/")
        personality = Personality(asked) if asked else self.personalities[0]
        connection = AutopushConnection(self.registry, self._new_endpoint, personality)
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

    def _new_endpoint(self, channel: Channel) -> str:
        browser = channel.browser
        removed = self.faults.take(AT_SUBSCRIBING, service=browser.personality, browser=browser.number)
        origin = REMOVED_ORIGIN if removed is not None else self.origin_of(browser.personality)
        return f"{origin}/push/{channel.id}"
