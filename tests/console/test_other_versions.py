"""The console on servers of other versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from msgspec import structs

from pushdesk import __version__
from pushdesk.console.app import PushdeskApp
from pushdesk.console.feed import Connection
from pushdesk.errors import NO_ROUTE
from pushdesk.model import Scope, Service, Subscription, SubscriptionState
from tests.console.looking import toasts, until, until_says
from tests.unit.test_client import answering
from tests.unit.test_lenient import DELIVERY, NOON, STATS, event, wire

WIDE = (120, 40)
ANNA = Subscription("sub-1", "anna", Service.FCM, "a1b2c3", "Chrome", "Android", "k", SubscriptionState.ACTIVE, NOON)
BERT = structs.replace(ANNA, id="sub-2", user="bert")


def server_of(version: str, listings: dict[str, Any]) -> Any:
    """Return how a server answers that has these listings, and no other routes that came later."""
    answers = {"stats": wire(STATS, version=version, subscriptions=2), "keys": {"items": []}, **listings}

    async def answer(request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/api/v1/admin/")
        if name == "events":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            batches = (
                [event("hello", 1, epoch="e", version=version)],
                [event("weather", 2), event("delivery", 3, delivery=wire(DELIVERY, outcome="vanished"))],
                [event("delivery", 4, delivery=wire(DELIVERY, user="cy"))],
            )
            for batch in batches:
                await socket.send_str(msgspec.json.encode(batch).decode())
            await socket.receive()
            return socket
        if name in answers:
            return web.json_response(answers[name])
        problem = {"code": "not_found", "detail": NO_ROUTE}
        return web.json_response(problem, status=404, content_type="application/problem+json")

    return answer


def console(desk: Any) -> PushdeskApp:
    return PushdeskApp(desk, url=desk.url, mode="attached", now=lambda: datetime.now(UTC))


async def test_of_a_newer_server_what_can_be_read_is_shown_and_the_rest_is_said_to_be_left_out() -> None:
    rows = [wire(ANNA), wire(BERT, state="resting")]
    listings = {"subscriptions": {"items": rows, "next": None}, "deliveries": {"items": [], "next": None}}
    async with answering(server_of("0.9.0", listings)) as desk:
        app = console(desk)
        async with app.run_test(size=WIDE) as pilot:
            said = f"! The server is 0.9.0, this console is {__version__}: what it cannot read is left out."
            await until_says(pilot, said, "attached")
            await pilot.press("3")
            await until_says(pilot, said, "anna", "1 cannot be read")
            await pilot.press("5")
            await until_says(pilot, said, "cy")


async def test_of_a_server_that_cannot_be_read_at_all_both_versions_are_named() -> None:
    async with answering(server_of("2.0.0", {"stats": {"version": "2.0.0"}})) as desk:
        app = console(desk)
        async with app.run_test(size=WIDE) as pilot:
            await until_says(pilot, "connecting…", f"is version 2.0.0; this is version {__version__}", "Update")


async def test_of_an_older_server_it_is_said_what_it_cannot_do_yet() -> None:
    async with answering(server_of("0.0.9", {"subscriptions": {"items": [wire(ANNA)], "next": None}})) as desk:
        app = console(desk)
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, lambda: app.connection is Connection.LIVE)
            # What it allows is not known: it is tried.
            assert app.scopes == frozenset(Scope)
            await pilot.press("2")
            await until(pilot, lambda: "This server (0.0.9) cannot do that yet. Update it." in "".join(toasts(app)))
            await pilot.press("3")
            await until_says(pilot, "anna")
