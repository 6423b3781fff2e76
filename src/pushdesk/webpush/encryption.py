"""Message encryption for Web Push (RFC 8291) in the `aes128gcm` content coding (RFC 8188).

Our own because a send is little else than this, and the library's encoder takes twice the time; the tests hold it
against `http_ece` and pywebpush in both directions.
"""

from __future__ import annotations

import base64
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushdesk.errors import BadKeysError, PayloadTooLargeError
from pushdesk.message import MAX_MESSAGE
from pushdesk.webpush.device_keys import PUBLIC_KEY_SIZE, read_public_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from pushdesk.webpush.device_keys import DeviceKeys

RECORD_SIZE: Final = 4096
"""One record holds every message; it is also the largest body that every push service takes (RFC 8030 section 7.2)."""

MAX_PLAINTEXT: Final = MAX_MESSAGE
"""Bytes: `RECORD_SIZE` less the header of 86 (RFC 8188 section 2.1), the delimiter and the tag of 16."""

AUTH_SIZE: Final = 16
SALT_SIZE: Final = 16

_CURVE: Final = SECP256R1()
_EXCHANGE: Final = ECDH()
_HASH: Final = SHA256()
"""One for all: to make one for each derivation costs a fortieth of an encryption."""
_hmac: Final = partial(HKDF.extract, _HASH)
"""HMAC with SHA-256, which is all that extracting is (RFC 5869 section 2.2), and the cheapest way to it."""
_KEY_INFO: Final = b"Content-Encoding: aes128gcm\0\1"
_NONCE_INFO: Final = b"Content-Encoding: nonce\0\1"
_HEADER: Final = RECORD_SIZE.to_bytes(4, "big") + bytes([PUBLIC_KEY_SIZE])
"""What stands between the salt and the message's public key (RFC 8188 section 2.1)."""
_LAST_RECORD: Final = b"\x02"


def encrypt(
    plaintext: bytes,
    *,
    p256dh: bytes,
    auth: bytes,
    keys: DeviceKeys | None = None,
    private_key: EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """Encrypt a message for one subscription: RFC 8291 section 3.4, as one record without padding.

    Args:
        plaintext: The message.
        p256dh: The subscription's public key, as an uncompressed point.
        auth: The subscription's authentication secret.
        keys: Where public keys are kept that were read before.
        private_key: The message's own key; a fresh one by default, and never the same one twice (section 3.1).
        salt: 16 bytes; fresh random ones by default.

    Raises:
        PayloadTooLargeError: More than `MAX_PLAINTEXT` bytes.
        BadKeysError: The subscription's keys cannot be used.
    """
    check_size(plaintext)
    receiver = _subscription_key(p256dh, auth, keys)
    sender = generate_private_key(_CURVE) if private_key is None else private_key
    salt = os.urandom(SALT_SIZE) if salt is None else salt
    sender_point = sender.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = sender.exchange(_EXCHANGE, receiver)
    # As section 3.4 writes it down: what is expanded is not longer than a hash, so that one HMAC does it each time.
    key_material = _hmac(_hmac(auth, secret), b"WebPush: info\0" + p256dh + sender_point + b"\1")
    extracted = _hmac(salt, key_material)
    content_key, nonce = _hmac(extracted, _KEY_INFO)[:16], _hmac(extracted, _NONCE_INFO)[:12]
    ciphertext = AESGCM(content_key).encrypt(nonce, plaintext + _LAST_RECORD, None)
    return b"".join((salt, _HEADER, sender_point, ciphertext))


def check_size(plaintext: bytes) -> None:
    """Check that a message fits into one push.

    Raises:
        PayloadTooLargeError: More than `MAX_PLAINTEXT` bytes; says both numbers.
    """
    if len(plaintext) > MAX_PLAINTEXT:
        raise PayloadTooLargeError(
            f"The message is {len(plaintext)} bytes, and a push holds at most {MAX_PLAINTEXT}.",
            hint="Shorten the body or the data; the limit counts the whole message as JSON.",
        )


def check_keys(p256dh: bytes, auth: bytes) -> None:
    """Check a subscription's keys: RFC 8291 sections 2 and 3.

    Raises:
        BadKeysError: `fields` names every key that cannot be used.
    """
    _subscription_key(p256dh, auth)


def decode_keys(p256dh: str, auth: str) -> tuple[bytes, bytes]:
    """Decode and check a subscription's keys as `PushSubscription.toJSON()` writes them.

    Raises:
        BadKeysError: `fields` names every key that cannot be used.
    """
    keys = _decoded_or_empty(p256dh), _decoded_or_empty(auth)
    check_keys(*keys)
    return keys


def decode_base64url(text: str) -> bytes:
    """Decode base64: the URL's alphabet or the standard one, with padding or without; strict in all else.

    Raises:
        ValueError: Anything else, including a last character with bits that decode to nothing. The message does not
            repeat the text, which may be a key.
    """
    unpadded = text.rstrip("=")
    padding = len(text) - len(unpadded)
    urlsafe = unpadded.replace("+", "-").replace("/", "_")
    try:
        decoded = base64.urlsafe_b64decode(urlsafe + "=" * (-len(urlsafe) % 4))
    except ValueError:
        decoded = b""
    if (padding and len(text) % 4 != 0) or padding > 2 or encode_base64url(decoded) != urlsafe:
        raise ValueError("This is not base64.")
    return decoded


def encode_base64url(data: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded_or_empty(text: str) -> bytes:
    """Return the bytes of a key, or none of them, which `check_keys` then refuses by name."""
    try:
        return decode_base64url(text)
    except ValueError:
        return b""


def _subscription_key(p256dh: bytes, auth: bytes, keys: DeviceKeys | None = None) -> EllipticCurvePublicKey:
    """Return the subscription's public key, once both keys are known to be usable."""
    point: EllipticCurvePublicKey | None = None
    try:
        point = read_public_key(p256dh) if keys is None else keys.read(p256dh)
    except ValueError:
        point = None
    if point is not None and len(auth) == AUTH_SIZE:
        return point
    faults: dict[str, str] = {}
    if point is None:
        faults["keys.p256dh"] = f"p256dh is not an uncompressed point of P-256 ({PUBLIC_KEY_SIZE} bytes)"
    if len(auth) != AUTH_SIZE:
        faults["keys.auth"] = f"auth is not {AUTH_SIZE} bytes"
    raise BadKeysError(
        "The subscription's " + ", and its ".join(faults.values()) + ".",
        hint="Send PushSubscription.toJSON() as the browser made it.",
        fields=tuple(faults),
    )
