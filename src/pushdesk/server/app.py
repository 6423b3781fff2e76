"""The server: an aiohttp application over an engine, and the runner that fits it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web
from yarl import URL

from pushdesk import __version__
from pushdesk.assets import assets_directory
from pushdesk.config import ServerConfig
from pushdesk.model import Scope
from pushdesk.server import (
    admin,
    applications,
    broadcasts,
    browsers,
    database,
    deliveries,
    invitations,
    key_commands,
    operations,
    scopes,
    service_commands,
    verdicts,
)
from pushdesk.server.auth import Gate, limit
from pushdesk.server.body import BODY_TIMEOUT_S, MAX_BODY
from pushdesk.server.client_address import TRUSTED_PROXIES
from pushdesk.server.connections import Connections
from pushdesk.server.cors import let_listed_origins_in
from pushdesk.server.experiments import hide_switched_off, switch_off, switched_on
from pushdesk.server.guard import GUARD, Guard, Patience
from pushdesk.server.local_page import Place
from pushdesk.server.metrics import METRICS, Metrics, count_requests
from pushdesk.server.middleware import SECURITY_HEADERS, before_answer, security_headers
from pushdesk.server.openapi import describe
from pushdesk.server.operations import OPENAPI
from pushdesk.server.pages import read_assets, register_assets
from pushdesk.server.problems import problems
from pushdesk.server.protocol import Runner, turn_away
from pushdesk.server.rate_limits import RATE_LIMITS, RateLimits
from pushdesk.server.request_log import NEW_REQUEST_ID, log_requests, random_request_id
from pushdesk.server.routes import register
from pushdesk.server.stream import STREAMS, close_streams

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pushdesk.engine.engine import Engine
    from pushdesk.model import Experiment
    from pushdesk.server.routes import AnyRoute

ROUTES: Final[tuple[AnyRoute, ...]] = (
    *browsers.ROUTES,
    *applications.ROUTES,
    *broadcasts.ROUTES,
    *invitations.ROUTES,
    *admin.ROUTES,
    *deliveries.ROUTES,
    *verdicts.ROUTES,
    *scopes.ROUTES,
    *key_commands.ROUTES,
    *service_commands.ROUTES,
    *database.ROUTES,
    *operations.ROUTES,
)
"""Every route but the pages."""


def create_app(
    engine: Engine,
    *,
    access_url: str,
    admin_token: str,
    is_on: Callable[[Experiment], bool],
    listening_on_loopback_only: bool,
    local_identity: bool = True,
    allowed_origins: frozenset[str] = frozenset(),
    session_token: str | None = None,
    session_scope: Scope = Scope.ADMIN,
    assets: Path | None = None,
    body_timeout_s: float = 10.0,
    new_request_id: Callable[[], str] = random_request_id,
    ingress: ServerConfig | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Return the server's application.

    Args:
        engine: A running engine; it outlives the application.
        access_url: Origin under which browsers reach the server, with the real port.
        admin_token: The admin token.
        is_on: Whether an experiment is on.
        listening_on_loopback_only: Whether every socket that will be listened on is loopback.
        local_identity: `[identity] local`.
        allowed_origins: Origins of other sites whose pages may use the browser routes.
        session_token: A token for the console of the same program.
        session_scope: What that token allows.
        assets: The directory of the page; by default the package's own.
        body_timeout_s: Seconds in which a request's body must have arrived.
        new_request_id: Makes the ids by which requests are found in the log, of up to 32 hex digits.
        ingress: `[server]`: how many connections and requests it takes, and which proxies it believes.
        monotonic: A clock in seconds that never jumps, for the limits.
    """
    ingress = ingress or ServerConfig()
    place = Place(access_url, listening_on_loopback_only, local_identity, allowed_origins)
    own_tokens = {admin_token: Scope.ADMIN} | ({} if session_token is None else {session_token: session_scope})
    gate = Gate(engine, place=place, own_tokens=own_tokens)
    middlewares = (log_requests, count_requests, problems, turn_away, limit(gate), hide_switched_off)
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
    app[STREAMS] = set()
    app[TRUSTED_PROXIES] = ingress.trusted_proxy
    app[GUARD] = Guard(
        Connections(most=ingress.max_connections, most_per_network=ingress.max_connections_per_address, now=monotonic)
    )
    app[RATE_LIMITS] = RateLimits(per_token=ingress.rate_per_token, per_address=ingress.rate_per_address, now=monotonic)
    app[METRICS] = Metrics(app[GUARD], app[RATE_LIMITS])
    there = switched_on(ROUTES, is_on)
    app[OPENAPI] = msgspec.json.encode(describe(there, version=__version__))
    app[BODY_TIMEOUT_S] = body_timeout_s
    app[NEW_REQUEST_ID] = new_request_id
    register(app, ROUTES, engine=engine, gate=gate)
    let_listed_origins_in(app, ROUTES, origins=allowed_origins, access_url=access_url)
    switch_off(app, [route for route in ROUTES if route not in there])
    register_assets(app, read_assets(assets or assets_directory()), place)
    app[SECURITY_HEADERS] = security_headers(is_https=URL(access_url).scheme == "https")
    app.on_response_prepare.append(before_answer)
    app.on_shutdown.append(close_streams)
    return app


def create_runner(
    app: web.Application, *, shutdown_timeout_s: float = 10.0, patience: Patience | None = None
) -> web.AppRunner:
    """Return the runner for the application; sites are added to it by whoever bound the sockets.

    Args:
        app: What `create_app` returned.
        shutdown_timeout_s: Seconds that requests under way may take when the server stops.
        patience: How long clients are waited for.
    """
    return Runner(
        app,
        shutdown_timeout_s=shutdown_timeout_s,
        patience=patience or Patience(),
        options={
            "access_log": None,
            # A small body can be a large one compressed.
            "auto_decompress": False,
            # A user's id of absurd length is to be answered by its route, which says what is wrong with it.
            "max_line_size": 128 * 1024,
        },
    )
