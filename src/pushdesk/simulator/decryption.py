"""The browser's side of RFC 8291: its keys, and the message that it reads with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import http_ece
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushdesk.simulator import base64url


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A push, decrypted."""

    at: float
    """Seconds since the epoch."""
    plaintext: bytes | None
    """None for a push without a body."""

    @property
    def notification(self) -> dict[str, Any] | None:
        """The `notification` of the pushed JSON; None if it has none."""
        try:
            return msgspec.json.decode(self.plaintext or b"", type=_Pushed).notification
        except msgspec.DecodeError:
            return None

    @property
    def title(self) -> str:
        """The notification's title, empty if it has none."""
        return self._text("title")

    @property
    def body(self) -> str:
        """The text below the title, empty if there is none."""
        return self._text("body")

    def _text(self, name: str) -> str:
        text = (self.notification or {}).get(name)
        return text if isinstance(text, str) else ""


class _Pushed(msgspec.Struct):
    """What pushdesk pushes, as far as a virtual browser reads it."""

    notification: dict[str, Any]


_SHORTEST_BODY = 16 + 4 + 1 + 65 + 1 + 16
"""Salt, record size, key length, key, and a record of nothing but its delimiter and tag (RFC 8188 section 2)."""


class UndecryptableError(Exception):
    """A push that is not encrypted for this subscription."""


class BrowserKeys:
    """The key pair and the authentication secret of one subscription (RFC 8291 section 2).

    Args:
        auth: 16 random bytes.
        private_key: On P-256; made if it is not given.
    """

    def __init__(self, auth: bytes, private_key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self._auth = auth
        self._private_key = private_key or ec.generate_private_key(ec.SECP256R1())

    def shared(self) -> dict[str, str]:
        """Return what the application server is given: the `keys` of `PushSubscription.toJSON()`."""
        point = self._private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"p256dh": base64url.encode(point), "auth": base64url.encode(self._auth)}

    def decrypt(self, body: bytes) -> bytes:
        """Return the plaintext of a push, by the reference implementation: the sender's own is checked by another's.

        Raises:
            UndecryptableError: It is not encrypted for these keys.
        """
        if len(body) < _SHORTEST_BODY:
            # http_ece would take a header without a record for an empty message.
            raise UndecryptableError
        try:
            plaintext = http_ece.decrypt(
                body, private_key=self._private_key, auth_secret=self._auth, version="aes128gcm"
            )
        except (http_ece.ECEException, ValueError) as error:
            raise UndecryptableError from error
        return bytes(plaintext)
