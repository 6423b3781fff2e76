"""Pages of other origins: those that are listed may use the browser routes and load the client library.

The server's half of the CORS protocol (https://fetch.spec.whatwg.org/#http-cors-protocol). A browser asks before it
lets such a page send JSON or a token, and shows the page no answer that does not name its origin. Who is not listed
gets no such headers at all, but for the client library: anybody may load it, so that it can say what is wrong. There
are no credentials in the protocol's sense: tokens travel in `Authorization`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from pushdesk.server.auth import foreign_page, origins_of
from pushdesk.server.local_page import is_listed_origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from pushdesk.server.routes import AnyRoute

CLIENT_LIBRARY: Final = "/pushdesk.js"
"""Modules are loaded by the same protocol, and this one is public; all else of the page's is for the page."""
_MAX_AGE_S: Final = 3600
"""How long a browser may remember an answer; the request itself is checked again in any case."""


def let_listed_origins_in(
    app: web.Application, routes: Iterable[AnyRoute], *, origins: frozenset[str], access_url: str
) -> None:
    """Answer what browsers ask before a request to a browser route, and name listed origins in answers.

    Args:
        app: An application with these routes.
        routes: Its routes; the browser routes are picked from them.
        origins: The listed origins; without any, there is only the client library.
        access_url: Where the own page is, for the refusal of others.
    """
    app.on_response_prepare.append(_share_client_library)
    if not origins:
        return
    methods: dict[str, list[str]] = {}
    for route in routes:
        if route.access.is_for_pages:
            methods.setdefault(route.path, []).append(route.method)
    for path, taken in methods.items():
        app.router.add_route("OPTIONS", path, _preflight(taken, origins, access_url))

    async def name_origin(request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        if resource is None or resource.canonical not in methods:
            return
        # Also for those that are not listed, so that no cache gives one the answer to the other.
        response.headers.add("Vary", "Origin")
        origin = origins_of(request)
        if is_listed_origin(origin, origins):
            response.headers["Access-Control-Allow-Origin"] = origin[0]

    app.on_response_prepare.append(name_origin)


async def _share_client_library(request: web.Request, response: web.StreamResponse) -> None:
    # The same for everybody: no cache can give one site what is another's.
    if request.path == CLIENT_LIBRARY:
        response.headers["Access-Control-Allow-Origin"] = "*"


def _preflight(
    methods: list[str], origins: frozenset[str], access_url: str
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def preflight(request: web.Request) -> web.Response:
        if not is_listed_origin(origins_of(request), origins):
            raise foreign_page(access_url)
        headers = {
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": str(_MAX_AGE_S),
        }
        if "Access-Control-Request-Private-Network" in request.headers:
            # Chromium asks so when a public site reaches into a private network (https://wicg.github.io/private-network-access).
            headers["Access-Control-Allow-Private-Network"] = "true"
        return web.Response(status=204, headers=headers)

    return preflight
