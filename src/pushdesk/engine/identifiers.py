"""Ids: 26 lower-case hex digits that sort by the time they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.invitation_code import make_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.clock import Clock

RANDOM_BYTES = 7


class Identifiers:
    """Makes ids: 12 digits of milliseconds since the epoch, 14 of randomness."""

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes

    def new(self) -> str:
        """Return a new id."""
        return f"{int(self._clock.time() * 1000):012x}{self._random_bytes(RANDOM_BYTES).hex()}"

    def secret(self) -> str:
        """Return 256 random bits as hex: the secret half of a token."""
        return self._random_bytes(32).hex()

    def code(self) -> str:
        """Return a new invitation's code."""
        return make_code(self._random_bytes)
