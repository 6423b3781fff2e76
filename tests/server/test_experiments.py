"""The routes of an experiment that is off are not there, for nobody and by no method; everything else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate

from pushdesk.config import ON_BY_DEFAULT
from pushdesk.model import Experiment
from pushdesk.server.app import ROUTES
from tests.server.running import ADMIN_TOKEN, Answer, Running, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GATED = {
    Experiment.WEB_PUSH: {
        "/api/v1/vapid",
        "/api/v1/users/{user}/webpush/subscription",
        "/api/v1/users/{user}/webpush/test",
    },
    Experiment.TURN_SUMMARIES: set(),
}
"""What belongs to each experiment: the words of the pinned interface."""
PATHS = sorted(path.replace("{user}", "anna") for path in GATED[Experiment.WEB_PUSH])
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@pytest.fixture
async def without_push(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, experiments=frozenset()) as server:
        yield server


def told(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """Return all that an answer tells, but for when it was given and which one it is."""
    own = {"date", "x-request-id"}
    return (
        answer.status,
        answer.content,
        {name: value for name, value in answer.headers.items() if name.lower() not in own},
    )


def test_each_experiment_has_the_paths_that_are_pinned_to_it() -> None:
    marked: dict[Experiment, set[str]] = {experiment: set() for experiment in Experiment}
    for route in ROUTES:
        if route.experiment is not None:
            marked[route.experiment].add(route.path)
    assert marked == GATED


def test_no_path_is_half_behind_an_experiment() -> None:
    for path in {route.path for route in ROUTES}:
        assert len({route.experiment for route in ROUTES if route.path == path}) == 1, path


@pytest.mark.parametrize("token", [None, ADMIN_TOKEN, "pdd_not_a_device", "not a token"])
@pytest.mark.parametrize("path", PATHS)
async def test_what_is_off_answers_as_a_path_that_never_was(
    without_push: Running, path: str, token: str | None
) -> None:
    for method in METHODS:
        answer = await without_push.ask(method, path, token=token)
        never = await without_push.ask(method, "/api/v1/never", token=token)
        assert told(answer) == told(never), method
        if method != "HEAD":
            assert_problem(answer, 404, "not_found")
        assert "Allow" not in answer.headers


@pytest.mark.parametrize(
    "request_",
    [
        {"raw": b"{"},
        {"raw": b"x" * 100_000},
        {"raw": b"\x1f\x8b", "headers": {"Content-Encoding": "gzip"}},
        {"body": {"colour": 1}},
        {"headers": {"Origin": "https://evil.example"}},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
    ],
    ids=["no JSON", "too large", "compressed", "unknown field", "foreign origin", "foreign site"],
)
async def test_what_is_off_looks_at_nothing_of_the_request(without_push: Running, request_: dict[str, Any]) -> None:
    for path in PATHS:
        assert_problem(await without_push.ask("POST", path, **request_), 404, "not_found")
        assert_problem(await without_push.ask("POST", f"{path}?unknown=1", **request_), 404, "not_found")


@pytest.mark.parametrize("user", ["me", "%C3%A4", "a%2Fb", "x" * 200, "%00"])
async def test_what_is_off_looks_at_no_user(without_push: Running, user: str) -> None:
    for action in ("subscription", "test"):
        answer = await without_push.ask("POST", f"/api/v1/users/{user}/webpush/{action}", {})
        assert_problem(answer, 404, "not_found")


async def test_a_path_that_is_off_is_so_however_it_is_spelled(without_push: Running) -> None:
    assert_problem(await without_push.ask("GET", "/api/v1/%76apid"), 404, "not_found")
    assert_problem(await without_push.ask("GET", "/api/v1/x/../vapid"), 404, "not_found")


async def test_a_device_subscribed_before_push_was_switched_off_is_kept_and_works_after(tmp_path: Path) -> None:
    path = "/api/v1/users/anna/webpush/test"
    async with running(tmp_path) as server:
        token = (await server.subscribe("anna", "a")).json["token"]
    async with running(tmp_path, experiments=frozenset()) as server:
        assert_problem(await server.ask("POST", path, {}, token=token), 404, "not_found")
        listed = (await server.admin("GET", "/api/v1/admin/subscriptions")).json["items"]
        assert [item["user"] for item in listed] == ["anna"]
    async with running(tmp_path) as server:
        assert (await server.ask("POST", path, {}, token=token)).status == 200


async def test_without_push_a_notification_is_refused_with_the_reason_and_leaves_nothing(without_push: Running) -> None:
    answer = await without_push.admin("POST", "/api/v1/users/anna/notifications", {"title": "Hello"})
    problem = assert_problem(answer, 503, "push_disabled")
    assert "switched off" in problem["detail"]
    assert "web-push" in problem["hint"]
    assert await without_push.is_empty()


async def test_without_push_the_operator_is_told_and_the_server_is_ready(without_push: Running) -> None:
    stats = (await without_push.admin("GET", "/api/v1/admin/stats")).json
    assert "Web Push is switched off" in stats["warnings"][0]
    assert stats["sends"] is False
    assert (await without_push.ask("GET", "/readyz")).status == 200


async def test_nothing_else_is_off(tmp_path: Path) -> None:
    """Every other route answers the same with all experiments on and with all of them off."""
    asked = [
        (method, route.path.replace("{user}", "anna").replace("{id}", "none"))
        for route in ROUTES
        if route.experiment is None
        for method in (route.method, "PROPFIND")
    ]
    assert len(asked) > 20
    codes = []
    for experiments in (frozenset(Experiment), frozenset[Experiment]()):
        async with running(tmp_path, experiments=experiments) as server:
            codes.append({each: (await server.ask(*each)).status for each in asked})
            for page in ("/", "/sw.js", "/pushdesk.js"):
                assert (await server.ask("GET", page)).status == 200
    assert codes[0] == codes[1]
    assert codes[1]["PROPFIND", "/api/v1/users/anna/notifications"] == 405
    assert codes[1]["GET", "/api/v1/admin/stats"] == 401


async def test_all_is_there_while_somebody_develops(tmp_path: Path) -> None:
    async with running(tmp_path, experiments=frozenset(), dev=True) as server:
        assert (await server.ask("GET", "/api/v1/vapid")).status == 200
        assert (await server.ask("PROPFIND", "/api/v1/vapid")).status == 405
        subscribed = await server.subscribe("anna", "a")
        assert subscribed.status == 201
        token = subscribed.json["token"]
        assert (await server.ask("POST", "/api/v1/users/anna/webpush/test", {}, token=token)).status == 200
        assert (await server.admin("POST", "/api/v1/users/anna/notifications", {"title": "Hello"})).status == 202
        assert set(await described(server)) == {route.path for route in ROUTES}


@pytest.mark.parametrize(
    "experiments", [ON_BY_DEFAULT, frozenset[Experiment](), frozenset({Experiment.TURN_SUMMARIES})]
)
async def test_what_is_off_is_not_described(tmp_path: Path, experiments: frozenset[Experiment]) -> None:
    off = set[str]().union(*(GATED[experiment] for experiment in Experiment if experiment not in experiments))
    async with running(tmp_path, experiments=experiments) as server:
        document = (await server.ask("GET", "/api/openapi.json")).json
    validate(document)
    assert set(document["paths"]) == {route.path for route in ROUTES} - off
    assert ("SubscriptionRequest" in document["components"]["schemas"]) == (Experiment.WEB_PUSH in experiments)


async def described(server: Running) -> dict[str, Any]:
    """Return the paths of the description."""
    paths: dict[str, Any] = (await server.ask("GET", "/api/openapi.json")).json["paths"]
    return paths
