"""VAPID keys of others: each way of writing them, and what is wrong with those that cannot be used."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.errors import PushdeskError
from pushdesk.webpush.encryption import encode_base64url
from pushdesk.webpush.key_formats import MAX_TEXT, read_key
from pushdesk.webpush.vapid import SigningKey
from tests import vapid_key_texts as texts

NODE = json.loads(texts.NODE_JSON)
PHP = json.loads(texts.PHP_JSON)


def refusal(text: str) -> PushdeskError:
    with pytest.raises(PushdeskError) as refused:
        read_key(text)
    error = refused.value
    assert (error.code, error.fields) == ("bad_field", ("text",))
    # Neither what was given, nor a library's error, which may quote it.
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    for word in text.split():
        assert len(word) < 20 or word not in str(error)
    return error


def signs_as(key: SigningKey, public_key: str) -> bool:
    """Whether what the key signs is verified by this public key."""
    point = base64.urlsafe_b64decode(public_key + "=" * (-len(public_key) % 4))
    signature = key.sign(b"data")
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    public.verify(encode_dss_signature(r, s), b"data", ec.ECDSA(SHA256()))
    return key.public_key == public_key


@pytest.mark.parametrize("text", texts.TAKEN.values(), ids=texts.TAKEN.keys())
def test_what_others_write_is_read(text: str) -> None:
    key = read_key(text)
    assert signs_as(key, key.public_key)
    # The same again from what we write.
    assert read_key(key.to_pem().decode()).public_key == key.public_key
    assert read_key(f"{key.public_key}\n{key.to_base64url()}").public_key == key.public_key


def test_it_is_the_key_that_was_meant() -> None:
    assert signs_as(read_key(texts.NODE_JSON), NODE["publicKey"])
    assert read_key(texts.NODE_JSON).to_base64url() == NODE["privateKey"]
    assert signs_as(read_key(texts.PHP_JSON), PHP["publicKey"])
    assert read_key(texts.PHP_DUMP).to_pem() == read_key(texts.PHP_JSON).to_pem()
    for text in (texts.OPENSSL_ECPARAM, texts.OPENSSL_NO_PUBLIC, texts.OPENSSL_PKCS8):
        assert signs_as(read_key(text), texts.OPENSSL_PUBLIC)


@pytest.mark.parametrize(
    "text",
    [
        texts.OPENSSL_PKCS8.replace("\n", "\r\n"),
        "\ufeff" + texts.OPENSSL_PKCS8,
        "VAPID_PRIVATE_KEY=" + texts.OPENSSL_PKCS8.replace("\n", "\\n"),
        json.dumps({"id": "0a1b2c3d", "pem": texts.OPENSSL_PKCS8}),
        texts.OPENSSL_PKCS8 + texts.OPENSSL_PUBLIC_ONLY,
    ],
    ids=["lines of Windows", "byte order mark", "variable", "JSON", "with the public key beside it"],
)
def test_pem_is_found_in_what_stands_around_it(text: str) -> None:
    assert read_key(text).public_key == texts.OPENSSL_PUBLIC


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (texts.OPENSSL_PUBLIC_ONLY, "only the public half"),
        (NODE["publicKey"], "only the public half"),
        (NODE["privateKey"], "without its public one"),
        (texts.OPENSSL_ENCRYPTED_SEC1, "has a password"),
        (texts.OPENSSL_ENCRYPTED_PKCS8, "has a password"),
        (texts.OPENSSL_P384, "P-256"),
        (texts.OPENSSL_PKCS8 + texts.OPENSSL_ECPARAM, "more than one"),
        (texts.NODE_JSON + texts.PHP_JSON, "more than one"),
        (json.dumps({**NODE, "privateKey": PHP["privateKey"]}), "do not belong together"),
        (texts.OPENSSL_PKCS8 + texts.OPENSSL_PUBLIC_ONLY.replace("MFkwEwYH", "AAAAAAAA"), "public key in the PEM is"),
        (texts.OPENSSL_PKCS8[:120], "cut off"),
        (texts.OPENSSL_PKCS8.replace("MIGH", "AAAA"), "damaged"),
        (texts.OPENSSL_ECPARAM.replace("0pemdrC1bTFl", "0pemdrC1bTFm"), "damaged, or its halves"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "no private key"),
        (NODE["publicKey"][:-4], "no key in it"),
        ("", "no key in it"),
        ("a" * (MAX_TEXT + 1), "too long"),
        ("[" * MAX_TEXT, "no key in it"),
        ("-----BEGIN " * (MAX_TEXT // 11), "cut off"),
        ("-----BEGIN EC PRIVATE KEY-----" * (MAX_TEXT // 30), "cut off"),
        ("\ud800", "no key in it"),
        (texts.OPENSSL_PKCS8.replace("MIGH", "MI\ud800"), "damaged"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(text: str, detail: str) -> None:
    assert detail in refusal(text).detail


def test_a_public_key_of_another_pair_is_refused_in_pem_too() -> None:
    with_other = SigningKey.generate().to_pem().decode() + texts.OPENSSL_PUBLIC_ONLY
    assert "do not belong together" in refusal(with_other).detail


@pytest.mark.parametrize("scalar", [0, 2**256 - 1, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551])
def test_a_scalar_out_of_range_is_refused(scalar: int) -> None:
    text = f"{NODE['publicKey']} {encode_base64url(scalar.to_bytes(32, 'big'))}"
    assert "not one of the curve" in refusal(text).detail


def test_a_point_off_the_curve_is_refused() -> None:
    point = encode_base64url(b"\x04" + b"\x01" * 64)
    assert "no point on the curve" in refusal(f"{point} {NODE['privateKey']}").detail


@given(st.sampled_from(list(texts.TAKEN.values())), st.integers(0, 300), st.text(max_size=3))
def test_whatever_was_changed_it_is_a_key_or_refused(text: str, place: int, change: str) -> None:
    with suppress(PushdeskError):
        key = read_key(text[:place] + change + text[place + 1 :])
        assert signs_as(key, key.public_key)


@given(st.text())
def test_no_key_is_found_where_there_is_none(text: str) -> None:
    assert refusal(text).detail


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_what_openssl_makes_now_is_read() -> None:
    def openssl(*arguments: str, given: bytes = b"") -> bytes:
        command = ["openssl", *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout  # noqa: S603 (our own words)

    sec1 = openssl("ecparam", "-name", "prime256v1", "-genkey")
    pkcs8 = openssl("pkcs8", "-topk8", "-nocrypt", given=sec1)
    public = openssl("ec", "-pubout", given=sec1)
    explicit = openssl("ecparam", "-name", "prime256v1", "-genkey", "-param_enc", "explicit")
    encrypted = openssl("pkcs8", "-topk8", "-passout", "pass:secret", given=sec1)
    key = read_key(sec1.decode())
    assert signs_as(key, read_key(pkcs8.decode()).public_key)
    assert read_key((pkcs8 + public).decode()).public_key == key.public_key
    assert read_key(explicit.decode()).public_key != key.public_key
    assert "has a password" in refusal(encrypted.decode()).detail
