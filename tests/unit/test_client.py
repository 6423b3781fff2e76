"""`HttpDesk` towards servers that are not there, not ours, or not well; the contract suite has the rest."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from pushdesk.client import HttpDesk
from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.link import Patience
from pushdesk.model import Notification, PageQuery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOKEN = "canary-token-of-more-than-32-characters"


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[HttpDesk]:
    """Run a server that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listener).start()
        async with HttpDesk(f"http://127.0.0.1:{listener.getsockname()[1]}", TOKEN) as desk:
            yield desk
    finally:
        await runner.cleanup()
        listener.close()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with HttpDesk(url, TOKEN) as desk:
        for question in (desk.stats(), desk.notify("anna", Notification("a")), anext(aiter(desk.events()))):
            with pytest.raises(UnreachableError) as caught:
                await question
            assert url in caught.value.detail
            assert caught.value.hint
            assert caught.value.__cause__ is None


async def test_a_problem_is_raised_with_its_code_hint_and_fields() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        problem = {"code": "bad_field", "detail": "No.", "hint": "Try.", "fields": ["a", "b"], "more": 1}
        return web.json_response(problem, status=400, content_type="application/problem+json")

    async with answering(refuse) as desk:
        for question in (desk.stats(), anext(aiter(desk.events()))):
            with pytest.raises(PushdeskError) as caught:
                await question
            error = caught.value
            assert (error.code, error.detail, error.hint, error.fields) == ("bad_field", "No.", "Try.", ("a", "b"))


async def test_a_code_of_a_newer_server_is_an_internal_error() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        problem = {"code": "too_modern", "detail": "No."}
        return web.json_response(problem, status=418, content_type="application/problem+json")

    async with answering(refuse) as desk:
        with pytest.raises(PushdeskError) as caught:
            await desk.stats()
        assert (caught.value.code, caught.value.detail) == ("internal", "No.")


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "text/html", "<html>"),
        (200, "application/json", "{}"),
        (200, "application/json", "[1, 2"),
        (502, "text/html", "<h1>Bad gateway</h1>"),
        (500, "application/problem+json", "[]"),
        (302, "text/plain", ""),
    ],
)
async def test_what_is_no_pushdesk_is_unreachable(status: int, content_type: str, body: str) -> None:
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, text=body, content_type=content_type, headers={"Location": "/elsewhere"})

    async with answering(answer) as desk:
        for question in (
            desk.stats(),
            desk.users(PageQuery()),
            desk.test("anna"),
            desk.remove_subscriptions(["a"]),
            anext(aiter(desk.events())),
        ):
            with pytest.raises(UnreachableError) as caught:
                await question
            assert "not this version of pushdesk" in caught.value.detail
    assert "/elsewhere" not in paths


async def test_a_stream_that_breaks_off_ends_as_unreachable() -> None:
    async def speak(request: web.Request) -> web.StreamResponse:
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        await stream.send_str(
            '[{"type": "hello", "seq": 1, "time": "2030-01-01T00:00:00Z", "epoch": "e", "version": "1"}]'
        )
        assert request.transport is not None
        request.transport.abort()
        return stream

    async with answering(speak) as desk:
        events = aiter(desk.events())
        assert len(await anext(events)) == 1
        with pytest.raises(UnreachableError) as caught:
            await anext(events)
        assert "lost" in caught.value.detail


async def test_a_stream_of_something_else_ends_as_unreachable() -> None:
    async def speak(request: web.Request) -> web.StreamResponse:
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        await stream.send_str('[{"type": "weather"}]')
        return stream

    async with answering(speak) as desk:
        with pytest.raises(UnreachableError):
            await anext(aiter(desk.events()))


async def test_the_token_travels_as_bearer_and_nowhere_else() -> None:
    seen: list[tuple[str, str | None]] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((request.path_qs, request.headers.get("Authorization")))
        assert "Cookie" not in request.headers
        assert "Origin" not in request.headers
        response = web.json_response({})
        response.set_cookie("a", "b")
        return response

    async with answering(note) as desk:
        for _ in range(2):
            with pytest.raises(UnreachableError):
                await desk.stats()
        with pytest.raises(UnreachableError):
            await anext(aiter(desk.events()))
    assert {authorization for _, authorization in seen} == {f"Bearer {TOKEN}"}
    assert not any(TOKEN in path for path, _ in seen)


async def test_a_desk_that_only_reads_says_so_with_every_request_and_sends_no_command() -> None:
    seen: list[tuple[str, str | None]] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers.get("Pushdesk-Read-Only")))
        return web.json_response({})

    async with answering(note) as desk, HttpDesk(desk.url, TOKEN, read_only=True) as reading:
        for question in (reading.stats(), anext(aiter(reading.events()))):
            with pytest.raises(UnreachableError):
                await question
        for command in (reading.clear_cache(), reading.remove_user("anna"), reading.notify("anna", Notification("a"))):
            with pytest.raises(PushdeskError) as caught:
                await command
            assert (caught.value.code, caught.value.hint) == ("forbidden", "It was started with --read-only.")
    assert set(seen) == {("GET", "1")}


@pytest.mark.parametrize("url", ["", "localhost", "localhost:8484", "/x", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(PushdeskError) as caught:
        HttpDesk(url, TOKEN)
    assert (caught.value.code, caught.value.fields) == ("bad_field", ("url",))


@pytest.mark.parametrize("token", ["canary\n", "canary\r\nX: 1", "canary-ä", "canary\x00", "canary\ud800"])
def test_a_token_that_no_header_takes_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(PushdeskError) as caught:
        HttpDesk("http://localhost:8484", token)
    assert caught.value.code == "unauthorized"
    assert "canary" not in str(caught.value)


async def test_a_stream_that_is_not_answered_in_time_is_unreachable() -> None:
    hanging = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await hanging.wait()
        return web.Response()

    async with answering(hang) as desk, HttpDesk(desk.url, TOKEN, patience=Patience(handshake_s=0.1)) as impatient:
        with pytest.raises(UnreachableError):
            await anext(aiter(impatient.events()))
        hanging.set()


def test_only_the_origin_of_an_address_counts_and_is_shown() -> None:
    assert HttpDesk("http://user:secret@localhost:8484/path?query#x", TOKEN).url == "http://localhost:8484"


async def test_a_desk_that_was_never_used_or_is_closed_twice_closes() -> None:
    desk = HttpDesk("http://localhost:1", TOKEN)
    await desk.aclose()
    await desk.aclose()


async def users(count: int = 3) -> AsyncIterator[str]:
    for number in range(count):
        yield f"user-{number}"


async def test_a_list_is_sent_as_it_comes_and_not_held() -> None:
    asked = 0
    arrived = asyncio.Event()

    async def waiting_in_between() -> AsyncIterator[str]:
        nonlocal asked
        for number in range(20_000):
            asked = number
            yield f"user-{number}"
        # Most of it is there before its end is.
        await arrived.wait()

    async def take(request: web.Request) -> web.Response:
        assert (request.content_type, request.content_length) == ("application/x-ndjson", None)
        lines = [await request.content.readline() for _ in range(15_000)]
        arrived.set()
        lines += (await request.content.read()).splitlines(keepends=True)
        assert lines[0] == b'{"title":"Hello"}\n'
        assert lines[1:] == [b'"user-%d"\n' % number for number in range(20_000)]
        dispatch = {"id": "d", "user": None, "kind": "broadcast", "title": "Hello", "state": "queued"}
        return web.json_response({"dispatch": dispatch | {"accepted_at": "2030-01-01T00:00:00Z"}}, status=202)

    async with asyncio.timeout(10), answering(take) as desk:
        assert (await desk.broadcast(Notification("Hello"), waiting_in_between())).id == "d"
    assert asked == 19_999


async def test_what_a_list_raises_is_what_is_raised_and_the_server_has_no_whole_list() -> None:
    ends: list[str] = []

    async def broken() -> AsyncIterator[str]:
        yield "anna"
        raise PushdeskError("The file is broken.", code="bad_field")

    async def take(request: web.Request) -> web.Response:
        try:
            await request.content.read()
            ends.append("whole")
        except Exception:
            ends.append("broken off")
            raise
        return web.Response()

    async with answering(take) as desk:
        with pytest.raises(PushdeskError, match="The file is broken") as caught:
            await desk.broadcast(Notification("Hello"), broken())
        assert caught.value.__cause__ is None
    assert "whole" not in ends


async def test_an_answer_that_comes_before_the_list_is_read_is_the_answer() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        problem = {"code": "queue_full", "detail": "Too much waits."}
        headers = {"Retry-After": "10"}
        return web.json_response(problem, status=503, content_type="application/problem+json", headers=headers)

    async def endless() -> AsyncIterator[str]:
        yield "anna"
        await asyncio.Event().wait()

    async with asyncio.timeout(10), answering(refuse) as desk:
        for some in (users(), endless()):
            with pytest.raises(PushdeskError) as caught:
                await desk.broadcast(Notification("Hello"), some)
            assert (caught.value.code, caught.value.retry_after_s) == ("queue_full", 10)


async def test_a_server_that_takes_a_list_and_says_nothing_is_not_waited_for_for_ever() -> None:
    async def say_nothing(request: web.Request) -> web.Response:
        await request.content.read()
        await asyncio.Event().wait()
        raise AssertionError

    async with (
        asyncio.timeout(10),
        answering(say_nothing) as made,
        HttpDesk(made.url, TOKEN, patience=Patience(piece_s=0.2)) as desk,
    ):
        with pytest.raises(UnreachableError) as caught:
            await desk.broadcast(Notification("Hello"), users())
        assert "does not answer in time" in caught.value.detail


async def test_a_desk_that_is_read_only_broadcasts_nothing() -> None:
    async def take(_request: web.Request) -> web.Response:
        raise AssertionError

    async with answering(take) as made, HttpDesk(made.url, TOKEN, read_only=True) as desk:
        for question in (
            desk.broadcast(Notification("Hello")),
            desk.broadcast(Notification("Hello"), users()),
            desk.plan_broadcast(Notification("Hello"), users()),
            desk.abort_broadcast("d"),
        ):
            with pytest.raises(PushdeskError) as caught:
                await question
            assert caught.value.code == "forbidden"
