"""The routes for VAPID keys: shapes, what is refused, and what is told of a key nowhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import vapid_key_texts as texts
from tests.server.running import Running, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.logs import Log

KEYS = "/api/v1/admin/keys"
SECRET = json.loads(texts.NODE_JSON)["privateKey"]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as opened:
        yield opened


async def test_answers_have_the_shapes_that_are_documented(server: Running) -> None:
    old = server.engine.public_key().id
    await server.subscribe("anna", "a")

    async def command(name: str, **body: Any) -> Any:
        answer = await server.admin("POST", f"{KEYS}/{name}", body)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store"), answer.content
        return answer.json

    new = (await command("rotate", confirm="rotate"))["key"]
    assert new["state"] == "current"
    listed = {key["id"]: key for key in (await server.admin("GET", KEYS)).json["items"]}
    assert set(listed[old]) == {
        "id",
        "public_key",
        "state",
        "created_at",
        "subscriptions",
        "services",
        "retiring_at",
        "before",
        "expected_end",
        "users_left",
    }
    assert (listed[old]["services"], listed[old]["before"], listed[old]["users_left"]) == (
        {"other": 1},
        {"other": 1},
        1,
    )
    assert (await command("retire", id=old, confirm="retire"))["key"]["state"] == "retired"
    assert (await command("rollback", id=old, confirm="rollback"))["key"]["state"] == "current"
    assert (await command("import", text=texts.NODE_JSON))["key"]["state"] == "retiring"
    exported = await command("export", id=old, confirm="export")
    assert set(exported["key"]) == {"id", "public_key", "private_key", "pem"}
    revoked = await command("revoke", confirm="revoke")
    assert set(revoked) == {"key", "lost"}
    assert revoked["lost"] in ({"other": 1}, {})


async def test_what_needs_a_word_says_what_it_costs(server: Running) -> None:
    await server.subscribe("anna", "a")
    key = server.engine.public_key().id
    for name, body in (
        ("rotate", {}),
        ("rotate", {"confirm": ""}),
        ("revoke", {"confirm": "yes"}),
        ("export", {"id": key}),
        ("import", {"text": texts.NODE_JSON, "current": True}),
    ):
        answer = await server.admin("POST", f"{KEYS}/{name}", body)
        assert_problem(answer, 409, "confirm_required")
        assert f'"{name}"' in answer.json["hint"]
    assert "1 subscription" in (await server.admin("POST", f"{KEYS}/revoke", {})).json["detail"]
    assert server.engine.public_key().id == key


@pytest.mark.parametrize(
    ("name", "body", "code", "fields"),
    [
        ("retire", {}, "bad_field", ["id"]),
        ("retire", {"id": "x"}, "bad_field", ["id"]),
        ("rollback", {"id": "../../etc"}, "bad_field", ["id"]),
        ("export", {"id": None}, "bad_field", ["id"]),
        ("export", {"id": "ABCDEF01"}, "bad_field", ["id"]),
        ("import", {}, "bad_field", ["text"]),
        ("import", {"text": ""}, "bad_field", ["text"]),
        ("import", {"text": 1}, "bad_field", ["text"]),
        ("import", {"text": "x" * 16385}, "bad_field", ["text"]),
        ("import", {"text": "x", "current": "yes"}, "bad_field", ["current"]),
        ("import", {"text": texts.OPENSSL_ENCRYPTED_PKCS8}, "bad_field", ["text"]),
        ("revoke", {"id": "00000000"}, "unknown_field", ["id"]),
        ("rotate", {"confirm": "x" * 65}, "bad_field", ["confirm"]),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    server: Running, name: str, body: dict[str, Any], code: str, fields: list[str]
) -> None:
    answer = await server.admin("POST", f"{KEYS}/{name}", body)
    assert_problem(answer, 400, code, *fields)


async def test_nothing_of_a_private_key_is_told(server: Running, log: Log) -> None:
    other = json.loads(texts.PHP_JSON)["publicKey"]
    refused = await server.admin("POST", f"{KEYS}/import", {"text": f"{other} {SECRET}"})
    assert_problem(refused, 400, "bad_field", "text")
    taken = await server.admin("POST", f"{KEYS}/import", {"text": texts.NODE_JSON})
    exported = await server.admin("POST", f"{KEYS}/export", {"id": taken.json["key"]["id"], "confirm": "export"})
    assert exported.json["key"]["private_key"] == SECRET
    listed = await server.admin("GET", KEYS)
    for content in (refused.content.decode(), taken.content.decode(), listed.content.decode(), log.text):
        assert SECRET not in content
        assert "PRIVATE KEY" not in content


async def test_a_retirement_can_be_watched(server: Running) -> None:
    old = server.engine.public_key().id
    for name in ("a", "b"):
        await server.subscribe("anna", name)
    await server.admin("POST", f"{KEYS}/rotate", {"confirm": "rotate"})
    await server.subscribe("anna", "c")
    samples = {
        (sample.name, *(label for _, label in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families((await server.ask("GET", "/metrics")).content.decode())
        for sample in family.samples
        if sample.name.startswith("pushdesk_key_")
    }
    new = server.engine.public_key().id
    assert samples.pop(("pushdesk_key_retiring_since_seconds", old)) > 1.7e9
    assert samples == {
        ("pushdesk_key_subscriptions", old, "other", "retiring"): 2,
        ("pushdesk_key_subscriptions", new, "other", "current"): 1,
        ("pushdesk_key_subscriptions_before", old, "other"): 2,
        ("pushdesk_key_users_left", old): 0,
    }
