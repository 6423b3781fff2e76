"""Clients that are slow, silent, too many or never done: each is cut off, and the others are answered."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from pushdesk.config import ServerConfig
from pushdesk.log_fields import Cut
from pushdesk.server.client_address import TRUSTED_PROXIES
from pushdesk.server.connections import REFUSED_AT_ONCE, Connections
from pushdesk.server.guard import GUARD, Guard, Patience
from pushdesk.server.protocol import MAX_LEFT, Runner
from tests.server.running import ADMIN_TOKEN, Surroundings, running
from tests.server.test_bad_input import NOTIFICATIONS, assert_problem
from tests.server.test_pages import assert_security_headers
from tests.server.test_protocol import read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.logs import Log
    from tests.server.running import Running

LONG_S = 30.0
"""For what must happen, so that a test that fails does not hang."""
DRIP_S = 0.02
HASTY = Patience(header_s=0.3, rest_s=0.6, answer_s=0.5, left_s=0.3, closing_s=0.3)
HEADER = f"POST {NOTIFICATIONS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n".encode()
BODY = b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@asynccontextmanager
async def hasty(data_dir: Path, *, most: int = 2000, patience: Patience = HASTY) -> AsyncIterator[Running]:
    surroundings = Surroundings(patience=patience)
    ingress = ServerConfig(max_connections=most)
    async with running(data_dir, surroundings=surroundings, ingress=ingress, body_timeout_s=0.4) as server:
        yield server


class Client:
    """A connection, and what is done with it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def rest(self) -> bytes:
        """Return what comes until the server closes."""
        async with asyncio.timeout(LONG_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def drip(self, what: bytes, *, first: bytes = b"") -> bytes:
        """Send the first at once and then a byte now and then, for ever; return what comes until the server closes."""
        self.writer.write(first)
        answer = asyncio.create_task(self.rest())
        while True:
            for byte in what:
                done, _ = await asyncio.wait([answer], timeout=DRIP_S)
                if done:
                    return answer.result()
                self.writer.write(bytes([byte]))

    async def pour(self, what: bytes, *, first: bytes = b"") -> bytes:
        """Send the first and then the other for ever; return what comes until the server closes."""
        self.writer.write(first)
        answer = asyncio.create_task(self.rest())
        with suppress(ConnectionError):
            while not answer.done():
                self.writer.write(what)
                await self.writer.drain()
        return await answer

    async def ask(self) -> bytes:
        """Ask for something and return the answer, on a connection that stays open."""
        self.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(LONG_S):
            return await self.reader.readuntil(b'{"status":"ok"}')


@asynccontextmanager
async def connected(server: Running) -> AsyncIterator[Client]:
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def cut(server: Running) -> dict[Cut, int]:
    return {reason: number for reason, number in server.runner.app[GUARD].cut.items() if number}


def number_open(server: Running) -> int:
    return len(server.runner.app[GUARD].connections)


def assert_too_late(received: bytes) -> None:
    """Whoever goes on sending into a closed connection may miss the answer."""
    if received:
        assert_problem(read(received), 408, "request_timeout")


async def test_half_a_header_is_answered_and_cut(tmp_path: Path, log: Log) -> None:
    async with hasty(tmp_path) as server, connected(server) as client:
        client.writer.write(b"GET /canary HTTP/1.1\r\nHost: canary")
        answer = read(await client.rest())
        problem = assert_problem(answer, 408, "request_timeout")
        assert "canary" not in str(problem)
        assert answer.headers["Connection"] == "close"
        assert answer.headers["Date"].endswith(" GMT")
        assert_security_headers(answer.headers)
        assert cut(server) == {Cut.HEADER: 1}
    assert [(line["cut"], line["connections"]) for line in log.of("connections_cut")] == [("header", 1)]
    assert "canary" not in log.text


@pytest.mark.parametrize(
    ("first", "what"),
    [
        pytest.param(b"", b"GET /" + b"x" * 2000, id="all of it"),
        pytest.param(b"GET /", b"x", id="the first line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x", id="a field"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n", b"X:y\r\n", id="fields"),
        pytest.param(b"", b"\r\n", id="empty lines"),
    ],
)
async def test_a_header_that_drips_is_cut_however_long_it_goes_on(tmp_path: Path, first: bytes, what: bytes) -> None:
    async with hasty(tmp_path) as server, connected(server) as client:
        assert_too_late(await client.drip(what, first=first))
        assert cut(server) == {Cut.HEADER: 1}


async def test_who_says_nothing_is_cut_without_a_word(tmp_path: Path) -> None:
    async with hasty(tmp_path) as server, connected(server) as client:
        assert await client.rest() == b""
        assert cut(server) == {Cut.HEADER: 1}


async def test_a_header_that_comes_in_pieces_in_time_is_read(tmp_path: Path) -> None:
    async with hasty(tmp_path, patience=Patience()) as server, connected(server) as client:
        for piece in (b"GET /hea", b"lthz HTTP/1.1\r\nHo", b"st: a\r\nConnection: close\r", b"\n\r\n"):
            client.writer.write(piece)
            # The server is seen to have read it.
            assert (await server.ask("GET", "/healthz")).status == 200
        assert (await client.rest()).startswith(b"HTTP/1.1 200 ")


async def test_a_later_header_has_a_time_of_its_own(tmp_path: Path) -> None:
    async with hasty(tmp_path) as server, connected(server) as client:
        for _ in range(5):
            await client.ask()
        assert_too_late(await client.drip(b"GET /" + b"x" * 2000))
        assert cut(server) == {Cut.HEADER: 1}


async def test_who_asks_now_and_then_is_not_cut(tmp_path: Path) -> None:
    patience = Patience(header_s=0.2, rest_s=LONG_S)
    async with hasty(tmp_path, patience=patience) as server, connected(server) as client:
        for _ in range(3):
            await client.ask()
            # Others come, are cut, and so the time passes.
            async with connected(server) as silent:
                assert await silent.rest() == b""
        await client.ask()


@pytest.mark.parametrize(
    "half", [b"", b"GET /half HTTP/1.1\r\nHo"], ids=["nothing", "half a header in the same packet"]
)
async def test_a_connection_does_not_rest_for_ever(tmp_path: Path, half: bytes) -> None:
    async with hasty(tmp_path) as server, connected(server) as client:
        client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + half)
        assert (await client.rest()).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_drips_is_refused_and_cut(tmp_path: Path) -> None:
    async with hasty(tmp_path) as server, connected(server) as client:
        received = await client.drip(b'{"title": "' + b"x" * 2000, first=HEADER + BODY)
        if received:
            # As above: the answer may be missed.
            assert_problem(read(received), 400, "bad_json")
        assert await server.is_empty()


CHUNK = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
ENDLESS = [
    pytest.param(HEADER + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK, id="chunks"),
    pytest.param(
        HEADER + b"Content-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n", b"x" * 0x4000, id="a length"
    ),
]


@pytest.mark.parametrize(("first", "what"), ENDLESS)
async def test_a_body_without_an_end_is_refused_and_cut(tmp_path: Path, first: bytes, what: bytes) -> None:
    async with hasty(tmp_path) as server, connected(server) as client:
        received = await client.pour(what, first=first)
        if received:
            # Whoever goes on sending into a closed connection may miss the answer.
            assert_problem(read(received), 413, "too_large")
        assert await server.is_empty()


async def test_a_body_that_nobody_wants_is_not_read_to_its_end(tmp_path: Path) -> None:
    patience = Patience(left_s=LONG_S)
    async with hasty(tmp_path, patience=patience) as server, connected(server) as client:
        client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n")
        async with asyncio.timeout(LONG_S):
            await client.reader.readuntil(b'{"status":"ok"}')
        for _ in range(MAX_LEFT // 1024 + 1):
            client.writer.write(b"x" * 1024)
        with suppress(ConnectionError):
            await client.writer.drain()
        assert await client.rest() == b""


@asynccontextmanager
async def answering(body: bytes, patience: Patience) -> AsyncIterator[int]:
    """Run a server whose connections hold little by themselves, and yield its port."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app[TRUSTED_PROXIES] = ()
    app[GUARD] = Guard(Connections(most=10, most_per_network=10, now=time.monotonic))
    app.router.add_get("/", answer)
    runner = Runner(app, shutdown_timeout_s=1.0, patience=patience, options={"access_log": None})
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        try:
            await web.SockSite(runner, listener).start()
            yield listener.getsockname()[1]
        finally:
            await runner.cleanup()


def hang_up(port: int, said: bytes) -> int:
    """Say something, read nothing, and return what becomes of the connection."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(said)
        poll = select.poll()
        poll.register(deaf, 0)
        return poll.poll(LONG_S * 1000)[0][1]


@pytest.mark.parametrize(
    ("size", "asked", "patience"),
    [
        pytest.param(10**6, b"", Patience(answer_s=0.3), id="a long answer"),
        # Short enough for the server to be done with it, too long for the network.
        pytest.param(60_000, b"Connection: close\r\n", Patience(closing_s=0.3), id="the last answer"),
        pytest.param(60_000, b"", Patience(rest_s=0.3, closing_s=0.3), id="an answer before a rest"),
    ],
)
async def test_who_does_not_read_is_cut(size: int, asked: bytes, patience: Patience) -> None:
    async with answering(b"x" * size, patience) as port:
        became = await asyncio.to_thread(hang_up, port, b"GET / HTTP/1.1\r\nHost: a\r\n" + asked + b"\r\n")
    assert became & select.POLLERR


async def test_who_asks_on_and_on_and_does_not_read_is_cut(tmp_path: Path) -> None:
    async with hasty(tmp_path) as server:
        parts = urlsplit(server.url)
        with socket.socket() as deaf:
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(LONG_S):
                await loop.sock_connect(deaf, (parts.hostname, parts.port))
                with suppress(ConnectionError):
                    while True:
                        await loop.sock_sendall(deaf, b"GET /pushdesk.js HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        assert cut(server) == {Cut.READER: 1}


async def test_idle_connections_make_room_the_longest_first(tmp_path: Path, log: Log) -> None:
    async with hasty(tmp_path, most=10, patience=Patience()) as server, AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(connected(server)) for _ in range(5)]
        for client in idle[1:]:
            await client.ask()
        half = [await stack.enter_async_context(connected(server)) for _ in range(5)]
        for client in half:
            client.writer.write(b"GET / HTTP/1.1\r\n")
        newcomers = [await stack.enter_async_context(connected(server)) for _ in range(6)]
        for client in newcomers:
            await client.ask()
        for client in (*idle, half[0]):
            assert await client.rest() == b""
        assert number_open(server) == 10
        assert cut(server) == {Cut.ROOM: 6}
        # The others still work.
        half[1].writer.write(b"Host: a\r\nConnection: close\r\n\r\n")
        assert (await half[1].rest()).startswith(b"HTTP/1.1 200 ")
    assert [line["cut"] for line in log.of("connections_cut")] == ["room"]


async def test_when_all_work_a_new_one_is_told_so_and_closed(tmp_path: Path, log: Log) -> None:
    async with hasty(tmp_path, most=4, patience=Patience(left_s=0.3)) as server, AsyncExitStack() as stack:
        url = f"{server.url.replace('http', 'ws', 1)}/api/v1/admin/events"
        session = await stack.enter_async_context(
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
        )
        streams = [await stack.enter_async_context(session.ws_connect(url)) for _ in range(4)]
        for stream in streams:
            await stream.receive()
        async with connected(server) as client:
            client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = read(await client.rest())
            assert_problem(answer, 503, "too_many_connections")
            assert_security_headers(answer.headers)
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Connection"] == "close"
        async with connected(server) as client:
            # One that says nothing does not hold its place either.
            assert await client.rest() == b""
        assert cut(server)[Cut.TOO_MANY] == 2
        assert number_open(server) == 4
        await streams[0].close()
        async with connected(server) as client:
            await client.ask()
        # A stream is never closed for another.
        assert not any(stream.closed for stream in streams[1:])
    assert [line["cut"] for line in log.of("connections_cut")] == ["too_many", "header"]
    assert not log.of("request_turned_away", "request_refused")


async def test_a_flood_of_connections_too_many_is_closed_at_once(tmp_path: Path) -> None:
    async with hasty(tmp_path, most=0, patience=Patience()) as server, AsyncExitStack() as stack:
        flood = [await stack.enter_async_context(connected(server)) for _ in range(REFUSED_AT_ONCE + 16)]
        # Those that are told so wait to be asked; the others are gone.
        ends = {asyncio.create_task(client.rest()) for client in flood}
        while len(ends) > REFUSED_AT_ONCE:
            _, ends = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assert cut(server) == {Cut.TOO_MANY: REFUSED_AT_ONCE + 16}
        for end in ends:
            end.cancel()


async def test_a_connection_that_ends_is_no_longer_counted(tmp_path: Path) -> None:
    async with hasty(tmp_path) as server:
        async with connected(server) as client:
            client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            await client.rest()
        async with connected(server) as client:
            client.writer.write(b"nonsense\r\n\r\n")
            await client.rest()
        # That of the session is the only one.
        text = (await server.ask("GET", "/metrics")).content.decode()
        assert "\npushdesk_connections 1.0\n" in text
        assert '\npushdesk_connections_cut_total{cut="header"} 0.0\n' in text
