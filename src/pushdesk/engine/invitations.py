"""Invitations: a code that lets one browser in, once, as one user."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pushdesk.engine.device_tokens import device_token, secret_digest
from pushdesk.engine.statistics import utc
from pushdesk.errors import PushdeskError
from pushdesk.invitation_code import LONGEST_LIFETIME_S, SHORTEST_LIFETIME_S, code_digest
from pushdesk.log import write
from pushdesk.log_events import InvitationMade, InvitationRedeemed, InvitationRefused
from pushdesk.log_fields import Id, UserId
from pushdesk.model import Enrolled, Invitation, InvitationFault
from pushdesk.storage.records import Redemption
from pushdesk.storage.times import to_milliseconds

if TYPE_CHECKING:
    from pushdesk.clock import Clock
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.publisher import Publisher
    from pushdesk.storage.invitations import Invitations as InvitationsTable

PAGE: Final = "/enroll"
"""The page that redeems codes. The code is in the fragment, which no server and no proxy sees."""
_REFUSALS: Final = {
    InvitationFault.USED: "This invitation was used already: each lets one browser in, once.",
    InvitationFault.EXPIRED: "This invitation has expired.",
    InvitationFault.UNKNOWN: "This invitation is unknown here.",
    InvitationFault.MALFORMED: "This can be no invitation's code: one has 16 letters and digits.",
}
_ASK_ANEW: Final = "Ask for a new one."
_TYPE_ANEW: Final = "Compare it with what you were given, or ask for a new one."


class Invitations:
    """Makes invitations, and lets browsers in that show one.

    Args:
        table: The store's.
        access_url: Origin under which browsers reach the server.
        publisher: Told of new users.
        identifiers: For codes, enrollments and their secrets.
        clock: For when they end.
    """

    def __init__(
        self,
        table: InvitationsTable,
        *,
        access_url: str,
        publisher: Publisher,
        identifiers: Identifiers,
        clock: Clock,
    ) -> None:
        self._table = table
        self._access_url = access_url
        self._publisher = publisher
        self._identifiers = identifiers
        self._clock = clock

    async def make(self, user: str, expires_s: int) -> Invitation:
        """Make an invitation for a user, who comes into being by it if need be; its code is returned this once.

        Args:
            user: Whose notifications the browser is to get.
            expires_s: Seconds for which it is valid.

        Raises:
            PushdeskError: `bad_field` for a time that is too short or too long.
            DatabaseError: There is no invitation.
        """
        if not SHORTEST_LIFETIME_S <= expires_s <= LONGEST_LIFETIME_S:
            raise PushdeskError(
                f"An invitation is valid for {SHORTEST_LIFETIME_S} seconds at least and 30 days at most.",
                code="bad_field",
                fields=("expires",),
            )
        code = self._identifiers.code()
        digest = code_digest(code)
        assert digest is not None  # noqa: S101 (a code that was just made is one)
        now = utc(self._clock)
        expires_at = now + timedelta(seconds=expires_s)
        made_user = await self._table.add(
            user, digest, now_ms=to_milliseconds(now), expires_at_ms=to_milliseconds(expires_at)
        )
        if made_user:
            self._publisher.user_made(user)
        write(InvitationMade(user=UserId(user), valid_s=expires_s))
        return Invitation(code, f"{self._access_url}{PAGE}#{code}", expires_at)

    async def redeem(self, code: str) -> Enrolled:
        """Use an invitation up; returns what lets the browser in from now on.

        Args:
            code: As it was typed.

        Raises:
            PushdeskError: `forbidden` when it was used, has expired, is not known or can be none; says which.
            DatabaseError: The invitation is as it was.
        """
        digest = code_digest(code)
        if digest is None:
            raise _refused(Redemption(None, InvitationFault.MALFORMED))
        enrollment, secret = self._identifiers.new(), self._identifiers.secret()
        redemption = await self._table.redeem(
            digest,
            enrollment=enrollment,
            token_digest=secret_digest(secret),
            now_ms=to_milliseconds(utc(self._clock)),
        )
        if redemption.user is None or redemption.fault is not None:
            raise _refused(redemption)
        write(InvitationRedeemed(user=UserId(redemption.user), enrollment=Id(enrollment)))
        return Enrolled(redemption.user, device_token(enrollment, secret))


def _refused(redemption: Redemption) -> PushdeskError:
    fault = redemption.fault or InvitationFault.UNKNOWN
    write(InvitationRefused(user=None if redemption.user is None else UserId(redemption.user), fault=fault))
    may_be_mistyped = fault in {InvitationFault.UNKNOWN, InvitationFault.MALFORMED}
    return PushdeskError(_REFUSALS[fault], code="forbidden", hint=_TYPE_ANEW if may_be_mistyped else _ASK_ANEW)
