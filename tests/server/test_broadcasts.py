"""Broadcasts over HTTP: the answers, lists in the body and streamed, and whose they are."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.desk import BroadcastChanged
from pushdesk.model import Experiment, PageQuery, Scope
from pushdesk.server.lines import CONTENT_TYPE
from tests.server.running import ADMIN_TOKEN, running
from tests.server.test_bad_input import assert_problem
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.push_service import Device
    from tests.server.running import Answer, Running

BROADCASTS = "/api/v1/broadcasts"
HELLO = {"title": "Hello"}
LINES = {"Content-Type": CONTENT_TYPE}


def lines(*users: object, **fields: Any) -> bytes:
    return "".join(f"{json.dumps(line)}\n" for line in (HELLO | fields, *users)).encode()


async def stream(server: Running, body: bytes, query: str = "", **headers: str) -> Answer:
    return await server.admin("POST", BROADCASTS + query, raw=body, headers=LINES | headers)


async def subscribed(server: Running) -> dict[str, Device]:
    """Subscribe two devices of anna and one of bert, and return them by the path of their pushes."""
    devices = {f"/{name}": server.push_service.device(name) for name in ("a", "b", "c")}
    for user, device in zip(("anna", "anna", "bert"), devices.values(), strict=True):
        await subscribe(server.url, user, device)
    server.push_service.pushes.clear()
    return devices


async def ended(server: Running, dispatch: str) -> Any:
    """Wait until a broadcast has ended, and return it as it is listed."""
    async with asyncio.timeout(20), aclosing(server.engine.events()) as events:
        await anext(events)
        while (found := await listed(server, dispatch))["ended_at"] is None:
            async for batch in events:
                if any(isinstance(event, BroadcastChanged) and event.broadcast.ended_at for event in batch):
                    break
    return found


async def listed(server: Running, dispatch: str) -> Any:
    items = (await server.admin("GET", "/api/v1/admin/broadcasts")).json["items"]
    return next(item for item in items if item["id"] == dispatch)


async def test_a_broadcast_is_accepted_and_told_until_it_is_done(server: Running) -> None:
    devices = await subscribed(server)
    answer = await server.admin("POST", BROADCASTS, HELLO | {"body": "There", "topic": "t"})
    assert answer.status == 202
    dispatch = answer.json["dispatch"]
    assert (dispatch["kind"], dispatch["user"], dispatch["title"]) == ("broadcast", None, "Hello")
    found = await ended(server, dispatch["id"])
    assert (found["state"], found["counts"], found["users"]) == ("done", {"accepted": 3}, None)
    assert found["parts"] == [{"service": "other", "planned": 3, "done": 3}]
    assert len(server.push_service.pushes) == 3
    shown = [devices[push.path].decrypt(push.body) for push in server.push_service.pushes]
    assert {(one["notification"]["title"], one["notification"]["body"]) for one in shown} == {("Hello", "There")}


@pytest.mark.parametrize("way", ["body", "lines"])
async def test_a_list_is_in_the_body_or_streamed(server: Running, way: str) -> None:
    await subscribed(server)
    users = ["bert", "nobody", "bert"]
    if way == "body":
        answer = await server.admin("POST", BROADCASTS, HELLO | {"users": users})
    else:
        answer = await stream(server, lines(*users))
    assert answer.status == 202
    found = await ended(server, answer.json["dispatch"]["id"])
    assert (found["users"], found["counts"]) == (2, {"accepted": 1})
    assert [push.path for push in server.push_service.pushes] == ["/c"]


async def test_a_plan_is_told_and_nothing_is_accepted(server: Running) -> None:
    await subscribed(server)
    for answer in (
        await server.admin("POST", f"{BROADCASTS}?plan=true", HELLO | {"users": ["anna", "zoe"]}),
        await stream(server, lines("anna", "zoe"), "?plan=true"),
    ):
        assert answer.status == 200
        plan = answer.json["plan"]
        assert (plan["subscriptions"], plan["users"], plan["unknown"], plan["unknown_users"]) == (2, 2, 1, ["zoe"])
        assert [part["subscriptions"] for part in plan["parts"]] == [2]
        assert plan["message_bytes"] < plan["limit_bytes"] == 3993
        assert set(answer.json) == {"plan"}
    assert (await server.admin("GET", "/api/v1/admin/broadcasts")).json["items"] == []
    assert not server.push_service.pushes


async def test_what_is_bad_of_a_list_is_named_and_nothing_is_kept(server: Running) -> None:
    await subscribed(server)
    users = ["anna", "a/b", "bert", ""]
    for query in ("", "?plan=true"):
        in_body = await server.admin("POST", BROADCASTS + query, HELLO | {"users": users})
        assert "no slash" in assert_problem(in_body, 400, "bad_field", "users[1]", "users[3]")["detail"]
        streamed = await stream(server, lines(*users) + b"carl\n", query)
        assert "no slash" in assert_problem(streamed, 400, "bad_field", "line 3", "line 5", "line 6")["detail"]
    assert (await server.admin("GET", "/api/v1/admin/broadcasts")).json["items"] == []
    for answer in (
        await server.admin("POST", f"{BROADCASTS}?skip_bad=true", HELLO | {"users": users}),
        await stream(server, lines(*users), "?skip_bad=true"),
    ):
        assert answer.status == 202
        assert (await ended(server, answer.json["dispatch"]["id"]))["users"] == 2


async def test_a_list_of_nobody_is_refused(server: Running) -> None:
    assert_problem(await server.admin("POST", BROADCASTS, HELLO | {"users": []}), 400, "bad_field", "users")
    assert_problem(await stream(server, lines()), 400, "bad_field", "users")
    assert_problem(await stream(server, lines("a/b"), "?skip_bad=true"), 400, "bad_field", "users")
    assert_problem(await stream(server, lines("anna", users=["anna"])), 400, "bad_field", "users")
    assert await server.is_empty()


@pytest.mark.parametrize(
    ("body", "query", "fields"),
    [
        (HELLO | {"users": "anna"}, "", ("users",)),
        (HELLO | {"users": ["anna", 7]}, "", ("users[1]",)),
        (HELLO | {"users": ["\ud800"]}, "", ("users[0]",)),
        ({"ttl": 0}, "", ("title", "ttl")),
        (HELLO, "?plan=perhaps", ("plan",)),
        (HELLO | {"url": "javascript:alert(1)"}, "", ("url",)),
        (HELLO | {"send_at": "2020-01-01T00:00:00Z"}, "", ("send_at",)),
    ],
)
async def test_what_is_wrong_with_a_broadcast_is_named(
    server: Running, body: dict[str, Any], query: str, fields: tuple[str, ...]
) -> None:
    assert_problem(await server.admin("POST", BROADCASTS + query, body), 400, "bad_field", *fields)
    assert await server.is_empty()


async def test_a_message_that_is_too_large_is_refused(server: Running) -> None:
    large = HELLO | {"body": "x" * 4000}
    for query in ("", "?plan=true"):
        assert_problem(await server.admin("POST", BROADCASTS + query, large), 413, "payload_too_large")


async def test_a_repeat_is_the_first_one_and_another_list_is_a_conflict(server: Running) -> None:
    await subscribed(server)
    key = {"Idempotency-Key": "k"}
    first = await stream(server, lines("anna", "bert"), **key)
    again = await stream(server, lines("anna", "bert"), **key)
    assert (first.status, again.status) == (202, 200)
    assert again.json["dispatch"]["id"] == first.json["dispatch"]["id"]
    for other in (lines("anna"), lines("anna", "bert", body="Other"), lines("anna", "bert", "carl")):
        assert_problem(await stream(server, other, **key), 409, "idempotency_conflict")
    assert_problem(await server.admin("POST", BROADCASTS, HELLO, headers=key), 409, "idempotency_conflict")
    assert len((await server.admin("GET", "/api/v1/admin/broadcasts")).json["items"]) == 1


async def test_many_lines_are_taken(server: Running) -> None:
    await subscribed(server)
    answer = await stream(server, lines(*(f"user-{number}" for number in range(20_000)), "anna"))
    assert answer.status == 202
    found = await ended(server, answer.json["dispatch"]["id"])
    assert (found["users"], found["counts"]) == (20_001, {"accepted": 2})


async def test_of_a_list_that_breaks_off_nothing_is_kept(server: Running) -> None:
    await subscribed(server)
    body = lines(*(f"user-{number}" for number in range(5000)))
    head = (
        f"POST {BROADCASTS} HTTP/1.1\r\nHost: {server.authority}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body) + 10}\r\n\r\n"
    )
    host, _, port = server.authority.partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    # The same server takes the whole one, and has nothing of the half one.
    answer = await stream(server, lines("bert"))
    assert (await ended(server, answer.json["dispatch"]["id"]))["users"] == 1
    assert len((await server.engine.dispatches(PageQuery(filter="Hello"))).items) == 1


async def test_applications_change_their_own_only(server: Running) -> None:
    mine, other, reader = [
        (await server.engine.create_token(name, [scope])).token
        for name, scope in (("mine", Scope.NOTIFY), ("other", Scope.NOTIFY), ("reader", Scope.READ))
    ]
    await subscribed(server)
    await server.admin("POST", "/api/v1/admin/services/pause", {"service": "other"})
    answer = await server.ask("POST", BROADCASTS, HELLO, token=mine)
    path = f"{BROADCASTS}/{answer.json['dispatch']['id']}"
    for command in ("pause", "resume", "abort"):
        for token in (other, reader):
            assert_problem(await server.ask("POST", f"{path}/{command}", token=token), 403, "forbidden")
    paused = await server.ask("POST", f"{path}/pause", token=mine)
    assert (paused.status, paused.json["broadcast"]["state"]) == (200, "paused")
    resumed = await server.admin("POST", f"{path}/resume")
    assert (resumed.status, resumed.json["broadcast"]["state"]) == (200, "sending")
    aborted = await server.ask("POST", f"{path}/abort", token=mine)
    assert (aborted.status, aborted.json["broadcast"]["state"]) == (200, "cancelled")
    assert_problem(await server.ask("POST", f"{path}/abort", token=mine), 409, "already_ended")
    assert_problem(await server.admin("POST", f"{BROADCASTS}/nothing/pause"), 404, "not_found")
    assert_problem(await server.ask("GET", "/api/v1/admin/broadcasts", token=mine), 403, "forbidden")
    assert len((await server.ask("GET", "/api/v1/admin/broadcasts", token=reader)).json["items"]) == 1


async def test_with_push_off_nothing_is_accepted(tmp_path: Path) -> None:
    async with running(tmp_path, experiments=frozenset[Experiment]()) as server:
        for query in ("", "?plan=true"):
            assert_problem(await server.admin("POST", BROADCASTS + query, HELLO), 503, "push_disabled")
            assert_problem(await stream(server, lines("anna"), query), 503, "push_disabled")


async def test_metrics_tell_what_is_on_its_way(server: Running) -> None:
    await subscribed(server)
    await server.admin("POST", "/api/v1/admin/services/pause", {"service": "other"})
    for command in ("", "pause"):
        answer = await server.admin("POST", BROADCASTS, HELLO)
        if command:
            await server.admin("POST", f"{BROADCASTS}/{answer.json['dispatch']['id']}/{command}")
    text = (await server.ask("GET", "/metrics")).content.decode()
    for line in (
        'pushdesk_broadcasts{state="scheduled"} 0.0',
        'pushdesk_broadcasts{state="sending"} 1.0',
        'pushdesk_broadcasts{state="paused"} 1.0',
        'pushdesk_broadcast_planned{service="other"} 6.0',
        'pushdesk_broadcast_done{service="other"} 0.0',
    ):
        assert line in text.splitlines()
