"""Who is told what the outbox has done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushdesk.model import Delivery, Service
    from pushdesk.storage.records import Chunk, Message, Settled, Settlement


class Observer(Protocol):
    """Told what the outbox has done, once it is in the database."""

    def resumed(self, waiting: Mapping[Service, int]) -> None:
        """So many deliveries are unsettled, per push service."""
        ...

    def dispatches_accepted(self, messages: Sequence[Message]) -> None:
        """These are durable."""
        ...

    def deliveries_made(self, deliveries: Sequence[Delivery]) -> None:
        """These are to be attempted."""
        ...

    def settled(self, settlements: Sequence[Settlement], settled: Settled) -> None:
        """These were tried or settled, and that changed more than the deliveries."""
        ...

    def chunk_settled(self, chunk: Chunk, settled: Settled) -> None:
        """So many of a broadcast's recipients were got to, and that changed more than the broadcast."""
        ...


class Observers:
    """Several, who are told one after the other."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def resumed(self, waiting: Mapping[Service, int]) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.resumed(waiting)

    def dispatches_accepted(self, messages: Sequence[Message]) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.dispatches_accepted(messages)

    def deliveries_made(self, deliveries: Sequence[Delivery]) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.deliveries_made(deliveries)

    def settled(self, settlements: Sequence[Settlement], settled: Settled) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.settled(settlements, settled)

    def chunk_settled(self, chunk: Chunk, settled: Settled) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.chunk_settled(chunk, settled)
