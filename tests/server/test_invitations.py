"""Invitations over HTTP: who makes them, what they let in, and every way in which one lets nobody in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pushdesk.model import Experiment, Scope
from tests.clocks import FrozenClock
from tests.server.running import ADMIN_TOKEN, Running, Surroundings, browser_keys, running
from tests.server.test_access import with_another_secret
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

INVITATIONS = "/api/v1/users/anna/invitations"
ENROLLMENTS = "/api/v1/enrollments"
SUBSCRIPTION = "/api/v1/users/anna/webpush/subscription"
TEST = "/api/v1/users/anna/webpush/test"


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[Running]:
    """A server for which this machine is not the local page."""
    async with running(tmp_path, local_identity=False) as server:
        yield server


async def invite(server: Running, user: str = "anna", body: object = None) -> dict[str, Any]:
    path = f"/api/v1/users/{quote(user, safe='')}/invitations"
    answer = await server.admin("POST", path, {} if body is None else body)
    assert answer.status == 201, answer.json
    invitation: dict[str, Any] = answer.json
    return invitation


async def enroll(server: Running, user: str = "anna") -> str:
    answer = await server.ask("POST", ENROLLMENTS, {"code": (await invite(server, user))["code"]})
    assert (answer.status, set(answer.json), answer.json["user"]) == (200, {"user", "token"}, user)
    token: str = answer.json["token"]
    return token


async def listed(server: Running) -> dict[str, str]:
    items = (await server.admin("GET", "/api/v1/admin/subscriptions")).json["items"]
    return {item["id"]: item["user"] for item in items}


async def test_an_invitation_has_a_code_a_link_and_an_end(server: Running) -> None:
    before = datetime.now(UTC)
    answer = await server.admin("POST", INVITATIONS, {})
    assert answer.status == 201
    assert set(answer.json) == {"code", "url", "expires_at"}
    assert answer.json["url"] == f"{server.url}/enroll#{answer.json['code']}"
    assert answer.headers["Cache-Control"] == "no-store"
    end = datetime.fromisoformat(answer.json["expires_at"])
    assert timedelta(0) <= end - before - timedelta(hours=24) < timedelta(seconds=30)


@pytest.mark.parametrize(("expires", "seconds"), [("60s", 60), (60, 60), ("7d", 604800), (2592000, 2592000)])
async def test_an_invitation_is_valid_for_as_long_as_is_said(tmp_path: Path, expires: object, seconds: int) -> None:
    clock = FrozenClock()
    async with running(tmp_path, surroundings=Surroundings(clock=clock)) as server:
        invitation = await invite(server, body={"expires": expires})
        end = datetime.fromtimestamp(clock.now + seconds, UTC)
        assert datetime.fromisoformat(invitation["expires_at"]) == end


@pytest.mark.parametrize(
    "expires", ["", "59s", "31d", "3600", "soon", "1h ", 59, 2592001, 3600.5, True, None, [], {}, "9" * 17, "-1h"]
)
async def test_an_invitation_for_another_time_is_refused(server: Running, expires: object) -> None:
    assert_problem(await server.admin("POST", INVITATIONS, {"expires": expires}), 400, "bad_field", "expires")
    assert await server.is_empty()


async def test_an_invitation_says_nothing_but_its_end(server: Running) -> None:
    answer = await server.admin("POST", INVITATIONS, {"expires": "24h", "user": "bert"})
    assert_problem(answer, 400, "unknown_field", "user")
    assert_problem(await server.admin("POST", "/api/v1/users/me/invitations", {}), 400, "bad_field", "user")
    assert await server.is_empty()


async def test_an_application_invites_its_user(server: Running) -> None:
    token = (await server.engine.create_token("app", [Scope.NOTIFY])).token
    assert (await server.ask("POST", INVITATIONS, {}, token=token)).status == 201
    token = (await server.engine.create_token("watcher", [Scope.READ])).token
    assert_problem(await server.ask("POST", INVITATIONS, {}, token=token), 403, "forbidden")
    assert_problem(await server.ask("POST", INVITATIONS, {}), 401, "unauthorized")


@pytest.mark.parametrize("user", ["anna", "a b", "ünï🐝", "a?b#c", "[x]"])
async def test_a_code_gives_the_user_and_a_token(remote: Running, user: str) -> None:
    assert (await enroll(remote, user)).startswith("pdd_")


async def test_a_code_may_be_typed_in_another_spelling(remote: Running) -> None:
    code = (await invite(remote))["code"]
    typed = f" {code.lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')} "
    assert (await remote.ask("POST", ENROLLMENTS, {"code": typed})).status == 200


async def test_a_code_that_was_used_says_so(remote: Running) -> None:
    code = (await invite(remote))["code"]
    assert (await remote.ask("POST", ENROLLMENTS, {"code": code})).status == 200
    problem = assert_problem(await remote.ask("POST", ENROLLMENTS, {"code": code}), 403, "forbidden")
    assert "used" in problem["detail"]
    assert "new one" in problem["hint"]


async def test_a_code_that_has_expired_says_so(tmp_path: Path) -> None:
    clock = FrozenClock()
    async with running(tmp_path, local_identity=False, surroundings=Surroundings(clock=clock)) as server:
        code = (await invite(server, body={"expires": "1h"}))["code"]
        clock.advance(3600)
        problem = assert_problem(await server.ask("POST", ENROLLMENTS, {"code": code}), 403, "forbidden")
        assert "expired" in problem["detail"]
        assert "new one" in problem["hint"]


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("0000-0000-0000-0000", "unknown"),
        ("ZZZZZZZZZZZZZZZZ", "unknown"),
        ("", "no invitation's code"),
        ("x", "no invitation's code"),
        ("UUUU-UUUU-UUUU-UUUU", "no invitation's code"),
        ("' OR 1=1 --", "no invitation's code"),
        ("\x00" * 16, "no invitation's code"),
        ("[/x][red]0000-0000", "no invitation's code"),
        ("0" * 100, "no invitation's code"),
        ("😀" * 16, "no invitation's code"),
    ],
)
async def test_a_code_that_was_guessed_or_is_garbage_is_refused(remote: Running, code: str, word: str) -> None:
    await invite(remote)
    problem = assert_problem(await remote.ask("POST", ENROLLMENTS, {"code": code}), 403, "forbidden")
    assert word in problem["detail"]


@pytest.mark.parametrize(
    ("body", "code", "fields"),
    [
        ({}, "bad_field", ("code",)),
        ({"code": None}, "bad_field", ("code",)),
        ({"code": 7}, "bad_field", ("code",)),
        ({"code": ["0000-0000-0000-0000"]}, "bad_field", ("code",)),
        ({"code": "0" * 101}, "bad_field", ("code",)),
        ({"code": "0000-0000-0000-0000", "user": "anna"}, "unknown_field", ("user",)),
        ([], "bad_json", ()),
    ],
)
async def test_what_is_no_question_is_refused(remote: Running, body: object, code: str, fields: tuple[str]) -> None:
    assert_problem(await remote.ask("POST", ENROLLMENTS, body), 400, code, *fields)


async def test_of_many_who_redeem_at_once_one_is_let_in(remote: Running) -> None:
    code = (await invite(remote))["code"]
    answers = await asyncio.gather(*(remote.ask("POST", ENROLLMENTS, {"code": code}) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [403] * 7


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_foreign_page_redeems_nothing(remote: Running, headers: dict[str, str]) -> None:
    code = (await invite(remote))["code"]
    assert_problem(await remote.ask("POST", ENROLLMENTS, {"code": code}, headers=headers), 403, "forbidden")
    assert (await remote.ask("POST", ENROLLMENTS, {"code": code})).status == 200


async def test_an_invited_browser_switches_notifications_on_and_off_and_on(remote: Running) -> None:
    token = await enroll(remote)
    body = remote.subscription("first")
    for method, path, ask in (("POST", TEST, {}), ("DELETE", SUBSCRIPTION, {"endpoint": body["endpoint"]})):
        assert_problem(await remote.ask(method, path, ask, token=token), 404, "subscription_not_found")
    made = await remote.ask("POST", SUBSCRIPTION, body, token=token)
    assert (made.status, made.json["token"], made.json["test"]) == (201, token, "accepted")
    again = await remote.ask("POST", SUBSCRIPTION, body, token=token)
    assert (again.status, "token" in again.json) == (200, False)
    assert (await remote.ask("POST", TEST, {"endpoint": body["endpoint"]}, token=token)).status == 200
    gone = await remote.ask("DELETE", SUBSCRIPTION, {"endpoint": body["endpoint"]}, token=token)
    assert gone.status == 204
    second = await remote.ask("POST", SUBSCRIPTION, remote.subscription("second"), token=token)
    assert (second.status, second.json["token"]) == (201, token)
    assert await listed(remote) == {second.json["subscription"]["id"]: "anna"}


async def test_an_invited_browsers_token_with_another_secret_is_not_valid(remote: Running) -> None:
    token = await enroll(remote)
    body = remote.subscription("a")
    wrong = with_another_secret(token)
    assert_problem(await remote.ask("POST", SUBSCRIPTION, body, token=wrong), 401, "unauthorized")
    assert (await remote.ask("POST", SUBSCRIPTION, body, token=token)).status == 201
    assert_problem(await remote.ask("POST", TEST, {}, token=wrong), 401, "unauthorized")
    assert (await remote.ask("POST", TEST, {}, token=token)).status == 200


async def test_an_invited_browser_that_an_operator_removes_is_out(remote: Running) -> None:
    token, other = await enroll(remote), await enroll(remote)
    for name, shown in (("a", token), ("b", other)):
        assert (await remote.ask("POST", SUBSCRIPTION, remote.subscription(name), token=shown)).status == 201
    (first, *_) = sorted(await listed(remote))
    removed = await remote.admin("POST", "/api/v1/admin/subscriptions/remove", {"ids": [first]})
    assert removed.json == {"removed": 1}
    assert_problem(await remote.ask("POST", TEST, {}, token=token), 401, "unauthorized")
    assert_problem(await remote.ask("POST", SUBSCRIPTION, remote.subscription("c"), token=token), 401, "unauthorized")
    assert (await remote.ask("POST", TEST, {}, token=other)).status == 200


async def test_an_answer_that_was_lost_costs_an_invited_browser_nothing(remote: Running) -> None:
    token = await enroll(remote)
    old, new = remote.subscription("old"), remote.subscription("new")
    await remote.ask("POST", SUBSCRIPTION, old, token=token)
    change = new | {"replaces": old["endpoint"]}
    first = await remote.ask("POST", SUBSCRIPTION, change, token=token)
    assert (first.status, first.json["token"], first.json["test"]) == (201, token, "skipped")
    again = await remote.ask("POST", SUBSCRIPTION, change, token=token)
    assert again.status == 200
    assert list(await listed(remote)) == [again.json["subscription"]["id"]] == [first.json["subscription"]["id"]]


async def test_an_invited_browser_tests_itself_alone(remote: Running) -> None:
    token, other = await enroll(remote), await enroll(remote)
    mine, theirs = remote.subscription("mine"), remote.subscription("theirs")
    await remote.ask("POST", SUBSCRIPTION, theirs, token=other)
    # It has none yet: all others are somebody else's.
    assert_problem(await remote.ask("POST", TEST, {}, token=token), 404, "subscription_not_found")
    await remote.ask("POST", SUBSCRIPTION, mine, token=token)
    remote.push_service.pushes.clear()
    tested = await remote.ask("POST", TEST, {}, token=token)
    assert [delivery["outcome"] for delivery in tested.json["deliveries"]] == ["accepted"]
    assert [push.path for push in remote.push_service.pushes] == ["/mine"]


async def test_an_invited_browser_touches_no_other_subscription(remote: Running) -> None:
    token, other = await enroll(remote), await enroll(remote)
    theirs, own = remote.subscription("theirs"), remote.subscription("own")
    made = await remote.ask("POST", SUBSCRIPTION, theirs, token=other)
    await remote.admin("POST", SUBSCRIPTION.replace("anna", "bert"), own)
    before = await listed(remote)
    for has_one in (False, True):
        if has_one:
            await remote.ask("POST", SUBSCRIPTION, remote.subscription("mine"), token=token)
            before = await listed(remote)
        pushes = len(remote.push_service.pushes)
        for method, path, body in (
            ("DELETE", SUBSCRIPTION, {"endpoint": theirs["endpoint"]}),
            ("POST", TEST, {"endpoint": theirs["endpoint"]}),
            ("POST", SUBSCRIPTION, remote.subscription("new") | {"replaces": theirs["endpoint"]}),
            ("POST", SUBSCRIPTION.replace("anna", "bert"), remote.subscription("new")),
            ("DELETE", SUBSCRIPTION.replace("anna", "bert"), {"endpoint": own["endpoint"]}),
            ("POST", TEST.replace("anna", "bert"), {}),
            ("POST", INVITATIONS, {}),
            ("POST", "/api/v1/users/anna/notifications", {"title": "Hello"}),
            ("DELETE", "/api/v1/users/anna", None),
            ("GET", "/api/v1/admin/stats", None),
        ):
            assert_problem(await remote.ask(method, path, body, token=token), 403, "forbidden")
        taken = theirs | {"keys": browser_keys()}
        assert_problem(await remote.ask("POST", SUBSCRIPTION, taken, token=token), 409, "endpoint_taken")
        assert await listed(remote) == before
        assert len(remote.push_service.pushes) == pushes
    assert made.json["subscription"]["id"] in before


async def test_a_subscription_that_was_made_locally_becomes_the_invited_browsers(server: Running) -> None:
    body = server.subscription("a")
    own = (await server.ask("POST", SUBSCRIPTION.replace("anna", "bert"), body)).json["token"]
    token = await enroll(server)
    moved = await server.ask("POST", SUBSCRIPTION, body, token=token)
    assert (moved.status, moved.json["subscription"]["user"]) == (200, "anna")
    assert_problem(await server.ask("POST", TEST.replace("anna", "bert"), {}, token=own), 401, "unauthorized")
    assert (await server.ask("POST", TEST, {}, token=token)).status == 200


async def test_nobody_names_a_user_without_a_token_who_has_an_invited_browser(server: Running) -> None:
    token = await enroll(server)
    body = server.subscription("a")
    # An invitation alone is no subscription.
    assert (await server.ask("POST", SUBSCRIPTION, server.subscription("local"))).status == 201
    await server.ask("POST", SUBSCRIPTION, body, token=token)
    pushes = len(server.push_service.pushes)
    before = await listed(server)
    for method, path, ask in (
        ("POST", SUBSCRIPTION, server.subscription("b")),
        ("POST", SUBSCRIPTION, body),
        ("DELETE", SUBSCRIPTION, {"endpoint": body["endpoint"]}),
        ("POST", TEST, {}),
    ):
        problem = assert_problem(await server.ask(method, path, ask), 401, "unauthorized")
        assert "invitation" in problem["detail"]
    assert (await listed(server), len(server.push_service.pushes)) == (before, pushes)
    assert (await server.ask("POST", SUBSCRIPTION.replace("anna", "bert"), server.subscription("c"))).status == 201
    assert (await server.ask("DELETE", SUBSCRIPTION, {"endpoint": body["endpoint"]}, token=token)).status == 204
    assert (await server.ask("POST", TEST, {})).status == 200


@pytest.mark.parametrize(
    ("options", "headers", "invited", "status"),
    [
        pytest.param({}, {}, False, 201, id="all of it holds"),
        pytest.param({"listening_on_loopback_only": False}, {}, False, 401, id="sockets"),
        pytest.param({}, {"X-Forwarded-For": "127.0.0.1"}, False, 401, id="proxy"),
        pytest.param({}, {"Host": "localhost"}, False, 401, id="host"),
        pytest.param({}, {"Origin": "http://localhost:1"}, False, 403, id="origin"),
        pytest.param({}, {"Content-Type": "text/plain"}, False, 401, id="content type"),
        pytest.param({"local_identity": False}, {}, False, 401, id="identity"),
        pytest.param({}, {}, True, 401, id="invitation"),
    ],
)
async def test_each_clause_of_the_local_page_keeps_others_out_alone(
    tmp_path: Path,
    options: dict[str, Any],
    headers: dict[str, str],
    invited: bool,  # noqa: FBT001 (a column of the table)
    status: int,
) -> None:
    # The peer's clause is tried where a peer can be made up: tests/server/test_local_page.py.
    async with running(tmp_path, **options) as server:
        if invited:
            await server.ask("POST", SUBSCRIPTION, server.subscription("invited"), token=await enroll(server))
        before = await listed(server)
        answer = await server.ask("POST", SUBSCRIPTION, server.subscription("a"), headers=headers)
        assert answer.status == status
        assert len(await listed(server)) == len(before) + (status == 201)


async def test_invitations_are_there_without_web_push(tmp_path: Path) -> None:
    async with running(tmp_path, experiments=frozenset[Experiment]()) as server:
        token = await enroll(server)
        assert (await server.ask("POST", SUBSCRIPTION, server.subscription("a"), token=token)).status == 404


async def test_a_removed_users_tokens_and_codes_end(remote: Running) -> None:
    token = await enroll(remote)
    await remote.ask("POST", SUBSCRIPTION, remote.subscription("a"), token=token)
    await remote.admin("POST", "/api/v1/users/anna/notifications?wait=10", {"title": "Hello"})
    code = (await invite(remote))["code"]
    answer = await remote.admin("DELETE", "/api/v1/users/anna")
    assert (answer.status, answer.content) == (204, b"")
    assert_problem(await remote.ask("POST", TEST, {}, token=token), 401, "unauthorized")
    problem = assert_problem(await remote.ask("POST", ENROLLMENTS, {"code": code}), 403, "forbidden")
    assert "unknown" in problem["detail"]
    assert await remote.is_empty()
    assert_problem(await remote.admin("DELETE", "/api/v1/users/anna"), 404, "not_found")


async def test_users_are_removed_by_operators(server: Running) -> None:
    await server.subscribe("anna", "a")
    for scope in (Scope.NOTIFY, Scope.READ):
        token = (await server.engine.create_token(scope, [scope])).token
        assert_problem(await server.ask("DELETE", "/api/v1/users/anna", token=token), 403, "forbidden")
    assert_problem(await server.ask("DELETE", "/api/v1/users/anna"), 401, "unauthorized")
    page = await server.ask("DELETE", "/api/v1/users/anna", token=ADMIN_TOKEN, headers={"Origin": server.url})
    assert_problem(page, 403, "forbidden")
    assert len(await listed(server)) == 1
