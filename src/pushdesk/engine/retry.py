"""When a delivery is tried again: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEDULE_S: Final = (5, 30, 120, 600, 1800, 3600, 10800)
"""The longest wait after each attempt, in seconds; the last one repeats."""


def next_attempt_in_s(
    attempts: int, *, retry_after_s: float | None, remaining_s: float, uniform: Callable[[float, float], float]
) -> float | None:
    """Return in how many seconds to try again, or None when the message's TTL would be over by then.

    Full jitter: anything up to the schedule's wait, so that what failed together is not tried again together.

    Args:
        attempts: How many there have been, at least 1.
        retry_after_s: What the push service asked for; never sooner than that.
        remaining_s: What is left of the message's TTL.
        uniform: Draws a number between two.
    """
    longest = SCHEDULE_S[min(attempts, len(SCHEDULE_S)) - 1]
    wait = max(uniform(0, longest), retry_after_s or 0)
    return wait if wait < remaining_s else None
