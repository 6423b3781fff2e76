"""Invitations: an application asks for one for its user, and a browser redeems it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from pushdesk.errors import PushdeskError
from pushdesk.invitation_code import DEFAULT_LIFETIME_S, LONGEST_LIFETIME_S, SHORTEST_LIFETIME_S, read_lifetime
from pushdesk.masked import Masked
from pushdesk.model import Enrolled, Invitation
from pushdesk.server.auth import Access
from pushdesk.server.client_address import client_of
from pushdesk.server.rate_limits import RATE_LIMITS
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from aiohttp import web


class InvitationRequest(Struct, frozen=True):
    """How long the invitation is to be valid: a duration such as `24h`, or a number of seconds."""

    expires: (
        Annotated[int, Meta(ge=SHORTEST_LIFETIME_S, le=LONGEST_LIFETIME_S)] | Annotated[str, Meta(max_length=16)]
    ) = DEFAULT_LIFETIME_S

    @property
    def expires_s(self) -> int:
        """The same in seconds.

        Raises:
            PushdeskError: `bad_field`.
        """
        if isinstance(self.expires, int):
            return self.expires
        try:
            return read_lifetime(self.expires)
        except ValueError as error:
            raise PushdeskError(f"expires {error}.", code="bad_field", fields=("expires",)) from None


class EnrollmentRequest(Masked, Struct, frozen=True):
    """An invitation's code, as it was typed."""

    code: Annotated[str, Meta(max_length=100)]

    def __repr__(self) -> str:
        return "EnrollmentRequest(...)"


async def invite(call: Call[NoQuery, InvitationRequest]) -> web.Response:
    """Make an invitation."""
    return answer(await call.engine.invite(call.user, call.body.expires_s), status=201)


async def enroll(call: Call[NoQuery, EnrollmentRequest]) -> web.Response:
    """Let a browser in, unless too many codes from its address were wrong."""
    with call.request.app[RATE_LIMITS].guess(client_of(call.request)):
        return answer(await call.engine.redeem(call.body.code))


ROUTES: Final[tuple[AnyRoute, ...]] = (
    Route(
        method="POST",
        path="/api/v1/users/{user}/invitations",
        summary="Invite a browser to get a user's notifications",
        access=Access.NOTIFY,
        query=NoQuery,
        body=InvitationRequest,
        handler=invite,
        answers={201: Invitation},
    ),
    Route(
        method="POST",
        path="/api/v1/enrollments",
        summary="Redeem an invitation",
        access=Access.PAGE,
        query=NoQuery,
        body=EnrollmentRequest,
        handler=enroll,
        answers={200: Enrolled},
    ),
)
