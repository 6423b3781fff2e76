"""Who carries a push to its push service: this process itself, or processes of their own (`sender_pool`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from pushdesk.model import SenderStats
from pushdesk.sender.sending import Sending
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushdesk.sender.frames import Push, Result
    from pushdesk.webpush.device_keys import DeviceKeys
    from pushdesk.webpush.transport import Transport


class PutBack(NamedTuple):
    """A push is to be tried again: as far as is known, no push service was asked."""

    reason: str


class Refused(NamedTuple):
    """A push is not to be tried again: whoever carries it comes to harm."""

    reason: str


Carried: TypeAlias = "Result | PutBack | Refused"


class Carrier(Protocol):
    """What encrypts and posts pushes, and decides nothing."""

    async def carry(self, delivery: str, push: Push) -> Carried:
        """Carry a push, and return what became of it.

        Args:
            delivery: The id of what it is an attempt of.
            push: What is sent.
        """
        ...

    def stats(self) -> SenderStats:
        """Return how it is doing."""
        ...

    def warnings(self) -> Sequence[str]:
        """Return what an operator should know."""
        ...


class InProcess:
    """Carries pushes in the engine's own process.

    Args:
        transport: What posts.
        clock: Monotonic time in seconds.
        keys: Where devices' keys are kept that were read before.
    """

    def __init__(self, transport: Transport, clock: Callable[[], float], keys: DeviceKeys | None = None) -> None:
        self._sending = Sending(transport, clock, keys)
        self._in_hand = 0
        self._without_file = 0

    async def carry(self, delivery: str, push: Push) -> Carried:
        """See `Carrier.carry`."""
        del delivery
        self._in_hand += 1
        try:
            result = await self._sending.send(push)
        finally:
            self._in_hand -= 1
        if result.fault is FaultKind.NO_FILE:
            self._without_file += 1
            return PutBack(result.fault.sentence)
        return result

    def stats(self) -> SenderStats:
        """See `Carrier.stats`."""
        return SenderStats(in_hand=self._in_hand, without_file=self._without_file)

    def warnings(self) -> Sequence[str]:
        """Return nothing: what goes wrong here goes wrong with the server as a whole."""
        return ()
