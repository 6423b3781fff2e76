"""Every kind of bad input gets its own clear problem, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.server.running import ADMIN_TOKEN, Answer, Running, base64url, running

if TYPE_CHECKING:
    from pathlib import Path

SUBSCRIPTION = "/api/v1/users/anna/webpush/subscription"
NOTIFICATIONS = "/api/v1/users/anna/notifications"
NOT_ON_THE_CURVE = base64url(b"\x04" + b"\x01" * 64)


def assert_problem(answer: Answer, status: int, code: str, *fields: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json
    assert (answer.status, problem["code"]) == (status, code), problem
    assert tuple(problem["fields"]) == fields
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert list(problem) == ["type", "title", "status", "code", "detail", "hint", "fields"]
    return problem


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'{"title": NaN}', b"\xff", b"[" * 20_000, b'{"a": ' + b"9" * 5000 + b"}"]
)
@pytest.mark.parametrize("path", [SUBSCRIPTION, NOTIFICATIONS])
async def test_malformed_json_is_refused(server: Running, path: str, raw: bytes) -> None:
    assert_problem(await server.admin("POST", path, raw=raw), 400, "bad_json")
    assert await server.is_empty()


async def test_a_name_that_occurs_twice_is_refused(server: Running) -> None:
    raw = b'{"title": "a", "title": "b", "body": "c", "body": "d"}'
    assert_problem(await server.admin("POST", NOTIFICATIONS, raw=raw), 400, "bad_json", "title", "body")
    assert await server.is_empty()


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16"]
)
async def test_a_body_that_is_not_said_to_be_json_is_refused(server: Running, content_type: str) -> None:
    answer = await server.admin("POST", NOTIFICATIONS, raw=b'{"title":"a"}', headers={"Content-Type": content_type})
    assert_problem(answer, 400, "bad_json")
    assert await server.is_empty()


async def test_a_compressed_body_is_refused(server: Running) -> None:
    headers = {"Content-Encoding": "gzip"}
    assert_problem(await server.admin("POST", NOTIFICATIONS, raw=b"\x1f\x8b", headers=headers), 400, "bad_json")


async def test_unknown_fields_are_refused_with_all_their_names(server: Running) -> None:
    body = server.subscription("a") | {"colour": 1, "user": "bert"}
    body["keys"]["p384"] = ""
    answer = await server.ask("POST", SUBSCRIPTION, body)
    assert_problem(answer, 400, "unknown_field", "colour", "user", "keys.p384")
    assert_problem(
        await server.admin("POST", NOTIFICATIONS, {"title": "a", "b": 1, "c": 2}), 400, "unknown_field", "b", "c"
    )
    assert await server.is_empty()


async def test_wrong_types_are_refused_with_all_their_names(server: Running) -> None:
    body = {"endpoint": 1, "keys": {"p256dh": None, "auth": []}, "expirationTime": "soon", "key_id": "xyz"}
    assert_problem(
        await server.ask("POST", SUBSCRIPTION, body),
        *(400, "bad_field"),
        *("endpoint", "keys.p256dh", "keys.auth", "expirationTime", "key_id"),
    )
    message = {"title": 1, "ttl": 0, "urgency": "now", "actions": [{"action": "a"}], "send_at": "2030-01-01"}
    assert_problem(
        await server.admin("POST", NOTIFICATIONS, message),
        *(400, "bad_field"),
        *("title", "actions[0].title", "ttl", "urgency", "send_at"),
    )
    assert_problem(await server.admin("POST", NOTIFICATIONS, {}), 400, "bad_field", "title")
    assert await server.is_empty()


async def test_unknown_and_wrong_query_parameters_are_refused(server: Running) -> None:
    message = {"title": "a"}
    for query, code, fields in (
        ("?wait=31", "bad_field", ["wait"]),
        ("?wait=-1", "bad_field", ["wait"]),
        ("?wait=nan", "bad_field", ["wait"]),
        ("?wait=soon", "bad_field", ["wait"]),
        ("?wait=1&wait=2", "bad_field", ["wait"]),
        ("?weight=1&x=2", "unknown_field", ["weight", "x"]),
    ):
        assert_problem(await server.admin("POST", NOTIFICATIONS + query, message), 400, code, *fields)
    assert await server.is_empty()


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256])
async def test_an_idempotency_key_that_cannot_be_one_is_refused(server: Running, key: str) -> None:
    answer = await server.admin("POST", NOTIFICATIONS, {"title": "a"}, headers={"Idempotency-Key": key})
    assert_problem(answer, 400, "bad_field", "Idempotency-Key")
    assert await server.is_empty()


async def test_a_body_over_the_limit_is_refused_whether_or_not_its_length_is_told(server: Running) -> None:
    raw = json.dumps({"title": "a", "data": "x" * 70_000}).encode()
    assert_problem(await server.admin("POST", NOTIFICATIONS, raw=raw), 413, "too_large")
    head = f"POST {NOTIFICATIONS} HTTP/1.1\r\nHost: {server.authority}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
    chunked = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    answer = await server.say(head.encode() + chunked % (len(raw), raw))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too_large"' in answer
    assert await server.is_empty()


async def test_a_body_of_exactly_the_limit_is_read(server: Running) -> None:
    raw = b'{"title": 1' + b" " * (64 * 1024 - 12) + b"}"
    assert len(raw) == 64 * 1024
    assert_problem(await server.admin("POST", NOTIFICATIONS, raw=raw), 400, "bad_field", "title")
    assert_problem(await server.admin("POST", NOTIFICATIONS, raw=raw + b" "), 413, "too_large")


async def test_a_dripping_body_is_cut_off(tmp_path: Path) -> None:
    async with running(tmp_path, body_timeout_s=0.2) as server:
        head = (
            f"POST {NOTIFICATIONS} HTTP/1.1\r\nHost: {server.authority}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        answer = await asyncio.wait_for(server.say(head.encode()), 10)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"code":"bad_json"' in answer
        assert await server.is_empty()


@pytest.mark.parametrize(
    "keys",
    [
        {"p256dh": NOT_ON_THE_CURVE},
        {"p256dh": base64url(b"\x04" + os.urandom(63))},
        {"p256dh": ""},
        {"p256dh": "not base64!"},
        {"auth": base64url(b"x" * 15)},
        {"auth": base64url(b"x" * 17)},
        {"auth": ""},
        {"auth": "!!"},
    ],
)
async def test_keys_that_cannot_be_used_are_refused(server: Running, keys: dict[str, str]) -> None:
    body = server.subscription("a")
    body["keys"] |= keys
    (name,) = keys
    assert_problem(await server.ask("POST", SUBSCRIPTION, body), 400, "bad_keys", f"keys.{name}")
    assert await server.is_empty()
    assert not server.push_service.pushes


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://updates.push.services.mozilla.com/wpush/v2/a",
        "https://updates.push.services.mozilla.com:8443/wpush/v2/a",
        "https://user:secret@updates.push.services.mozilla.com/wpush/v2/a",
        "https://push.unknown.example/a",
        "https://10.0.0.5/a.google.com/",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://169.254.169.254/latest",
        "ftp://fcm.googleapis.com/a",
        "fcm.googleapis.com/a",
        "https://",
        "not a url",
    ],
)
async def test_an_endpoint_that_is_not_sent_to_is_refused(server: Running, endpoint: str) -> None:
    body = server.subscription("a") | {"endpoint": endpoint}
    problem = assert_problem(await server.ask("POST", SUBSCRIPTION, body), 400, "endpoint_refused", "endpoint")
    assert "secret" not in json.dumps(problem)
    assert await server.is_empty()


async def test_a_huge_endpoint_is_refused(server: Running) -> None:
    body = server.subscription("a") | {"endpoint": "https://fcm.googleapis.com/" + "a" * 3000}
    assert_problem(await server.ask("POST", SUBSCRIPTION, body), 400, "bad_field", "endpoint")


@pytest.mark.parametrize(
    "message", [{"title": "a", "body": "x" * 4100}, {"title": "t" * 5000}, {"title": "a", "data": ["y" * 5000]}]
)
async def test_a_message_too_large_is_refused_with_both_numbers(server: Running, message: dict[str, Any]) -> None:
    problem = assert_problem(await server.admin("POST", NOTIFICATIONS, message), 413, "payload_too_large")
    assert "3993" in problem["detail"]
    assert len([word for word in problem["detail"].split() if word.strip(".,;").isdigit()]) >= 2
    assert await server.is_empty()


@pytest.mark.parametrize(
    "user",
    [
        quote("a\nb"),
        "%00",
        "%1B%5B31m",
        "%7F",
        "%C2%85",
        "a%2Fb",
        "%2e%2e%2F",
        "%FF",
        "%C3",
        "%ED%A0%80",
        "me",
        "%6De",
        quote("e\u0301"),
        "a" * 129,
        "a" * 10_000,
        "%41" * 30_000,
        quote("ä") * 129,
    ],
)
async def test_a_user_id_that_cannot_be_one_is_refused(server: Running, user: str) -> None:
    body = server.subscription("a")
    for method, path, content in (
        ("POST", "webpush/subscription", body),
        ("DELETE", "webpush/subscription", {"endpoint": body["endpoint"]}),
        ("POST", "webpush/test", {}),
        ("POST", "notifications", {"title": "a"}),
    ):
        assert_problem(await server.admin(method, f"/api/v1/users/{user}/{path}", content), 400, "bad_field", "user")
    assert await server.is_empty()


@pytest.mark.parametrize(
    ("segment", "user"),
    [
        ("anna", "anna"),
        ("a%20b", "a b"),
        (quote("ünï🐝"), "ünï🐝"),
        ("%25FF", "%FF"),
        ("a+b", "a+b"),
        ("ME", "ME"),
        ("a" * 128, "a" * 128),
        (quote("<b>[x]"), "<b>[x]"),
    ],
)
async def test_any_other_user_id_is_taken_as_it_is(server: Running, segment: str, user: str) -> None:
    answer = await server.admin("POST", f"/api/v1/users/{segment}/notifications", {"title": "a"})
    assert answer.status == 202
    assert answer.json["dispatch"]["user"] == user
