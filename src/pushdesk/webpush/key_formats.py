"""VAPID keys as others write them: PEM, and the raw pairs of node web-push and web-push-php. Pure.

Sources: RFC 5958 (PKCS 8), RFC 5915 (SEC 1), RFC 7468 (PEM); web-push's `src/cli.js` and web-push-php's
`VAPID::createVapidKeys()`, which write the uncompressed point and the scalar in base64url, older ones in base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from pushdesk.errors import PushdeskError
from pushdesk.webpush.vapid import SigningKey

MAX_TEXT: Final = 16_384
"""Characters that are looked at: a key has some hundred."""

_POINT_SIZE: Final = 65
_SCALAR_SIZE: Final = 32
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many scalars the curve has, with the zero that is none (SEC 2 section 2.4.2)."""

_PEM: Final = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]{1,40})-----.*?-----END (?P=label)-----", re.DOTALL)
_PEM_BEGINNING: Final = "-----BEGIN "
_WORD: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{40,100}(?![A-Za-z0-9+/_-])")
"""Every text in base64, of either alphabet, that is as long as a half of a key; without its padding."""

_TAKEN: Final = (
    "A private key on P-256 is taken as PEM (PKCS 8 or SEC 1, without a password), "
    "or with its public key as the pair that web-push and web-push-php make."
)


def read_key(text: str) -> SigningKey:
    """Return the key in a text, checked: on P-256, its scalar in range, and both halves of one key.

    Args:
        text: PEM, also with the parameters that OpenSSL writes before it; or a public and a private key in base64 of
            either alphabet, with or without padding, in whatever stands around them: JSON, a program's output,
            variables, two lines.

    Raises:
        PushdeskError: `bad_field`; says what is wrong, and nothing of what it was given.
    """
    if len(text) > MAX_TEXT:
        raise _refused("That is too long to be a key.")
    # As JSON and variables write them.
    text = text.replace("\\n", "\n").replace("\\/", "/")
    if _PEM_BEGINNING in text:
        return _from_pem(text)
    return _from_pair(text)


def _from_pem(text: str) -> SigningKey:
    blocks = [(found["label"], found[0]) for found in _PEM.finditer(text)]
    private = [block for label, block in blocks if label in {"PRIVATE KEY", "EC PRIVATE KEY"}]
    if any(label == "ENCRYPTED PRIVATE KEY" for label, _ in blocks) or any("ENCRYPTED" in block for block in private):
        raise _refused(
            "The key has a password.", hint="Take it off first: openssl pkcs8 -topk8 -nocrypt -in FILE -out NEW_FILE."
        )
    if len(private) > 1:
        raise _refused("There is more than one private key in it.", hint="Import one at a time.")
    if not private:
        if any(label == "PUBLIC KEY" for label, _ in blocks):
            raise _refused("It holds only the public half of a key.", hint="The private one is needed to sign.")
        raise _refused("The PEM is cut off, or holds no private key on an elliptic curve.", hint=_TAKEN)
    try:
        key = load_pem_private_key(private[0].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause may quote what it was given.
        raise _refused("The private key in the PEM is damaged, or its halves do not belong together.") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise _refused("The key is not on the curve P-256, which VAPID needs.")
    for public in (block for label, block in blocks if label == "PUBLIC KEY"):
        _check_public(public, key)
    return SigningKey(key)


def _check_public(block: str, key: EllipticCurvePrivateKey) -> None:
    try:
        public = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _refused("The public key in the PEM is damaged.") from None
    if public != key.public_key():
        raise _refused("The public and the private key do not belong together.")


def _from_pair(text: str) -> SigningKey:
    halves = {half for word in _WORD.findall(text) if (half := _decoded(word)) is not None}
    points = [half for half in halves if len(half) == _POINT_SIZE]
    scalars = [half for half in halves if len(half) == _SCALAR_SIZE]
    if len(points) > 1 or len(scalars) > 1:
        raise _refused("There is more than one key in it.", hint="Import one at a time.")
    if not points and not scalars:
        raise _refused("There is no key in it.", hint=_TAKEN)
    if not scalars:
        raise _refused("It holds only the public half of a key.", hint="The private one is needed to sign.")
    if not points:
        raise _refused(
            "It holds a private key without its public one.",
            hint="Give both, so that it can be seen that they belong together: 87 and 43 characters in base64url.",
        )
    try:
        public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), points[0])
    except ValueError:
        raise _refused("The public key is no point on the curve P-256, which VAPID needs.") from None
    scalar = int.from_bytes(scalars[0], "big")
    if not 0 < scalar < _ORDER:
        raise _refused("The private key is not one of the curve P-256, which VAPID needs.")
    private = derive_private_key(scalar, SECP256R1())
    if private.public_key() != public:
        raise _refused("The public and the private key do not belong together.")
    return SigningKey(private)


def _decoded(word: str) -> bytes | None:
    try:
        return base64.b64decode(word.translate({ord("-"): "+", ord("_"): "/"}) + "=" * (-len(word) % 4), validate=True)
    except binascii.Error:
        return None


def _refused(detail: str, *, hint: str = "") -> PushdeskError:
    return PushdeskError(detail, code="bad_field", hint=hint, fields=("text",))
