"""Sealing the secrets of a database: AES-256-GCM under a key that is not in it (NIST SP 800-38D, RFC 5116).

A sealed value is a version, the id of its key, a random nonce of 96 bits, and the ciphertext with its tag. Column, row
and key id are associated data, so that a value that was moved to another row or column is not taken. It is told from a
plain one by its beginning: an endpoint begins with `http`, `auth` is 16 bytes, a private key is PEM.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINT: Final = "subscriptions.endpoint"
AUTH: Final = "subscriptions.auth"
PRIVATE_KEY: Final = "vapid_keys.private_key"
CHECK: Final = "server_state.seal_check"

KEY_SIZE: Final = 32
"""Bytes of a sealing key."""
KEY_ID_SIZE: Final = 8
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
VERSION: Final = b"\x01"
"""Neither the first byte of a PEM file nor, in base64url, the first letter of a URL."""
_HEAD: Final = len(VERSION) + KEY_ID_SIZE
_SHORTEST: Final = _HEAD + NONCE_SIZE + TAG_SIZE


class SealBrokenError(PushdeskError):
    """A sealed value was changed, moved, or cut. No `DatabaseError`: what stands beside it can be read."""

    code = "database_error"


class OtherKeyError(SealBrokenError):
    """A value is sealed with another key than the one that is there."""


class Sealer:
    """Seals under one key; without a key, it leaves what it is given as it is. Its repr shows the key's id only.

    Args:
        key: 32 bytes.
        random_bytes: Gives so many random bytes, for the nonces.
    """

    def __init__(self, key: bytes | None = None, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._cipher = None if key is None else AESGCM(key)
        self._id = b"" if key is None else hashlib.sha256(b"pushdesk sealing key" + key).digest()[:KEY_ID_SIZE]
        self._head = VERSION + self._id
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        return f"Sealer({self.key_id})"

    @property
    def key_id(self) -> str | None:
        """What the key is known by, 16 hexadecimal digits; None without a key."""
        return self._id.hex() or None

    def seal(self, column: str, row: str, value: bytes) -> bytes:
        """Seal the value of a column in a row."""
        if self._cipher is None:
            return value
        nonce = self._random_bytes(NONCE_SIZE)
        return self._head + nonce + self._cipher.encrypt(nonce, value, _place(column, row, self._id))

    def unseal(self, column: str, row: str, stored: bytes) -> bytes:
        """Return the value of a column in a row, be it sealed or not.

        Raises:
            OtherKeyError: It is sealed with another key.
            SealBrokenError: It is no longer what was sealed here.
        """
        if self._cipher is None or not stored.startswith(self._head) or len(stored) < _SHORTEST:
            sealed_with = key_id_of(stored)
            if sealed_with is None:
                return stored
            raise OtherKeyError(f"A value of {column} is sealed with the key {sealed_with}, which is not there.")
        nonce, ciphertext = stored[_HEAD : _HEAD + NONCE_SIZE], stored[_HEAD + NONCE_SIZE :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, _place(column, row, self._id))
        except InvalidTag:
            raise SealBrokenError(f"The value of {column} in row {row} is not what was sealed there.") from None

    def seal_text(self, column: str, row: str, value: str) -> str:
        """Seal a value that is kept as text; see `seal`."""
        if self._cipher is None:
            return value
        return urlsafe_b64encode(self.seal(column, row, value.encode())).rstrip(b"=").decode()

    def unseal_text(self, column: str, row: str, stored: str) -> str:
        """Return a value that is kept as text, be it sealed or not; see `unseal`."""
        sealed = _from_text(stored)
        if key_id_of(sealed) is None:
            return stored
        return self.unseal(column, row, sealed).decode()


def key_id_of(stored: bytes | str) -> str | None:
    """Return the id of the key that a value is sealed with, or None for a plain one."""
    if isinstance(stored, str):
        stored = _from_text(stored)
    if not stored.startswith(VERSION) or len(stored) < _SHORTEST:
        return None
    return stored[len(VERSION) : _HEAD].hex()


def _from_text(stored: str) -> bytes:
    """Return what a text stands for if it is a sealed value; nothing for one that is plain."""
    if stored[:4].lower() == "http":
        return b""
    try:
        return urlsafe_b64decode(stored + "=" * (-len(stored) % 4))
    except ValueError:
        return b""


def _place(column: str, row: str, key_id: bytes) -> bytes:
    # Version and key id have their size, and no column's name holds the separator: no two places read alike.
    return b"\0".join((VERSION, key_id, column.encode(), row.encode()))
