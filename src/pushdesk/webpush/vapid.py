"""VAPID: who is sending (RFC 8292). Keys, claims, and one signed token per key and origin.

py-vapid makes, reads and writes the keys; the token is signed here, because py-vapid's signer takes subscribers that
Apple refuses and is asked once per push.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from yarl import URL

from pushdesk.errors import StartUpError
from pushdesk.webpush.encryption import encode_base64url
from pushdesk.webpush.endpoint import origin_of

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_S: Final = 3600
TOKEN_LIFETIME_S: Final = 12 * HOUR_S
RENEW_BEFORE_S: Final = 6 * HOUR_S
"""A token with less than this left is signed anew: six hours of use, where Apple wants one at least."""

MAX_AHEAD_S: Final = 23 * HOUR_S
"""A token further ahead than this was signed before the clock was set back; services refuse one beyond 24 h."""

MAX_TOKENS: Final = 1024

_JWT_HEADER: Final = encode_base64url(b'{"typ":"JWT","alg":"ES256"}')
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?P<host>[A-Za-z0-9.-]+)")
_HOST: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", re.IGNORECASE)


class SigningKey:
    """A VAPID key pair. Shows nothing of its private half.

    Attributes:
        id: 8 hex digits: the start of the SHA-256 of the public key's 65 bytes.
        public_key: The public key as browsers want it: base64url without padding of 65 bytes.
    """

    def __init__(self, private_key: EllipticCurvePrivateKey) -> None:
        self._private_key = private_key
        point = private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.id: Final = hashlib.sha256(point).hexdigest()[:8]
        self.public_key: Final = encode_base64url(point)

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id!r})"

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key pair."""
        vapid = Vapid02()
        vapid.generate_keys()
        return cls(vapid.private_key)

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """Read a private key: PEM, PKCS 8 or SEC 1, without a password.

        Raises:
            StartUpError: It is no private key on P-256.
        """
        try:
            private_key = Vapid02.from_pem(pem.strip()).private_key
        except (ValueError, TypeError):  # TypeError: the key has a password
            private_key = None
        if not isinstance(private_key, EllipticCurvePrivateKey) or not isinstance(private_key.curve, SECP256R1):
            raise StartUpError(
                "The VAPID key cannot be read: it is not a private key on P-256 in PEM, without a password.",
                hint="Restore the data directory, or the key to unseal it with, from a backup.",
            )
        return cls(private_key)

    def to_pem(self) -> bytes:
        """Write the private key: PEM, PKCS 8, not encrypted."""
        pem: bytes = Vapid02(self._private_key).private_pem()
        return pem

    def to_base64url(self) -> str:
        """Write the private key as node web-push and web-push-php do: its 32 bytes, without padding."""
        return encode_base64url(self._private_key.private_numbers().private_value.to_bytes(32, "big"))

    def sign(self, data: bytes) -> bytes:
        """Sign with ES256: the 64 bytes of RFC 7518 section 3.4."""
        r, s = decode_dss_signature(self._private_key.sign(data, ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class _Token(NamedTuple):
    authorization: str
    expires_at: int


class Authorizer:
    """Signs for pushes, once per key and origin and hours of use.

    Args:
        subscriber: The `sub` claim: how the push services reach the operator.
        clock: Unix time in seconds.
    """

    def __init__(self, *, subscriber: str, clock: Callable[[], float]) -> None:
        self._subscriber = subscriber
        self._clock = clock
        self._tokens: OrderedDict[tuple[str, str], _Token] = OrderedDict()

    def authorization(self, key: SigningKey, endpoint: str) -> str:
        """Return the `Authorization` header for a push to an endpoint: RFC 8292 section 3.

        Raises:
            EndpointRefusedError: The endpoint is no URL.
        """
        return self.authorization_at(key, origin_of(endpoint))

    def authorization_at(self, key: SigningKey, origin: str) -> str:
        """Return the same for a push to any endpoint at an origin, as `origin_of` writes it."""
        now = int(self._clock())
        token = self._tokens.get((key.public_key, origin))
        if token is None or not RENEW_BEFORE_S <= token.expires_at - now <= MAX_AHEAD_S:
            token = self._sign(key, origin, now + TOKEN_LIFETIME_S)
            self._tokens[key.public_key, origin] = token
            if len(self._tokens) > MAX_TOKENS:
                self._tokens.popitem(last=False)
        self._tokens.move_to_end((key.public_key, origin))
        return token.authorization

    def _sign(self, key: SigningKey, origin: str, expires_at: int) -> _Token:
        claims = msgspec.json.encode({"aud": origin, "exp": expires_at, "sub": self._subscriber})
        signed = f"{_JWT_HEADER}.{encode_base64url(claims)}"
        signature = encode_base64url(key.sign(signed.encode("ascii")))
        # No space after the comma: RFC 8292 allows either, and py-vapid's verifier takes this one only.
        return _Token(f"vapid t={signed}.{signature},k={key.public_key}", expires_at)


def subscriber_from(configured: str | None, access_url: str) -> str:
    """Return the `sub` claim: what is configured, else the origin of the access URL.

    What people commonly write is put right: a bare address, a space after `mailto:`, `mailto:` twice.
    """
    if configured is None or not configured.strip():
        return str(URL(access_url).origin())
    subscriber = configured.strip()
    address = re.sub(r"^(mailto:\s*)+", "", subscriber, flags=re.IGNORECASE)
    return f"mailto:{address}" if address != subscriber or _ADDRESS.fullmatch(address) else subscriber


def subscriber_problem(sub: str) -> str | None:
    """Say, in a sentence for the operator, why Apple would answer 403 to this `sub` claim; None if it would not.

    Other services take nearly anything. Sources: RFC 8292 section 2.1, Apple's documentation of `BadJwtToken`,
    web-push-libs/web-push#947, SherClockHolmes/webpush-go#92.
    """
    if not sub.isascii() or not sub.isprintable() or " " in sub:
        return "The subscriber has spaces or other characters that do not belong into an address."
    scheme, _, rest = sub.partition(":")
    if scheme.lower() == "mailto":
        if rest.lower().startswith("mailto:"):
            return "The subscriber says mailto: twice."
        address = _ADDRESS.fullmatch(rest)
        if address is None:
            return "The subscriber is mailto: without one plain e-mail address."
        return _host_problem(address["host"])
    if scheme.lower() == "https":
        try:
            host = URL(sub).raw_host
        except ValueError:
            host = None
        return _host_problem(host) if host else "The subscriber is not a complete https: address."
    return "The subscriber is neither a mailto: nor an https: address."


def _host_problem(host: str) -> str | None:
    host = host.lower().rstrip(".")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith((".localhost", ".local")):
            return "The subscriber's host is a local one, which Apple refuses."
        if not _HOST.fullmatch(host):
            return "The subscriber's host is not a full domain name."
        return None
    return "The subscriber's host is an IP address, not a domain name."
