from __future__ import annotations

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pywebpush import WebPusher

from pushdesk.errors import BadKeysError, PayloadTooLargeError
from pushdesk.webpush.encryption import (
    MAX_PLAINTEXT,
    check_keys,
    decode_base64url,
    decode_keys,
    encode_base64url,
    encrypt,
)

BROWSER_KEY = generate_private_key(SECP256R1())
AUTH = bytes(range(16))


def public_point(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


P256DH = public_point(BROWSER_KEY)


def private_key_of(text: str) -> EllipticCurvePrivateKey:
    return derive_private_key(int.from_bytes(decode_base64url(text), "big"), SECP256R1())


def decrypt(body: bytes) -> bytes:
    plaintext: bytes = http_ece.decrypt(body, private_key=BROWSER_KEY, auth_secret=AUTH, version="aes128gcm")
    return plaintext


def test_rfc_8291_appendix_a_byte_for_byte() -> None:
    body = encrypt(
        b"When I grow up, I want to be a watermelon",
        p256dh=decode_base64url(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        ),
        auth=decode_base64url("BTBZMqHH6r4Tts7J_aSIgg"),
        private_key=private_key_of("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        salt=decode_base64url("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert encode_base64url(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBr"
        "u3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_same_key_and_salt_give_the_bytes_that_http_ece_gives() -> None:
    message_key, salt = generate_private_key(SECP256R1()), b"\x07" * 16
    reference = http_ece.encrypt(
        b"a message", salt=salt, private_key=message_key, dh=P256DH, auth_secret=AUTH, version="aes128gcm"
    )
    assert encrypt(b"a message", p256dh=P256DH, auth=AUTH, private_key=message_key, salt=salt) == reference


def test_what_pywebpush_encrypts_and_what_we_encrypt_read_the_same() -> None:
    pusher = WebPusher(
        {"endpoint": "https://x.test/", "keys": {"p256dh": encode_base64url(P256DH), "auth": encode_base64url(AUTH)}}
    )
    theirs, ours = pusher.encode(b"hello")["body"], encrypt(b"hello", p256dh=P256DH, auth=AUTH)
    assert decrypt(theirs) == decrypt(ours) == b"hello"
    assert len(theirs) == len(ours)
    assert theirs[16:21] == ours[16:21]  # record size and the length of the key


def test_every_message_has_its_own_key_and_salt() -> None:
    bodies = [encrypt(b"same", p256dh=P256DH, auth=AUTH) for _ in range(20)]
    assert len({body[:16] for body in bodies}) == 20
    assert len({body[21:86] for body in bodies}) == 20


@given(st.binary(max_size=MAX_PLAINTEXT))
def test_any_message_up_to_the_limit_comes_back(plaintext: bytes) -> None:
    body = encrypt(plaintext, p256dh=P256DH, auth=AUTH)
    assert decrypt(body) == plaintext
    assert len(body) == len(plaintext) + 103


def test_largest_message_is_exactly_what_every_service_takes() -> None:
    body = encrypt(b"x" * MAX_PLAINTEXT, p256dh=P256DH, auth=AUTH)
    assert len(body) == 4096
    assert decrypt(body) == b"x" * MAX_PLAINTEXT


@given(st.integers(min_value=MAX_PLAINTEXT + 1, max_value=MAX_PLAINTEXT * 3))
def test_one_byte_more_is_refused_with_both_numbers(size: int) -> None:
    with pytest.raises(PayloadTooLargeError, match=f"is {size} bytes.* at most 3993"):
        encrypt(b"x" * size, p256dh=P256DH, auth=AUTH)


OFF_CURVE = P256DH[:-1] + bytes([P256DH[-1] ^ 1])
OTHER_CURVE = public_point(generate_private_key(SECP384R1()))
COMPRESSED = BROWSER_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
INFINITY = b"\x00" * 65
HYBRID = bytes([6 + (P256DH[-1] & 1)]) + P256DH[1:]


@pytest.mark.parametrize(
    "p256dh",
    [OFF_CURVE, OTHER_CURVE, COMPRESSED, INFINITY, HYBRID, b"", P256DH + b"\0"],
    # The keys are made anew in every process.
    ids=["off the curve", "another curve", "compressed", "infinity", "hybrid", "empty", "too long"],
)
def test_p256dh_that_is_no_uncompressed_point_is_refused_by_name(p256dh: bytes) -> None:
    with pytest.raises(BadKeysError) as refused:
        check_keys(p256dh, AUTH)
    assert refused.value.fields == ("keys.p256dh",)
    with pytest.raises(BadKeysError):
        encrypt(b"x", p256dh=p256dh, auth=AUTH)


@pytest.mark.parametrize("auth", [b"", AUTH[:15], AUTH + b"\0"])
def test_auth_that_is_not_16_bytes_is_refused_by_name(auth: bytes) -> None:
    with pytest.raises(BadKeysError) as refused:
        check_keys(P256DH, auth)
    assert refused.value.fields == ("keys.auth",)
    with pytest.raises(BadKeysError):
        encrypt(b"x", p256dh=P256DH, auth=auth)


def test_both_bad_keys_are_named_at_once() -> None:
    with pytest.raises(BadKeysError) as refused:
        decode_keys("not base64!", "AAAA")
    assert refused.value.fields == ("keys.p256dh", "keys.auth")


def test_keys_of_a_browser_are_taken_in_either_alphabet() -> None:
    point, auth = encode_base64url(P256DH), encode_base64url(b"\xff" * 16)
    standard = (point + "=").replace("-", "+").replace("_", "/")
    assert decode_keys(point, auth) == (P256DH, b"\xff" * 16)
    assert decode_keys(standard, auth.replace("_", "/") + "==") == (P256DH, b"\xff" * 16)


@given(st.binary(max_size=100))
def test_base64url_comes_back_in_every_spelling(data: bytes) -> None:
    text = encode_base64url(data)
    padded = text + "=" * (-len(text) % 4)
    assert decode_base64url(text) == decode_base64url(padded) == data
    assert decode_base64url(padded.replace("-", "+").replace("_", "/")) == data


@pytest.mark.parametrize("text", ["A", "AB=", "AB===", "AA=A", "AB", "A A=", "AA\n", "ÄA", "AAAA=", "AAAA====", "="])
def test_what_is_not_base64_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^This is not base64\.$"):
        decode_base64url(text)
