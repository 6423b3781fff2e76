"""A real HTTP server with the chat completions of OpenAI's API, which behaves as a test tells it to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SUMMARY = "The parser is fixed."


def completion(content: object) -> web.Response:
    """Return an answer as a model gives it."""
    return web.json_response(
        {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}
    )


async def well_behaved(_request: web.Request) -> web.StreamResponse:
    return completion(SUMMARY)


class ChatServer:
    """Answers with `SUMMARY` unless it is given another behaviour; `hold` makes it wait until it is set."""

    def __init__(self) -> None:
        self.behave: Callable[[web.Request], Awaitable[web.StreamResponse]] = well_behaved
        self.hold: asyncio.Event | None = None
        self.questions: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._asked = asyncio.Condition()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self.hold is not None:
            self.hold.set()
        await self._runner.cleanup()

    async def wait_for_questions(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(10), self._asked:
            await self._asked.wait_for(lambda: len(self.questions) >= count)
        return self.questions

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        async with self._asked:
            self.paths.append(request.path)
            self.headers.append(dict(request.headers))
            self.questions.append(await request.json())
            self._asked.notify_all()
        if self.hold is not None:
            await self.hold.wait()
        return await self.behave(request)
