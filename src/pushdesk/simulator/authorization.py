"""Whether a push is signed by who may push (RFC 8292)."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from pushdesk.simulator import base64url
from pushdesk.simulator.personality import Personality, Rules
from pushdesk.simulator.refusal import Problem, Refusal

_RFC_8292 = Personality.OTHER.rules
_LONGEST_LIFE_S = 24 * 3600
_MAIL = re.compile(r"mailto:[^@:\s]+@([^@:\s]+)")
_PARAMETER = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"\\]*)"|([^\s",]*))\s*')


class _Header(msgspec.Struct):
    alg: Literal["ES256"]
    typ: str | None = None


class _Claims(msgspec.Struct):
    aud: str
    exp: int | float
    sub: str | None = None


def check_authorization(
    header: str | None, *, origin: str, registered_key: bytes | None, now: float, rules: Rules = _RFC_8292
) -> None:
    """Check the `Authorization` header of a push.

    Args:
        header: Its value, or None if there was none.
        origin: The push service's own origin, which the token must be for.
        registered_key: The key that the subscription was made with, or None if it was made without.
        now: Seconds since the epoch.
        rules: What the service demands besides.

    Raises:
        Refusal: There are no usable credentials, the key is another one, or the token is not good.
    """
    token, key = _credentials(header)
    if registered_key is not None and key != registered_key:
        raise Refusal(Problem.KEY_MISMATCH, "VAPID public key mismatch")
    claims = _verified(token, key)
    if claims.aud != origin:
        raise Refusal(Problem.WRONG_AUDIENCE, "Invalid VAPID token: aud is not the origin of this push service")
    if claims.exp <= now:
        raise Refusal(Problem.EXPIRED, "Invalid VAPID token: it has expired")
    if claims.exp > now + _LONGEST_LIFE_S:
        raise Refusal(Problem.LONG_LIVED, "Invalid VAPID token: exp is more than 24 hours ahead")
    if rules.needs_sub and not claims.sub:
        raise Refusal(Problem.BAD_CONTACT, "Invalid VAPID token: sub is missing")
    if rules.needs_contact and not _is_contact(claims.sub or ""):
        raise Refusal(Problem.BAD_CONTACT, "Invalid VAPID token: sub is no address of anybody")


def _credentials(header: str | None) -> tuple[str, bytes]:
    """Return token and public key of `vapid t=..., k=...` (RFC 8292 section 3)."""
    if header is None:
        raise Refusal(Problem.NO_AUTHORIZATION, "Missing VAPID authorization")
    scheme, _, rest = header.strip().partition(" ")
    parameters: dict[str, str] = {}
    for part in rest.split(","):
        found = _PARAMETER.fullmatch(part)
        if found is not None:
            parameters[found[1].lower()] = found[2] if found[2] is not None else found[3]
    if scheme.lower() != "vapid" or "t" not in parameters or "k" not in parameters:
        raise Refusal(Problem.BAD_AUTHORIZATION, "The authorization is not of the form: vapid t=..., k=...")
    try:
        return parameters["t"], base64url.decode(parameters["k"])
    except ValueError:
        raise Refusal(Problem.BAD_AUTHORIZATION, "The VAPID public key is not base64url") from None


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
        raise Refusal(Problem.BAD_TOKEN, "Invalid VAPID token: it cannot be read") from None
    if len(signature) != 64:
        raise Refusal(Problem.BAD_TOKEN, "Invalid VAPID token: the signature does not have 64 bytes")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        public_key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise Refusal(Problem.BAD_TOKEN, "Invalid VAPID token: it is not signed by the key k") from None
    return claims


def _is_contact(sub: str) -> bool:
    """Whether somebody can be reached there: Apple takes no local name, no space, and nothing but mail and https."""
    address = _MAIL.fullmatch(sub)
    if address is None and not sub.startswith("https://"):
        return False
    try:
        host = address[1] if address is not None else urlsplit(sub).hostname or ""
    except ValueError:
        return False
    return " " not in sub and "." in host and not host.lower().endswith(".local")
