"""Rate limits as clients meet them: who is held up, by what, and who is not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.config import ServerConfig
from pushdesk.model import Scope
from pushdesk.server.rate_limits import FAILURES_AT_ONCE
from tests.clocks import FrozenClock
from tests.server.running import ADMIN_TOKEN, running
from tests.server.test_bad_input import NOTIFICATIONS, SUBSCRIPTION, assert_problem
from tests.server.test_pages import assert_security_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.logs import Log
    from tests.server.running import Answer, Running

PROXY: dict[str, Any] = {"trusted_proxy": (ip_network("127.0.0.1"),)}
WRONG = f"pdk_{'0' * 26}_{'f' * 64}"
STATS = "/api/v1/admin/stats"


@asynccontextmanager
async def limited(
    data_dir: Path, clock: FrozenClock, *, session_token: str | None = None, **ingress: Any
) -> AsyncIterator[Running]:
    """Run a server whose limits look at a clock that stands still."""
    async with running(
        data_dir, ingress=ServerConfig(**ingress), monotonic=clock.monotonic, session_token=session_token
    ) as server:
        yield server


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


def behind(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def statuses(server: Running, times: int, method: str, path: str, **more: Any) -> list[int]:
    return [(await server.ask(method, path, **more)).status for _ in range(times)]


def assert_limited(answer: Answer, retry_after_s: int) -> None:
    problem = assert_problem(answer, 429, "rate_limited")
    assert_security_headers(answer.headers)
    assert answer.headers["Retry-After"] == str(retry_after_s)
    assert str(retry_after_s) in problem["hint"]


async def test_an_address_behind_a_trusted_proxy_has_its_own_limit(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock, rate_per_address=2, **PROXY) as server:
        paths = ("/", "/sw.js", "/healthz", "/nothing", "/api/v1/vapid", STATS)
        answers = [(await server.ask("GET", path, headers=behind("203.0.113.9"))).status for path in paths * 2]
        assert answers == [200, 200, 200, 404, 200, 401] * 2
        for path in paths:
            assert_limited(await server.ask("GET", path, headers=behind("203.0.113.9")), 1)
        assert await statuses(server, 1, "GET", "/", headers=behind("203.0.113.10")) == [200]
        # What the client wrote before the proxy did is nothing.
        assert await statuses(server, 1, "GET", "/", headers=behind("198.51.100.1, 203.0.113.9")) == [429]
        clock.advance(1)
        assert await statuses(server, 3, "GET", "/", headers=behind("203.0.113.9")) == [200, 200, 429]


async def test_forwarding_headers_are_believed_of_no_other_peer(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock, rate_per_address=1) as server:
        answers = [(await server.ask("GET", "/", headers=behind(f"203.0.113.{n}"))).status for n in range(7)]
        assert answers == [200] * 6 + [429]


async def test_programs_of_this_machine_are_not_limited(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock, rate_per_address=1) as server:
        assert set(await statuses(server, 30, "GET", "/healthz")) == {200}


async def test_a_token_that_nobody_looks_at_is_no_way_around(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock, rate_per_address=1, **PROXY) as server:
        for token in (WRONG, "Basic", "x y"):
            headers = behind("203.0.113.9")
            answers = await statuses(server, 7, "GET", "/", token=token, headers=headers)
            assert answers == ([200] * 6 + [429] if token == WRONG else [429] * 7)


async def test_an_access_token_has_a_limit_of_its_own_and_needs_no_other(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock, rate_per_token=3, rate_per_address=1, **PROXY) as server:
        first, second = [(await server.engine.create_token(name, [Scope.READ])).token for name in ("a", "b")]
        headers = behind("203.0.113.9")
        await statuses(server, 10, "GET", "/", headers=headers)
        assert await statuses(server, 7, "GET", STATS, token=first, headers=headers) == [200] * 6 + [429]
        assert await statuses(server, 7, "GET", STATS, token=second, headers=headers) == [200] * 6 + [429]
        clock.advance(0.4)
        assert await statuses(server, 2, "GET", STATS, token=first) == [200, 429]


async def test_the_admin_token_and_the_consoles_have_no_limit(tmp_path: Path, clock: FrozenClock) -> None:
    session = "a-session-token-of-more-than-32-characters"
    async with limited(tmp_path, clock, session_token=session, rate_per_token=1, rate_per_address=1, **PROXY) as server:
        for token in (ADMIN_TOKEN, session):
            answers = await statuses(server, 20, "GET", STATS, token=token, headers=behind("203.0.113.9"))
            assert set(answers) == {200}


async def test_limits_of_nothing_are_none(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock, rate_per_token=0, rate_per_address=0, **PROXY) as server:
        token = (await server.engine.create_token("a", [Scope.READ])).token
        assert set(await statuses(server, 100, "GET", "/", headers=behind("203.0.113.9"))) == {200}
        assert set(await statuses(server, 100, "GET", STATS, token=token)) == {200}


@pytest.mark.parametrize("wrong", [WRONG, "pdd_00_ff", "an-admin-token-of-more-than-32-charactery"])
async def test_wrong_tokens_are_limited_on_this_machine_too_and_right_ones_go_on(
    tmp_path: Path, clock: FrozenClock, wrong: str
) -> None:
    async with limited(tmp_path, clock) as server:
        token = (await server.engine.create_token("a", [Scope.READ])).token
        answers = await statuses(server, FAILURES_AT_ONCE + 3, "GET", STATS, token=wrong)
        assert answers == [401] * FAILURES_AT_ONCE + [429] * 3
        assert_limited(await server.ask("POST", SUBSCRIPTION, {}, token=wrong), 6)
        assert await statuses(server, 3, "GET", STATS, token=token) == [200] * 3
        assert await statuses(server, 3, "GET", STATS, token=ADMIN_TOKEN) == [200] * 3
        assert (await server.subscribe("anna", "a")).status == 201
        clock.advance(6)
        assert await statuses(server, 2, "GET", STATS, token=wrong) == [401, 429]


async def redeem(server: Running, code: str) -> Answer:
    return await server.ask("POST", "/api/v1/enrollments", {"code": code})


async def test_who_sends_wrong_tokens_keeps_nobody_from_redeeming(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock) as server:
        answers = await statuses(server, FAILURES_AT_ONCE + 3, "GET", STATS, token=WRONG)
        assert answers[-1] == 429
        assert (await redeem(server, (await server.engine.invite("anna")).code)).status == 200
        assert (await redeem(server, "no such code")).status == 403
        for _ in range(FAILURES_AT_ONCE):
            await redeem(server, "no such code")
        clock.advance(6)
        assert await statuses(server, 2, "GET", STATS, token=WRONG) == [401, 429]


async def test_codes_cannot_be_guessed_but_a_right_one_is_no_guess(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock) as server:
        for number in range(FAILURES_AT_ONCE * 2):
            code = (await server.engine.invite(f"user{number}")).code
            assert (await redeem(server, code)).status == 200
        answers = [(await redeem(server, "no such code")).status for _ in range(FAILURES_AT_ONCE)]
        assert answers == [403] * FAILURES_AT_ONCE
        code = (await server.engine.invite("late")).code
        # The right one too: it is not looked up.
        assert_limited(await redeem(server, code), 6)
        clock.advance(6)
        assert (await redeem(server, code)).status == 200


async def test_a_flood_is_counted_and_told_in_one_line(tmp_path: Path, clock: FrozenClock, log: Log) -> None:
    async with limited(tmp_path, clock, rate_per_token=1) as server:
        made = await server.engine.create_token("a", [Scope.NOTIFY])
        await statuses(server, 52, "POST", NOTIFICATIONS, token=made.token, body={"title": "a"})
        metrics = (await server.ask("GET", "/metrics")).content.decode()
    (line,) = log.of("requests_limited")
    assert (line["limit"], line["requests"], line["token"]) == ("token", 1, made.access.id)
    assert not log.of("request_refused")
    assert '\npushdesk_requests_limited_total{limit="token"} 50.0\n' in metrics
    assert made.token not in log.text


async def test_behind_a_trusted_proxy_nobody_is_the_local_page(tmp_path: Path, clock: FrozenClock) -> None:
    async with limited(tmp_path, clock, **PROXY) as server:
        answer = await server.ask("POST", SUBSCRIPTION, server.subscription("a"), headers=behind("127.0.0.1"))
        assert_problem(answer, 401, "unauthorized")
        assert await server.is_empty()
