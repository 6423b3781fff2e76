"""One delivery, looked at in full and sent again: `Desk` over HTTP, as in `admin.py`."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from pushdesk.model import DeliveryRecord
from pushdesk.server.applications import IDEMPOTENCY_KEY, AcceptedDispatch
from pushdesk.server.auth import Access
from pushdesk.server.parameters import idempotency_key
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from aiohttp import web


class ResendRequest(Struct, frozen=True):
    """Which delivery's message is to be sent once more."""

    delivery: Annotated[str, Meta(min_length=1, max_length=128)]


async def record(call: Call[NoQuery, None]) -> web.Response:
    """Answer with all that is known of a delivery."""
    return answer(await call.engine.delivery(call.request.match_info["delivery"]))


async def resend(call: Call[NoQuery, ResendRequest]) -> web.Response:
    """Send what a delivery was of once more."""
    accepted = await call.engine.accept_again(
        call.body.delivery, sender=call.caller.sender, idempotency_key=idempotency_key(call.request)
    )
    return answer(AcceptedDispatch(accepted.dispatch), status=200 if accepted.repeated else 202)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/api/v1/admin/deliveries/{delivery}",
        summary="All that is known of a delivery",
        access=Access.READ,
        query=NoQuery,
        body=NoneType,
        handler=record,
        answers={200: DeliveryRecord},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/deliveries/resend",
        summary="Send what a delivery was of once more, to its subscription only",
        access=Access.ADMIN,
        query=NoQuery,
        body=ResendRequest,
        handler=resend,
        answers={202: AcceptedDispatch, 200: AcceptedDispatch},
        headers=IDEMPOTENCY_KEY,
    ),
)
