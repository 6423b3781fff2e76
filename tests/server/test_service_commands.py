"""Operators pause, resume and reset push services over HTTP; listing and metrics say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pushdesk.model import LaneState

if TYPE_CHECKING:
    from tests.server.running import Running


async def metrics(server: Running, name: str) -> dict[str, float]:
    """Return the samples of a metric for WNS, by state where it has one."""
    text = (await server.ask("GET", "/metrics")).content.decode()
    return {
        sample.labels.get("state", ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels["service"] == "wns"
    }


async def command(server: Running, name: str, body: Any) -> Any:
    return await server.admin("POST", f"/api/v1/admin/services/{name}", body)


async def test_a_paused_service_is_listed_counted_and_warned_of_until_it_is_resumed(server: Running) -> None:
    paused = await command(server, "pause", {"service": "wns"})
    assert paused.status == 200
    shown = paused.json["service"]
    assert (shown["state"], shown["reason"], shown["until"], shown["stopped"]) == (
        "paused",
        "An operator paused it.",
        None,
        [],
    )
    assert shown["since"] is not None
    (listed,) = (await server.admin("GET", "/api/v1/admin/services?filter=wns")).json["items"]
    assert listed == shown
    assert await metrics(server, "pushdesk_service_state") == {state: state is LaneState.PAUSED for state in LaneState}
    assert len(await metrics(server, "pushdesk_service_shut_since_seconds")) == 1
    assert await metrics(server, "pushdesk_service_stopped_keys") == {"": 0}
    stats = (await server.admin("GET", "/api/v1/admin/stats")).json
    assert [warning for warning in stats["warnings"] if warning.startswith("WNS: paused.")]

    reset = await command(server, "reset", {"service": "wns"})
    assert reset.json["service"]["state"] == "paused"
    resumed = await command(server, "resume", {"service": "wns"})
    assert (resumed.json["service"]["state"], resumed.json["service"]["since"]) == ("open", None)
    assert await metrics(server, "pushdesk_service_shut_since_seconds") == {}


@pytest.mark.parametrize("name", ["pause", "resume", "reset"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"service": "nobody"}, "bad_field"),
        ({"service": None}, "bad_field"),
        ({}, "bad_field"),
        ({"service": "wns", "until": 5}, "unknown_field"),
    ],
)
async def test_what_is_no_push_service_is_refused(server: Running, name: str, body: Any, code: str) -> None:
    refused = await command(server, name, body)
    assert (refused.status, refused.json["code"]) == (400, code)
