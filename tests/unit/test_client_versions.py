"""`HttpDesk` towards servers of other versions."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import msgspec
import pytest
from aiohttp import web

from pushdesk import __version__
from pushdesk.client import HttpDesk
from pushdesk.desk import DeliveryChanged, Hello
from pushdesk.errors import NO_ROUTE, NoAnswerError, PushdeskError
from pushdesk.model import Page, PageQuery, PartialPage, Scope, Span
from tests.unit.test_client import TOKEN, answering
from tests.unit.test_lenient import DELIVERY, STATS, event, wire

HELLO = event("hello", 1, epoch="e", version="0.9.0")
ANSWERS: dict[str, Any] = {
    "/api/v1/admin/stats": wire(STATS, outcomes={"accepted": 1, "vanished": 2}),
    "/api/v1/admin/deliveries": {"items": [wire(DELIVERY), wire(DELIVERY, outcome="vanished")], "next": "more"},
    "/api/v1/admin/users": {"people": []},
}


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer as a server of another version: some of it is not known here, and not everything is known there."""
    if "Upgrade" in request.headers:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        batch = [event("weather", 2), event("delivery", 3, delivery=wire(DELIVERY)), event("delivery", 4)]
        for events in ([HELLO], batch):
            await socket.send_str(msgspec.json.encode(events).decode())
        await socket.receive()
        return socket
    if request.path in ANSWERS:
        return web.json_response(ANSWERS[request.path])
    problem = {"code": "not_found", "detail": NO_ROUTE, "hint": "docs/api.md lists the routes."}
    return web.json_response(problem, status=404, content_type="application/problem+json")


async def test_what_cannot_be_read_is_left_out_and_counted() -> None:
    async with answering(answer) as desk:
        stats = await desk.stats()
        assert (stats.version, sum(stats.outcomes.values()), desk.left_out) == ("0.9.0", 1, 1)
        page = await desk.deliveries(PageQuery())
        assert page == PartialPage((DELIVERY,), "more", left_out=1)
        assert isinstance(page, Page)
        assert desk.left_out == 2
        async with aclosing(desk.events()) as events:
            (hello,) = await anext(events)
            assert isinstance(hello, Hello)
            assert await anext(events) == (DeliveryChanged(3, hello.time, DELIVERY),)
        assert desk.left_out == 4


async def test_where_nothing_can_be_read_both_versions_are_named() -> None:
    async with answering(answer) as desk:
        await desk.stats()
        with pytest.raises(NoAnswerError) as caught:
            await desk.users(PageQuery())
        assert f"is version 0.9.0; this is version {__version__}" in caught.value.detail
        assert "Update" in caught.value.hint


async def test_a_state_that_cannot_be_read_names_both_versions_too() -> None:
    async def answer_otherwise(_request: web.Request) -> web.Response:
        return web.json_response({"version": "2.0.0" + "9" * 10_000, "figures": {}})

    async with answering(answer_otherwise) as desk:
        with pytest.raises(NoAnswerError) as caught:
            await desk.stats()
        assert "is version 2.0.09999" in caught.value.detail
        assert len(caught.value.detail) < 200


async def test_what_an_older_server_cannot_do_yet_is_said() -> None:
    async with answering(answer) as desk:
        for version in ("This server", "This server (0.9.0)"):
            for question in (desk.history(Span.HOUR), desk.explain(user="ada"), desk.resend("delivery")):
                with pytest.raises(PushdeskError) as caught:
                    await question
                said = (caught.value.code, caught.value.detail, caught.value.hint)
                assert said == ("not_found", f"{version} cannot do that yet.", "Update it.")
            await desk.stats()


async def test_what_an_older_server_allows_is_found_out_by_trying() -> None:
    async with answering(answer) as desk, HttpDesk(desk.url, TOKEN, read_only=True) as reading:
        assert await desk.scopes() == set(Scope)
        assert await reading.scopes() == {Scope.READ}


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("9" * 30, 3600), ("9" * 5000, 3600), ("soon", None), ("-1", None)]
)
async def test_when_to_come_again_is_told(header: str, seconds: int | None) -> None:
    async def turn_away(_request: web.Request) -> web.Response:
        problem = {"code": "rate_limited", "detail": "Too many." * 10_000}
        headers = {"Retry-After": header}
        return web.json_response(problem, status=429, headers=headers, content_type="application/problem+json")

    async with answering(turn_away) as desk:
        with pytest.raises(PushdeskError) as caught:
            await desk.stats()
        assert (caught.value.code, caught.value.retry_after_s) == ("rate_limited", seconds)
        assert len(caught.value.detail) <= 2000
