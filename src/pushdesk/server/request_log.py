"""Requests in the log: each has an id of its own, which its answer carries, and so does every line about it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from aiohttp import web

from pushdesk.log import bound, wants, write
from pushdesk.log_events import RequestAnswered
from pushdesk.log_fields import Id, Method, RoutePattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

HEADER: Final = "X-Request-Id"
"""Never taken from a request: what a stranger may choose is no id to search a log for."""

NEW_REQUEST_ID: Final[web.AppKey[Callable[[], str]]] = web.AppKey("new_request_id")
"""Makes an id of up to 32 hex digits."""

_REQUEST_ID: Final = web.RequestKey("request_id", Id)


def random_request_id() -> str:
    """Return 64 random bits as hex."""
    return os.urandom(8).hex()


def request_id(app: web.Application, request: web.BaseRequest) -> Id:
    """Return the id of a request; the first who asks gives it one."""
    try:
        return request[_REQUEST_ID]
    except KeyError:
        name = request[_REQUEST_ID] = Id(app[NEW_REQUEST_ID]())
        return name


def method_of(request: web.Request) -> Method:
    """Return a request's method."""
    return Method(request.method)


def route_of(request: web.Request) -> RoutePattern | None:
    """Return the route that a request took, or None if there is none."""
    resource = request.match_info.route.resource
    return RoutePattern(resource.canonical) if resource else None


@web.middleware
async def log_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request in every line that is logged while it is worked on, and tell what it was answered with."""
    began_s = asyncio.get_running_loop().time()
    with bound(request=request_id(request.app, request)):
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            _answered(request, answer.status, began_s)
            raise
        _answered(request, response.status, began_s)
        return response


def _answered(request: web.Request, status: int, began_s: float) -> None:
    if wants(RequestAnswered):
        took_ms = round((asyncio.get_running_loop().time() - began_s) * 1000, 1)
        write(RequestAnswered(method=method_of(request), route=route_of(request), status=status, ms=took_ms))
