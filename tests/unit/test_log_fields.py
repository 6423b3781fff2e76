"""The texts of the log: each takes what it is for, and of anything else nothing is left."""

from __future__ import annotations

import pytest

from pushdesk.errors import DatabaseError
from pushdesk.log_fields import Failure, Id, Method, Origin, Places, Reason, RoutePattern, UserId, Word

ENDPOINTS = [
    "https://fcm.googleapis.com/fcm/send/cXjzq8Kc:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ",
    "http://127.0.0.1:8485/push/canary-endpoint",
    "/wpush/v2/gAAAAABnpdbulnTLVcG1dB8MMTW1w9txxdv6",
]
SECRETS = [
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "BTBZMqHH6r4Tts7J_aSIgg",
    "pdd_0193a1b2c3d4e5f60718293a4b_" + "ab" * 32,
    "an-admin-token-of-more-than-32-characters",
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2gifQ.i3CYb7t4xfxCDquptFOepC9GAu",
]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Id, "0193a1b2c3d4e5f60718293a4b"),
        (Word, "OperationalError"),
        (Word, "Samsung Internet"),
        (Word, "0.1.0+dev-1"),
        (RoutePattern, "/api/v1/users/{user}/webpush/subscription"),
        (RoutePattern, "/sw.js"),
        (RoutePattern, "/"),
        (Origin, "http://[::1]:8484"),
        (Origin, "https://push.example.com"),
        (UserId, "åsa@example.com 0b0f3c2e-6f2f-4b5e-9d0e-2a7f3f5a1c11"),
        (Reason, "VAPID public key mismatch (errno 109)"),
    ],
)
def test_what_a_text_is_for_comes_through(kind: type[str], text: str) -> None:
    assert kind(text) == text


@pytest.mark.parametrize("text", [*ENDPOINTS, *SECRETS, "BTBZ MqHH\n", ""])
def test_an_id_is_nothing_else(text: str) -> None:
    assert Id(text) == "…"


@pytest.mark.parametrize("text", [*ENDPOINTS, SECRETS[0], SECRETS[2], SECRETS[4], "\x1b[2J", ""])
def test_a_word_is_no_sentence_and_no_secret(text: str) -> None:
    assert Word(text) == "…"


@pytest.mark.parametrize("text", [*ENDPOINTS, *SECRETS, "/a" * 100, "/a?b=c"])
def test_a_route_is_no_path_that_was_asked_for(text: str) -> None:
    assert RoutePattern(text) == "…"


@pytest.mark.parametrize("text", [*ENDPOINTS, *SECRETS, "https://user:secret@push.example", "https://a\x1b"])
def test_an_origin_has_no_path_and_no_user(text: str) -> None:
    assert Origin(text) == "…"


@pytest.mark.parametrize("secret", [*ENDPOINTS[:1], SECRETS[0], SECRETS[2], SECRETS[3], SECRETS[4]])
def test_a_reason_leaves_out_what_is_secret(secret: str) -> None:
    assert Reason(f"No {secret} here, \x1b[1mreally\x07") == "No … here, really"
    assert len(Reason("word " * 100)) == 200


def test_a_user_is_printable_and_of_a_length() -> None:
    assert UserId("a\x1b[2J\u202eb") == "a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b"
    assert len(UserId("a" * 1000)) == 128
    assert UserId(SECRETS[2]) == "…"


@pytest.mark.parametrize(("said", "method"), [("GET", Method.GET), ("pdd_token", Method.OTHER), ("get", Method.OTHER)])
def test_a_method_is_one_of_few(said: str, method: Method) -> None:
    assert Method(said) is method


@pytest.mark.parametrize("kind", [Id, Word, RoutePattern, Origin, UserId, Reason])
@pytest.mark.parametrize("text", ["a" * 100_000, "http://" + "a" * 100_000, "/a" * 100_000, "word " * 100_000])
def test_no_text_is_long(kind: type[str], text: str) -> None:
    assert len(kind(text)) <= 300


def test_the_places_of_an_error_are_not_many() -> None:
    failure = RecursionError()
    for _ in range(100):
        outer = RecursionError()
        outer.__cause__, failure = failure, outer
    assert len(Places(failure)) <= 1000


def test_a_failure_says_in_words_only_what_is_ours() -> None:
    ours = DatabaseError("The database failed: disk I/O error.", hint="Look at the disk.")
    assert Failure.of(ours) == Failure(
        Word("DatabaseError"), Places(ours), Word("database_error"), Reason("The database failed: disk I/O error.")
    )
    theirs = Failure.of(ValueError(ENDPOINTS[0]))
    assert (theirs.error, theirs.code, theirs.reason) == ("ValueError", None, None)
