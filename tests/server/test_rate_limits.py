"""Rate limits: how many at once, how many in the long run, and who is not held up by whom."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.log_fields import Limit
from pushdesk.server.client_address import Client, read_address
from pushdesk.server.rate_limits import FAILURES_AT_ONCE, Buckets, RateLimits
from pushdesk.server.tally import PERIOD_S, Tally
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.logs import Log


def client(address: str, *, is_local: bool = False) -> Client:
    return Client(read_address(address), is_local=is_local)


HERE = client("192.0.2.1")
THERE = client("192.0.2.2")
OURS = client("127.0.0.1", is_local=True)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def limits(clock: FrozenClock) -> RateLimits:
    return RateLimits(per_token=10, per_address=10, now=clock.monotonic)


def passed(ask: Callable[[], None], times: int) -> int:
    """Return how many of so many requests were let through."""
    count = 0
    for _ in range(times):
        with suppress(PushdeskError):
            ask()
            count += 1
    return count


def refusal(ask: Callable[[], None]) -> PushdeskError:
    with pytest.raises(PushdeskError) as caught:
        ask()
    assert caught.value.code == "rate_limited"
    return caught.value


@pytest.mark.parametrize("rate", [0.1, 1 / 6, 1, 3, 7, 1000])
def test_a_bucket_gives_its_burst_at_once_and_then_its_rate(clock: FrozenClock, rate: float) -> None:
    buckets = Buckets(rate=rate, burst=12, now=clock.monotonic)
    assert [buckets.take("a") for _ in range(12)] == [0.0] * 12
    assert buckets.take("a") == pytest.approx(1 / rate, abs=1e-5)
    for _ in range(50):
        clock.advance(1 / rate)
        assert buckets.take("a") == 0.0
        assert buckets.take("a") > 0


def test_a_bucket_that_was_left_alone_is_full_and_no_fuller(clock: FrozenClock) -> None:
    buckets = Buckets(rate=1, burst=3, now=clock.monotonic)
    for _ in range(3):
        buckets.take("a")
    clock.advance(1000)
    assert [buckets.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_waiting_as_long_as_was_said_is_enough(clock: FrozenClock) -> None:
    buckets = Buckets(rate=3, burst=5, now=clock.monotonic)
    for _ in range(200):
        wait_s = buckets.take("a")
        assert buckets.wait_s("a") == pytest.approx(wait_s) or wait_s == 0
        if wait_s:
            clock.advance(wait_s)
            assert buckets.wait_s("a") == 0.0


def test_a_flood_of_names_takes_no_more_memory_and_forgets_who_asked_longest_ago(clock: FrozenClock) -> None:
    buckets = Buckets(rate=1, burst=1, now=clock.monotonic, most=100)
    buckets.take("a")
    for number in range(1000):
        buckets.take(str(number))
        # Who asks on and on is not forgotten, although it is refused.
        assert buckets.take("a") > 0
        assert len(buckets) <= 100
    assert buckets.take("999") > 0
    assert buckets.take("0") == 0.0


def test_a_token_has_its_own_limit_of_twice_the_rate_at_once(clock: FrozenClock, limits: RateLimits) -> None:
    assert passed(lambda: limits.check_token("a"), 50) == 20
    assert passed(lambda: limits.check_token("b"), 50) == 20
    clock.advance(1)
    assert passed(lambda: limits.check_token("a"), 50) == 10


def test_an_address_has_a_limit_and_this_machines_own_programs_have_none(limits: RateLimits) -> None:
    assert passed(lambda: limits.check_address(HERE), 100) == 60
    assert passed(lambda: limits.check_address(THERE), 100) == 60
    assert passed(lambda: limits.check_address(OURS), 1000) == 1000
    assert passed(lambda: limits.check_address(client("127.0.0.1")), 100) == 60


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:3::1", False),
        ("192.0.2.1", False),
    ],
)
def test_an_ipv6_network_counts_as_one_address(limits: RateLimits, other: str, *, is_same: bool) -> None:
    passed(lambda: limits.check_address(client("2001:db8:1:2::1")), 60)
    assert passed(lambda: limits.check_address(client(other)), 1) == (0 if is_same else 1)


def test_an_ipv4_address_that_is_mapped_into_ipv6_is_the_same(limits: RateLimits) -> None:
    passed(lambda: limits.check_address(HERE), 60)
    assert passed(lambda: limits.check_address(client("::ffff:192.0.2.1")), 1) == 0


def test_a_limit_of_nothing_is_none(clock: FrozenClock) -> None:
    limits = RateLimits(per_token=0, per_address=0, now=clock.monotonic)
    assert passed(lambda: limits.check_token("a"), 5000) == 5000
    assert passed(lambda: limits.check_address(HERE), 5000) == 5000
    assert passed(lambda: limits.failed(HERE), 50) == FAILURES_AT_ONCE


def test_wrong_tokens_are_limited_on_this_machine_too(clock: FrozenClock, limits: RateLimits) -> None:
    assert passed(lambda: limits.failed(OURS), 50) == FAILURES_AT_ONCE
    assert passed(lambda: limits.failed(HERE), 50) == FAILURES_AT_ONCE
    clock.advance(6)
    assert passed(lambda: limits.failed(OURS), 50) == 1


def test_who_fails_may_go_on_with_what_is_valid(limits: RateLimits) -> None:
    passed(lambda: limits.failed(HERE), 50)
    limits.check_token("a")
    limits.check_address(HERE)


def redeem(limits: RateLimits, code: str = "") -> None:
    with limits.guess(HERE):
        if code:
            raise PushdeskError("No.", code=code)


def test_a_guess_counts_unless_it_is_right_or_the_servers_own_fault(limits: RateLimits) -> None:
    assert passed(lambda: redeem(limits), 100) == 100
    for _ in range(100):
        with pytest.raises(PushdeskError, match="No"):
            redeem(limits, "database_error")
    for _ in range(FAILURES_AT_ONCE):
        with pytest.raises(PushdeskError, match="No"):
            redeem(limits, "forbidden")
    assert refusal(lambda: redeem(limits)).retry_after_s == 6


def test_wrong_tokens_hold_up_no_codes_and_wrong_codes_no_tokens(limits: RateLimits) -> None:
    assert passed(lambda: limits.failed(HERE), 50) == FAILURES_AT_ONCE
    redeem(limits)
    for _ in range(FAILURES_AT_ONCE):
        with pytest.raises(PushdeskError, match="No"):
            redeem(limits, "forbidden")
    assert "codes" in refusal(lambda: redeem(limits)).detail
    assert "tokens" in refusal(lambda: limits.failed(HERE)).detail
    assert limits.refused[Limit.WRONG_TOKEN] == 50 - FAILURES_AT_ONCE + 1
    assert limits.refused[Limit.WRONG_CODE] == 1
    assert passed(lambda: limits.failed(THERE), 50) == FAILURES_AT_ONCE


def test_guesses_at_once_are_counted_before_any_of_them_is_answered(limits: RateLimits) -> None:
    guesses = [limits.guess(HERE) for _ in range(FAILURES_AT_ONCE)]
    for guess in guesses:
        guess.__enter__()
    assert passed(lambda: redeem(limits), 5) == 0
    guesses[0].__exit__(None, None, None)
    assert passed(lambda: redeem(limits), 5) == 5


def test_a_refusal_says_how_many_whole_seconds_to_wait_and_that_is_enough(
    clock: FrozenClock, limits: RateLimits
) -> None:
    passed(lambda: limits.failed(HERE), FAILURES_AT_ONCE)
    clock.advance(0.5)
    error = refusal(lambda: limits.failed(HERE))
    assert error.retry_after_s == 6
    assert "Wait 6 seconds." in error.hint
    clock.advance(error.retry_after_s)
    limits.failed(HERE)
    passed(lambda: limits.check_token("a"), 20)
    error = refusal(lambda: limits.check_token("a"))
    assert (error.retry_after_s, error.hint.partition(".")[0]) == (1, "Wait 1 second")


def test_a_flood_is_a_line_now_and_then_with_how_many_there_were(
    clock: FrozenClock, limits: RateLimits, log: Log
) -> None:
    passed(lambda: limits.check_token("0a1b"), 1020)
    passed(lambda: limits.check_address(HERE), 61)
    assert limits.refused == {Limit.TOKEN: 1000, Limit.ADDRESS: 1, Limit.WRONG_TOKEN: 0, Limit.WRONG_CODE: 0}
    clock.advance(PERIOD_S)
    passed(lambda: limits.check_token("0a1b"), 21)
    told = [(line["limit"], line["requests"], line.get("token")) for line in log.of("requests_limited")]
    assert told == [("token", 1, "0a1b"), ("address", 1, None), ("token", 1000, "0a1b")]


def test_a_tally_tells_of_the_first_at_once_and_of_the_others_together(clock: FrozenClock) -> None:
    tally = Tally(clock.monotonic, period_s=10)
    assert [tally.add() for _ in range(3)] == [1, 0, 0]
    clock.advance(9)
    assert tally.add() == 0
    clock.advance(1)
    assert tally.add() == 4
    assert tally.total == 5
