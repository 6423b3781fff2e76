"""What operators do to the database while the server runs."""

from __future__ import annotations

import asyncio
from types import NoneType
from typing import TYPE_CHECKING, Final

from aiohttp import web

from pushdesk.model import Vacuumed
from pushdesk.server.auth import Access
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from pushdesk.engine.maintenance import Copy

CONTENT_TYPE: Final = "application/vnd.sqlite3"
CHUNK: Final = 256 * 1024
"""Bytes that are read at once."""


async def backup(call: Call[NoQuery, None]) -> web.StreamResponse:
    """Answer with a copy of the database. Whoever asks writes it: the server writes no file that others name."""
    async with call.engine.maintenance.copy() as copy:
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})
        response.content_length = copy.size
        await response.prepare(call.request)
        await _send(copy, response)
    return response


async def _send(copy: Copy, response: web.StreamResponse) -> None:
    while chunk := await asyncio.to_thread(copy.file.read, CHUNK):
        await response.write(chunk)
    await response.write_eof()


async def vacuum(call: Call[NoQuery, None]) -> web.Response:
    """Make the database's file smaller."""
    return answer(await call.engine.maintenance.vacuum())


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/api/v1/admin/database/backup",
        summary="A copy of the database as it is at one moment",
        access=Access.ADMIN,
        query=NoQuery,
        body=NoneType,
        handler=backup,
        answers={200: CONTENT_TYPE},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/database/vacuum",
        summary="Make the database's file as small as it can be",
        access=Access.ADMIN,
        query=NoQuery,
        body=NoneType,
        handler=vacuum,
        answers={200: Vacuumed},
    ),
)
