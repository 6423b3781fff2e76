"""Each scope against each route, as one table: a route that is added without a row fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pushdesk.model import Scope
from pushdesk.server.app import ROUTES
from pushdesk.server.auth import READ_ONLY
from tests.server.running import ADMIN_TOKEN, Running, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

N, R, A, DEVICE = Scope.NOTIFY, Scope.READ, Scope.ADMIN, "device"
NOBODY: Final = "nobody"
"""Who shows no token."""
EVERYBODY: Final = frozenset({NOBODY, DEVICE, N, R, A})
APPLICATIONS: Final = frozenset({N, A})
READERS: Final = frozenset({R, A})
OPERATORS: Final = frozenset({A})
NO_HEADERS: Final[Mapping[str, str]] = {}

TABLE: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("GET", "/healthz"): EVERYBODY,
    ("GET", "/readyz"): EVERYBODY,
    ("GET", "/metrics"): READERS,
    ("GET", "/api/openapi.json"): READERS,
    ("GET", "/api/v1/vapid"): EVERYBODY,
    ("POST", "/api/v1/users/{user}/webpush/subscription"): frozenset({DEVICE, A}),
    ("DELETE", "/api/v1/users/{user}/webpush/subscription"): frozenset({DEVICE, A}),
    ("POST", "/api/v1/users/{user}/webpush/test"): frozenset({DEVICE, A}),
    ("POST", "/api/v1/users/{user}/notifications"): APPLICATIONS,
    ("POST", "/api/v1/turns"): APPLICATIONS,
    ("GET", "/api/v1/dispatches/{id}"): APPLICATIONS | READERS,
    ("POST", "/api/v1/dispatches/{id}/cancel"): APPLICATIONS,
    ("POST", "/api/v1/broadcasts"): APPLICATIONS,
    ("POST", "/api/v1/broadcasts/{id}/pause"): APPLICATIONS,
    ("POST", "/api/v1/broadcasts/{id}/resume"): APPLICATIONS,
    ("POST", "/api/v1/broadcasts/{id}/abort"): APPLICATIONS,
    ("POST", "/api/v1/users/{user}/invitations"): APPLICATIONS,
    ("POST", "/api/v1/enrollments"): EVERYBODY,
    ("DELETE", "/api/v1/users/{user}"): OPERATORS,
    ("GET", "/api/v1/admin/stats"): READERS,
    ("GET", "/api/v1/admin/history"): READERS,
    ("GET", "/api/v1/admin/scopes"): READERS,
    ("GET", "/api/v1/admin/users"): READERS,
    ("GET", "/api/v1/admin/subscriptions"): READERS,
    ("GET", "/api/v1/admin/dispatches"): READERS,
    ("GET", "/api/v1/admin/broadcasts"): READERS,
    ("GET", "/api/v1/admin/deliveries"): READERS,
    ("GET", "/api/v1/admin/deliveries/{delivery}"): READERS,
    ("GET", "/api/v1/admin/verdict"): READERS,
    ("GET", "/api/v1/admin/keys"): READERS,
    ("GET", "/api/v1/admin/tokens"): READERS,
    ("GET", "/api/v1/admin/services"): READERS,
    ("GET", "/api/v1/admin/cache"): READERS,
    ("GET", "/api/v1/admin/log"): READERS,
    ("GET", "/api/v1/admin/events"): READERS,
    ("POST", "/api/v1/admin/keys/rotate"): OPERATORS,
    ("POST", "/api/v1/admin/keys/retire"): OPERATORS,
    ("POST", "/api/v1/admin/keys/rollback"): OPERATORS,
    ("POST", "/api/v1/admin/keys/revoke"): OPERATORS,
    ("POST", "/api/v1/admin/keys/import"): OPERATORS,
    ("POST", "/api/v1/admin/keys/export"): OPERATORS,
    ("POST", "/api/v1/admin/deliveries/resend"): OPERATORS,
    ("POST", "/api/v1/admin/subscriptions/remove"): OPERATORS,
    ("POST", "/api/v1/admin/tokens/create"): OPERATORS,
    ("POST", "/api/v1/admin/tokens/revoke"): OPERATORS,
    ("POST", "/api/v1/admin/services/pause"): OPERATORS,
    ("POST", "/api/v1/admin/services/resume"): OPERATORS,
    ("POST", "/api/v1/admin/services/reset"): OPERATORS,
    ("POST", "/api/v1/admin/brake/confirm"): OPERATORS,
    ("POST", "/api/v1/admin/brake/release"): OPERATORS,
    ("POST", "/api/v1/admin/subscriptions/restore"): OPERATORS,
    ("POST", "/api/v1/admin/cache/invalidate"): OPERATORS,
    ("POST", "/api/v1/admin/cache/clear"): OPERATORS,
    ("POST", "/api/v1/admin/database/backup"): OPERATORS,
    ("POST", "/api/v1/admin/database/vacuum"): OPERATORS,
    ("POST", "/api/v1/admin/test"): OPERATORS,
}


def test_every_route_has_a_row() -> None:
    assert {(route.method, route.path) for route in ROUTES} == set(TABLE)


class Doors(NamedTuple):
    """A server for which nobody is the local page, and what each caller shows to it."""

    server: Running
    tokens: Mapping[str, str | None]


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with running(tmp_path, local_identity=False) as server:
        body = server.subscription("a")
        made = await server.admin("POST", "/api/v1/users/anna/webpush/subscription", body)
        tokens = {scope: (await server.engine.create_token(scope, [scope])).token for scope in Scope}
        yield Doors(server, {NOBODY: None, DEVICE: made.json["token"]} | tokens)


@pytest.mark.parametrize(("route", "allowed"), TABLE.items(), ids=[" ".join(route) for route in TABLE])
async def test_who_may_use_a_route(doors: Doors, route: tuple[str, str], allowed: frozenset[str]) -> None:
    assert await let_in(doors, route) == allowed


@pytest.mark.parametrize(("route", "allowed"), TABLE.items(), ids=[" ".join(route) for route in TABLE])
async def test_who_asks_to_change_nothing_may_use_what_changes_nothing(
    doors: Doors, route: tuple[str, str], allowed: frozenset[str]
) -> None:
    assert await let_in(doors, route, {READ_ONLY: "1"}) == (allowed if route[0] == "GET" else frozenset())


async def let_in(doors: Doors, route: tuple[str, str], headers: Mapping[str, str] = NO_HEADERS) -> set[str]:
    """Return which callers a route lets in."""
    method, pattern = route
    path = pattern.replace("{user}", "anna").replace("{id}", "x").replace("{delivery}", "x")
    # From elsewhere, as far as the server can tell: what is open to this machine alone is not tried here.
    sent = {"X-Forwarded-For": "192.0.2.1", **headers}
    # What is let in is refused for its body, by a field that no route has; what a GET does is harmless.
    body = None if method == "GET" else {"no such field": 1}
    admitted = set()
    for caller, token in doors.tokens.items():
        answer = await doors.server.ask(method, path, body, token=token, headers=sent)
        assert answer.status < 500
        if answer.status == 401:
            assert_problem(answer, 401, "unauthorized")
            assert caller == NOBODY
        elif answer.status == 403:
            assert_problem(answer, 403, "forbidden")
            assert caller != NOBODY or headers
        else:
            admitted.add(caller)
    return admitted


@pytest.mark.parametrize("value", ["1", "0", "", "true"])
async def test_who_asks_to_change_nothing_is_refused_before_anything_is_done(doors: Doors, value: str) -> None:
    headers = {READ_ONLY: value}
    before = (await doors.server.admin("GET", "/api/v1/admin/subscriptions")).json
    for method, path in (("POST", "/api/v1/admin/cache/clear"), ("DELETE", "/api/v1/users/anna")):
        refused = assert_problem(await doors.server.admin(method, path, headers=headers), 403, "forbidden")
        assert READ_ONLY in refused["hint"]
    page = await doors.server.ask("POST", "/api/v1/enrollments", {"code": "x"}, headers=headers)
    assert_problem(page, 403, "forbidden")
    assert (await doors.server.admin("GET", "/api/v1/admin/subscriptions", headers=headers)).json == before


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [({R}, ["read"]), ({N, R}, ["notify", "read"]), ({A}, ["notify", "read", "admin"])],
)
async def test_a_token_is_told_what_it_allows(doors: Doors, scopes: set[Scope], allowed: list[str]) -> None:
    token = (await doors.server.engine.create_token("other", scopes)).token
    path = "/api/v1/admin/scopes"
    assert (await doors.server.ask("GET", path, token=token)).json == {"scopes": allowed}
    reading = await doors.server.ask("GET", path, token=token, headers={READ_ONLY: "1"})
    assert reading.json == {"scopes": ["read"]}


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_page_uses_no_access_token(doors: Doors, scope: Scope) -> None:
    headers = {"Origin": doors.server.url}
    for method, path in (("POST", "/api/v1/users/anna/notifications"), ("POST", "/api/v1/users/anna/webpush/test")):
        answer = await doors.server.ask(method, path, {}, token=doors.tokens[scope], headers=headers)
        assert_problem(answer, 403, "forbidden")


async def test_a_revoked_token_is_refused_at_once(doors: Doors) -> None:
    token = doors.tokens[R]
    assert (await doors.server.ask("GET", "/api/v1/admin/stats", token=token)).status == 200
    listed = (await doors.server.admin("GET", "/api/v1/admin/tokens?filter=read")).json["items"]
    revoked = await doors.server.admin("POST", "/api/v1/admin/tokens/revoke", {"id": listed[0]["id"]})
    assert revoked.json["access"]["id"] == listed[0]["id"]
    assert_problem(await doors.server.ask("GET", "/api/v1/admin/stats", token=token), 401, "unauthorized")


async def test_a_token_with_another_secret_is_refused(doors: Doors) -> None:
    token = doors.tokens[R] or ""
    last = "0" if token[-1] != "0" else "1"
    for wrong in (token[:-1] + last, token[:-1], token + "0", token.upper(), "pdk_" + "0" * 26 + "_" + "0" * 64):
        assert_problem(await doors.server.ask("GET", "/api/v1/admin/stats", token=wrong), 401, "unauthorized")


async def test_the_token_itself_is_shown_once(doors: Doors) -> None:
    made = await doors.server.admin("POST", "/api/v1/admin/tokens/create", {"name": "new", "scopes": ["read", "read"]})
    assert made.status == 201
    token = made.json["token"]
    assert (await doors.server.ask("GET", "/api/v1/admin/stats", token=token)).status == 200
    listed = await doors.server.admin("GET", "/api/v1/admin/tokens")
    (item,) = (one for one in listed.json["items"] if one["id"] == made.json["access"]["id"])
    assert made.json["access"] == item | {"last_used_at": None}
    assert item["last_used_at"] is not None
    assert token.rpartition("_")[2].encode() not in listed.content


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ("name", "scopes")),
        ({"name": "", "scopes": ["read"]}, ("name",)),
        ({"name": "a\n", "scopes": ["all"]}, ("scopes[0]",)),
        ({"name": "a" * 101, "scopes": ["read"]}, ("name",)),
        ({"name": "a", "scopes": []}, ("scopes",)),
        ({"name": "a", "scopes": "read"}, ("scopes",)),
        ({"name": "a\tb", "scopes": ["read"]}, ("name",)),
    ],
)
async def test_a_token_that_cannot_be_made_is_refused(doors: Doors, body: object, fields: tuple[str, ...]) -> None:
    before = (await doors.server.admin("GET", "/api/v1/admin/tokens")).json
    assert_problem(await doors.server.admin("POST", "/api/v1/admin/tokens/create", body), 400, "bad_field", *fields)
    assert (await doors.server.admin("GET", "/api/v1/admin/tokens")).json == before


async def test_two_applications_may_use_the_same_idempotency_key(doors: Doors) -> None:
    other = (await doors.server.engine.create_token("other", [N])).token
    path, headers = "/api/v1/users/anna/notifications", {"Idempotency-Key": "1"}
    dispatches = set()
    for token, title, status in (
        (doors.tokens[N], "one", 202),
        (other, "two", 202),
        (ADMIN_TOKEN, "three", 202),
        (other, "two", 200),
    ):
        answer = await doors.server.ask("POST", path, {"title": title}, token=token, headers=headers)
        assert answer.status == status
        dispatches.add(answer.json["dispatch"]["id"])
    assert len(dispatches) == 3
    conflict = await doors.server.ask("POST", path, {"title": "two"}, token=doors.tokens[N], headers=headers)
    assert_problem(conflict, 409, "idempotency_conflict")
