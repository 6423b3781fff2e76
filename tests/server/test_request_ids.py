"""Every request has an id: its answer carries it, and so does every line of the log about it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.server.running import ADMIN_TOKEN, Running, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.logs import Log

ID = re.compile("[0-9a-f]{16}")
HEADER = "X-Request-Id"


async def test_an_answer_names_its_request_and_the_log_tells_what_it_was(server: Running, log: Log) -> None:
    answer = await server.ask("GET", "/api/v1/users/anna/webpush/subscription?token=canary")
    (line,) = log.of("request_answered")
    assert ID.fullmatch(answer.headers[HEADER])
    assert line["request"] == answer.headers[HEADER]
    assert (line["level"], line["method"], line["status"]) == ("debug", "GET", answer.status)
    assert line["ms"] >= 0
    assert "canary" not in log.text


async def test_a_route_is_told_and_not_the_path(server: Running, log: Log) -> None:
    await server.ask("POST", "/api/v1/users/anna/webpush/test", {})
    await server.ask("GET", "/canary")
    await server.ask("PROPFIND", "/healthz")
    await server.ask("CANARY", "/healthz")
    known, unknown, other = log.of("request_answered")
    assert (known["route"], known["status"]) == ("/api/v1/users/{user}/webpush/test", 404)
    assert ("route" in unknown, unknown["status"]) == (False, 404)
    assert (other["method"], other["status"]) == ("OTHER", 405)
    assert "canary" not in log.text.lower()


async def test_every_kind_of_answer_has_an_id_of_its_own(server: Running) -> None:
    answers = [
        await server.ask("GET", "/"),
        await server.ask("GET", "/healthz"),
        await server.ask("GET", "/nothing"),
        await server.ask("DELETE", "/healthz"),
        await server.ask("POST", "/api/v1/users/anna/notifications", raw=b"{"),
        await server.admin("GET", "/api/v1/admin/stats"),
        await server.ask("GET", "/healthz", headers={"Expect": "the impossible"}),
    ]
    ids = [answer.headers[HEADER] for answer in answers]
    assert all(ID.fullmatch(name) for name in ids)
    assert len(set(ids)) == len(ids)


async def test_an_id_that_a_client_chose_is_not_taken(server: Running, log: Log) -> None:
    answer = await server.ask("GET", "/healthz", headers={HEADER: "canary"})
    assert ID.fullmatch(answer.headers[HEADER])
    assert "canary" not in log.text


async def test_the_second_request_of_a_connection_has_another_id(server: Running, log: Log) -> None:
    request = f"POST /api/v1/users/anna/webpush/test HTTP/1.1\r\nHost: {server.authority}\r\n".encode()
    body = b"Content-Type: application/json\r\nContent-Length: 2\r\n"
    received = await server.say((request + body + b"\r\n{}") + (request + body + b"Connection: close\r\n\r\n{}"))
    first, second = re.findall(rb"(?i)x-request-id: ([0-9a-f]{16})\r\n", received)
    assert first != second
    assert [line["request"].encode() for line in log.of("request_answered")] == [first, second]


async def test_requests_that_are_answered_at_once_do_not_mix_their_ids(server: Running, log: Log) -> None:
    answers = await asyncio.gather(
        *(server.admin("POST", f"/api/v1/users/user-{number}/notifications", {"title": "x"}) for number in range(20))
    )
    ids = {answer.json["dispatch"]["id"]: answer.headers[HEADER] for answer in answers}
    assert {line["dispatch"]: line["request"] for line in log.of("dispatch_accepted")} == ids


async def test_what_fails_is_found_by_the_id_of_its_answer(
    server: Running, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_query: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(server.engine, "users", fail)
    answer = await server.admin("GET", "/api/v1/admin/users")
    failed, answered = (line for line in log.lines if line.get("request") == answer.headers[HEADER])
    assert (failed["event"], failed["error"]) == ("request_failed", "RuntimeError")
    assert (answered["event"], answered["status"]) == ("request_answered", 500)


async def test_what_is_no_request_is_told_with_the_id_of_its_answer(server: Running, log: Log) -> None:
    received = await server.say(b"canary\r\n\r\n")
    (name,) = re.findall(rb"(?i)x-request-id: ([0-9a-f]{16})\r\n", received)
    (line,) = log.of("request_unreadable")
    assert line["request"] == name.decode()


async def test_an_event_stream_is_told_when_it_ends(server: Running, log: Log) -> None:
    url = f"{server.url}/api/v1/admin/events"
    async with server.session.ws_connect(url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}) as stream:
        assert (await stream.receive()).type is aiohttp.WSMsgType.TEXT
        assert ID.fullmatch(stream._response.headers[HEADER])
        assert log.of("request_answered") == []
    # Handled after it: the answer to it says that the stream's end was.
    await server.runner.cleanup()
    (line,) = log.of("request_answered")
    assert (line["route"], line["status"]) == ("/api/v1/admin/events", 101)


async def test_ids_are_handed_in(tmp_path: Path) -> None:
    async with running(tmp_path, new_request_id=lambda: "0123") as server:
        assert (await server.ask("GET", "/healthz")).headers[HEADER] == "0123"


async def test_what_push_being_off_refuses_is_a_warning_and_no_mistake(tmp_path: Path, log: Log) -> None:
    async with running(tmp_path, experiments=frozenset()) as server:
        answer = await server.admin("POST", "/api/v1/users/anna/notifications", {"title": "x"})
    assert answer.status == 503
    (line,) = log.of("request_turned_away", "request_failed")
    assert (line["event"], line["level"], line["code"]) == ("request_turned_away", "warning", "push_disabled")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "route"),
    [
        ("GET", "/api/v1/admin/stats", 401, "unauthorized", "/api/v1/admin/stats"),
        ("GET", "/no/such/thing", 404, "not_found", None),
        ("PUT", "/api/v1/vapid", 405, "method_not_allowed", None),
        ("POST", "/api/v1/users/a%00b/webpush/test", 400, "bad_field", "/api/v1/users/{user}/webpush/test"),
    ],
)
async def test_what_was_wrong_with_a_request_is_found_by_the_id_of_its_answer(
    server: Running, log: Log, method: str, path: str, status: int, code: str, route: str | None
) -> None:
    answer = await server.ask(method, path, token=None)
    assert answer.status == status
    (line,) = log.of("request_refused")
    assert (line["level"], line["status"], line["code"], line.get("route")) == ("info", status, code, route)
    assert line["request"] == answer.headers[HEADER]


async def test_a_request_that_is_to_be_confirmed_is_not_refused(server: Running, log: Log) -> None:
    answer = await server.admin("POST", "/api/v1/admin/keys/rotate", {})
    assert answer.status == 409
    assert log.of("request_refused") == []
    assert [line["status"] for line in log.of("request_answered")] == [409]
