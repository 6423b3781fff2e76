from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey
from py_vapid import Vapid02

from pushdesk.errors import EndpointRefusedError, StartUpError
from pushdesk.webpush.encryption import decode_base64url, encode_base64url
from pushdesk.webpush.vapid import MAX_TOKENS, Authorizer, SigningKey, subscriber_from, subscriber_problem

HOUR = 3600
START = 1_800_000_000.0
FCM = "https://fcm.googleapis.com/fcm/send/abc:def"


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def authorizer(clock: Clock) -> Authorizer:
    return Authorizer(subscriber="mailto:ops@example.org", clock=clock)


def claims_of(authorization: str) -> dict[str, Any]:
    """Verify with joserfc and return the claims."""
    parsed = re.fullmatch(r"vapid t=([\w-]+\.[\w-]+\.[\w-]+),k=([\w-]{87})", authorization)
    assert parsed is not None
    token, public_key = parsed.groups()
    point = decode_base64url(public_key)
    verifier = ECKey.import_key(
        {"kty": "EC", "crv": "P-256", "x": encode_base64url(point[1:33]), "y": encode_base64url(point[33:])}
    )
    decoded = jwt.decode(token, verifier, algorithms=["ES256"])
    assert decoded.header == {"typ": "JWT", "alg": "ES256"}
    return decoded.claims


def test_token_says_who_sends_what_for_whom_and_until_when(authorizer: Authorizer, key: SigningKey) -> None:
    authorization = authorizer.authorization(key, FCM)
    assert claims_of(authorization) == {
        "aud": "https://fcm.googleapis.com",
        "exp": int(START) + 12 * HOUR,
        "sub": "mailto:ops@example.org",
    }
    assert authorization.endswith(f",k={key.public_key}")


def test_token_is_verified_by_py_vapid_and_a_changed_one_is_not(authorizer: Authorizer, key: SigningKey) -> None:
    authorization = authorizer.authorization(key, FCM)
    assert Vapid02.verify(authorization) is True
    other = SigningKey.generate()
    assert Vapid02.verify(authorization.replace(key.public_key, other.public_key)) is False


@pytest.mark.parametrize(
    ("endpoint", "audience"),
    [
        ("https://web.push.apple.com/QAbc", "https://web.push.apple.com"),
        ("https://updates.push.services.mozilla.com:443/wpush/v2/x", "https://updates.push.services.mozilla.com"),
        ("https://WNS2-par02p.Notify.Windows.com/w/?token=BQYA%2fCm", "https://wns2-par02p.notify.windows.com"),
        ("http://127.0.0.1:8485/push/1", "http://127.0.0.1:8485"),
        ("http://localhost:80/push/1", "http://localhost"),
        ("https://[::1]:8443/push/1", "https://[::1]:8443"),
    ],
)
def test_audience_is_the_origin_of_each_endpoint(
    authorizer: Authorizer, key: SigningKey, endpoint: str, audience: str
) -> None:
    authorizer.authorization(key, FCM)
    assert claims_of(authorizer.authorization(key, endpoint))["aud"] == audience


def test_token_is_reused_for_hours_per_key_and_origin(authorizer: Authorizer, key: SigningKey, clock: Clock) -> None:
    first = authorizer.authorization(key, FCM)
    clock.now += 6 * HOUR
    assert authorizer.authorization(key, FCM + "/another") == first
    assert authorizer.authorization(SigningKey.generate(), FCM) != first
    assert authorizer.authorization(key, "https://web.push.apple.com/x") != first


def test_token_is_renewed_long_before_it_ends(authorizer: Authorizer, key: SigningKey, clock: Clock) -> None:
    first = authorizer.authorization(key, FCM)
    clock.now += 6 * HOUR + 1
    renewed = authorizer.authorization(key, FCM)
    assert renewed != first
    assert claims_of(renewed)["exp"] == int(clock.now) + 12 * HOUR


def test_clock_set_back_a_little_keeps_the_token(authorizer: Authorizer, key: SigningKey, clock: Clock) -> None:
    first = authorizer.authorization(key, FCM)
    clock.now -= 60
    assert authorizer.authorization(key, FCM) == first


@given(st.lists(st.floats(min_value=-40 * HOUR, max_value=40 * HOUR), max_size=20))
def test_exp_is_always_ahead_and_within_a_day_however_the_clock_jumps(jumps: list[float]) -> None:
    clock, key = Clock(), SigningKey.generate()
    authorizer = Authorizer(subscriber="mailto:ops@example.org", clock=clock)
    for jump in jumps:
        clock.now += jump
        ahead = claims_of(authorizer.authorization(key, FCM))["exp"] - clock.now
        assert 5 * HOUR < ahead < 24 * HOUR


def test_tokens_are_bounded_and_the_one_in_use_stays(authorizer: Authorizer, key: SigningKey) -> None:
    first = authorizer.authorization(key, FCM)
    oldest = authorizer.authorization(key, "https://1.notify.windows.com/")
    for i in range(2, MAX_TOKENS + 10):
        authorizer.authorization(key, f"https://{i}.notify.windows.com/")
        assert authorizer.authorization(key, FCM) == first
    assert len(authorizer._tokens) == MAX_TOKENS
    assert authorizer.authorization(key, "https://1.notify.windows.com/") != oldest


def test_what_is_no_url_is_not_signed_for(authorizer: Authorizer, key: SigningKey) -> None:
    with pytest.raises(EndpointRefusedError):
        authorizer.authorization(key, "fcm.googleapis.com/x")


def test_key_is_named_after_its_public_half(key: SigningKey) -> None:
    point = decode_base64url(key.public_key)
    assert (len(point), point[0]) == (65, 4)
    assert key.id == hashlib.sha256(point).hexdigest()[:8]


def test_key_comes_back_from_pem_and_signs_the_same(key: SigningKey, authorizer: Authorizer) -> None:
    again = SigningKey.from_pem(key.to_pem())
    assert (again.id, again.public_key) == (key.id, key.public_key)
    assert Vapid02.verify(authorizer.authorization(again, FCM)) is True


def test_pem_is_the_one_that_py_vapid_and_openssl_write() -> None:
    private = generate_private_key(SECP256R1())
    theirs = Vapid02(private).private_pem()
    sec1 = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert SigningKey.from_pem(theirs).to_pem() == theirs
    assert SigningKey.from_pem(b"\n" + sec1 + b"\n\n").to_pem() == theirs


PKCS8 = PrivateFormat.PKCS8


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        generate_private_key(SECP384R1()).private_bytes(Encoding.PEM, PKCS8, NoEncryption()),
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PKCS8, NoEncryption()),
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"secret")),
    ],
    ids=["empty", "text", "broken", "P-384", "Ed25519", "with a password"],
)
def test_what_is_no_vapid_key_is_refused_without_showing_it(pem: bytes) -> None:
    with pytest.raises(StartUpError, match="not a private key on P-256") as refused:
        SigningKey.from_pem(pem)
    assert refused.value.__context__ is None


def test_key_shows_its_id_only(key: SigningKey) -> None:
    assert repr(key) == f"SigningKey(id='{key.id}')"
    assert str(key) == repr(key)


@pytest.mark.parametrize(
    "sub",
    [
        "mailto:ops@example.org",
        "mailto:first.last+push@mail.example.co.uk",
        "MAILTO:ops@example.org",
        "https://push.example.org",
        "https://push.example.org:8443/contact",
        "https://xn--bcher-kva.example",
        "https://myhost.tailnet.ts.net",
    ],
)
def test_subscriber_that_apple_takes_is_no_problem(sub: str) -> None:
    assert subscriber_problem(sub) is None


@pytest.mark.parametrize(
    ("sub", "says"),
    [
        ("", "neither"),
        ("ops@example.org", "neither"),
        ("http://push.example.org", "neither"),
        ("http://localhost:8484", "neither"),
        ("tel:+123", "neither"),
        ("mailto: ops@example.org", "spaces"),
        ("mailto:ops@example.org ", "spaces"),
        ("mailto:ops@example.org\n", "spaces"),
        ("https://push.example.org/a b", "spaces"),
        ("https://bücher.example", "characters"),
        ("mailto:mailto:ops@example.org", "twice"),
        ("mailto:", "without one plain"),
        ("mailto:ops", "without one plain"),
        ("mailto:a@example.org,b@example.org", "without one plain"),
        ("mailto:<ops@example.org>", "without one plain"),
        ("mailto:ops@localhost", "local one"),
        ("mailto:ops@printer.local", "local one"),
        ("https://localhost", "local one"),
        ("https://LOCALHOST:8484/", "local one"),
        ("https://desk.localhost", "local one"),
        ("https://desk.local.", "local one"),
        ("mailto:ops@desk", "full domain"),
        ("https://desk", "full domain"),
        ("https://desk..org", "full domain"),
        ("mailto:ops@-desk.org", "full domain"),
        ("mailto:ops@127.0.0.1", "IP address"),
        ("https://192.0.2.1", "IP address"),
        ("https://[::1]:8484", "IP address"),
        ("https://", "complete"),
        ("https:push.example.org", "complete"),
        ("https://[::1", "complete"),
    ],
)
def test_subscriber_that_apple_refuses_is_explained_to_the_operator(sub: str, says: str) -> None:
    problem = subscriber_problem(sub)
    assert problem is not None
    assert says in problem
    assert problem.endswith(".")


@pytest.mark.parametrize(
    ("configured", "access_url", "subscriber"),
    [
        ("mailto:ops@example.org", "https://push.example.org", "mailto:ops@example.org"),
        ("  mailto: ops@example.org ", "https://push.example.org", "mailto:ops@example.org"),
        ("mailto:mailto:ops@example.org", "https://push.example.org", "mailto:ops@example.org"),
        ("ops@example.org", "https://push.example.org", "mailto:ops@example.org"),
        ("https://example.org/contact", "https://push.example.org", "https://example.org/contact"),
        ("nonsense", "https://push.example.org", "nonsense"),
        (None, "https://push.example.org/desk/", "https://push.example.org"),
        ("", "https://push.example.org:8443", "https://push.example.org:8443"),
        (None, "http://localhost:8484", "http://localhost:8484"),
    ],
)
def test_subscriber_is_the_configured_one_put_right_or_the_access_url(
    configured: str | None, access_url: str, subscriber: str
) -> None:
    assert subscriber_from(configured, access_url) == subscriber


@given(st.text(max_size=60))
def test_any_subscriber_gets_an_answer(sub: str) -> None:
    for spelled in (sub, f"https://{sub}", f"mailto:{sub}"):
        problem = subscriber_problem(spelled)
        assert problem is None or problem.endswith(".")
