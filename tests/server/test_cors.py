"""Pages of other sites: those that are listed may subscribe browsers here, and nobody else learns anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.server.app import ROUTES
from pushdesk.server.auth import Access
from tests.server.running import ADMIN_TOKEN, Running, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

SITE = "https://shop.example"
SUBSCRIPTION = "/api/v1/users/anna/webpush/subscription"
FROM_SITE = {"Origin": SITE, "Sec-Fetch-Site": "cross-site"}


def a_path(path: str) -> str:
    """Return a path of the table of routes with something in its variable parts."""
    return re.sub(r"\{\w+\}", "x", path.replace("{user}", "anna"))


BROWSER_PATHS = sorted({a_path(route.path) for route in ROUTES if route.access in {Access.PAGE, Access.DEVICE}})
OTHER_PATHS = sorted({a_path(route.path) for route in ROUTES if route.access not in {Access.PAGE, Access.DEVICE}})
ALMOST = [
    "https://shop.example:8443",
    "http://shop.example",
    "https://shop.example.evil.example",
    "https://sub.shop.example",
    "https://SHOP.example",
    "https://shop.example/",
    "null",
    "",
    "*",
]


@pytest.fixture
async def shared(tmp_path: Path) -> Any:
    """A server that lists a site."""
    async with running(tmp_path, allowed_origins=frozenset({SITE, "http://localhost:8000"})) as server:
        yield server


def preflight(method: str) -> dict[str, str]:
    return {
        **FROM_SITE,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }


def cors_headers(headers: Any) -> list[str]:
    return [name for name in headers if name.lower().startswith("access-control-")]


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


@pytest.mark.parametrize("path", BROWSER_PATHS)
async def test_a_browser_that_asks_for_a_listed_site_is_told_what_it_may_send(shared: Running, path: str) -> None:
    (first, *_) = methods = [route.method for route in ROUTES if route.path.replace("{user}", "anna") == path]
    answer = await shared.ask("OPTIONS", path, headers=preflight(first))
    assert (answer.status, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert words(answer.headers["Access-Control-Allow-Methods"]) == {method.lower() for method in methods}
    assert words(answer.headers["Access-Control-Allow-Headers"]) == {"authorization", "content-type"}
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Private-Network" not in answer.headers


async def test_a_listed_site_may_reach_into_a_private_network(shared: Running) -> None:
    asked = preflight("POST") | {"Access-Control-Request-Private-Network": "true"}
    answer = await shared.ask("OPTIONS", SUBSCRIPTION, headers=asked)
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"


async def test_a_page_of_a_listed_site_does_all_that_a_device_may(shared: Running) -> None:
    subscription = shared.subscription("a")
    token = (await shared.admin("POST", SUBSCRIPTION, subscription)).json["token"]
    for method, path, body, status in (
        ("GET", "/api/v1/vapid", None, 200),
        ("POST", SUBSCRIPTION, subscription, 200),
        ("POST", "/api/v1/users/anna/webpush/test", {}, 200),
        ("DELETE", SUBSCRIPTION, {"endpoint": subscription["endpoint"]}, 204),
    ):
        answer = await shared.ask(method, path, body, token=token, headers=FROM_SITE)
        assert answer.status == status, answer.content
        assert answer.headers["Access-Control-Allow-Origin"] == SITE
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_a_listed_site_is_never_the_local_page(shared: Running, site: str) -> None:
    headers = {"Origin": SITE, "Sec-Fetch-Site": site}
    answer = await shared.ask("POST", SUBSCRIPTION, shared.subscription("a"), headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert await shared.is_empty()


@pytest.mark.parametrize("token", [ADMIN_TOKEN, "pdd_a_b", "x" * 40])
async def test_a_listed_site_may_read_why_it_was_refused(shared: Running, token: str) -> None:
    answer = await shared.ask("POST", SUBSCRIPTION, shared.subscription("a"), token=token, headers=FROM_SITE)
    assert answer.status in {401, 403}
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    answer = await shared.ask("POST", SUBSCRIPTION, raw=b"{", token=token, headers=FROM_SITE)
    assert answer.status in {401, 403}
    assert answer.headers["Access-Control-Allow-Origin"] == SITE


@pytest.mark.parametrize("origin", [*ALMOST, "https://evil.example"])
async def test_who_is_not_listed_is_refused_and_named_nowhere(shared: Running, origin: str) -> None:
    for method, path in (("OPTIONS", SUBSCRIPTION), ("POST", SUBSCRIPTION), ("GET", "/api/v1/vapid")):
        body = None if method == "GET" else shared.subscription("a")
        answer = await shared.ask(method, path, body, headers=preflight("POST") | {"Origin": origin})
        assert_problem(answer, 403, "forbidden")
        assert cors_headers(answer.headers) == []


async def test_several_origins_are_none(shared: Running) -> None:
    said = await shared.say(
        f"GET /api/v1/vapid HTTP/1.1\r\nHost: {shared.authority}\r\nConnection: close\r\n"
        f"Origin: {SITE}\r\nOrigin: {SITE}\r\n\r\n".encode()
    )
    assert said.startswith(b"HTTP/1.1 403 ")
    assert b"access-control" not in said.lower()


@pytest.mark.parametrize("path", OTHER_PATHS)
async def test_what_is_not_for_browsers_is_for_no_site(shared: Running, path: str) -> None:
    answer = await shared.ask("OPTIONS", path, headers=preflight("GET"))
    assert_problem(answer, 405, "method_not_allowed")
    assert cors_headers(answer.headers) == []
    method = next(r.method for r in ROUTES if a_path(r.path) == path)
    answer = await shared.ask(method, path, token=ADMIN_TOKEN, headers=FROM_SITE)
    assert cors_headers(answer.headers) == []


@pytest.mark.parametrize("origins", [frozenset[str](), frozenset({SITE})])
async def test_the_client_library_can_be_loaded_by_any_site_and_the_page_by_none(
    tmp_path: Path, origins: frozenset[str]
) -> None:
    async with running(tmp_path, allowed_origins=origins) as server:
        for origin in (SITE, "https://evil.example", "null"):
            for headers in ({"Origin": origin}, {"Origin": origin, "If-None-Match": "*"}):
                answer = await server.ask("GET", "/pushdesk.js", headers=headers)
                assert answer.status in {200, 304}
                assert answer.headers["Access-Control-Allow-Origin"] == "*"
            for path in ("/", "/app.js", "/sw.js"):
                assert cors_headers((await server.ask("GET", path, headers={"Origin": origin})).headers) == []


async def test_no_cache_gives_one_site_the_answer_to_another(shared: Running) -> None:
    for headers in ({}, FROM_SITE, {"Origin": "https://evil.example"}):
        assert (await shared.ask("GET", "/api/v1/vapid", headers=headers)).headers["Vary"] == "Origin"
        assert "Vary" not in (await shared.ask("GET", "/pushdesk.js", headers=headers)).headers


async def test_without_a_list_nothing_is_said_to_any_site(server: Running) -> None:
    answer = await server.ask("OPTIONS", SUBSCRIPTION, headers=preflight("POST"))
    assert_problem(answer, 405, "method_not_allowed")
    answer = await server.ask("GET", "/api/v1/vapid", headers=FROM_SITE)
    assert cors_headers(answer.headers) == []
    assert "Vary" not in answer.headers


async def test_the_own_page_goes_on_as_before_where_sites_are_listed(shared: Running) -> None:
    headers = {"Origin": shared.url, "Sec-Fetch-Site": "same-origin"}
    answer = await shared.ask("POST", SUBSCRIPTION, shared.subscription("a"), headers=headers)
    assert answer.status == 201
    assert cors_headers(answer.headers) == []


async def test_of_a_server_without_push_a_listed_site_learns_that_much(tmp_path: Path) -> None:
    async with running(tmp_path, experiments=frozenset(), allowed_origins=frozenset({SITE})) as server:
        assert_problem(await server.ask("OPTIONS", SUBSCRIPTION, headers=preflight("POST")), 404, "not_found")
        answer = await server.ask("GET", "/api/v1/vapid", headers=FROM_SITE)
        assert_problem(answer, 404, "not_found")
        assert answer.headers["Access-Control-Allow-Origin"] == SITE
