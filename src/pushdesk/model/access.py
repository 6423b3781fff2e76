"""Who may do what: tokens, their scopes, invitations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from pushdesk.masked import Masked


class DeviceGrant(Masked, Struct, frozen=True):
    """What a valid device token allows: to change, renew, remove and test this subscription."""

    user: str
    subscription: str | None
    """None for an invited browser that has none, or none any more: it may make one."""
    enrollment: str | None = None
    """What made the browser known, if an invitation did."""
    token: str = ""
    """The token itself."""

    def __repr__(self) -> str:
        return f"DeviceGrant(user={self.user!r}, subscription={self.subscription!r}, enrollment={self.enrollment!r})"


class InvitationFault(StrEnum):
    """Why an invitation lets nobody in."""

    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"


class Invitation(Masked, Struct, frozen=True):
    """What lets one browser get a user's notifications; the code is shown once."""

    code: str
    url: str
    """The page that redeems it, with the code in the fragment, which no server sees."""
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Invitation(expires_at={self.expires_at!r})"


class Enrolled(Masked, Struct, frozen=True):
    """What redeeming an invitation gives: whose notifications the browser gets, and its device token."""

    user: str
    token: str

    def __repr__(self) -> str:
        return f"Enrolled(user={self.user!r})"


class Scope(StrEnum):
    """What an access token allows."""

    NOTIFY = "notify"
    """To notify and to invite users, and to see what became of a dispatch."""
    READ = "read"
    """To see what operators see."""
    ADMIN = "admin"
    """Everything."""


class AccessToken(Struct, frozen=True):
    """What may be shown of a token for applications and operators."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    """Within a minute."""


class NewAccessToken(Masked, Struct, frozen=True):
    """A token that was just made: the only time that it is shown."""

    token: str
    access: AccessToken

    def __repr__(self) -> str:
        return f"NewAccessToken(access={self.access!r})"


class TokenGrant(Struct, frozen=True):
    """What a valid access token allows."""

    id: str
    scopes: frozenset[Scope]

    def allows(self, scope: Scope) -> bool:
        """Whether it allows what needs this scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
