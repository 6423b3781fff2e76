"""The client of the scale test: answers are read whole, and what a server drops is asked again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.scaletest.application import MOST_TRIES, Answer, Application
from pushdesk.scaletest.crowd import make_crowd
from pushdesk.scaletest.driver import ServerKey, subscribe
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def application_of(serve: Serve, connections: int = 1, patience_s: float = 30) -> AsyncIterator[Application]:
    open_: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.append(writer)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        application = Application(url, token="a-token", connections=connections, patience_s=patience_s)
        async with asyncio.timeout(30), application:
            yield application
        for writer in open_:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
    return head + await reader.readexactly(int(length or 0))


async def test_requests_carry_token_and_idempotency_key_and_share_a_connection() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await read_request(reader))
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(b"{}")

    async with application_of(serve) as application:
        answers: list[Answer] = []
        done = asyncio.Event()

        def answered(answer: Answer) -> None:
            answers.append(answer)
            if len(answers) == 2:
                done.set()

        for number in range(2):
            application.submit(application.request("POST", "/some", b'{"a": 1}', key=f"key-{number}"), answered)
        await done.wait()
    assert [(answer.status, answer.body) for answer in answers] == [(202, b"{}")] * 2
    assert b"Authorization: Bearer a-token\r\n" in asked[0]
    assert b"Idempotency-Key: key-0\r\n" in asked[0]
    assert b"Idempotency-Key: key-1\r\n" in asked[1]
    assert asked[0].endswith(b'\r\n\r\n{"a": 1}')
    assert "a-token" not in repr(application)


async def test_half_an_answer_is_forgotten_with_its_connection_and_the_request_asked_again() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await read_request(reader))
            if len(asked) == 1:
                writer.write(b'HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n{"ol')
                await writer.drain()
                return
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"new":1}')

    async with application_of(serve) as application:
        assert await application.ask("POST", "/some", b"{}") == b'{"new":1}'
        assert application.reconnects == 1
    assert asked[0] == asked[1]
    assert len(asked) == 2


async def test_a_connection_that_is_closed_while_nothing_is_asked_on_it_is_none_that_is_lost() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()

    async with application_of(serve) as application:
        await until(lambda: connections > 1)
        assert await application.ask("GET", "/some") == b"{}"
        await until(lambda: connections > 2)
        assert application.reconnects == 0


async def test_a_server_that_drops_everything_is_given_up() -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await read_request(reader)
        asked += 1

    async with application_of(serve) as application:
        with pytest.raises(UnreachableError):
            await application.ask("GET", "/some")
    assert asked == MOST_TRIES


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with application_of(serve, patience_s=0.1) as application:
        with pytest.raises(UnreachableError, match=r"not answered within 0\.1 s"):
            await application.ask("GET", "/some")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"nonsense that is no answer at all\r\n\r\n",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{} and more than was announced",
    ],
)
async def test_what_is_no_answer_harms_only_its_connection(answer: bytes) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        is_first = connections == 1
        while True:
            await read_request(reader)
            writer.write(answer if is_first else b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
            await writer.drain()
            if is_first:
                return

    async with application_of(serve) as application:
        assert await application.ask("GET", "/some") in {b"good", b"{}"}
        assert await application.ask("GET", "/some") == b"good"


async def test_a_refusal_is_told_in_the_servers_words_and_when_to_come_again() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            body = b'{"code": "queue_full", "detail": "Too much is waiting."}'
            head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(head + body)

    async with application_of(serve) as application:
        with pytest.raises(PushdeskError, match="The server answered 503: Too much is waiting"):
            await application.ask("GET", "/some")
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        application.submit(application.request("GET", "/some"), answered.set_result)
        assert (await answered).retry_after_s == 7


async def test_subscribing_keeps_to_its_connections_and_tells_of_those_who_are_subscribed() -> None:
    connections: list[int] = []
    told: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        number = len(connections) - 1
        while True:
            assert (await read_request(reader)).startswith(b"POST /api/v1/users/user-00000")
            connections[number] += 1
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()

    crowd = make_crowd(9, Random(0))  # noqa: S311 (the same every time)
    async with application_of(serve, connections=3) as application:
        await subscribe(application, crowd, origin="http://push", key=ServerKey("key", "id"), done=told.append)
    assert told == list(range(1, 10))
    assert (len(connections), sum(connections)) == (3, 9)
