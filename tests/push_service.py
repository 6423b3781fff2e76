"""A real HTTP server that answers pushes as a test tells it to, and devices that decrypt what it was sent."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from typing import Any, Self

import http_ece
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushdesk.model import SubscriptionKeys, SubscriptionRequest
from pushdesk.webpush.encryption import encode_base64url


@dataclass
class Device:
    """A browser's keys at one endpoint."""

    endpoint: str
    private_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def keys(self) -> SubscriptionKeys:
        point = self.private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return SubscriptionKeys(encode_base64url(point), encode_base64url(self.auth))

    def request(self, **fields: Any) -> SubscriptionRequest:
        return SubscriptionRequest(endpoint=self.endpoint, keys=self.keys, **fields)

    def decrypt(self, body: bytes) -> Any:
        return json.loads(http_ece.decrypt(body, private_key=self.private_key, auth_secret=self.auth))


@dataclass
class Push:
    """A push as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


class PushService:
    """Answers 201 unless told otherwise for a path; `hold` makes pushes wait until it is released."""

    def __init__(self) -> None:
        self.pushes: list[Push] = []
        self.answers: dict[str, web.Response] = {}
        self.hold: asyncio.Event | None = None
        self.silent: set[str] = set()
        """Paths at which a push is never answered."""
        self.broken: set[str] = set()
        """Paths at which the connection is reset in place of an answer."""
        self.raw: dict[str, tuple[bytes, bytes]] = {}
        """What is said at a path instead of an answer of HTTP, and what is then said for ever; nothing: it hangs up."""
        self._closing = asyncio.Event()
        self._arrived = asyncio.Condition()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{id}", self._push)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._closing.set()
        if self.hold is not None:
            self.hold.set()
        await self._runner.cleanup()

    def endpoint(self, name: str, *, status: int = 201) -> str:
        """Return an endpoint at which pushes are answered with this status."""
        if status != 201:
            self.answer(name, status)
        return f"{self.origin}/{name}"

    def device(self, name: str) -> Device:
        return Device(self.endpoint(name))

    def answer(self, name: str, status: int, *, body: str = "", headers: dict[str, str] | None = None) -> None:
        self.answers[f"/{name}"] = web.Response(status=status, text=body, headers=headers)

    async def wait_for_pushes(self, count: int) -> list[Push]:
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.pushes) >= count)
        return self.pushes

    async def _push(self, request: web.Request) -> web.Response:
        async with self._arrived:
            self.pushes.append(Push(request.path, dict(request.headers), await request.read(), request.method))
            self._arrived.notify_all()
        if self.hold is not None:
            await self.hold.wait()
        if request.path in self.silent:
            await self._closing.wait()
        if request.path in self.broken:
            assert request.transport is not None
            request.transport.abort()
        if request.path in self.raw:
            await self._say(request, *self.raw[request.path])
        answer = self.answers.get(request.path)
        if answer is None:
            return web.Response(status=201)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _say(self, request: web.Request, text: bytes, forever: bytes) -> None:
        assert request.transport is not None
        request.transport.write(text)
        while forever and not (request.transport.is_closing() or self._closing.is_set()):
            if request.transport.get_write_buffer_size() < 2**20:
                request.transport.write(forever)
            # As much as is taken: the other side has its turn.
            await asyncio.sleep(0)
        request.transport.close()
