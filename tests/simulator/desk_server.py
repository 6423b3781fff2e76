"""The routes of docs/api.md that a page uses, on a server that takes everything and remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class DeskServer:
    def __init__(self, public_key: str, port: int = 0) -> None:
        self.public_key = public_key
        self.asked: list[tuple[str, str, str | None, Any]] = []
        self.refusal: tuple[int, bytes, str] | None = None
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> dict[str, Any]:
        body = self.asked[-1][3]
        assert isinstance(body, dict)
        return body

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/api/v1/vapid", self._key)
        app.router.add_route("*", "/api/v1/users/{user}/webpush/subscription", self._subscription)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _key(self, _request: web.Request) -> web.Response:
        return web.json_response({"public_key": self.public_key, "key_id": "0a1b2c3d"})

    async def _subscription(self, request: web.Request) -> web.Response:
        self.asked.append(
            (request.method, request.match_info["user"], request.headers.get("Authorization"), await request.json())
        )
        if self.refusal is not None:
            status, body, content_type = self.refusal
            return web.Response(status=status, body=body, content_type=content_type)
        if request.method == "DELETE":
            return web.Response(status=204)
        answer = {"subscription": {"id": "s"}, "test": "skipped"}
        known = any(asked[3]["endpoint"] == self.last["endpoint"] for asked in self.asked[:-1])
        return web.json_response(
            answer if known else answer | {"token": f"t{len(self.asked)}"}, status=200 if known else 201
        )
