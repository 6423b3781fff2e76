"""A body of lines: what is read of it, what is refused, and that it has bounds."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from pushdesk.model import Notification
from pushdesk.server.body import BODY_TIMEOUT_S, MAX_BODY
from pushdesk.server.lines import CONTENT_TYPE, MAX_LINE, Lines
from pushdesk.server.problems import problems

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

FIRST = b'{"title": "Hello"}\n'


class Answer(NamedTuple):
    status: int
    json: Any


class Reader:
    """A server that answers with the lines that it was sent."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self.port = port
        self._session = session

    async def send(
        self, body: bytes | AsyncIterable[bytes], *, skip_bad: bool = False, headers: dict[str, str] | None = None
    ) -> Answer:
        sent = {"Content-Type": CONTENT_TYPE, **(headers or {})}
        url = f"http://127.0.0.1:{self.port}/{'?skip_bad' if skip_bad else ''}"
        async with self._session.post(url, data=body, headers=sent) as answer:
            return Answer(answer.status, json.loads(await answer.read()))

    async def users(self, body: bytes | AsyncIterable[bytes], **more: Any) -> list[str]:
        answer = await self.send(body, **more)
        assert answer.status == 200, answer.json
        assert answer.json["title"] == "Hello"
        users: list[str] = answer.json["users"]
        return users


async def echo(request: web.Request) -> web.Response:
    lines = Lines(request)
    first = await lines.first(Notification)
    users = [user async for user in lines.users(skip_bad="skip_bad" in request.query)]
    return web.json_response({"title": first.title, "users": users})


@asynccontextmanager
async def reading(*, body_timeout_s: float = 10.0) -> AsyncIterator[Reader]:
    app = web.Application(middlewares=[problems])
    app[BODY_TIMEOUT_S] = body_timeout_s
    app.router.add_post("/", echo)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await web.SockSite(runner, listener).start()
        try:
            async with aiohttp.ClientSession() as session:
                yield Reader(listener.getsockname()[1], session)
        finally:
            await runner.cleanup()


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    async with reading() as made:
        yield made


async def in_pieces(body: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("body", "users"),
    [
        (FIRST, []),
        (FIRST.rstrip(), []),
        (FIRST + b'"anna"\n"bert"\n', ["anna", "bert"]),
        (FIRST + b'"anna"\n"bert"', ["anna", "bert"]),
        (FIRST + b'"anna"\r\n\r\n\n  "bert" \r\n', ["anna", "bert"]),
        (FIRST + '"Zoë"\n"\\u00e9"\n"😀"\n'.encode(), ["Zoë", "é", "😀"]),
        (FIRST + b'"anna"\n"anna"\n', ["anna", "anna"]),
        (b'{"title":\t"Hello"} \r\n"a b"\n', ["a b"]),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_lines_are_read_however_they_come(reader: Reader, body: bytes, users: list[str], size: int) -> None:
    assert await reader.users(in_pieces(body, size)) == users


async def test_many_lines_are_read_in_order(reader: Reader) -> None:
    users = [f"user-{number}" for number in range(20_000)]
    body = FIRST + "".join(f'"{user}"\n' for user in users).encode()
    assert await reader.users(in_pieces(body, 50_000)) == users


async def test_every_bad_line_is_named_by_its_number_with_what_is_wrong(reader: Reader) -> None:
    bad = [b"anna", b'"a/b"', b"7", b'{"user": "a"}', b'"\xff"', b'"\\ud800"', b'""', b'"me"', b'"' + b"a" * 129 + b'"']
    body = FIRST + b'"anna"\n\n' + b"\n".join(bad) + b'\n"bert"\n'
    answer = await reader.send(body)
    assert (answer.status, answer.json["code"]) == (400, "bad_field")
    assert answer.json["fields"] == [f"line {number}" for number in range(4, 13)]
    assert answer.json["detail"].startswith("9 of the list cannot be users' ids, and nothing was sent. ")
    for words in (
        "line 4: It is no JSON string.",
        "line 5: A user's id has no slash.",
        "line 12: A user's id has 1 to",
    ):
        assert words in answer.json["detail"]
    assert await reader.users(body, skip_bad=True) == ["anna", "bert"]


async def test_of_many_bad_lines_the_first_are_named_and_all_are_counted(reader: Reader) -> None:
    answer = await reader.send(FIRST + b"x\n" * 5000)
    assert answer.json["fields"] == [f"line {number}" for number in range(2, 22)]
    assert answer.json["detail"].startswith("5000 of the list ")
    assert answer.json["detail"].endswith(" And 4980 more.")


async def test_a_long_line_is_bad_and_a_far_too_long_one_is_not_read_to_its_end(reader: Reader) -> None:
    longest = b'"a"' + b" " * (MAX_LINE - 3)
    body = FIRST + longest + b"\n" + longest + b' \n"b"\n'
    assert (await reader.send(body)).json["fields"] == ["line 3"]
    assert await reader.users(body, skip_bad=True) == ["a", "b"]
    answer = await reader.send(in_pieces(FIRST + b'"a"\n' + b"b" * (2 * MAX_BODY), 10_000), skip_bad=True)
    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert answer.json["detail"] == f"Line 3 has more than {MAX_BODY} bytes."


async def test_more_users_than_a_list_may_have_are_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushdesk.server.lines.MOST_USERS", 3)
    assert await reader.users(FIRST + b'"a"\n"b"\n"c"\n') == ["a", "b", "c"]
    answer = await reader.send(FIRST + b'"a"\n"b"\n"c"\n"d"\n')
    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert (await reader.send(FIRST + b"\n" * 4)).json["code"] == "too_large"


async def test_a_body_of_more_bytes_than_all_lines_may_have_is_refused(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.server.lines.MAX_LINES", 100)
    for body in (FIRST + b'"a"\n' * 50, in_pieces(FIRST + b'"a"\n' * 50, 10)):
        answer = await reader.send(body)
        assert (answer.status, answer.json["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("first", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"\n", 400, "bad_json"),
        (b'"anna"\n', 400, "bad_json"),
        (b'{"title": "Hello", "title": "Hello"}\n', 400, "bad_json"),
        (b'{"title": 7}\n', 400, "bad_field"),
        (b'{"title": "Hello", "colour": 1}\n', 400, "unknown_field"),
        (b'{"title": "Hello"' + b" " * MAX_BODY + b"}\n", 413, "too_large"),
    ],
)
async def test_a_first_line_that_is_not_what_it_should_be_is_refused(
    reader: Reader, first: bytes, status: int, code: str
) -> None:
    answer = await reader.send(first + b'"anna"\n')
    assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_compressed_body_is_refused(reader: Reader) -> None:
    answer = await reader.send(FIRST, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["code"]) == (400, "bad_json")


@pytest.mark.parametrize("begun", [FIRST[:5], FIRST, FIRST + b'"anna"\n"be'])
async def test_a_body_that_stalls_is_cut_off_wherever_it_does(begun: bytes) -> None:
    async def stalling() -> AsyncGenerator[bytes, None]:
        yield begun
        await asyncio.Event().wait()

    async with reading(body_timeout_s=0.2) as reader, asyncio.timeout(10):
        answer = await reader.send(stalling())
    assert (answer.status, answer.json["code"]) == (400, "bad_json")
    assert "too slowly" in answer.json["detail"]


async def test_a_body_that_drips_is_cut_off_though_it_never_stalls() -> None:
    async def dripping() -> AsyncGenerator[bytes, None]:
        yield FIRST
        while True:
            await asyncio.sleep(0.02)
            yield b'"a"\n'

    async with reading(body_timeout_s=0.2) as reader, asyncio.timeout(10):
        answer = await reader.send(dripping())
    assert (answer.status, answer.json["code"]) == (400, "bad_json")
