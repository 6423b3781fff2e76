"""Health, metrics, and the description of the API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from pushdesk.errors import ERROR_KINDS
from pushdesk.model import CacheChange
from pushdesk.server.app import ROUTES

if TYPE_CHECKING:
    from aiohttp import web

    from tests.server.running import Running

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
async def description(server: Running) -> Any:
    return (await server.ask("GET", "/api/openapi.json")).json


async def test_health_says_that_the_process_answers(server: Running) -> None:
    answer = await server.ask("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_readiness_says_that_all_is_in_order(server: Running) -> None:
    answer = await server.ask("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ready", "problems": {}})


async def test_metrics_count_what_was_sent_and_answered(server: Running) -> None:
    await server.subscribe("anna", "a")
    await server.admin("POST", "/api/v1/users/anna/notifications?wait=5", {"title": "Hello"})
    await server.ask("GET", "/api/v1/users/anna/nothing")
    families = {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families((await server.ask("GET", "/metrics")).content.decode())
        for sample in family.samples
    }
    assert families["pushdesk_subscriptions[]"] == 1
    assert families["pushdesk_deliveries_total[('outcome', 'accepted')]"] == 2
    assert families["pushdesk_service_requests_total[('service', 'other')]"] == 2
    route = "/api/v1/users/{user}/notifications"
    assert families[f"pushdesk_http_requests_total[('method', 'POST'), ('route', '{route}'), ('status', '200')]"] == 1
    assert families["pushdesk_http_requests_total[('method', 'GET'), ('route', 'none'), ('status', '404')]"] == 1


async def test_metrics_count_what_happens_in_the_cache(server: Running) -> None:
    await server.subscribe("anna", "a")
    for user in ("anna", "anna", "nobody"):
        await server.admin("POST", f"/api/v1/users/{user}/notifications?wait=5", {"title": "Hello"})
    stats = (await server.engine.stats()).cache
    values = {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families((await server.ask("GET", "/metrics")).content.decode())
        for sample in family.samples
    }
    assert (values["pushdesk_cache_entries"], values["pushdesk_cache_negative_entries"]) == (1, 1)
    assert 0 < values["pushdesk_cache_size_bytes"] == stats.size
    assert values["pushdesk_cache_max_size_bytes"] == stats.max_size
    assert values["pushdesk_cache_ttl_seconds"] == stats.ttl_s
    assert values["pushdesk_cache_reads_total"] == stats.reads
    assert values["pushdesk_cache_loading"] == 0
    told = {change: values[f"pushdesk_cache_events_total{change}"] for change in CacheChange}
    assert told == {change: stats.counts.get(change, 0) for change in CacheChange}
    assert told[CacheChange.HIT] >= 1
    assert told[CacheChange.CLEARED] == 0


async def test_every_change_of_the_cache_is_documented() -> None:
    page = (DOCS / "api.md").read_text()
    words = set(re.findall(r"`(\w+)`", page[page.index("A change of the cache is one of") :]))
    assert set(CacheChange) <= words


async def test_the_metrics_page_lists_every_metric_and_no_other(server: Running) -> None:
    made = [(await server.subscribe("anna", name)).json["subscription"]["id"] for name in ("a", "b")]
    # There is more to be told of a key that is retiring, once a subscription has left it.
    await server.admin("POST", "/api/v1/admin/keys/rotate", {"confirm": "rotate"})
    await server.admin("POST", "/api/v1/admin/subscriptions/remove", {"ids": made[:1]})
    # And of a push service that is not sent to.
    await server.admin("POST", "/api/v1/admin/services/pause", {"service": "wns"})
    text = (await server.ask("GET", "/metrics")).content.decode()
    exposed = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    listed = set(re.findall(r"`(pushdesk_\w+)`", (DOCS / "metrics.md").read_text()))
    assert exposed == listed


async def test_the_description_is_valid_openapi(description: dict[str, Any]) -> None:
    validate(description)
    assert description["openapi"].startswith("3.1")


async def test_every_route_is_described_and_documented(server: Running, description: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    registered = {route_of(route) for route in server.runner.app.router.routes()} - pages_of(server)
    assert described == registered
    assert {(route.method, route.path) for route in ROUTES} == registered
    page = (DOCS / "api.md").read_text()
    for _, path in described:
        assert path in page or path.rpartition("/")[2] in page, path


def route_of(route: web.AbstractRoute) -> tuple[str, str]:
    assert route.resource is not None
    return route.method, route.resource.canonical


def pages_of(server: Running) -> set[tuple[str, str]]:
    routes = {route_of(route) for route in server.runner.app.router.routes()}
    return {(method, path) for method, path in routes if (("HEAD", path) in routes)}


async def test_every_error_code_is_in_the_table_with_its_status_and_exit_code() -> None:
    page = (DOCS / "api.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d) \|", page, re.MULTILINE)
    told = {code: (int(status), int(exit_code)) for code, status, exit_code in rows}
    ours = {code: (kind.status, kind.exit_code) for code, kind in ERROR_KINDS.items()}
    for code in ("start_up", "unreachable"):
        assert code in page
        del ours[code]
    assert told == ours


async def test_parameters_bodies_and_answers_are_described(description: dict[str, Any]) -> None:
    notify = description["paths"]["/api/v1/users/{user}/notifications"]["post"]
    assert {(p["in"], p["name"]) for p in notify["parameters"]} == {
        ("path", "user"),
        ("query", "wait"),
        ("header", "Idempotency-Key"),
    }
    schemas = description["components"]["schemas"]
    body = notify["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert schemas[body]["properties"]["ttl"]["maximum"] == 2419200
    assert {"200", "202", "default"} == set(notify["responses"])
    assert set(schemas["Problem"]["properties"]) >= {"type", "title", "status", "code", "detail", "hint", "fields"}
    events = description["paths"]["/api/v1/admin/events"]["get"]
    assert len(events["x-events"]["items"]["anyOf"]) == 15
    broadcast = description["paths"]["/api/v1/broadcasts"]["post"]
    assert {p["name"] for p in broadcast["parameters"]} == {"plan", "skip_bad", "Idempotency-Key"}
    assert set(broadcast["requestBody"]["content"]) == {"application/json", "application/x-ndjson"}


async def test_what_a_body_may_not_have_is_described_too(description: dict[str, Any]) -> None:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                schema = description["components"]["schemas"][reference.rpartition("/")[2]]
                assert schema["additionalProperties"] is False, (method, path)
