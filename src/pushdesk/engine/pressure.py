"""Pressure: whether there is room for more, in the queue and on the disk. Where there is none, nothing is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.errors import PushdeskError
from pushdesk.log import write
from pushdesk.log_events import AcceptingBegan, AcceptingEnded
from pushdesk.model import Shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushdesk.clock import Clock
    from pushdesk.config import OutboxConfig

LOOK_S: Final = 1.0
"""How often the disk is looked at, in seconds."""
SLACK: Final = 10
"""Of so many parts one more must be there than was too little, before it is enough again."""
RETRY_AFTER_S: Final[Mapping[Shortage, int]] = {Shortage.QUEUE: 10, Shortage.DISK: 60}
_MEGABYTE: Final = 10**6
_HINTS: Final[Mapping[Shortage, str]] = {
    Shortage.QUEUE: "What waits is sent as fast as the push services take it: try again later.",
    Shortage.DISK: "Make room on it, then try again: what was accepted before is sent meanwhile.",
}


class Pressure:
    """Refuses what there is no room for.

    What was refused at a mark is taken again only a tenth below it, so that not every other request is refused.

    Args:
        config: The marks.
        queue: How many deliveries and dispatches are not settled.
        free: How many bytes of the disk are free; None where that cannot be known.
        clock: How long ago the disk was looked at.
    """

    def __init__(
        self, config: OutboxConfig, *, queue: Callable[[], int], free: Callable[[], int | None], clock: Clock
    ) -> None:
        self._config = config
        self._queue = queue
        self._free = free
        self._clock = clock
        self._looked_at: float | None = None
        self._refused: dict[Shortage, int] = {}
        """What there is too little room for, with how many were refused because of it."""
        self._sentences = {
            Shortage.QUEUE: f"The queue is full: max_queue in [outbox] lets {config.max_queue} deliveries wait.",
            Shortage.DISK: (
                f"The disk is short of room: min_free in [outbox] keeps {config.min_free // _MEGABYTE} MB of it for "
                "what was accepted before."
            ),
        }

    def admit(self) -> None:
        """Do nothing, if there is room for one more.

        Raises:
            PushdeskError: `disk_full`, `queue_full`.
        """
        for shortage, reason in self.reasons().items():
            self._refused[shortage] += 1
            raise PushdeskError(reason, code=shortage, hint=_HINTS[shortage], retry_after_s=RETRY_AFTER_S[shortage])

    def reasons(self) -> dict[Shortage, str]:
        """Return what keeps more from being accepted, each with a sentence; nothing if there is room."""
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._look_at_disk()
        self._look_at_queue()
        return {shortage: self._sentences[shortage] for shortage in self._refused}

    def _look_at_disk(self) -> None:
        free, least = self._free(), self._config.min_free
        if free is not None:
            self._note(Shortage.DISK, is_short=free < least, is_over=free >= least + least // SLACK)

    def _look_at_queue(self) -> None:
        queue, most = self._queue(), self._config.max_queue
        self._note(Shortage.QUEUE, is_short=queue >= most, is_over=queue <= most - most // SLACK and queue < most)

    def _note(self, shortage: Shortage, *, is_short: bool, is_over: bool) -> None:
        if is_short and shortage not in self._refused:
            self._refused[shortage] = 0
            write(AcceptingEnded(shortage=shortage))
        elif is_over and shortage in self._refused:
            write(AcceptingBegan(shortage=shortage, refused=self._refused.pop(shortage)))
