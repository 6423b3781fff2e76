"""Listings and commands over HTTP; what they mean is the contract suite's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pushdesk.model import LogLevel
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from tests.server.running import Running

LISTINGS = ("users", "subscriptions", "dispatches", "deliveries", "keys", "services", "cache", "log")


@pytest.mark.parametrize("name", LISTINGS)
async def test_a_listing_has_items_and_next(server: Running, name: str) -> None:
    await server.subscribe("anna", "a")
    server.log_ring.add(datetime.now(UTC), LogLevel.INFO, "happened", "test", {})
    answer = await server.admin("GET", f"/api/v1/admin/{name}?limit=200")
    assert answer.status == 200
    assert set(answer.json) == {"items", "next"}
    assert answer.json["items"]
    assert answer.json["next"] is None


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("limit=0", "bad_field", "limit"),
        ("limit=201", "bad_field", "limit"),
        ("limit=ten", "bad_field", "limit"),
        ("limit=", "bad_field", "limit"),
        ("limit=1&limit=2", "bad_field", "limit"),
        ("filter=" + "x" * 201, "bad_field", "filter"),
        ("sort=" + "x" * 65, "bad_field", "sort"),
        ("sort=colour", "bad_field", "sort"),
        ("page=2", "unknown_field", "page"),
    ],
)
async def test_a_listing_refuses_what_it_does_not_know(
    server: Running, name: str, query: str, code: str, field: str
) -> None:
    assert_problem(await server.admin("GET", f"/api/v1/admin/{name}?{query}"), 400, code, field)


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("cursor", ["x", "", "%00", "%FF", "bm9wZQ", "W10", "e30=", "WyJhIiwgMV0", "a" * 5000])
async def test_a_cursor_that_was_not_given_is_refused(server: Running, name: str, cursor: str) -> None:
    answer = await server.admin("GET", f"/api/v1/admin/{name}?cursor={cursor}")
    assert_problem(answer, 400, "bad_field", "cursor")


async def test_keys_are_paged(server: Running) -> None:
    for _ in range(2):
        await server.admin("POST", "/api/v1/admin/keys/rotate", {"confirm": "rotate"})
    whole = (await server.admin("GET", "/api/v1/admin/keys?sort=id")).json["items"]
    first = (await server.admin("GET", "/api/v1/admin/keys?sort=id&limit=2")).json
    rest = (await server.admin("GET", f"/api/v1/admin/keys?sort=id&limit=2&cursor={first['next']}")).json
    assert len(whole) == 3
    assert (first["items"], rest) == (whole[:2], {"items": whole[2:], "next": None})
    name = whole[1]["id"]
    for part in (f"^{name[:7]}", name[1:]):
        assert (await server.admin("GET", f"/api/v1/admin/keys?filter={part}")).json["items"] == [whole[1]]
    assert (await server.admin("GET", f"/api/v1/admin/keys?filter=^{name[1:]}")).json["items"] == []


async def test_services_are_sorted_and_filtered(server: Running) -> None:
    await server.subscribe("anna", "a")
    for query in ("", "?sort=-sent", "?sort=service&limit=1", "?filter=^oth", "?filter=the"):
        page = (await server.admin("GET", f"/api/v1/admin/services{query}")).json
        assert ([health["service"] for health in page["items"]], page["next"]) == (["other"], None)
    for query in ("?filter=fcm", "?filter=^ther"):
        assert (await server.admin("GET", f"/api/v1/admin/services{query}")).json == {"items": [], "next": None}


async def test_several_wrong_parameters_are_all_named(server: Running) -> None:
    answer = await server.admin("GET", f"/api/v1/admin/users?limit=0&filter={'x' * 201}&page=1")
    assert_problem(answer, 400, "unknown_field", "page", "limit", "filter")


async def test_rotation_names_its_word_and_changes_nothing_without_it(server: Running) -> None:
    before = (await server.ask("GET", "/api/v1/vapid")).json
    for body in ({}, {"confirm": ""}, {"confirm": "yes"}):
        problem = assert_problem(await server.admin("POST", "/api/v1/admin/keys/rotate", body), 409, "confirm_required")
        assert "rotate" in problem["detail"] + problem["hint"]
    assert (await server.ask("GET", "/api/v1/vapid")).json == before
    rotated = await server.admin("POST", "/api/v1/admin/keys/rotate", {"confirm": "rotate"})
    assert rotated.status == 200
    assert rotated.json["key"]["state"] == "current"
    now = (await server.ask("GET", "/api/v1/vapid")).json
    assert now == {"public_key": rotated.json["key"]["public_key"], "key_id": rotated.json["key"]["id"]}
    assert now != before


async def test_up_to_a_thousand_subscriptions_are_removed_at_once(server: Running) -> None:
    subscription = (await server.subscribe("anna", "a")).json["subscription"]["id"]
    path = "/api/v1/admin/subscriptions/remove"
    assert_problem(await server.admin("POST", path, {"ids": ["x"] * 1001}), 400, "bad_field", "ids")
    assert_problem(await server.admin("POST", path, {"ids": []}), 400, "bad_field", "ids")
    assert_problem(await server.admin("POST", path, {"ids": [1, "a", None]}), 400, "bad_field", "ids[0]", "ids[2]")
    removed = await server.admin("POST", path, {"ids": [f"unknown{n}" for n in range(999)] + [subscription]})
    assert (removed.status, removed.json) == (200, {"removed": 1})


async def test_a_user_can_be_tested_by_subscription(server: Running) -> None:
    ids = [(await server.subscribe("anna", name)).json["subscription"]["id"] for name in ("a", "b")]
    both = await server.admin("POST", "/api/v1/admin/test", {"user": "anna"})
    assert {delivery["subscription"] for delivery in both.json["deliveries"]} == set(ids)
    one = await server.admin("POST", "/api/v1/admin/test", {"user": "anna", "subscription": ids[1]})
    assert [delivery["subscription"] for delivery in one.json["deliveries"]] == [ids[1]]
    for body in ({"user": "bert"}, {"user": "bert", "subscription": ids[0]}, {"user": "anna", "subscription": "x"}):
        answer = await server.admin("POST", "/api/v1/admin/test", body)
        assert_problem(answer, 404, "subscription_not_found")
    assert_problem(await server.admin("POST", "/api/v1/admin/test", {"user": "me"}), 400, "bad_field", "user")


async def test_the_cache_shows_what_it_holds_and_no_secret(server: Running) -> None:
    body = server.subscription("a")
    await server.admin("POST", "/api/v1/users/anna/webpush/subscription", body)
    answer = await server.admin("GET", "/api/v1/admin/cache")
    (entry,) = answer.json["items"]
    assert set(entry) == {"user", "generation", "devices", "age_s", "time_left_s", "size"}
    assert (entry["user"], entry["devices"]) == ("anna", 1)
    for secret in (body["endpoint"], *body["keys"].values()):
        assert secret.encode() not in answer.content


async def test_the_log_is_shown_with_its_fields(server: Running) -> None:
    server.log_ring.add(datetime(2026, 1, 2, tzinfo=UTC), LogLevel.WARNING, "happened", "test", {"a": {"b": [1, None]}})
    (entry,) = (await server.admin("GET", "/api/v1/admin/log?filter=warning&limit=1")).json["items"]
    assert entry | {"seq": 0} == {
        "seq": 0,
        "time": "2026-01-02T00:00:00Z",
        "level": "warning",
        "event": "happened",
        "logger": "test",
        "fields": {"a": {"b": [1, None]}},
    }


async def test_a_user_is_invalidated(server: Running) -> None:
    await server.subscribe("a%20b", "a")
    path = "/api/v1/admin/cache/invalidate"
    for was_held in (True, False):
        answer = await server.admin("POST", path, {"user": "a b"})
        assert (answer.status, answer.json) == (200, {"invalidated": was_held})


@pytest.mark.parametrize(
    ("body", "code", "fields"),
    [
        ({}, "bad_field", ["user"]),
        ({"user": None}, "bad_field", ["user"]),
        ({"user": 1}, "bad_field", ["user"]),
        ({"user": ""}, "bad_field", ["user"]),
        ({"user": "me"}, "bad_field", ["user"]),
        ({"user": "a/b"}, "bad_field", ["user"]),
        ({"user": "a\nb"}, "bad_field", ["user"]),
        ({"user": "x" * 129}, "bad_field", ["user"]),
        ({"user": "anna", "all": True}, "unknown_field", ["all"]),
        ({"users": ["anna"]}, "unknown_field", ["users", "user"]),
        ([], "bad_json", []),
    ],
)
async def test_what_cannot_be_invalidated_is_refused(
    server: Running, body: object, code: str, fields: list[str]
) -> None:
    await server.subscribe("anna", "a")
    answer = await server.admin("POST", "/api/v1/admin/cache/invalidate", body)
    assert_problem(answer, 400, code, *fields)
    assert (await server.admin("GET", "/api/v1/admin/cache")).json["items"]


@pytest.mark.parametrize("body", [None, {}])
async def test_the_cache_is_cleared_with_or_without_an_empty_body(server: Running, body: object) -> None:
    for user in ("anna", "bert"):
        await server.subscribe(user, user)
    for held in (2, 0):
        answer = await server.admin("POST", "/api/v1/admin/cache/clear", body)
        assert (answer.status, answer.json) == (200, {"cleared": held})
    assert (await server.admin("GET", "/api/v1/admin/cache")).json == {"items": [], "next": None}


async def test_nothing_is_cleared_for_whoever_means_something_else(server: Running) -> None:
    await server.subscribe("anna", "a")
    path = "/api/v1/admin/cache/clear"
    assert_problem(await server.admin("POST", path, {"user": "anna"}), 400, "unknown_field", "user")
    assert_problem(await server.admin("POST", path, []), 400, "bad_json")
    assert_problem(await server.admin("POST", f"{path}?user=anna"), 400, "unknown_field", "user")
    assert (await server.admin("GET", path)).status == 405
    assert (await server.admin("GET", "/api/v1/admin/cache")).json["items"]
