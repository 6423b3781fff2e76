"""Whether a push is signed by who may push (RFC 8292)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from pushdesk.simulator import base64url
from pushdesk.simulator.refusal import Refusal

_INVALID_AUTHENTICATION = 109
_LONGEST_LIFE_S = 24 * 3600
_PARAMETER = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"\\]*)"|([^\s",]*))\s*')


class _Header(msgspec.Struct):
    alg: Literal["ES256"]
    typ: str | None = None


class _Claims(msgspec.Struct):
    aud: str
    exp: int | float
    sub: str | None = None


def check_authorization(header: str | None, *, origin: str, registered_key: bytes | None, now: float) -> None:
    """Check the `Authorization` header of a push.

    Args:
        header: Its value, or None if there was none.
        origin: The push service's own origin, which the token must be for.
        registered_key: The key that the subscription was made with, or None if it was made without.
        now: Seconds since the epoch.

    Raises:
        Refusal: 401 if there are no usable credentials or the key is another one, 403 if the token is not good.
    """
    token, key = _credentials(header)
    if registered_key is not None and key != registered_key:
        raise _refusal(HTTPStatus.UNAUTHORIZED, "VAPID public key mismatch")
    claims = _verified(token, key)
    if claims.aud != origin:
        raise _refusal(HTTPStatus.FORBIDDEN, "Invalid VAPID token: aud is not the origin of this push service")
    if claims.exp <= now:
        raise _refusal(HTTPStatus.FORBIDDEN, "Invalid VAPID token: it has expired")
    if claims.exp > now + _LONGEST_LIFE_S:
        raise _refusal(HTTPStatus.FORBIDDEN, "Invalid VAPID token: exp is more than 24 hours ahead")
    if not claims.sub:
        raise _refusal(HTTPStatus.FORBIDDEN, "Invalid VAPID token: sub is missing")


def _credentials(header: str | None) -> tuple[str, bytes]:
    """Return token and public key of `vapid t=..., k=...` (RFC 8292 section 3)."""
    if header is None:
        raise _refusal(HTTPStatus.UNAUTHORIZED, "Missing VAPID authorization")
    scheme, _, rest = header.strip().partition(" ")
    parameters: dict[str, str] = {}
    for part in rest.split(","):
        found = _PARAMETER.fullmatch(part)
        if found is not None:
            parameters[found[1].lower()] = found[2] if found[2] is not None else found[3]
    if scheme.lower() != "vapid" or "t" not in parameters or "k" not in parameters:
        raise _refusal(HTTPStatus.UNAUTHORIZED, "The authorization is not of the form: vapid t=..., k=...")
    try:
        return parameters["t"], base64url.decode(parameters["k"])
    except ValueError:
        raise _refusal(HTTPStatus.UNAUTHORIZED, "The VAPID public key is not base64url") from None


def _verified(token: str, key: bytes) -> _Claims:
    """Return the claims of a token whose ES256 signature is right (RFC 7515, RFC 7518 section 3.4)."""
    signed, _, signature_text = token.rpartition(".")
    header_text, _, claims_text = signed.partition(".")
    try:
        signature = base64url.decode(signature_text)
        msgspec.json.decode(base64url.decode(header_text), type=_Header)
        claims = msgspec.json.decode(base64url.decode(claims_text), type=_Claims)
        public_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    except ValueError:
        raise _refusal(HTTPStatus.FORBIDDEN, "Invalid VAPID token: it cannot be read") from None
    if len(signature) != 64:
        raise _refusal(HTTPStatus.FORBIDDEN, "Invalid VAPID token: the signature does not have 64 bytes")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        public_key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise _refusal(HTTPStatus.FORBIDDEN, "Invalid VAPID token: it is not signed by the key k") from None
    return claims


def _refusal(status: HTTPStatus, message: str) -> Refusal:
    return Refusal(status, _INVALID_AUTHENTICATION, message)
