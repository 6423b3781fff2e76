"""`Desk` over HTTP: what operators look at and command. The event stream is in `stream.py`."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Final

from aiohttp import web
from msgspec import Meta, Struct

from pushdesk.model import (
    AccessToken,
    Broadcast,
    CacheEntry,
    Delivery,
    Dispatch,
    History,
    LogEntry,
    NewAccessToken,
    Page,
    PageQuery,
    Restoration,
    Scope,
    ServiceHealth,
    Span,
    Stats,
    Subscription,
    User,
    VapidKey,
)
from pushdesk.server.auth import Access
from pushdesk.server.body import read
from pushdesk.server.browsers import Deliveries
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer
from pushdesk.server.service_listing import service_page
from pushdesk.server.stream import EVENTS, EventsQuery, close_streams_of, follow
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.desk import Desk

Id = Annotated[str, Meta(min_length=1, max_length=128)]


class HistoryQuery(Struct, frozen=True):
    """For how long back."""

    span: Span = Span.MINUTES


class RemoveRequest(Struct, frozen=True):
    """The ids of the subscriptions to remove."""

    ids: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=1000)]


class Removed(Struct, frozen=True):
    """How many of them there were."""

    removed: int


class RestoreRequest(Struct, frozen=True):
    """The ids of the subscriptions to make active again."""

    ids: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=500)]


class Restored(Struct, frozen=True):
    """What came of each."""

    subscriptions: tuple[Restoration, ...]


class UserPushTest(Struct, frozen=True):
    """Whom to send the test push to: all devices of a user, or one by its subscription's id."""

    user: str
    subscription: Id | None = None


class TokenRequest(Struct, frozen=True):
    """What the new access token is called, and what it allows."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=len(Scope))]


class TokenId(Struct, frozen=True):
    """Which access token."""

    id: Id


class RevokedToken(Struct, frozen=True):
    """The access token that ended."""

    access: AccessToken


class InvalidateRequest(Struct, frozen=True):
    """Whose subscriptions are to be read again."""

    user: str


class Invalidated(Struct, frozen=True):
    """Whether any were held."""

    invalidated: bool


class NoFields(Struct, frozen=True):
    """A body that may be left out, and has nothing in it."""


class Cleared(Struct, frozen=True):
    """How many users' subscriptions were held."""

    cleared: int


async def stats(call: Call[NoQuery, None]) -> web.Response:
    """Answer with the state of the server."""
    return answer(await call.engine.stats())


async def history(call: Call[HistoryQuery, None]) -> web.Response:
    """Answer with how the server has been doing."""
    return answer(await call.engine.history(call.query.span))


async def remove(call: Call[NoQuery, RemoveRequest]) -> web.Response:
    """Remove subscriptions."""
    return answer(Removed(await call.engine.remove_subscriptions(call.body.ids)))


async def restore(call: Call[NoQuery, RestoreRequest]) -> web.Response:
    """Make disabled subscriptions active again."""
    return answer(Restored(await call.engine.restore_subscriptions(call.body.ids)))


async def test(call: Call[NoQuery, UserPushTest]) -> web.Response:
    """Send the test push."""
    return answer(Deliveries(await call.engine.test(check_user(call.body.user), call.body.subscription)))


async def create_token(call: Call[NoQuery, TokenRequest]) -> web.Response:
    """Make an access token."""
    return answer(await call.engine.create_token(call.body.name, call.body.scopes), status=201)


async def revoke_token(call: Call[NoQuery, TokenId]) -> web.Response:
    """End an access token, and what is open with it."""
    access = await call.engine.revoke_token(call.body.id)
    await close_streams_of(call.request.app, access.id)
    return answer(RevokedToken(access))


async def remove_user(call: Call[NoQuery, None]) -> web.Response:
    """Remove a user with everything of theirs."""
    await call.engine.remove_user(call.user)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def invalidate(call: Call[NoQuery, InvalidateRequest]) -> web.Response:
    """Let a user's subscriptions be read again."""
    return answer(Invalidated(await call.engine.invalidate_cache(call.body.user)))


async def clear(call: Call[NoQuery, None]) -> web.Response:
    """Let all subscriptions be read again."""
    if call.request.body_exists:
        # Whoever says more than nothing means something else than everything.
        await read(call.request, NoFields)
    return answer(Cleared(await call.engine.clear_cache()))


async def _services(desk: Desk, query: PageQuery) -> Page[ServiceHealth]:
    return service_page((await desk.stats()).services, query)


def _listing(name: str, item: type[Struct], query: Callable[[Desk, PageQuery], Awaitable[Page[Any]]]) -> AnyRoute:
    async def page(call: Call[PageQuery, None]) -> web.Response:
        return answer(await query(call.engine, call.query))

    return Route(
        method="GET",
        path=f"/api/v1/admin/{name}",
        summary=f"A page of the {name}",
        access=Access.READ,
        query=PageQuery,
        body=NoneType,
        handler=page,
        answers={200: Page[item]},  # type: ignore[valid-type]  # a type made at run time, for the schema
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/api/v1/admin/stats",
        summary="The state of the server",
        access=Access.READ,
        query=NoQuery,
        body=NoneType,
        handler=stats,
        answers={200: Stats},
    ),
    Route(
        method="GET",
        path="/api/v1/admin/history",
        summary="How the server has been doing, for charts",
        access=Access.READ,
        query=HistoryQuery,
        body=NoneType,
        handler=history,
        answers={200: History},
    ),
    _listing("users", User, lambda desk, query: desk.users(query)),
    _listing("subscriptions", Subscription, lambda desk, query: desk.subscriptions(query)),
    _listing("dispatches", Dispatch, lambda desk, query: desk.dispatches(query)),
    _listing("broadcasts", Broadcast, lambda desk, query: desk.broadcasts(query)),
    _listing("deliveries", Delivery, lambda desk, query: desk.deliveries(query)),
    _listing("keys", VapidKey, lambda desk, query: desk.keys(query)),
    _listing("tokens", AccessToken, lambda desk, query: desk.tokens(query)),
    _listing("services", ServiceHealth, _services),
    _listing("cache", CacheEntry, lambda desk, query: desk.cache(query)),
    _listing("log", LogEntry, lambda desk, query: desk.log(query)),
    Route(
        method="POST",
        path="/api/v1/admin/subscriptions/remove",
        summary="Remove subscriptions",
        access=Access.ADMIN,
        query=NoQuery,
        body=RemoveRequest,
        handler=remove,
        answers={200: Removed},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/subscriptions/restore",
        summary="Make disabled subscriptions active again",
        access=Access.ADMIN,
        query=NoQuery,
        body=RestoreRequest,
        handler=restore,
        answers={200: Restored},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/tokens/create",
        summary="Make an access token",
        access=Access.ADMIN,
        query=NoQuery,
        body=TokenRequest,
        handler=create_token,
        answers={201: NewAccessToken},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/tokens/revoke",
        summary="End an access token",
        access=Access.ADMIN,
        query=NoQuery,
        body=TokenId,
        handler=revoke_token,
        answers={200: RevokedToken},
    ),
    Route(
        method="DELETE",
        path="/api/v1/users/{user}",
        summary="Remove a user with everything of theirs",
        access=Access.ADMIN,
        query=NoQuery,
        body=NoneType,
        handler=remove_user,
        answers={204: None},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/cache/invalidate",
        summary="Let a user's subscriptions be read again",
        access=Access.ADMIN,
        query=NoQuery,
        body=InvalidateRequest,
        handler=invalidate,
        answers={200: Invalidated},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/cache/clear",
        summary="Let all subscriptions be read again",
        access=Access.ADMIN,
        query=NoQuery,
        body=NoneType,
        handler=clear,
        answers={200: Cleared},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/test",
        summary="Send the test push to a user's devices, or to one",
        access=Access.ADMIN,
        query=NoQuery,
        body=UserPushTest,
        handler=test,
        answers={200: Deliveries},
    ),
    Route(
        method="GET",
        path="/api/v1/admin/events",
        summary="The event stream, a WebSocket of JSON arrays of events",
        access=Access.READ,
        query=EventsQuery,
        body=NoneType,
        handler=follow,
        answers={101: None},
        frames=EVENTS,
    ),
)
