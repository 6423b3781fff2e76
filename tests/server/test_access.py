"""Who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.model import Scope
from pushdesk.server.app import ROUTES
from pushdesk.server.auth import Access
from tests.server.running import ADMIN_TOKEN, Running, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

SUBSCRIPTION = "/api/v1/users/anna/webpush/subscription"
TEST = "/api/v1/users/anna/webpush/test"
ADMIN_ROUTES = [
    (route.method, route.path.replace("{user}", "anna").replace("{id}", "x").replace("{delivery}", "x"))
    for route in ROUTES
    if route.access in {Access.NOTIFY, Access.FOLLOW, Access.READ, Access.ADMIN}
]


def test_every_admin_path_is_for_the_admin() -> None:
    admin = [route for route in ROUTES if route.path.startswith("/api/v1/admin/")]
    assert {route.access for route in admin if route.method == "GET"} == {Access.READ}
    assert {route.access for route in admin if route.method != "GET"} == {Access.ADMIN}
    assert len(ADMIN_ROUTES) > 10


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
async def test_an_admin_route_takes_the_admin_token_only(server: Running, method: str, path: str) -> None:
    answer = await server.ask(method, path, {})
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    for token in ("x" * 40, ADMIN_TOKEN + "x", ADMIN_TOKEN[:-1], "pdd_a_b"):
        assert_problem(await server.ask(method, path, {}, token=token), 401, "unauthorized")
    device = (await server.subscribe("anna", "a")).json["token"]
    assert_problem(await server.ask(method, path, {}, token=device), 403, "forbidden")


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
async def test_an_admin_request_from_a_page_is_refused_whatever_its_token(
    server: Running, method: str, path: str
) -> None:
    for origin in (server.url, "https://evil.example", "null"):
        for token in (ADMIN_TOKEN, "x" * 40, None):
            answer = await server.ask(method, path, {}, token=token, headers={"Origin": origin})
            assert_problem(answer, 403, "forbidden")


@pytest.mark.parametrize(
    "authorization",
    [f"Basic {ADMIN_TOKEN}", ADMIN_TOKEN, "Bearer", "Bearer ", f"Token {ADMIN_TOKEN}"],
)
async def test_a_token_is_a_bearer_token(server: Running, authorization: str) -> None:
    answer = await server.ask("GET", "/api/v1/admin/stats", headers={"Authorization": authorization})
    assert_problem(answer, 401, "unauthorized")


async def test_a_token_in_url_or_cookie_is_no_token(server: Running) -> None:
    answer = await server.ask("GET", f"/api/v1/admin/stats?token={ADMIN_TOKEN}", headers={"Cookie": ADMIN_TOKEN})
    assert_problem(answer, 401, "unauthorized")


async def test_the_scheme_of_a_token_has_no_case(server: Running) -> None:
    answer = await server.ask("GET", "/api/v1/admin/stats", headers={"Authorization": f"bearer {ADMIN_TOKEN}"})
    assert answer.status == 200


async def test_a_session_token_is_an_admin_token(tmp_path: Path) -> None:
    async with running(tmp_path, session_token="s" * 43) as server:
        assert (await server.ask("GET", "/api/v1/admin/stats", token="s" * 43)).status == 200
        assert (await server.admin("GET", "/api/v1/admin/stats")).status == 200


async def test_a_session_token_may_be_one_that_reads(tmp_path: Path) -> None:
    async with running(tmp_path, session_token="s" * 43, session_scope=Scope.READ) as server:
        assert (await server.ask("GET", "/api/v1/admin/scopes", token="s" * 43)).json == {"scopes": ["read"]}
        refused = await server.ask("POST", "/api/v1/admin/cache/clear", token="s" * 43)
        assert_problem(refused, 403, "forbidden")
        assert (await server.admin("POST", "/api/v1/admin/cache/clear")).status == 200


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"local_identity": False}, {}),
        ({"listening_on_loopback_only": False}, {}),
        ({"access_url": "https://push.example"}, {}),
        ({}, {"Host": "evil.example"}),
        ({}, {"X-Forwarded-For": "1.2.3.4"}),
        ({}, {"Forwarded": "for=1.2.3.4"}),
        ({}, {"Via": "1.1 proxy"}),
        ({}, {"X-Real-IP": "1.2.3.4"}),
        ({}, {"Content-Type": "text/plain"}),
    ],
)
async def test_who_is_not_the_local_page_needs_a_token(
    tmp_path: Path, options: dict[str, Any], headers: dict[str, str]
) -> None:
    async with running(tmp_path, **options) as server:
        body = server.subscription("a")
        for method, path in (("POST", SUBSCRIPTION), ("DELETE", SUBSCRIPTION), ("POST", TEST)):
            assert_problem(await server.ask(method, path, body, headers=headers), 401, "unauthorized")
        assert await server.is_empty()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_foreign_page_may_not_use_a_browser_route(server: Running, headers: dict[str, str]) -> None:
    device = (await server.subscribe("anna", "a")).json["token"]
    assert_problem(await server.ask("GET", "/api/v1/vapid", headers=headers), 403, "forbidden")
    for token in (None, device, ADMIN_TOKEN):
        answer = await server.ask("POST", SUBSCRIPTION, server.subscription("b"), token=token, headers=headers)
        assert_problem(answer, 403, "forbidden")


async def test_the_own_page_may(server: Running) -> None:
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert (await server.ask("GET", "/api/v1/vapid", headers=headers)).status == 200
    answer = await server.ask("POST", SUBSCRIPTION, server.subscription("b"), headers=headers)
    assert answer.status == 201


async def test_a_page_with_the_admin_token_is_refused_on_every_route(server: Running) -> None:
    answer = await server.admin("POST", SUBSCRIPTION, server.subscription("b"), headers={"Origin": server.url})
    assert_problem(answer, 403, "forbidden")


async def test_the_admin_token_may_name_any_user_from_anywhere(tmp_path: Path) -> None:
    async with running(tmp_path, local_identity=False) as server:
        body = server.subscription("a")
        assert (await server.admin("POST", SUBSCRIPTION, body)).status == 201
        assert (await server.admin("POST", TEST, {"endpoint": body["endpoint"]})).status == 200
        assert (await server.admin("DELETE", SUBSCRIPTION, {"endpoint": body["endpoint"]})).status == 204


@pytest.fixture
async def remote(tmp_path: Path) -> Any:
    """A server for which this machine is not the local page."""
    async with running(tmp_path, local_identity=False) as server:
        yield server


async def test_a_device_token_renews_changes_tests_and_removes_its_own_subscription(remote: Running) -> None:
    first = remote.subscription("first")
    token = (await remote.admin("POST", SUBSCRIPTION, first)).json["token"]
    renewed = await remote.ask("POST", SUBSCRIPTION, first, token=token)
    assert renewed.status == 200
    assert "token" not in renewed.json
    tested = await remote.ask("POST", TEST, {"endpoint": first["endpoint"]}, token=token)
    assert [delivery["outcome"] for delivery in tested.json["deliveries"]] == ["accepted"]

    second = remote.subscription("second")
    changed = await remote.ask("POST", SUBSCRIPTION, second | {"replaces": first["endpoint"]}, token=token)
    assert changed.status == 201
    assert changed.json["test"] == "skipped"
    listed = (await remote.admin("GET", "/api/v1/admin/subscriptions")).json["items"]
    assert [item["id"] for item in listed] == [changed.json["subscription"]["id"]]
    assert_problem(await remote.ask("POST", TEST, {}, token=token), 401, "unauthorized")

    token = changed.json["token"]
    assert (await remote.ask("DELETE", SUBSCRIPTION, {"endpoint": second["endpoint"]}, token=token)).status == 204
    assert_problem(await remote.ask("POST", TEST, {}, token=token), 401, "unauthorized")


async def test_a_device_token_tests_its_own_device_alone(remote: Running) -> None:
    answers = [await remote.admin("POST", SUBSCRIPTION, remote.subscription(name)) for name in ("a", "b")]
    tested = await remote.ask("POST", TEST, {}, token=answers[1].json["token"])
    assert [d["subscription"] for d in tested.json["deliveries"]] == [answers[1].json["subscription"]["id"]]


async def test_a_device_token_does_nothing_to_any_other_subscription(remote: Running) -> None:
    own, sibling, foreign = (remote.subscription(name) for name in ("own", "sibling", "foreign"))
    token = (await remote.admin("POST", SUBSCRIPTION, own)).json["token"]
    await remote.admin("POST", SUBSCRIPTION, sibling)
    await remote.admin("POST", SUBSCRIPTION.replace("anna", "bert"), foreign)
    before = (await remote.admin("GET", "/api/v1/admin/subscriptions")).json["items"]
    fresh = remote.subscription("fresh")
    pushes = len(remote.push_service.pushes)
    for method, path, body in (
        ("POST", SUBSCRIPTION, fresh),
        ("POST", SUBSCRIPTION, sibling),
        ("POST", SUBSCRIPTION, foreign),
        ("POST", SUBSCRIPTION, fresh | {"replaces": sibling["endpoint"]}),
        ("POST", SUBSCRIPTION, own | {"replaces": sibling["endpoint"]}),
        ("POST", SUBSCRIPTION, fresh | {"replaces": foreign["endpoint"]}),
        ("POST", SUBSCRIPTION, fresh | {"replaces": fresh["endpoint"]}),
        ("DELETE", SUBSCRIPTION, {"endpoint": sibling["endpoint"]}),
        ("DELETE", SUBSCRIPTION, {"endpoint": foreign["endpoint"]}),
        ("DELETE", SUBSCRIPTION, {"endpoint": fresh["endpoint"]}),
        ("POST", TEST, {"endpoint": sibling["endpoint"]}),
        ("POST", SUBSCRIPTION.replace("anna", "bert"), own),
        ("DELETE", SUBSCRIPTION.replace("anna", "bert"), {"endpoint": foreign["endpoint"]}),
        ("POST", TEST.replace("anna", "bert"), {}),
    ):
        assert_problem(await remote.ask(method, path, body, token=token), 403, "forbidden")
    assert (await remote.admin("GET", "/api/v1/admin/subscriptions")).json["items"] == before
    assert len(remote.push_service.pushes) == pushes


def with_another_secret(token: str) -> str:
    """Return a well-formed token of the same id, whose secret differs in its last digit."""
    return token[:-1] + ("1" if token[-1] == "0" else "0")


async def test_a_device_token_with_another_secret_is_not_valid(remote: Running) -> None:
    token = (await remote.admin("POST", SUBSCRIPTION, remote.subscription("a"))).json["token"]
    for wrong in (
        with_another_secret(token),
        token[:-1],
        token + "0",
        token.replace("pdd_", "pdd__"),
        "pdd_",
        "pdd_x_y_z",
    ):
        assert_problem(await remote.ask("POST", TEST, {}, token=wrong), 401, "unauthorized")
    assert (await remote.ask("POST", TEST, {}, token=token)).status == 200


async def test_a_token_that_is_missing_and_one_that_is_wrong_are_told_apart(server: Running) -> None:
    path = "/api/v1/admin/stats"
    missing = assert_problem(await server.ask("GET", path), 401, "unauthorized")
    wrong = assert_problem(await server.ask("GET", path, token=ADMIN_TOKEN[:-1]), 401, "unauthorized")
    assert missing["title"] == wrong["title"] == "A valid token is needed"
    assert (missing["detail"], wrong["detail"]) == ("A token with the scope read is needed.", "The token is not valid.")
    assert "copied whole" in wrong["hint"]
    assert "revoked" in wrong["hint"]


@pytest.mark.parametrize("path", ["/metrics", "/api/openapi.json"])
async def test_what_programs_on_this_machine_may_read_others_need_the_token_for(server: Running, path: str) -> None:
    assert (await server.ask("GET", path)).status == 200
    for headers in ({"Host": "push.example"}, {"X-Forwarded-For": "1.2.3.4"}):
        assert_problem(await server.ask("GET", path, headers=headers), 401, "unauthorized")
        assert (await server.admin("GET", path, headers=headers)).status == 200


async def test_health_and_readiness_are_open(server: Running) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await server.ask("GET", path, headers={"Host": "push.example", "Via": "x"})
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/api/v1/postcards", "/api/v1/users", "/api"])
async def test_what_is_not_there_is_not_found(server: Running, path: str) -> None:
    missing = assert_problem(await server.admin("POST", path, {}), 404, "not_found")
    # By these words a newer console tells that this server is too old for what it asks.
    assert missing["detail"] == "There is nothing at this address."
