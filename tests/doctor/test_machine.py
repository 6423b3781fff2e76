"""The machine: its clock, open files and IPv6 loopback."""

from __future__ import annotations

import json
import os
import resource

import pytest

from pushdesk.doctor.findings import Level
from pushdesk.doctor.machine import (
    AHEAD_S,
    BEHIND_S,
    FileLimit,
    judge_clock,
    judge_file_limit,
    judge_ipv6_loopback,
    look_at_file_limit,
    look_at_ipv6_loopback,
    resolve_localhost,
)
from pushdesk.webpush.encryption import decode_base64url
from pushdesk.webpush.vapid import Authorizer, SigningKey
from tests.clocks import FrozenClock

DAY_S = 24 * 3600


def expiry_of(authorization: str) -> int:
    """Return when the token of an `Authorization` header ends."""
    expiry: int = json.loads(decode_base64url(authorization.split(".")[1]))["exp"]
    return expiry


@pytest.mark.parametrize(
    ("offsets", "level"),
    [
        ([], Level.NOT_LOOKED_AT),
        ([0.4], Level.OK),
        ([59.0, -59.0], Level.OK),
        ([61.0], Level.WARNING),
        ([-61.0], Level.WARNING),
        ([AHEAD_S + 1], Level.BROKEN),
        ([AHEAD_S - 1], Level.WARNING),
        ([-BEHIND_S - 1], Level.BROKEN),
        ([-BEHIND_S + 1], Level.WARNING),
    ],
)
def test_how_wrong_the_clock_may_be(offsets: list[float], level: Level) -> None:
    assert judge_clock(offsets).level is level


def test_one_service_with_a_wrong_clock_does_not_make_ours_wrong() -> None:
    assert judge_clock([0.1, 90_000.0, -0.2]).level is Level.OK


def test_it_says_how_far_and_in_which_direction() -> None:
    assert judge_clock([7200.0]).what == "The clock is 2.0 h ahead."
    assert judge_clock([-90.0]).what == "The clock is 90 s behind."
    assert judge_clock([-600.0]).what == "The clock is 10 min behind."


@pytest.mark.parametrize("offset_s", [AHEAD_S, -BEHIND_S])
def test_a_clock_that_is_not_called_broken_signs_tokens_that_are_taken(offset_s: float) -> None:
    right = 1_800_000_000.0
    key, clocks = SigningKey.generate(), [right + offset_s - half_hour * 1800 for half_hour in range(24)]
    for ours in clocks:
        clock = FrozenClock(ours)
        authorizer = Authorizer(subscriber="mailto:ops@example.com", clock=clock.time)
        authorizer.authorization(key, "https://push.example/1")
        clock.now = right + offset_s
        expiry = expiry_of(authorizer.authorization(key, "https://push.example/1"))
        assert 0 <= expiry - right <= DAY_S


def test_the_limit_of_a_running_process_is_its_own() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = look_at_file_limit(os.getpid())
    assert limit == FileLimit(soft, hard, is_servers=limit.is_servers)
    assert look_at_file_limit(None) == FileLimit(soft, hard, is_servers=False)


def test_a_process_that_has_ended_is_not_asked() -> None:
    assert look_at_file_limit(2**22 + 1).is_servers is False


@pytest.mark.parametrize(
    ("limit", "level"),
    [
        (FileLimit(1024, 5000, is_servers=False), Level.OK),
        (FileLimit(1024, 2000, is_servers=False), Level.WARNING),
        (FileLimit(1024, 5000, is_servers=True), Level.WARNING),
        (FileLimit(1024, None, is_servers=False), Level.OK),
        (FileLimit(None, None, is_servers=True), Level.OK),
    ],
)
def test_a_server_raises_its_own_limit_as_far_as_it_may(limit: FileLimit, level: Level) -> None:
    assert judge_file_limit(limit, needed=3000).level is level


def test_localhost_of_this_machine_is_seen() -> None:
    assert set(resolve_localhost()) & {"127.0.0.1", "::1"}
    judge_ipv6_loopback(look_at_ipv6_loopback(), localhost=resolve_localhost())


@pytest.mark.parametrize(
    ("problem", "localhost", "level"),
    [
        ("", ("127.0.0.1", "::1"), Level.OK),
        ("", ("::1",), Level.OK),
        ("this machine has none", ("127.0.0.1",), Level.OK),
        ("this machine has none", ("::1", "127.0.0.1"), Level.WARNING),
        ("this machine has none", ("::1",), Level.BROKEN),
        ("", (), Level.BROKEN),
    ],
)
def test_localhost_leads_to_where_a_server_listens(problem: str, localhost: tuple[str, ...], level: Level) -> None:
    assert judge_ipv6_loopback(problem, localhost=localhost).level is level
