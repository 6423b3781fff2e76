"""What applications use: sending notifications, and asking what became of them."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from pushdesk.model import Dispatch, DispatchState, Notification, Scope, Turn
from pushdesk.server.auth import Access
from pushdesk.server.parameters import idempotency_key
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from aiohttp import web


MAX_TURN: Final = 2 * 1024 * 1024
"""Bytes that a turn may have: its text comes whole."""


class WaitQuery(Struct, frozen=True):
    """How long to wait for the outcomes, in seconds."""

    wait: Annotated[float, Meta(ge=0, le=30)] = 0.0


class DispatchQuery(Struct, frozen=True):
    """Which of the dispatch's deliveries: those after the `next` of the answer before, or the first."""

    cursor: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class AcceptedDispatch(Struct, frozen=True):
    """The dispatch that a request became."""

    dispatch: Dispatch


class ToldTurn(Struct, frozen=True):
    """The dispatch that a turn became, or the reason why there is none."""

    dispatch: Dispatch | None
    reason: str | UnsetType = UNSET


async def notify(call: Call[WaitQuery, Notification]) -> web.Response:
    """Accept a notification."""
    accepted = await call.engine.accept(
        call.user,
        call.body,
        sender=call.caller.sender,
        idempotency_key=idempotency_key(call.request),
        wait_s=call.query.wait,
    )
    is_settled = call.query.wait > 0 and accepted.dispatch.state is DispatchState.DONE
    return answer(AcceptedDispatch(accepted.dispatch), status=200 if accepted.repeated or is_settled else 202)


async def turn(call: Call[NoQuery, Turn]) -> web.Response:
    """Accept a turn of an agent."""
    accepted = await call.engine.turn(
        call.body, sender=call.caller.sender, idempotency_key=idempotency_key(call.request)
    )
    is_new = accepted.dispatch is not None and not accepted.repeated
    told = ToldTurn(accepted.dispatch, accepted.reason if accepted.reason is not None else UNSET)
    return answer(told, status=202 if is_new else 200)


async def dispatch(call: Call[DispatchQuery, None]) -> web.Response:
    """Answer with a dispatch and a page of its deliveries."""
    return answer(await call.engine.dispatch(call.request.match_info["id"], cursor=call.query.cursor))


async def cancel(call: Call[NoQuery, None]) -> web.Response:
    """End a dispatch: whoever notifies may end what was asked for with the same token, operators may end all."""
    found = await call.engine.cancel(call.request.match_info["id"], sender=sender_of_own(call))
    return answer(AcceptedDispatch(found))


def sender_of_own(call: Call[NoQuery, None]) -> str | None:
    """Return whose dispatches whoever asks may end: their own; None for an operator, who may end all."""
    caller = call.caller
    is_operator = caller.token is not None and caller.token.allows(Scope.ADMIN)
    return None if is_operator else caller.sender


IDEMPOTENCY_KEY: Final = {"Idempotency-Key": "1 to 255 visible characters; makes a repeat harmless for 24 hours"}

ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/api/v1/users/{user}/notifications",
        summary="Notify a user",
        access=Access.NOTIFY,
        query=WaitQuery,
        body=Notification,
        handler=notify,
        answers={202: AcceptedDispatch, 200: AcceptedDispatch},
        headers=IDEMPOTENCY_KEY,
    ),
    Route(
        method="POST",
        path="/api/v1/turns",
        summary="Notify of an agent's turn that has ended",
        access=Access.NOTIFY,
        query=NoQuery,
        body=Turn,
        handler=turn,
        answers={202: ToldTurn, 200: ToldTurn},
        max_body=MAX_TURN,
        headers=IDEMPOTENCY_KEY,
    ),
    Route(
        method="GET",
        path="/api/v1/dispatches/{id}",
        summary="What became of a dispatch",
        access=Access.FOLLOW,
        query=DispatchQuery,
        body=NoneType,
        handler=dispatch,
        answers={200: Dispatch},
    ),
    Route(
        method="POST",
        path="/api/v1/dispatches/{id}/cancel",
        summary="Send nothing more of a dispatch",
        access=Access.NOTIFY,
        query=NoQuery,
        body=NoneType,
        handler=cancel,
        answers={200: AcceptedDispatch},
    ),
)
