"""The push services: asked as pushes go, and told from each other by who is there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pushdesk.clock import SystemClock
from pushdesk.config import Config, PushConfig
from pushdesk.doctor.database import Contents
from pushdesk.doctor.examination import examine
from pushdesk.doctor.findings import Check, Level
from pushdesk.doctor.push_services import EDGE_HOSTS, FOUR, Place, Reached, judge_reached, places, reach
from pushdesk.model import Service, SubscriptionState
from pushdesk.webpush.endpoint import check_endpoint
from pushdesk.webpush.services import FaultKind
from pushdesk.webpush.transport import HttpTransport
from tests.doctor.surroundings import Authority, circumstances, found, listening, push_service
from tests.egress import address_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aiohappyeyeballs import AddrInfoType

    from pushdesk.doctor.findings import Finding


def test_the_four_are_those_that_pushes_go_to() -> None:
    assert {service for service, _ in FOUR} == set(Service) - {Service.OTHER}
    for service, origin in FOUR:
        assert check_endpoint(f"{origin}/", allowed_origins=frozenset()) is service


def test_the_hosts_that_browsers_named_stand_for_edge() -> None:
    hosts = frozenset(f"wns2-{letter}.notify.windows.com" for letter in "abcdef") | {"evil.example"}
    asked = places(Contents(edge_hosts=hosts), ["https://autopush.example"])
    edge = [place.origin for place in asked if place.service is Service.WNS]
    assert edge == [f"https://wns2-{letter}.notify.windows.com" for letter in "abcdef"[:EDGE_HOSTS]]
    assert asked[-1] == Place(Service.OTHER, "https://autopush.example")
    assert places(Contents(), []) == FOUR


async def test_a_push_service_is_asked_once_and_nothing_is_pushed(tmp_path: Path) -> None:
    authority, requests = Authority(), list[str]()
    async with listening(push_service(requests=requests), authority.server()) as url:
        findings = await asked(tmp_path, Place(Service.APPLE, url), authority)
    assert requests == ["GET /"]
    assert found(findings, Check.PUSH_SERVICE).level is Level.OK
    assert found(findings, Check.CLOCK).level is Level.OK


@pytest.mark.parametrize(
    ("ahead_s", "level", "said"),
    [
        (-3000.0, Level.WARNING, "50 min ahead"),
        (7 * 3600.0, Level.BROKEN, "7.0 h behind"),
        (-13 * 3600.0, Level.BROKEN, "13.0 h ahead"),
    ],
)
async def test_a_clock_that_is_not_theirs_is_said(tmp_path: Path, ahead_s: float, level: Level, said: str) -> None:
    authority = Authority()
    async with listening(push_service(ahead_s=ahead_s), authority.server()) as url:
        findings = await asked(tmp_path, Place(Service.FCM, url), authority)
    finding = found(findings, Check.CLOCK)
    assert finding.level is level
    assert said in finding.what


async def test_a_certificate_that_is_not_trusted_is_no_way_there(tmp_path: Path) -> None:
    async with listening(push_service(), Authority().server()) as url:
        findings = await asked(tmp_path, Place(Service.FCM, url), Authority())
    finding = found(findings, Check.PUSH_SERVICE)
    assert finding.level is Level.WARNING
    assert "No trusted TLS connection" in finding.what
    assert "clock" in finding.advice
    assert found(findings, Check.CLOCK).level is Level.NOT_LOOKED_AT


async def test_a_service_that_nobody_listens_for_does_not_hold_up_the_others(tmp_path: Path) -> None:
    authority = Authority()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = Place(Service.MOZILLA, f"https://localhost:{silent.getsockname()[1]}")
        silent.close()
        async with listening(push_service(), authority.server()) as url:
            findings = await asked(tmp_path, Place(Service.APPLE, url), authority, dead)
    levels = [finding.level for finding in findings if finding.check is Check.PUSH_SERVICE]
    assert sorted(levels) == [Level.OK, Level.WARNING]
    assert found(findings, Check.CLOCK).level is Level.OK


async def test_what_the_operator_allowed_is_asked_too(tmp_path: Path) -> None:
    requests: list[str] = []
    async with listening(push_service(requests=requests)) as url:
        config = Config(data_dir=tmp_path, push=PushConfig(allow_endpoint=(url,)))
        findings = await examine(circumstances(tmp_path, config=config, is_offline=False, four=()))
    assert requests == ["GET /"]
    assert found(findings, Check.PUSH_SERVICE).what == f"{url} can be reached."


class Misled:
    """A resolver that knows this machine only."""

    async def resolve(self, _host: str, port: int) -> Sequence[AddrInfoType]:
        return [address_of("127.0.0.1", port)]


async def test_a_service_that_leads_to_a_private_address_is_not_connected_to() -> None:
    clock = SystemClock()
    transport = HttpTransport(allowed_origins=frozenset(), clock=clock.monotonic, resolver=Misled())
    try:
        reached = await reach(transport, FOUR, clock)
    finally:
        await transport.aclose()
    assert [one.fault for one in reached] == [FaultKind.ADDRESS_REFUSED] * len(FOUR)
    assert all("private address" in finding.advice for finding in judge_reached(reached, Contents(), {}))


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_has_an_advice_and_is_broken_only_where_somebody_is(kind: FaultKind) -> None:
    reached = [Reached(Place(Service.WNS, "https://wns2-x.notify.windows.com"), kind)]
    (finding,) = judge_reached(reached, Contents(), {})
    assert finding.level is Level.WARNING
    assert finding.advice
    contents = Contents(devices={(Service.WNS, SubscriptionState.ACTIVE): 1})
    assert judge_reached(reached, contents, {})[0].level is Level.BROKEN


def test_a_proxy_of_the_environment_is_said_not_to_be_used_without_its_password() -> None:
    reached = [Reached(FOUR[0], FaultKind.TIMEOUT)]
    (finding,) = judge_reached(reached, Contents(), {"HTTPS_PROXY": "http://user:secret@proxy:3128"})
    assert "HTTPS_PROXY is not used" in finding.advice
    assert "secret" not in str(finding)


async def asked(tmp_path: Path, place: Place, authority: Authority, *more: Place) -> tuple[Finding, ...]:
    """Examine with these push services alone."""
    looked = circumstances(tmp_path, is_offline=False, tls=authority.trusting(), four=(place, *more))
    return await examine(looked)
