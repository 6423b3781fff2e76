"""VAPID keys."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from pushdesk.masked import Masked
from pushdesk.model.subscription import Service


class KeyState(StrEnum):
    """The life of a VAPID key (RFC 8292)."""

    CURRENT = "current"
    RETIRING = "retiring"
    RETIRED = "retired"
    REVOKED = "revoked"


class VapidKey(Struct, frozen=True):
    """A VAPID key, without its private half (RFC 8292)."""

    id: str
    public_key: str
    state: KeyState
    created_at: datetime
    subscriptions: int = 0
    """Active subscriptions that were made with it; of a key that has ended, those that are yet to follow it."""
    services: dict[Service, int] = {}
    """The same, per push service."""
    retiring_at: datetime | None = None
    """Since when it is retiring, if it is."""
    before: dict[Service, int] = {}
    """Active subscriptions that were made with it, per push service, when it began to retire."""
    expected_end: datetime | None = None
    """When the last subscription will have moved to the current key, if they go on as they did; None if none did."""
    users_left: int = 0
    """Of a retiring key: users all of whose subscriptions were made with it, and who get nothing once it is retired."""

    @property
    def moved_percent(self) -> int:
        """Of a retiring key: how many of 100 subscriptions have left it; 100 is said of all only."""
        before = sum(self.before.values())
        if not before:
            return 0 if self.subscriptions else 100
        return max(0, 100 * (before - self.subscriptions) // before)


class RevokedKeys(Struct, frozen=True):
    """What came of revoking: the new current key, and the subscriptions that were lost, per push service."""

    key: VapidKey
    lost: dict[Service, int] = {}


class ExportedKey(Masked, Struct, frozen=True):
    """A VAPID key with its private half, which its repr does not show."""

    id: str
    public_key: str
    """Base64url without padding, as node web-push and web-push-php have it."""
    private_key: str
    """The same, of the 32 bytes of the private key."""
    pem: str
    """Both, as PKCS 8 in PEM, not encrypted."""

    def __repr__(self) -> str:
        return f"ExportedKey(id={self.id!r})"
