"""Notifications for later over HTTP: when they may be for, what repeats them, and who cancels them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.config import RetentionConfig
from pushdesk.model import Scope
from tests.clocks import FrozenClock
from tests.server.running import Surroundings, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.running import Running

NOTIFY = "/api/v1/users/anna/notifications"


def at(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


async def accepted(server: Running, **fields: Any) -> dict[str, Any]:
    answer = await server.admin("POST", NOTIFY, {"title": "Hello", **fields})
    assert answer.status == 202
    dispatch: dict[str, Any] = answer.json["dispatch"]
    return dispatch


async def cancel(server: Running, dispatch: str, **more: Any) -> Any:
    return await server.admin("POST", f"/api/v1/dispatches/{dispatch}/cancel", **more)


async def state(server: Running, dispatch: str) -> str:
    return str((await server.admin("GET", f"/api/v1/dispatches/{dispatch}")).json["state"])


@pytest.mark.parametrize(
    ("send_at", "words"),
    [
        (timedelta(hours=-1), "send_at: must not be past."),
        (timedelta(seconds=-70), "send_at: must not be past."),
        (
            timedelta(days=31),
            "send_at: must be within the 30 days for which [retention] days keeps what was sent.",
        ),
        ("9999-12-31T23:59:59Z", "send_at: must be within the 30 days for which [retention] days keeps what was sent."),
        ("2030-01-31T08:00:00", "send_at: must be a time with its zone, such as 2030-01-31T08:00:00Z."),
        ("tomorrow", "send_at: must be a time (RFC 3339), such as 2030-01-31T08:00:00Z."),
        (1_900_000_000, "send_at: must be"),
    ],
    ids=["an hour ago", "over a minute ago", "too far", "the end of time", "no zone", "no time", "a number"],
)
async def test_what_cannot_be_scheduled_is_refused_in_words(server: Running, send_at: object, words: str) -> None:
    if isinstance(send_at, timedelta):
        send_at = (datetime.now(UTC) + send_at).isoformat()
    answer = await server.admin("POST", NOTIFY, {"title": "Hello", "send_at": send_at})
    problem = assert_problem(answer, 400, "bad_field", "send_at")
    assert problem["detail"].startswith(words)
    assert (await server.admin("GET", "/api/v1/admin/dispatches")).json["items"] == []


async def test_without_an_end_of_what_is_kept_there_is_none_of_schedules(tmp_path: Path) -> None:
    async with running(tmp_path, surroundings=Surroundings(retention=RetentionConfig(days=0))) as server:
        dispatch = await accepted(server, send_at="9999-12-31T23:59:59Z")
        assert (dispatch["state"], dispatch["send_at"]) == ("scheduled", "9999-12-31T23:59:59Z")


async def test_a_moment_that_is_just_past_is_now(server: Running) -> None:
    await server.subscribe("anna", "a")
    answer = await server.admin("POST", f"{NOTIFY}?wait=10", {"title": "Hello", "send_at": at(seconds=-30)})
    assert (answer.status, answer.json["dispatch"]["counts"]) == (200, {"accepted": 1})
    assert answer.json["dispatch"]["send_at"] is None


async def test_what_is_scheduled_is_sent_when_its_time_comes(server: Running) -> None:
    await server.subscribe("anna", "a")
    server.push_service.pushes.clear()
    dispatch = await accepted(server, send_at=at(seconds=1))
    assert dispatch["state"] == "scheduled"
    async with asyncio.timeout(10):
        await server.push_service.wait_for_pushes(1)


async def test_a_repeat_is_the_first_one_also_when_its_time_has_come(tmp_path: Path) -> None:
    clock = FrozenClock()
    headers = {"Idempotency-Key": "k"}
    soon, later = (datetime.fromtimestamp(clock.time() + ahead_s, UTC).isoformat() for ahead_s in (3600, 7200))
    body = {"title": "Hello", "send_at": soon}
    async with running(tmp_path, surroundings=Surroundings(clock=clock)) as server:
        first = await server.admin("POST", NOTIFY, body, headers=headers)
        again = await server.admin("POST", NOTIFY, body, headers=headers)
        assert (first.status, again.status) == (202, 200)
        assert again.json == first.json
        moved = await server.admin("POST", NOTIFY, body | {"send_at": later}, headers=headers)
        assert_problem(moved, 409, "idempotency_conflict")
        clock.advance(10_000)
        late = await server.admin("POST", NOTIFY, body, headers=headers)
        assert (late.status, late.json["dispatch"]["id"]) == (200, first.json["dispatch"]["id"])
        conflict = await server.admin("POST", NOTIFY, body | {"title": "Other"}, headers=headers)
        assert_problem(conflict, 409, "idempotency_conflict")
        assert_problem(await server.admin("POST", NOTIFY, body), 400, "bad_field", "send_at")


async def test_what_is_cancelled_is_never_sent_and_its_key_says_so(server: Running) -> None:
    await server.subscribe("anna", "a")
    headers = {"Idempotency-Key": "k"}
    body = {"title": "Hello", "send_at": at(hours=1)}
    first = (await server.admin("POST", NOTIFY, body, headers=headers)).json["dispatch"]
    answer = await cancel(server, first["id"])
    assert (answer.status, answer.json["dispatch"]["state"]) == (200, "cancelled")
    again = await server.admin("POST", NOTIFY, body, headers=headers)
    assert (again.status, again.json["dispatch"]["state"]) == (200, "cancelled")
    assert_problem(await cancel(server, first["id"]), 409, "already_ended")
    assert_problem(await cancel(server, "unknown"), 404, "not_found")


async def test_of_what_is_being_sent_what_waits_is_cancelled_and_what_is_under_way_is_not_tried_again(
    server: Running,
) -> None:
    for name in ("a", "b"):
        await server.subscribe("anna", name)
    server.push_service.answer("a", 503, headers={"Retry-After": "60"})
    server.push_service.answer("b", 503)
    server.push_service.hold = asyncio.Event()
    server.push_service.pushes.clear()
    dispatch = await accepted(server)
    async with asyncio.timeout(10):
        await server.push_service.wait_for_pushes(2)
    answer = await cancel(server, dispatch["id"])
    assert (answer.json["dispatch"]["state"], answer.json["dispatch"]["counts"]) == ("cancelled", {"cancelled": 2})
    server.push_service.hold.set()
    async with asyncio.timeout(10), aclosing(server.engine.events()) as events:
        async for _ in events:
            if not server.engine.in_flight:
                break
    found = (await server.admin("GET", f"/api/v1/dispatches/{dispatch['id']}")).json
    assert (found["state"], found["counts"]) == ("cancelled", {"cancelled": 2})
    assert all(each["reason"].startswith("It was cancelled. Last: ") for each in found["deliveries"])
    stats = (await server.admin("GET", "/api/v1/admin/stats")).json
    assert (stats["queue"], stats["in_flight"]) == (0, 0)


async def test_an_application_cancels_its_own_only(server: Running) -> None:
    mine, other, reader = [
        (await server.engine.create_token(name, [scope])).token
        for name, scope in (("mine", Scope.NOTIFY), ("other", Scope.NOTIFY), ("reader", Scope.READ))
    ]
    body = {"title": "Hello", "send_at": at(hours=1)}
    answer = await server.ask("POST", NOTIFY, body, token=mine)
    path = f"/api/v1/dispatches/{answer.json['dispatch']['id']}/cancel"
    for token in (other, reader):
        assert_problem(await server.ask("POST", path, token=token), 403, "forbidden")
    assert (await server.ask("POST", path, token=mine)).status == 200
    by_hand = await accepted(server, send_at=at(hours=1))
    assert_problem(await server.ask("POST", f"/api/v1/dispatches/{by_hand['id']}/cancel", token=mine), 403, "forbidden")
    theirs = (await server.ask("POST", NOTIFY, body, token=other)).json["dispatch"]
    assert (await cancel(server, theirs["id"])).status == 200


async def test_what_was_scheduled_for_a_user_who_is_removed_goes_with_them(server: Running) -> None:
    await server.subscribe("anna", "a")
    headers = {"Idempotency-Key": "k"}
    body = {"title": "Hello", "send_at": at(hours=1)}
    first = (await server.admin("POST", NOTIFY, body, headers=headers)).json["dispatch"]
    assert (await server.admin("DELETE", "/api/v1/users/anna")).status == 204
    assert_problem(await cancel(server, first["id"]), 404, "not_found")
    # Nothing is left of it: the same request is a new one.
    again = await server.admin("POST", NOTIFY, body, headers=headers)
    assert (again.status, again.json["dispatch"]["id"] != first["id"]) == (202, True)
    assert await state(server, again.json["dispatch"]["id"]) == "scheduled"
