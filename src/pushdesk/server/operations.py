"""What watches over the server: health, readiness, metrics, and the description of the API."""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

from aiohttp import web
from msgspec import Struct

from pushdesk.server.auth import Access
from pushdesk.server.metrics import CONTENT_TYPE, METRICS
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer
from pushdesk.server.stream import STREAMS

OPENAPI: Final = web.AppKey("openapi", bytes)
"""The description of the API, encoded."""


class Health(Struct, frozen=True):
    """The process answers."""

    status: str = "ok"


class Readiness(Struct, frozen=True):
    """Whether notifications can be accepted, and if not, what is wrong with what."""

    status: str
    problems: dict[str, str]


async def health(_call: Call[NoQuery, None]) -> web.Response:
    """Answer, which is all there is to say."""
    return answer(Health())


async def readiness(call: Call[NoQuery, None]) -> web.Response:
    """Say whether database, keys and queue are in order."""
    problems = await call.engine.ready()
    return answer(Readiness("not_ready" if problems else "ready", problems), status=503 if problems else 200)


async def metrics(call: Call[NoQuery, None]) -> web.Response:
    """Answer with the metrics."""
    app = call.request.app
    stats, keys, going_on = await call.engine.stats(), await call.engine.all_keys(), call.engine.broadcasts_going_on()
    text = app[METRICS].render(stats, keys=keys, broadcasts=going_on, streams=len(app[STREAMS]))
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})


async def openapi(call: Call[NoQuery, None]) -> web.Response:
    """Answer with the description of the API."""
    return web.Response(body=call.request.app[OPENAPI], content_type="application/json")


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/healthz",
        summary="The process answers",
        access=Access.OPEN,
        query=NoQuery,
        body=NoneType,
        handler=health,
        answers={200: Health},
    ),
    Route(
        method="GET",
        path="/readyz",
        summary="Notifications can be accepted",
        access=Access.OPEN,
        query=NoQuery,
        body=NoneType,
        handler=readiness,
        answers={200: Readiness, 503: Readiness},
    ),
    Route(
        method="GET",
        path="/metrics",
        summary="Metrics for Prometheus",
        access=Access.LOCAL,
        query=NoQuery,
        body=NoneType,
        handler=metrics,
        answers={200: "text/plain"},
    ),
    Route(
        method="GET",
        path="/api/openapi.json",
        summary="This description",
        access=Access.LOCAL,
        query=NoQuery,
        body=NoneType,
        handler=openapi,
        answers={200: dict[str, Any]},
    ),
)
