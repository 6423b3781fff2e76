"""Turns of agents over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.config import SummaryConfig
from pushdesk.engine.summariser import ChatSummariser
from pushdesk.model import Scope
from tests.chat_server import ChatServer
from tests.server.running import ADMIN_TOKEN, Running, Surroundings, running
from tests.server.test_bad_input import assert_problem
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/api/v1/turns"
LARGEST = 2 * 1024 * 1024


def turn(**fields: Any) -> dict[str, Any]:
    return {"user": "anna", "conversation": "c-1", "title": "Parser", "status": "finished"} | fields


async def test_a_turn_is_accepted_and_shown(server: Running) -> None:
    device = server.push_service.device("phone")
    await subscribe(server.url, "anna", device)
    server.push_service.pushes.clear()
    answer = await server.admin("POST", PATH, turn(text="# Done\n\nIt **works**.", model="m", provider="p", url="/x"))
    assert answer.status == 202
    assert list(answer.json) == ["dispatch"]
    dispatch = answer.json["dispatch"]
    assert (dispatch["user"], dispatch["kind"], dispatch["title"]) == ("anna", "turn", "Parser")
    assert dispatch["state"] == "queued"
    (push,) = await server.push_service.wait_for_pushes(1)
    shown = device.decrypt(push.body)["notification"]
    assert (shown["body"], shown["tag"], shown["renotify"]) == ("Done: It works.", "turn:c-1", True)
    assert shown["navigate"] == f"{server.url}/x"


async def test_a_token_that_may_notify_may_tell_of_turns(server: Running) -> None:
    tokens = {scope: (await server.engine.create_token(scope, [scope])).token for scope in Scope}
    statuses = {scope: (await server.ask("POST", PATH, turn(), token=token)).status for scope, token in tokens.items()}
    assert statuses == {Scope.NOTIFY: 202, Scope.READ: 403, Scope.ADMIN: 202}
    assert (await server.ask("POST", PATH, turn())).status == 401


async def test_what_is_not_required_may_be_null_or_empty(server: Running) -> None:
    for nothing in (None, ""):
        fields = dict.fromkeys(("text", "error", "model", "provider", "parent", "url"), nothing)
        assert (await server.admin("POST", PATH, turn(**fields))).status == 202


async def test_a_turn_of_a_sub_agent_sends_nothing_and_says_so(server: Running) -> None:
    await server.subscribe("anna", "a")
    before = len(server.push_service.pushes)
    answer = await server.admin("POST", PATH, turn(parent="run-1"))
    assert (answer.status, answer.json) == (200, {"dispatch": None, "reason": "sub_agent"})
    dispatches = (await server.admin("GET", "/api/v1/admin/dispatches")).json["items"]
    assert [each["kind"] for each in dispatches] == ["test"]
    assert len(server.push_service.pushes) == before


async def test_a_repeat_with_the_same_key_is_200_with_the_first_dispatch(server: Running) -> None:
    headers = {"Idempotency-Key": "run-1"}
    first = await server.admin("POST", PATH, turn(text="a"), headers=headers)
    again = await server.admin("POST", PATH, turn(text="a"), headers=headers)
    assert (first.status, again.status) == (202, 200)
    assert again.json["dispatch"]["id"] == first.json["dispatch"]["id"]
    other = await server.admin("POST", PATH, turn(text="b"), headers=headers)
    assert_problem(other, 409, "idempotency_conflict")
    notification = await server.admin("POST", "/api/v1/users/anna/notifications", {"title": "Parser"}, headers=headers)
    assert_problem(notification, 409, "idempotency_conflict")
    token = (await server.engine.create_token("other", [Scope.NOTIFY])).token
    assert (await server.ask("POST", PATH, turn(text="a"), headers=headers, token=token)).status == 202
    assert_problem(
        await server.admin("POST", PATH, turn(), headers={"Idempotency-Key": "a b"}),
        400,
        "bad_field",
        "Idempotency-Key",
    )


@pytest.mark.parametrize(
    ("fields", "code", "offending"),
    [
        ({}, "bad_field", ("user", "conversation", "title", "status")),
        ({"conversation": "c", "title": "t", "status": "finished"}, "bad_field", ("user",)),
        (turn(status="done"), "bad_field", ("status",)),
        (turn(status="Finished"), "bad_field", ("status",)),
        (turn(status=None, user=None), "bad_field", ("user", "status")),
        (turn(user="a/b", status="done"), "bad_field", ("user", "status")),
        (turn(user=""), "bad_field", ("user",)),
        (turn(user="me"), "bad_field", ("user",)),
        (turn(user="x" * 129), "bad_field", ("user",)),
        (turn(user="a\nb"), "bad_field", ("user",)),
        (turn(user=["anna"]), "bad_field", ("user",)),
        (turn(conversation="", title=""), "bad_field", ("conversation", "title")),
        (turn(conversation="c" * 201), "bad_field", ("conversation",)),
        (turn(text=1, error=[], model={}, url=2), "bad_field", ("text", "error", "model", "url")),
        (turn(model="m" * 201, provider="p" * 201, parent="p" * 201), "bad_field", ("model", "provider", "parent")),
        (turn(colour="red", body="x", status="?"), "unknown_field", ("colour", "body", "status")),
        (turn(url="javascript:alert(1)"), "bad_field", ("url",)),
        (turn(url="https://elsewhere.example/"), "bad_field", ("url",)),
        (turn(url="u" * 2049), "bad_field", ("url",)),
        (turn(url="/" + "ü" * 2000), "payload_too_large", ()),
    ],
)
async def test_what_cannot_be_used_is_named(
    server: Running, fields: dict[str, Any], code: str, offending: tuple[str, ...]
) -> None:
    status = 413 if code == "payload_too_large" else 400
    assert_problem(await server.admin("POST", PATH, fields), status, code, *offending)
    assert await server.is_empty()


async def test_half_a_surrogate_pair_is_refused(server: Running) -> None:
    raw = json.dumps(turn(title="\ud83d", text="\ude00")).encode()
    assert_problem(await server.admin("POST", PATH, raw=raw), 400, "bad_field", "title", "text")


async def test_nobody_subscribed_is_no_error(server: Running) -> None:
    answer = await server.admin("POST", PATH, turn(user="nobody"))
    assert answer.status == 202
    assert (await server.admin("GET", f"/api/v1/dispatches/{answer.json['dispatch']['id']}")).status == 200


async def test_without_push_every_turn_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with running(tmp_path, experiments=frozenset()) as server:
        for fields in (turn(), turn(parent="run-1")):
            problem = assert_problem(await server.admin("POST", PATH, fields), 503, "push_disabled")
            assert "switched off" in problem["detail"]
        assert await server.is_empty()


def of_size(size: int) -> bytes:
    """Return a turn of so many bytes."""
    empty = json.dumps(turn(text="")).encode()
    raw = json.dumps(turn(text="x" * (size - len(empty)))).encode()
    assert len(raw) == size
    return raw


def chunked(server: Running, path: str, raw: bytes) -> bytes:
    """Return a request whose length is not told."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {server.authority}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
        "Connection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw)


async def test_a_turn_of_up_to_two_megabytes_is_read(server: Running) -> None:
    assert (await server.admin("POST", PATH, raw=of_size(LARGEST))).status == 202
    assert (await server.say(chunked(server, PATH, of_size(LARGEST)))).startswith(b"HTTP/1.1 202")
    for answer in (
        await server.admin("POST", PATH, raw=of_size(LARGEST + 1)),
        await server.admin("POST", PATH, raw=b" " * (LARGEST * 2)),
    ):
        assert_problem(answer, 413, "too_large")
    assert (await server.say(chunked(server, PATH, of_size(LARGEST + 1)))).startswith(b"HTTP/1.1 413")


async def test_elsewhere_a_body_of_this_size_is_still_too_large(server: Running) -> None:
    path = "/api/v1/users/anna/notifications"
    raw = of_size(64 * 1024 + 1)
    assert_problem(await server.admin("POST", path, raw=raw), 413, "too_large")
    assert (await server.say(chunked(server, path, raw))).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * LARGEST,
        b'{"a":' * (LARGEST // 5),
        b"[" + b"1," * (LARGEST // 2 - 2) + b"1]",
        b'{"title": "' + b"\\u0000" * (LARGEST // 6 - 10) + b'"}',
        b"\xff" * LARGEST,
    ],
    ids=["arrays", "objects", "numbers", "controls", "bytes"],
)
async def test_two_megabytes_of_nonsense_are_refused(server: Running, raw: bytes) -> None:
    answer = await server.admin("POST", PATH, raw=raw)
    assert answer.status == 400
    assert await server.is_empty()


async def test_hostile_markdown_of_two_megabytes_is_accepted(server: Running) -> None:
    for text in ("[" * 2_000_000, ">" * 2_000_000, "```\n" * 400_000, "a" + "\u0301" * 900_000):
        raw = json.dumps(turn(text=text), ensure_ascii=False).encode()
        assert (await server.admin("POST", PATH, raw=raw)).status == 202


async def test_a_turn_that_waits_for_its_summary_is_scheduled(tmp_path: Path) -> None:
    async with ChatServer() as chat:
        summariser = ChatSummariser(SummaryConfig(base_url=chat.url), api_key=None, timeout_s=30)
        async with running(tmp_path, surroundings=Surroundings(summariser=summariser)) as server:
            answer = await server.admin("POST", PATH, turn(text="Text.", model="m"))
            assert (answer.status, answer.json["dispatch"]["state"]) == (202, "scheduled")
            assert (await chat.wait_for_questions(1))[0]["model"] == "m"
        await summariser.aclose()


async def test_a_turn_is_described_with_its_answers(server: Running) -> None:
    document = (await server.admin("GET", "/api/openapi.json")).json
    operation = document["paths"][PATH]["post"]
    assert set(operation["responses"]) == {"200", "202", "default"}
    assert operation["security"] == [{"token": ["notify"]}]
    schema = document["components"]["schemas"]["Turn"]
    assert schema["required"] == ["user", "conversation", "title", "status"]
    assert schema["additionalProperties"] is False
