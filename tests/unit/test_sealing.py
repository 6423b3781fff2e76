"""A sealed value opens with its key, in its place, unchanged, and with nothing else."""

from __future__ import annotations

import itertools
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.storage.sealing import (
    AUTH,
    ENDPOINT,
    PRIVATE_KEY,
    OtherKeyError,
    SealBrokenError,
    Sealer,
    key_id_of,
)

KEY, OTHER = b"k" * 32, b"o" * 32
ENDPOINT_URL = "https://fcm.googleapis.com/fcm/send/Zm9vYmFy"
PEM = b"-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n"


def test_what_was_sealed_is_unsealed_and_shows_nothing_meanwhile() -> None:
    sealer = Sealer(KEY)
    for column, value in ((AUTH, b"a" * 16), (PRIVATE_KEY, PEM)):
        stored = sealer.seal(column, "row", value)
        assert value not in stored
        assert sealer.unseal(column, "row", stored) == value
    stored_text = sealer.seal_text(ENDPOINT, "row", ENDPOINT_URL)
    assert b"googleapis" not in urlsafe_b64decode(stored_text + "==")
    assert sealer.unseal_text(ENDPOINT, "row", stored_text) == ENDPOINT_URL


def test_a_value_is_sealed_otherwise_every_time() -> None:
    sealer = Sealer(KEY)
    assert len({sealer.seal(AUTH, "row", b"a" * 16) for _ in range(1000)}) == 1000


def test_the_stored_form_is_version_key_id_nonce_and_ciphertext() -> None:
    numbers = itertools.count()
    sealer = Sealer(KEY, random_bytes=lambda size: bytes([next(numbers)]) * size)
    stored = sealer.seal(AUTH, "row", b"a" * 16)
    assert stored[:1] == b"\x01"
    assert stored[1:9].hex() == sealer.key_id == key_id_of(stored)
    assert stored[9:21] == b"\0" * 12
    assert len(stored) == 1 + 8 + 12 + 16 + 16


def test_without_a_key_all_stays_plain() -> None:
    plain = Sealer()
    assert plain.key_id is None
    assert plain.seal(AUTH, "row", b"a" * 16) == b"a" * 16
    assert plain.seal_text(ENDPOINT, "row", ENDPOINT_URL) == ENDPOINT_URL


@pytest.mark.parametrize("sealer", [Sealer(), Sealer(KEY)])
def test_what_is_plain_is_read_as_it_is(sealer: Sealer) -> None:
    assert sealer.unseal(AUTH, "row", b"\x01" * 16) == b"\x01" * 16
    assert sealer.unseal(PRIVATE_KEY, "row", PEM) == PEM
    for endpoint in (ENDPOINT_URL, "HTTPS://x", "http://127.0.0.1:8485/push/x"):
        assert sealer.unseal_text(ENDPOINT, "row", endpoint) == endpoint


@pytest.mark.parametrize("sealer", [Sealer(), Sealer(OTHER)])
def test_another_key_opens_nothing_and_the_right_one_is_named(sealer: Sealer) -> None:
    right = Sealer(KEY)
    with pytest.raises(OtherKeyError, match=str(right.key_id)):
        sealer.unseal(AUTH, "row", right.seal(AUTH, "row", b"a" * 16))
    with pytest.raises(OtherKeyError, match=str(right.key_id)):
        sealer.unseal_text(ENDPOINT, "row", right.seal_text(ENDPOINT, "row", ENDPOINT_URL))


def test_a_value_that_was_moved_to_another_row_or_column_is_not_taken() -> None:
    sealer = Sealer(KEY)
    stored = sealer.seal(AUTH, "row", b"a" * 16)
    for column, row in ((AUTH, "other"), (PRIVATE_KEY, "row"), (AUTH, ""), (AUTH, "row\0")):
        with pytest.raises(SealBrokenError) as broken:
            sealer.unseal(column, row, stored)
        assert not isinstance(broken.value, OtherKeyError)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_value_of_which_a_byte_was_changed_is_not_taken(place: int, change: int) -> None:
    sealer = Sealer(KEY)
    stored = bytearray(sealer.seal(PRIVATE_KEY, "row", PEM))
    # The first byte makes a value a sealed one.
    stored[1 + place % (len(stored) - 1)] ^= change
    with pytest.raises(SealBrokenError):
        sealer.unseal(PRIVATE_KEY, "row", bytes(stored))


@given(st.binary(min_size=1, max_size=200), st.text(max_size=50))
def test_whatever_is_sealed_is_told_from_what_is_plain(value: bytes, text: str) -> None:
    sealer = Sealer(KEY)
    stored = sealer.seal(PRIVATE_KEY, "row", value)
    assert key_id_of(stored) == sealer.key_id
    assert sealer.unseal(PRIVATE_KEY, "row", stored) == value
    stored_text = sealer.seal_text(ENDPOINT, "row", text)
    assert key_id_of(stored_text) == sealer.key_id
    assert sealer.unseal_text(ENDPOINT, "row", stored_text) == text


def test_neither_repr_nor_error_shows_a_key_or_a_value() -> None:
    sealer = Sealer(KEY)
    assert repr(sealer) == f"Sealer({sealer.key_id})"
    with pytest.raises(SealBrokenError) as broken:
        sealer.unseal(AUTH, "other", sealer.seal(AUTH, "row", b"a" * 16))
    assert broken.value.__context__ is None or "aaaa" not in repr(broken.value.__context__)
    assert str(broken.value) == "The value of subscriptions.auth in row other is not what was sealed there."
