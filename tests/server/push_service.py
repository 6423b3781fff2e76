"""A push service of two dozen lines: takes real HTTP requests, keeps them, and answers as its paths say."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, NamedTuple, Self

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping


class Push(NamedTuple):
    path: str
    headers: Mapping[str, str]
    body: bytes


class PushService:
    """Answers `/push/STATUS/...` with that status; `/push/held/...` waits until `release` is set."""

    def __init__(self) -> None:
        self.pushes: list[Push] = []
        self.release = asyncio.Event()
        self.arrived = asyncio.Event()
        """Set by the first push."""
        self.origin = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/push/{status}/{name}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(self._runner, listener).start()
        self.origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.release.set()
        await self._runner.cleanup()

    def endpoint(self, name: str, *, status: int | str = 201) -> str:
        return f"{self.origin}/push/{status}/{name}"

    async def _take(self, request: web.Request) -> web.Response:
        self.pushes.append(Push(request.path, dict(request.headers), await request.read()))
        self.arrived.set()
        status = request.match_info["status"]
        if status == "held":
            await self.release.wait()
            return web.Response(status=201)
        return web.Response(status=int(status))
