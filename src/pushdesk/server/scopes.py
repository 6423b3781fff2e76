"""What whoever asks may do: so that a console shows as possible only what its token allows."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from pushdesk.model import Scope
from pushdesk.server.auth import Access
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from aiohttp import web


class Scopes(Struct, frozen=True):
    """The scopes of which the request's token allows what they allow."""

    scopes: tuple[Scope, ...]


async def scopes(call: Call[NoQuery, None]) -> web.Response:
    """Answer with what the request's token allows."""
    grant = call.caller.token
    return answer(Scopes(tuple(scope for scope in Scope if grant is not None and grant.allows(scope))))


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="GET",
        path="/api/v1/admin/scopes",
        summary="What the token allows",
        access=Access.READ,
        query=NoQuery,
        body=NoneType,
        handler=scopes,
        answers={200: Scopes},
    ),
)
