"""The VAPID keys, what they sign, the encryption, and whom the push services take for the subscriber."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pushdesk.doctor.database import Contents
from pushdesk.doctor.findings import Check, Level
from pushdesk.doctor.keys import judge_encryption, judge_keys, judge_subscriber
from pushdesk.errors import DatabaseError
from pushdesk.model import KeyState, Service, SubscriptionState
from pushdesk.storage.records import StoredKey
from pushdesk.webpush.vapid import SigningKey
from tests.doctor.surroundings import found

NOW = 1_800_000_000.0
SUBSCRIBER = "mailto:ops@example.com"


def stored(state: KeyState = KeyState.CURRENT) -> StoredKey:
    key = SigningKey.generate()
    return StoredKey(key.id, key.public_key, key.to_pem(), state, 0)


def as_stored(key: StoredKey) -> bytes:
    return key.private_key


def test_a_key_that_can_be_read_and_signs_is_ok() -> None:
    findings = judge_keys([stored()], as_stored, subscriber=SUBSCRIBER, now=NOW)
    assert {finding.check: finding.level for finding in findings} == {
        Check.VAPID_KEY: Level.OK,
        Check.VAPID_TOKEN: Level.OK,
    }


@pytest.mark.parametrize("keys", [[], [stored(KeyState.RETIRED)], [stored(KeyState.RETIRING)]])
def test_without_a_current_key_it_is_broken(keys: list[StoredKey]) -> None:
    (finding,) = judge_keys(keys, as_stored, subscriber=SUBSCRIBER, now=NOW)
    assert (finding.check, finding.level) == (Check.VAPID_KEY, Level.BROKEN)


@pytest.mark.parametrize("private", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", b"\x01\xff"])
def test_a_key_that_is_none_is_broken_and_not_shown(private: bytes) -> None:
    (finding,) = judge_keys([replace(stored(), private_key=private)], as_stored, subscriber=SUBSCRIBER, now=NOW)
    assert (finding.check, finding.level) == (Check.VAPID_KEY, Level.BROKEN)
    assert "AAAA" not in str(finding)


def test_a_private_half_of_another_key_is_broken() -> None:
    mixed = replace(stored(), private_key=stored().private_key)
    (finding,) = judge_keys([mixed], as_stored, subscriber=SUBSCRIBER, now=NOW)
    assert finding.level is Level.BROKEN
    assert "does not belong" in finding.what


def test_a_key_that_cannot_be_unsealed_is_broken() -> None:
    def unseal(_key: StoredKey) -> bytes:
        raise DatabaseError("The value is not what was sealed there.")

    (finding,) = judge_keys([stored()], unseal, subscriber=SUBSCRIBER, now=NOW)
    assert "not what was sealed" in finding.what


def test_retiring_keys_have_to_be_readable_too_and_ended_ones_do_not() -> None:
    current, old = stored(), stored(KeyState.RETIRING)
    findings = judge_keys([current, old], as_stored, subscriber=SUBSCRIBER, now=NOW)
    assert found(findings, Check.OLDER_KEYS).level is Level.OK
    assert old.id in found(findings, Check.OLDER_KEYS).what
    keys = [current, replace(old, private_key=b""), replace(stored(KeyState.REVOKED), private_key=b"")]
    findings = judge_keys(keys, as_stored, subscriber=SUBSCRIBER, now=NOW)
    assert found(findings, Check.OLDER_KEYS).level is Level.BROKEN
    assert found(findings, Check.VAPID_KEY).level is Level.OK


def test_a_signature_that_others_do_not_verify_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SigningKey, "sign", lambda _self, _data: b"\x01" * 64)
    findings = judge_keys([stored()], as_stored, subscriber=SUBSCRIBER, now=NOW)
    assert found(findings, Check.VAPID_TOKEN).level is Level.BROKEN


def test_the_encryption_agrees_with_the_implementation_that_others_use() -> None:
    assert judge_encryption().level is Level.OK


@pytest.mark.parametrize("name", ["_LAST_RECORD", "_HEADER"])
def test_an_encryption_that_is_another_is_broken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    wrong = {"_LAST_RECORD": b"\x01", "_HEADER": b"\x00\x00\x10\x01\x41"}[name]
    monkeypatch.setattr(f"pushdesk.webpush.encryption.{name}", wrong)
    assert judge_encryption().level is Level.BROKEN


def test_a_subscriber_that_all_take_is_one_line() -> None:
    (finding,) = judge_subscriber(SUBSCRIBER, Contents())
    assert finding.level is Level.OK


@pytest.mark.parametrize(
    "subscriber", ["http://localhost:8484", "mailto:ops@localhost", "https://desk.local", "mailto:a b@example.com"]
)
def test_a_subscriber_that_apple_refuses_is_a_warning_and_broken_once_somebody_is_there(subscriber: str) -> None:
    findings = judge_subscriber(subscriber, Contents())
    assert [finding.level for finding in findings] == [Level.WARNING, Level.OK, Level.NOT_LOOKED_AT]
    assert "mailto:" in findings[0].advice
    contents = Contents(devices={(Service.APPLE, SubscriptionState.ACTIVE): 2})
    assert judge_subscriber(subscriber, contents)[0].level is Level.BROKEN
    gone = Contents(devices={(Service.APPLE, SubscriptionState.GONE): 2})
    assert judge_subscriber(subscriber, gone)[0].level is Level.WARNING
