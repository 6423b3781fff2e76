"""One delivery over HTTP: looked at in full, and sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.model import Experiment
from tests.server.running import running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.running import Running

ADMIN = "/api/v1/admin/deliveries"
RESEND = f"{ADMIN}/resend"


async def delivered(server: Running, name: str = "a") -> dict[str, Any]:
    await server.subscribe("anna", name)
    answer = await server.admin(
        "POST", "/api/v1/users/anna/notifications?wait=10", {"title": "Hello", "topic": "news", "ttl": 60}
    )
    delivery: dict[str, Any] = answer.json["dispatch"]["deliveries"][0]
    return delivery


async def test_a_delivery_is_answered_in_full(server: Running) -> None:
    server.push_service.answer("a", 201, headers={"TTL": "60", "Location": f"{server.push_service.origin}/m/secret"})
    delivery = await delivered(server)
    answer = await server.admin("GET", f"{ADMIN}/{delivery['id']}")
    assert answer.status == 200
    record = answer.json
    assert record["delivery"] == delivery
    assert (record["dispatch"]["id"], record["dispatch"]["deliveries"]) == (delivery["dispatch"], [])
    assert record["dispatch"]["counts"] == {"accepted": 1}
    assert record["attempts"] == [
        {
            "number": 1,
            "at": delivery["at"],
            "outcome": "accepted",
            "status": 201,
            "reason": "",
            "latency_ms": delivery["latency_ms"],
            "headers": {"ttl": "60"},
        }
    ]
    assert (record["urgency"], record["topic"], record["ttl_s"]) == ("normal", "news", 60)
    assert b"secret" not in answer.content


async def test_a_delivery_is_sent_again(server: Running) -> None:
    delivery = await delivered(server)
    answer = await server.admin("POST", RESEND, {"delivery": delivery["id"]})
    assert (answer.status, set(answer.json)) == (202, {"dispatch"})
    dispatch = answer.json["dispatch"]
    assert (dispatch["state"], dispatch["title"]) == ("queued", "Hello")
    assert dispatch["id"] != delivery["dispatch"]
    assert_problem(await server.admin("POST", RESEND, {"delivery": "unknown"}), 404, "not_found")
    await server.admin("POST", "/api/v1/admin/subscriptions/remove", {"ids": [delivery["subscription"]]})
    again = await server.admin("POST", RESEND, {"delivery": delivery["id"]})
    assert_problem(again, 404, "subscription_not_found")


async def test_a_repeat_with_the_same_key_is_sent_once(server: Running) -> None:
    delivery = await delivered(server)
    headers = {"Idempotency-Key": "again-1"}
    first = await server.admin("POST", RESEND, {"delivery": delivery["id"]}, headers=headers)
    repeat = await server.admin("POST", RESEND, {"delivery": delivery["id"]}, headers=headers)
    assert (first.status, repeat.status) == (202, 200)
    assert repeat.json["dispatch"]["id"] == first.json["dispatch"]["id"]
    assert len((await server.admin("GET", "/api/v1/admin/dispatches?filter=Hello")).json["items"]) == 2
    (other,) = (await server.admin("POST", "/api/v1/admin/test", {"user": "anna"})).json["deliveries"]
    conflict = await server.admin("POST", RESEND, {"delivery": other["id"]}, headers=headers)
    assert_problem(conflict, 409, "idempotency_conflict")
    bad = await server.admin("POST", RESEND, {"delivery": delivery["id"]}, headers={"Idempotency-Key": "a b"})
    assert_problem(bad, 400, "bad_field", "Idempotency-Key")
    token = await server.admin("POST", "/api/v1/admin/tokens/create", {"name": "other", "scopes": ["admin"]})
    theirs = await server.ask("POST", RESEND, {"delivery": delivery["id"]}, token=token.json["token"], headers=headers)
    assert theirs.status == 202


async def test_what_is_gone_is_not_sent_again(server: Running) -> None:
    delivery = await delivered(server)
    server.push_service.answer("a", 410)
    await server.admin("POST", "/api/v1/admin/test", {"user": "anna"})
    again = assert_problem(await server.admin("POST", RESEND, {"delivery": delivery["id"]}), 422, "subscription_gone")
    assert again["hint"]
    # A test of it is refused in the same words; to its browser it is no subscription at all.
    of_it = {"user": "anna", "subscription": delivery["subscription"]}
    test = assert_problem(await server.admin("POST", "/api/v1/admin/test", of_it), 422, "subscription_gone")
    assert {field: test[field] for field in ("title", "detail", "hint")} == {
        field: again[field] for field in ("title", "detail", "hint")
    }
    of_browser = {"endpoint": server.push_service.endpoint("a")}
    assert_problem(
        await server.ask("POST", "/api/v1/users/anna/webpush/test", of_browser), 404, "subscription_not_found"
    )


@pytest.mark.parametrize(
    "delivery", ["unknown", "%00", "%FF", "%2e%2e", "x" * 5000, "0" * 26, "%F0%9F%92%A9", "resend"]
)
async def test_one_that_is_not_known_is_not_found(server: Running, delivery: str) -> None:
    assert_problem(await server.admin("GET", f"{ADMIN}/{delivery}"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "bad_field", "delivery"),
        ({"delivery": ""}, "bad_field", "delivery"),
        ({"delivery": "x" * 129}, "bad_field", "delivery"),
        ({"delivery": ["x"]}, "bad_field", "delivery"),
        ({"delivery": "x", "user": "anna"}, "unknown_field", "user"),
    ],
)
async def test_what_is_no_delivery_is_refused(server: Running, body: object, code: str, field: str) -> None:
    assert_problem(await server.admin("POST", RESEND, body), 400, code, field)


async def test_a_server_that_sends_nothing_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, experiments=frozenset({Experiment.TURN_SUMMARIES})) as server:
        assert_problem(await server.admin("POST", RESEND, {"delivery": "x"}), 503, "push_disabled")
        assert_problem(await server.admin("GET", f"{ADMIN}/x"), 404, "not_found")
