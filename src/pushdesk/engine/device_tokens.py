"""Device tokens: `pdd_<id>_<secret>`, by which a browser is known again.

The id is a subscription's, or an enrollment's where an invitation let the browser in. A subscription's token ends with
it; an enrollment's lives on, so that a person can switch notifications off and on again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

from pushdesk.model import DeviceGrant

if TYPE_CHECKING:
    from pushdesk.storage.invitations import Invitations
    from pushdesk.storage.subscriptions import Subscriptions

PREFIX: Final = "pdd"
_TOKEN: Final = re.compile(rf"{PREFIX}_(?P<id>[0-9a-f]{{26}})_(?P<secret>[0-9a-f]{{64}})")


def device_token(identity: str, secret: str) -> str:
    """Return the token of a subscription or an enrollment."""
    return f"{PREFIX}_{identity}_{secret}"


def secret_digest(secret: str) -> bytes:
    """Return the SHA-256 that is kept of a token's secret."""
    return hashlib.sha256(secret.encode()).digest()


class DeviceTokens:
    """Knows what a device token allows.

    Args:
        subscriptions: Where the tokens of subscriptions are looked up.
        invitations: Where those of enrollments are, after that.
    """

    def __init__(self, subscriptions: Subscriptions, invitations: Invitations) -> None:
        self._subscriptions = subscriptions
        self._invitations = invitations

    async def grant(self, token: str) -> DeviceGrant | None:
        """Return what a device token allows, or None if it is not valid.

        Raises:
            DatabaseError: It could not be looked up.
        """
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        identity, digest = parts["id"], secret_digest(parts["secret"])
        owner = await self._subscriptions.token_digest(identity)
        if owner is not None:
            user, known = owner
            return DeviceGrant(user, identity, token=token) if hmac.compare_digest(known, digest) else None
        enrollment = await self._invitations.enrollment(identity)
        if enrollment is None or not hmac.compare_digest(enrollment.token_digest, digest):
            return None
        return DeviceGrant(enrollment.user, enrollment.subscription, identity, token)
