"""Operators decide over HTTP what becomes of held subscriptions, and restore disabled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.server.running import Answer, Running

BRAKE = "/api/v1/admin/brake"
RESTORE = "/api/v1/admin/subscriptions/restore"


@pytest.fixture(autouse=True)
def one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one device end, and no more."""
    monkeypatch.setattr("pushdesk.engine.brake.FEWEST", 1)
    monkeypatch.setattr("pushdesk.engine.brake.SHARE", 0.0)


async def die(server: Running) -> None:
    """Have three devices be gone, two of which are held."""
    for name in ("one", "two", "three"):
        await server.subscribe("ada", name)
        server.push_service.answer(name, 410)
    sent = await server.admin("POST", "/api/v1/users/ada/notifications?wait=10", {"title": "Hello"})
    assert sent.json["dispatch"]["counts"] == {"gone": 1, "held": 2}
    assert sent.json["dispatch"]["state"] == "done"


async def metrics(server: Running, name: str) -> list[float]:
    text = (await server.ask("GET", "/metrics")).content.decode()
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels["service"] == "other"
    ]


async def states(server: Running) -> list[str]:
    listed = await server.admin("GET", "/api/v1/admin/subscriptions")
    return sorted(item["state"] for item in listed.json["items"])


async def decide(server: Running, decision: str, **body: Any) -> Answer:
    return await server.admin("POST", f"{BRAKE}/{decision}", {"service": "other"} | body)


@pytest.mark.parametrize(
    ("decision", "after"), [("confirm", ["gone", "gone", "gone"]), ("release", ["active", "active", "gone"])]
)
async def test_what_is_held_is_listed_counted_and_decided(server: Running, decision: str, after: list[str]) -> None:
    await die(server)
    assert await states(server) == ["gone", "held", "held"]
    (listed,) = (await server.admin("GET", "/api/v1/admin/services?filter=other")).json["items"]
    assert (listed["brake"]["held"], listed["state"]) == (2, "open")
    assert [await metrics(server, f"pushdesk_service_{name}") for name in ("brake", "held")] == [[1], [2]]
    paused = await server.admin("POST", "/api/v1/admin/services/pause", {"service": "other"})
    assert paused.json["service"]["brake"] == listed["brake"]

    asked = await decide(server, decision)
    assert (asked.status, asked.json["code"]) == (409, "confirm_required")
    assert "2 subscriptions" in asked.json["detail"]
    decided = await decide(server, decision, confirm=decision)
    assert decided.status == 200
    assert (decided.json["subscriptions"], decided.json["service"]["brake"]) == (2, None)
    assert await states(server) == after
    assert [await metrics(server, f"pushdesk_service_{name}") for name in ("brake", "held")] == [[0], [0]]
    again = await decide(server, decision, confirm=decision)
    assert (again.status, again.json["fields"]) == (400, ["service"])


async def test_what_is_disabled_is_restored(server: Running) -> None:
    await die(server)
    await decide(server, "confirm", confirm="confirm")
    ids = [item["id"] for item in (await server.admin("GET", "/api/v1/admin/subscriptions")).json["items"]]
    restored = await server.admin("POST", RESTORE, {"ids": [*ids, "nobody's"]})
    assert restored.status == 200
    *done, unknown = restored.json["subscriptions"]
    assert done == [{"id": id_, "result": "restored", "reason": ""} for id_ in ids]
    assert (unknown["id"], unknown["result"]) == ("nobody's", "not_found")
    assert await states(server) == ["active"] * 3


@pytest.mark.parametrize("ids", [[], ["x"] * 501, ["x" * 129], [5], None, "x"])
async def test_ids_that_cannot_be_are_refused(server: Running, ids: Any) -> None:
    refused = await server.admin("POST", RESTORE, {"ids": ids})
    assert (refused.status, refused.json["code"]) == (400, "bad_field")


@pytest.mark.parametrize("decision", ["confirm", "release"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"service": "nobody"}, "bad_field"),
        ({"confirm": "x" * 65}, "bad_field"),
        ({"confirm": None}, "bad_field"),
        ({"until": 5}, "unknown_field"),
    ],
)
async def test_a_decision_that_cannot_be_is_refused(server: Running, decision: str, body: Any, code: str) -> None:
    refused = await decide(server, decision, **body)
    assert (refused.status, refused.json["code"]) == (400, code)
