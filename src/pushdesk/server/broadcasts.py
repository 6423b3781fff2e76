"""Broadcasts, for applications: to all users or to a list, which may be streamed; and what is done about them."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from types import NoneType
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct, UnsetType

from pushdesk.errors import PushdeskError
from pushdesk.model import Broadcast, BroadcastPlan, BroadcastRequest, Dispatch
from pushdesk.server.applications import IDEMPOTENCY_KEY, sender_of_own
from pushdesk.server.auth import Access
from pushdesk.server.parameters import idempotency_key
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from aiohttp import web

    from pushdesk.engine.engine import Engine


class BroadcastQuery(Struct, frozen=True):
    """Whether only to say what it would be, and whether to leave out what cannot be a user's id."""

    plan: bool = False
    skip_bad: bool = False


class ToldBroadcast(Struct, frozen=True):
    """The dispatch that a broadcast became, or what it would be, if that was asked for."""

    dispatch: Dispatch | UnsetType = UNSET
    plan: BroadcastPlan | UnsetType = UNSET


class ChangedBroadcast(Struct, frozen=True):
    """How it is now."""

    broadcast: Broadcast


async def broadcast(call: Call[BroadcastQuery, BroadcastRequest]) -> web.Response:
    """Accept a broadcast, or say what it would be."""
    key, skip_bad = idempotency_key(call.request), call.query.skip_bad
    async with AsyncExitStack() as closing:
        users = _users(call)
        if users is not None:
            await closing.enter_async_context(aclosing(users))
        if call.query.plan:
            plan = await call.engine.plan_broadcast(call.body.notification, users, skip_bad=skip_bad)
            return answer(ToldBroadcast(plan=plan))
        accepted = await call.engine.accept_broadcast(
            call.body.notification, users, skip_bad=skip_bad, sender=call.caller.sender, idempotency_key=key
        )
        return answer(ToldBroadcast(dispatch=accepted.dispatch), status=200 if accepted.repeated else 202)


def _users(call: Call[BroadcastQuery, BroadcastRequest]) -> AsyncGenerator[str, None] | None:
    """Return the list, wherever it is; None for all users."""
    listed = call.body.users
    if call.lines is None:
        return None if listed is None else _each(listed)
    if listed is not None:
        raise PushdeskError(
            "users: where lines follow, the list is theirs.", code="bad_field", fields=("users",), hint="Leave it out."
        )
    return call.lines.users(skip_bad=call.query.skip_bad)


async def _each(users: Iterable[str]) -> AsyncGenerator[str, None]:
    for user in users:
        yield user


def _command(
    name: str, summary: str, change: Callable[[Engine, str, str | None], Awaitable[Broadcast]]
) -> Route[NoQuery, None]:
    async def handler(call: Call[NoQuery, None]) -> web.Response:
        changed = await change(call.engine, call.request.match_info["id"], sender_of_own(call))
        return answer(ChangedBroadcast(changed))

    return Route(
        method="POST",
        path=f"/api/v1/broadcasts/{{id}}/{name}",
        summary=summary,
        access=Access.NOTIFY,
        query=NoQuery,
        body=NoneType,
        handler=handler,
        answers={200: ChangedBroadcast},
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/api/v1/broadcasts",
        summary="Notify all users, or those of a list",
        access=Access.NOTIFY,
        query=BroadcastQuery,
        body=BroadcastRequest,
        handler=broadcast,
        answers={202: ToldBroadcast, 200: ToldBroadcast},
        takes_lines=True,
        headers=IDEMPOTENCY_KEY,
    ),
    _command(
        "pause", "Send nothing of a broadcast", lambda engine, id_, sender: engine.pause_broadcast(id_, sender=sender)
    ),
    _command(
        "resume",
        "Go on with a paused broadcast",
        lambda engine, id_, sender: engine.resume_broadcast(id_, sender=sender),
    ),
    _command(
        "abort",
        "Send nothing more of a broadcast",
        lambda engine, id_, sender: engine.abort_broadcast(id_, sender=sender),
    ),
)
