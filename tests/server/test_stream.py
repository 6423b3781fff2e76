"""The event stream over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType
from msgspec import structs

from pushdesk.client import HttpDesk
from pushdesk.desk import StatsChanged
from pushdesk.errors import PushdeskError
from pushdesk.model import LogLevel, Scope
from pushdesk.server import stream
from tests.server.running import ADMIN_TOKEN
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from tests.server.running import Running

PATH = "/api/v1/admin/events"
TOKEN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


def connect(server: Running, query: str = "", **headers: str) -> Any:
    return server.session.ws_connect(f"{server.url}{PATH}{query}", headers=TOKEN | headers)


async def batch(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    message = await socket.receive(timeout=10)
    assert message.type is WSMsgType.TEXT
    events: list[dict[str, Any]] = json.loads(message.data)
    return events


async def until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> list[dict[str, Any]]:
    """Return all events up to the batch that has one of a kind."""
    seen: list[dict[str, Any]] = []
    while not any(event["type"] == kind for event in seen):
        seen += await batch(socket)
    return seen


async def test_the_first_event_says_where_the_stream_stands(server: Running) -> None:
    async with connect(server) as socket:
        hello, *_ = await batch(socket)
        assert hello["type"] == "hello"
        assert set(hello) == {"type", "seq", "time", "epoch", "version"}


async def test_what_happens_is_told_in_order(server: Running) -> None:
    async with connect(server) as socket:
        await batch(socket)
        await server.subscribe("anna", "a")
        seen = await until(socket, "delivery")
        kinds = {event["type"] for event in seen}
        assert {"subscription", "dispatch", "delivery"} <= kinds
        numbers = [event["seq"] for event in seen]
        assert numbers == sorted(set(numbers))


async def test_the_cache_and_the_log_are_told_in_the_words_of_the_documents(server: Running) -> None:
    async with connect(server) as socket:
        await batch(socket)
        server.log_ring.add(datetime.now(UTC), LogLevel.ERROR, "happened", "test", {"n": 1})
        line = next(event for event in await until(socket, "log") if event["type"] == "log")
        assert set(line) == {"type", "seq", "time", "entry"}
        assert line["entry"]["event"] == "happened"
        await server.admin("POST", "/api/v1/admin/cache/clear")
        cleared = next(event for event in await until(socket, "cache") if event["type"] == "cache")
        fields = {name: value for name, value in cleared.items() if name not in {"seq", "time"}}
        assert fields == {"type": "cache", "change": "cleared", "user": "", "entry": None, "count": 1}


async def test_a_reader_that_comes_back_gets_what_it_missed(server: Running) -> None:
    async with connect(server) as socket:
        hello, *_ = await batch(socket)
    await server.subscribe("anna", "a")
    async with connect(server, f"?after={hello['seq']}&epoch={hello['epoch']}") as socket:
        seen = await until(socket, "subscription")
        assert "gap" not in {event["type"] for event in seen}


async def test_a_reader_from_another_epoch_is_told_of_a_gap(server: Running) -> None:
    async with connect(server, "?after=3&epoch=another") as socket:
        assert [event["type"] for event in await until(socket, "gap")][:2] == ["hello", "gap"]


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("?after=1", "bad_field", "epoch"),
        ("?epoch=a", "bad_field", "after"),
        ("?after=-1&epoch=a", "bad_field", "after"),
        ("?after=x&epoch=a", "bad_field", "after"),
        ("?since=1", "unknown_field", "since"),
        ("", "bad_field", "Upgrade"),
    ],
)
async def test_a_request_that_is_no_stream_is_refused(server: Running, query: str, code: str, field: str) -> None:
    assert_problem(await server.admin("GET", PATH + query), 400, code, field)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_a_stream_needs_the_token_and_no_page(server: Running, headers: dict[str, str], status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await connect(server, **headers)
    assert caught.value.status == status


async def test_a_stream_ends_with_its_token_and_no_others(server: Running) -> None:
    revoked, kept = [await server.engine.create_token(name, [Scope.READ]) for name in ("revoked", "kept")]
    async with (
        connect(server, Authorization=f"Bearer {revoked.token}") as socket,
        connect(server, Authorization=f"Bearer {kept.token}") as other,
        connect(server) as admin,
    ):
        for opened in (socket, other, admin):
            await batch(opened)
        answer = await server.admin("POST", "/api/v1/admin/tokens/revoke", {"id": revoked.access.id})
        assert answer.status == 200
        message = await socket.receive(timeout=5)
        while message.type is WSMsgType.TEXT:
            message = await socket.receive(timeout=5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.POLICY_VIOLATION)
        assert message.extra == "The token was revoked."
        await server.subscribe("anna", "a")
        for opened in (other, admin):
            await until(opened, "subscription")


async def test_who_follows_with_a_token_that_is_revoked_is_told_so(server: Running) -> None:
    made = await server.engine.create_token("console", [Scope.READ])
    async with HttpDesk(server.url, made.token) as desk, aclosing(desk.events()) as events, asyncio.timeout(10):
        await anext(events)
        await server.admin("POST", "/api/v1/admin/tokens/revoke", {"id": made.access.id})
        with pytest.raises(PushdeskError) as caught:
            async for _ in events:
                pass
    assert (caught.value.code, caught.value.detail) == ("unauthorized", f"{server.url} no longer takes the token.")
    assert "revoked" in caught.value.hint


async def test_open_streams_end_with_the_server_at_once(server: Running) -> None:
    async with connect(server) as attentive, connect(server) as absent:
        await batch(attentive)
        await batch(absent)
        stopping = asyncio.create_task(server.runner.cleanup())
        message = await attentive.receive(timeout=5)
        while message.type is WSMsgType.TEXT:
            # The state of the server is told every second, also in this one.
            message = await attentive.receive(timeout=5)
        assert message.type is WSMsgType.CLOSE
        assert message.data == WSCloseCode.GOING_AWAY
        # The other one never reads, so it never takes part in the closing handshake.
        async with asyncio.timeout(5):
            await stopping


async def test_a_stream_that_sends_much_is_ended(server: Running) -> None:
    async with connect(server) as socket:
        await batch(socket)
        await socket.send_str("ignored")
        await socket.send_str("x" * 5000)
        message = await socket.receive(timeout=5)
        while message.type is WSMsgType.TEXT:
            message = await socket.receive(timeout=5)
        assert message.type is WSMsgType.CLOSE
        assert message.data == WSCloseCode.MESSAGE_TOO_BIG


async def open_streams(server: Running) -> int:
    text = (await server.ask("GET", "/metrics")).content.decode()
    return int(float(text.partition("\npushdesk_event_streams ")[2].partition("\n")[0]))


async def test_streams_that_are_gone_are_forgotten(server: Running) -> None:
    async with connect(server) as socket:
        await batch(socket)
        assert await open_streams(server) == 1
    async with asyncio.timeout(5):
        while await open_streams(server) > 0:
            pass


async def test_a_reader_that_takes_nothing_is_cut_off(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SLOW_READER_S", 0.1)
    stats = structs.replace(await server.engine.stats(), warnings=("x" * 1_000_000,))
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
    writer.write(
        f"GET {PATH} HTTP/1.1\r\nHost: {server.authority}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")
    # More than all buffers in between can take.
    for _ in range(30):
        server.engine._bus.publish(lambda seq, time: StatsChanged(seq, time, stats))
    async with asyncio.timeout(10):
        while await open_streams(server) > 0:
            pass
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
