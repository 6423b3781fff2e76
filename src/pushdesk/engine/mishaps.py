"""Mishaps: which pushes were in the hands of processes that died, and which of them must be what kills them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SUSPECT: Final = 2
"""A push that was lost so often, among others, is sent alone from then on."""
GUILTY: Final = 2
"""One that was lost alone so often is sent no more."""
REMEMBERED: Final = 10_000
"""Pushes; of one that is forgotten, the reckoning begins anew."""


class Mishaps:
    """Reckons deaths. A push that is answered is innocent, and forgotten."""

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}
        self._alone: dict[str, int] = {}

    def is_suspect(self, delivery: str) -> bool:
        """Whether a push is to be sent alone."""
        return self._lost.get(delivery, 0) >= SUSPECT

    def lost_among_others(self, deliveries: Iterable[str]) -> None:
        """A process died with these in hand."""
        for delivery in deliveries:
            # At the end, as the newest.
            self._lost[delivery] = self._lost.pop(delivery, 0) + 1
        while len(self._lost) > REMEMBERED:
            forgotten = next(iter(self._lost))
            del self._lost[forgotten]
            self._alone.pop(forgotten, None)

    def lost_alone(self, delivery: str) -> bool:
        """A process died that had been given nothing else; return whether it is certain by now why."""
        self._alone[delivery] = self._alone.get(delivery, 0) + 1
        if self._alone[delivery] < GUILTY:
            return False
        self.answered(delivery)
        return True

    def answered(self, delivery: str) -> None:
        """A push came to something."""
        if self._lost or self._alone:
            self._lost.pop(delivery, None)
            self._alone.pop(delivery, None)
