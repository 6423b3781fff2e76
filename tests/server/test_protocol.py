"""What is no request at all is answered like everything else."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from pushdesk.server.client_address import TRUSTED_PROXIES
from pushdesk.server.connections import Connections
from pushdesk.server.guard import GUARD, Guard, Patience
from pushdesk.server.middleware import SECURITY_HEADERS, security_headers
from pushdesk.server.protocol import MAX_LEFT, Runner
from pushdesk.server.request_log import NEW_REQUEST_ID
from tests.server.running import Answer, running
from tests.server.test_bad_input import NOTIFICATIONS, assert_problem
from tests.server.test_pages import POLICY, assert_security_headers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.logs import Log
    from tests.server.running import Running

REFUSED = [
    pytest.param(b"canary\r\n\r\n", 400, "bad_field", id="no request line"),
    pytest.param(b"GET / HTTP/9.canary\r\n\r\n", 400, "bad_field", id="no version"),
    pytest.param(b"GET / HTTP/1.1\r\nbad canary header\r\n\r\n", 400, "bad_field", id="no header"),
    pytest.param(b"GET / HTTP/1.1\r\nX: canary\r\n\r\n", 400, "bad_field", id="no host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: canary\r\n\r\n", 400, "bad_field", id="two hosts"),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nX: canary\r\n\r\n",
        *(400, "bad_field"),
        id="two lengths",
    ),
    pytest.param(b"\x16\x03\x01canary\x00\r\n\r\n", 400, "bad_field", id="TLS"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: canary" + b"x" * 8190 + b"\r\n\r\n", 413, "too_large", id="header"),
    pytest.param(b"GET /canary" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 413, "too_large", id="long line"),
]


def read(received: bytes) -> Answer:
    head, _, content = received.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return Answer(int(status.split()[1]), dict(field.split(": ", 1) for field in fields), content)


@pytest.mark.parametrize(("sent", "status", "code"), REFUSED)
async def test_what_cannot_be_read_is_a_problem_that_repeats_nothing(
    server: Running, log: Log, sent: bytes, status: int, code: str
) -> None:
    received = await server.say(sent)
    answer = read(received)
    assert_problem(answer, status, code)
    assert_security_headers(answer.headers)
    assert b"canary" not in received
    assert [(line["event"], line["level"]) for line in log.lines] == [("request_unreadable", "info")]
    assert "canary" not in log.text


async def test_what_follows_a_good_request_is_refused_alike(server: Running) -> None:
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {server.authority}\r\n\r\n".encode())
        assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200 ")
        writer.write(b"canary\r\n\r\n")
        assert_problem(read(await reader.read()), 400, "bad_field")
    finally:
        writer.close()
        await writer.wait_closed()


async def test_https_is_to_be_kept_to_even_then(tmp_path: Path) -> None:
    async with running(tmp_path, access_url="https://push.example") as server:
        assert_security_headers(read(await server.say(b"canary\r\n\r\n")).headers, is_https=True)


async def test_what_nobody_caught_is_told_and_logged_without_its_words(log: Log) -> None:
    async def fail(_request: web.Request) -> web.StreamResponse:
        raise ValueError("canary")

    app = web.Application()
    app[SECURITY_HEADERS] = security_headers(is_https=False)
    app[NEW_REQUEST_ID] = lambda: "0123456789abcdef"
    app.router.add_get("/", fail)
    app[TRUSTED_PROXIES] = ()
    app[GUARD] = Guard(Connections(most=10, most_per_network=10, now=time.monotonic))
    runner = Runner(app, shutdown_timeout_s=1.0, patience=Patience(), options={"access_log": None})
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        try:
            await web.SockSite(runner, listener).start()
            address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            async with aiohttp.ClientSession() as session, session.get(address) as response:
                answer = Answer(response.status, response.headers.copy(), await response.read())
        finally:
            await runner.cleanup()
    assert_problem(answer, 500, "internal")
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert b"canary" not in answer.content
    (line,) = log.of("connection_failed")
    assert line["error"] == "ValueError"
    assert re.search(r"test_protocol\.py:\d+ fail", line["where"])
    assert line["request"] == answer.headers["X-Request-Id"] == "0123456789abcdef"
    assert "canary" not in log.text


async def test_a_client_that_sends_on_what_was_refused_is_no_failure_of_ours(tmp_path: Path, log: Log) -> None:
    async with running(tmp_path) as server:
        parts = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            head = f"POST {NOTIFICATIONS} HTTP/1.1\r\nHost: {server.authority}\r\nContent-Length: 10000000\r\n\r\n"
            writer.write(head.encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
            with suppress(ConnectionError):
                for _ in range(2 * MAX_LEFT // 4096):
                    writer.write(b"x" * 4096)
                    await writer.drain()
                async with asyncio.timeout(10):
                    await reader.read()
        finally:
            writer.transport.abort()
    assert [line["event"] for line in log.lines if line["level"] == "error"] == []
