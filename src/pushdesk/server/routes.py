"""What a route is: who may use it, what it takes, what it answers. The routes and `/api/openapi.json` come from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from pushdesk.server.body import MAX_BODY, read
from pushdesk.server.lines import Lines, is_lines
from pushdesk.server.parameters import read_query, user_in_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pushdesk.engine.engine import Engine
    from pushdesk.model import DeviceGrant, Experiment
    from pushdesk.server.auth import Access, Caller, Gate

Q = TypeVar("Q", bound=Struct)
B = TypeVar("B", bound=Struct | None)


class NoQuery(Struct, frozen=True):
    """The query of a route that takes none."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """A request that was let in and read."""

    request: web.Request
    engine: Engine
    caller: Caller
    """Who asks."""
    user: str
    """The user in the path; empty where the path has none."""
    query: Q
    body: B
    lines: Lines | None = None
    """What follows the body, if it is the first line of many."""

    @property
    def grant(self) -> DeviceGrant | None:
        """What the device token allows, if the request came with one."""
        return self.caller.device


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[Q, B]):
    """One method of one path."""

    method: str
    path: str
    summary: str
    access: Access
    query: type[Q]
    body: type[B]
    """`NoneType` for a route without a body."""
    handler: Callable[[Call[Q, B]], Awaitable[web.StreamResponse]]
    answers: Mapping[int, Any]
    """The type of each good answer: a Struct, `None` for no content, a string for another content type."""
    max_body: int = MAX_BODY
    """Bytes that the body may have."""
    takes_lines: bool = False
    """Whether the body may also be the first line of many: see `pushdesk.server.lines`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Request headers it looks at, with what they are for."""
    frames: Any = None
    """The type of each text frame, if the route is a WebSocket."""
    experiment: Experiment | None = None
    """The experiment that it is there with; None for a route that always is."""

    @property
    def names_user(self) -> bool:
        """Whether the path names a user."""
        return "{user}" in self.path


AnyRoute = Route[Any, Any]


def register(app: web.Application, routes: tuple[AnyRoute, ...], *, engine: Engine, gate: Gate) -> None:
    """Add routes to an application, each behind the gate."""
    for route in routes:
        app.router.add_route(route.method, route.path, _entrance(route, engine, gate))


def answer(value: object, *, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _entrance(route: AnyRoute, engine: Engine, gate: Gate) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def enter(request: web.Request) -> web.StreamResponse:
        user = user_in_path(request) if route.names_user else ""
        caller = await gate.admit(request, route.access, user)
        query = read_query(request, route.query)
        lines = Lines(request) if route.takes_lines and is_lines(request) else None
        if route.body is type(None):
            body = None
        elif lines is not None:
            body = await lines.first(route.body)
        else:
            body = await read(request, route.body, route.max_body)
        return await route.handler(Call(request, engine, caller, user, query, body, lines))

    return enter
