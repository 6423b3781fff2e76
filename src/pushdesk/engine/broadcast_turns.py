"""Whose turn it is: how many broadcasts send to a push service at once, the longest due first."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pushdesk.engine.broadcast_chain import Chain
    from pushdesk.model import Service

AT_ONCE: Final = 8
"""The most broadcasts that are sent at once; the others wait for their turn, the longest due first.

One that waits for its push services, or for what is to be tried again there, takes no turn from another.
"""


class Turns:
    """Gives turns to chains. When a lane opens again, all that have waited for it want to go on at that moment."""

    def __init__(self) -> None:
        self._sending: defaultdict[Service, set[Chain]] = defaultdict(set)
        self._waiting: defaultdict[Service, set[Chain]] = defaultdict(set)

    def take(self, service: Service, chain: Chain) -> bool:
        """Return whether it is a chain's turn, until it gives that up; if not, it is woken when it may be."""
        sending, waiting = self._sending[service], self._waiting[service]
        if chain not in sending and len(sending) >= AT_ONCE:
            waiting.add(chain)
            return False
        waiting.discard(chain)
        sending.add(chain)
        return True

    def give_up(self, service: Service, chain: Chain) -> None:
        """Let others have their turn, if a chain had one."""
        self._waiting[service].discard(chain)
        if chain in self._sending[service]:
            self._sending[service].discard(chain)
            for other in sorted(self._waiting[service], key=lambda other: other.due):
                other.wake()
