"""A real server on a port of its own: engine, SQLite file, HTTP, and a push service to send to."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import random
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import structs
from yarl import URL

from pushdesk.clock import SystemClock
from pushdesk.config import ON_BY_DEFAULT, Config, OutboxConfig, PushConfig, RetentionConfig
from pushdesk.engine.engine import Engine
from pushdesk.log_ring import LogRing
from pushdesk.model import PageQuery
from pushdesk.server.app import create_app, create_runner
from pushdesk.server.guard import Patience
from pushdesk.storage.store import Store
from pushdesk.webpush.transport import HttpTransport
from tests.push_service import PushService

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from pushdesk.clock import Clock
    from pushdesk.engine.summariser import Summariser
    from pushdesk.model import Experiment

ADMIN_TOKEN = "an-admin-token-of-more-than-32-characters"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


def browser_keys() -> dict[str, str]:
    """Return the keys of a fresh `PushSubscription`."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {"p256dh": base64url(point), "auth": base64url(os.urandom(16))}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Running:
    """A server that runs, and a client of it."""

    url: str
    engine: Engine
    push_service: PushService
    session: aiohttp.ClientSession
    runner: web.AppRunner
    log_ring: LogRing

    @property
    def authority(self) -> str:
        return urlsplit(self.url).netloc

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Ask as a page on this machine would; with a token, as whoever has it."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(
            method,
            URL(self.url + path, encoded=True),
            # Not as bytes: aiohttp warns of large ones.
            data=None if content is None else io.BytesIO(content),
            headers=sent,
            allow_redirects=False,
        ) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def admin(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        return await self.ask(method, path, body, token=ADMIN_TOKEN, **more)

    async def say(self, text: bytes) -> bytes:
        """Send bytes as they are, and return what comes until the server closes."""
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(text)
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    def subscription(self, name: str, *, status: int = 201) -> dict[str, Any]:
        """Return what `PushSubscription.toJSON()` would."""
        return {
            "endpoint": self.push_service.endpoint(name, status=status),
            "expirationTime": None,
            "keys": browser_keys(),
        }

    async def subscribe(self, user: str, name: str, *, status: int = 201) -> Answer:
        return await self.ask(
            "POST", f"/api/v1/users/{user}/webpush/subscription", self.subscription(name, status=status)
        )

    async def is_empty(self) -> bool:
        """Whether the store holds no user, subscription, dispatch or delivery."""
        query = PageQuery()
        pages = (
            await self.engine.users(query),
            await self.engine.subscriptions(query),
            await self.engine.dispatches(query),
            await self.engine.deliveries(query),
        )
        return not any(page.items for page in pages)


@dataclass(frozen=True)
class Surroundings:
    """What a server is run with besides its configuration."""

    clock: Clock = field(default_factory=SystemClock)
    store: Store | None = None
    """A store that is not open yet; by default one in the data directory."""
    is_allowed: bool = True
    """Whether the push service of the tests, which is on loopback, may be sent to."""
    also_allowed: tuple[str, ...] = ()
    """Origins of other push services that may be sent to."""
    timeout_s: float = 15.0
    """How long the push service may take for an answer."""
    proxy: str | None = None
    """Through which the known push services are reached."""
    tls: ssl.SSLContext | None = None
    """Whose certificates are trusted; the system's by default."""
    uniform: Callable[[float, float], float] = random.uniform
    """Draws the jitter of retries."""
    summariser: Summariser | None = None
    """What sums up turns besides pushdesk itself."""
    patience: Patience = field(default_factory=Patience)
    """How long clients are waited for."""
    outbox: OutboxConfig = field(default_factory=OutboxConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)


@asynccontextmanager
async def running(
    data_dir: Path,
    *,
    experiments: frozenset[Experiment] = ON_BY_DEFAULT,
    dev: bool = False,
    surroundings: Surroundings | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """Run a server with its data in a directory; `options` are those of `create_app`."""
    config = Config(data_dir=data_dir, experiments=experiments, dev=dev)
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        async with _running(listener, config, surroundings or Surroundings(), options) as server:
            yield server
    finally:
        listener.close()


@asynccontextmanager
async def _running(
    listener: socket.socket, config: Config, around: Surroundings, options: dict[str, Any]
) -> AsyncIterator[Running]:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings: dict[str, Any] = {
        "access_url": url,
        "admin_token": ADMIN_TOKEN,
        "is_on": config.is_on,
        "listening_on_loopback_only": True,
    }
    log_ring = LogRing()
    async with PushService() as push_service:
        allowed = (*((push_service.origin,) if around.is_allowed else ()), *around.also_allowed)
        config = structs.replace(
            config, push=PushConfig(allow_endpoint=allowed), outbox=around.outbox, retention=around.retention
        )
        transport = HttpTransport(
            allowed_origins=frozenset(allowed),
            clock=around.clock.monotonic,
            total_timeout_s=around.timeout_s,
            tls=around.tls,
            proxy=around.proxy,
        )
        try:
            async with (
                around.store or Store(config.data_dir / "pushdesk.db") as store,
                Engine(
                    config,
                    access_url=url,
                    store=store,
                    transport=transport,
                    clock=around.clock,
                    uniform=around.uniform,
                    log_ring=log_ring,
                    summariser=around.summariser,
                ) as engine,
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            ):
                app = create_app(engine, **(settings | options))
                runner = create_runner(app, shutdown_timeout_s=1.0, patience=around.patience)
                await runner.setup()
                await web.SockSite(runner, listener).start()
                try:
                    yield Running(url, engine, push_service, session, runner, log_ring)
                finally:
                    await runner.cleanup()
        finally:
            await transport.aclose()
