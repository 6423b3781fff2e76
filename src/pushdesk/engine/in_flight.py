"""Which deliveries this process works on: claimed in the database, and not settled yet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pushdesk.engine.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Collection

    from pushdesk.model import Delivery, Service


class InFlight:
    """The deliveries under this process's claim.

    Args:
        claim: The claim. One for the life of a process: a database file has one server at a time.
    """

    def __init__(self, claim: str) -> None:
        self.claim = claim
        self._ids: set[str] = set()
        self._of_service: Counter[Service] = Counter()
        self._removed: set[str] = set()
        """Those that were removed while they were under way."""
        self._ended: set[str] = set()
        """Those that the database says have ended unless their attempt comes to more."""
        self.topics = Topics()

    def __len__(self) -> int:
        """Return how many are under way, or are answered and not written down yet."""
        return self._of_service.total()

    def __contains__(self, delivery: str) -> bool:
        """Whether a delivery is worked on."""
        return delivery in self._ids

    @property
    def ids(self) -> Collection[str]:
        """Those that are worked on."""
        return self._ids

    def of(self, service: Service) -> int:
        """Return how many there are to one push service."""
        return self._of_service[service]

    def take(self, delivery: Delivery) -> None:
        """Begin to work on a delivery that was claimed."""
        self._of_service[delivery.service] += 1
        self._ids.add(delivery.id)

    def leave(self, delivery: Delivery) -> None:
        """Work on a delivery no more: it is written down."""
        self._of_service[delivery.service] -= 1
        self._ids.discard(delivery.id)
        self._ended.discard(delivery.id)

    def note_ended(self, deliveries: Collection[str]) -> None:
        """Remember that some deliveries have ended; nothing of those that are not worked on."""
        self._ended.update(self._ids.intersection(deliveries))

    def is_wanted(self, delivery: str) -> bool:
        """Whether there is still any use in trying a delivery."""
        return delivery not in self._ended and delivery not in self._removed

    def note_removed(self, delivery: str) -> None:
        """Remember that a delivery is no longer in the database; nothing if it is not worked on."""
        if delivery in self._ids:
            self._removed.add(delivery)

    def was_removed(self, delivery: str) -> bool:
        """Return whether a delivery was removed while it was worked on; forgets it."""
        if delivery not in self._removed:
            return False
        self._removed.discard(delivery)
        return True
