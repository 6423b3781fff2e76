"""The real server under more connections than it takes: it stays within its cap, and answers the others throughout."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.faults.attackers import JSON, allow_connections
from tests.programs import bare_environment, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.programs import Server

CAP = 2000
"""Connections that are open at most, unless it is set."""
MORE = 100
FEW = 64
HALF_A_BODY = JSON + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n"


class Opened(asyncio.Protocol):
    """A connection, and what came over it."""

    def __init__(self) -> None:
        self.received = b""
        self.is_answered = asyncio.Event()
        self.is_closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.is_answered.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_closed.set()


@asynccontextmanager
async def opened(server: Server, number: int, say: bytes) -> AsyncIterator[list[Opened]]:
    """Open connections, one after the other, and say something on each."""
    port = urlsplit(server.url).port
    assert port is not None
    loop = asyncio.get_running_loop()
    transports: list[asyncio.Transport] = []
    connections: list[Opened] = []
    try:
        for _ in range(number):
            transport, connection = await loop.create_connection(Opened, "127.0.0.1", port)
            transport.write(say)
            transports.append(transport)
            connections.append(connection)
        yield connections
    finally:
        for transport in transports:
            transport.abort()


def by_address(server: Server) -> str:
    return server.url.replace("localhost", "127.0.0.1")


async def ask(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as response:
        assert response.status == 200
        return await response.text()


async def number_open(session: aiohttp.ClientSession) -> int:
    match = re.search(r"^pushdesk_connections (\d+)", await ask(session, "/metrics"), re.MULTILINE)
    assert match is not None
    return int(match[1])


@pytest.mark.parametrize("say", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"], ids=["idle", "half a header"])
async def test_connections_that_say_nothing_lock_nobody_out(tmp_path: Path, say: bytes) -> None:
    if allow_connections(CAP + MORE) < CAP + MORE:
        pytest.skip(f"This machine does not let a program open {CAP + MORE} connections.")
    async with (
        serving(env=bare_environment(tmp_path)) as server,
        aiohttp.ClientSession(by_address(server)) as session,
        opened(server, CAP, say),
    ):
        asked = asyncio.create_task(keep_asking(session))
        async with opened(server, MORE, say):
            assert await number_open(session) <= CAP
            # On connections of their own, each in place of one that says nothing.
            for _ in range(20):
                async with aiohttp.ClientSession(by_address(server)) as newcomer:
                    await ask(newcomer, "/healthz")
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked


async def keep_asking(session: aiohttp.ClientSession) -> None:
    while True:
        await ask(session, "/")


async def test_when_all_connections_work_a_new_one_is_told_so(tmp_path: Path) -> None:
    env = bare_environment(tmp_path, PUSHDESK_SERVER_MAX_CONNECTIONS=str(FEW))
    async with serving(env=env) as server, opened(server, FEW, HALF_A_BODY) as busy:
        async with asyncio.timeout(60):
            for connection in busy:
                await connection.is_answered.wait()
                assert connection.received.startswith(b"HTTP/1.1 100 ")
            assert await status(server) == 503
            # A body that does not come is given up, and there is room again.
            await busy[0].is_closed.wait()
            assert b'"code":"bad_json"' in busy[0].received
            assert await status(server) == 200


async def status(server: Server) -> int:
    async with aiohttp.ClientSession(by_address(server)) as session, session.get("/healthz") as response:
        return response.status
