"""Why somebody did not get something: `Desk.explain` over HTTP, as in `admin.py`."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from pushdesk.model import Verdict
from pushdesk.server.auth import Access
from pushdesk.server.routes import AnyRoute, Call, Route, answer

if TYPE_CHECKING:
    from aiohttp import web

Id = Annotated[str, Meta(max_length=128)]


class VerdictQuery(Struct, frozen=True):
    """On whom or what the verdict is to be: exactly one of them."""

    user: Id = ""
    subscription: Id = ""
    delivery: Id = ""


async def verdict(call: Call[VerdictQuery, None]) -> web.Response:
    """Say why a user, a device or a delivery did not get what was sent, or that it did."""
    query = call.query
    return answer(await call.engine.explain(user=query.user, subscription=query.subscription, delivery=query.delivery))


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/api/v1/admin/verdict",
        summary="Why a user, a device or a delivery did not get what was sent",
        access=Access.READ,
        query=VerdictQuery,
        body=NoneType,
        handler=verdict,
        answers={200: Verdict},
    ),
)
