"""When a delivery is tried again: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEDULE_S: Final = (5, 30, 120, 600, 1800, 3600, 10800)
"""The longest wait after each attempt, in seconds; the last one repeats."""
SOONEST_S: Final = 1.0
"""The shortest wait: a push service that has just failed is not asked again within the same moment."""
LAST_CHANCE_S: Final = 1.0
"""How long before the end of its TTL a message is tried for the last time."""


class NextAttempt(NamedTuple):
    """When to try again."""

    in_s: float
    is_cut_short: bool = False
    """Whether the push service asked to wait for longer than the message is kept."""


def next_attempt(
    attempts: int, *, retry_after_s: float | None, remaining_s: float, uniform: Callable[[float, float], float]
) -> NextAttempt | None:
    """Return when to try again, or None when the message's TTL is over before it could be.

    Full jitter: anything from a second up to the schedule's wait, so that what failed together is not tried again
    together. Where the TTL ends sooner than that, anything up to shortly before its end; what the push service asked
    for is cut short to that, too: a message's last chance comes before its end, or never.

    Args:
        attempts: How many there have been, at least 1.
        retry_after_s: What the push service asked for; never sooner than that.
        remaining_s: What is left of the message's TTL.
        uniform: Draws a number between two.
    """
    last_chance_s = remaining_s - LAST_CHANCE_S
    if last_chance_s < SOONEST_S:
        return None
    asked_s = retry_after_s or 0
    longest = min(SCHEDULE_S[min(attempts, len(SCHEDULE_S)) - 1], last_chance_s)
    wait = max(uniform(SOONEST_S, longest), min(asked_s, last_chance_s))
    return NextAttempt(wait, is_cut_short=asked_s > last_chance_s)
