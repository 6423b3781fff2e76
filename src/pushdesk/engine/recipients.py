"""Who gets what is due: the devices of its users, none older than was seen with it; and what if there are none."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from pushdesk.engine.delivery_log import log_delivery
from pushdesk.errors import DatabaseError
from pushdesk.log import bound, write
from pushdesk.log_events import SubscriptionsUnread
from pushdesk.log_fields import Failure, Id
from pushdesk.model import Outcome
from pushdesk.storage.records import Settlement, Targets
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.engine.subscriptions import SubscriptionCache
    from pushdesk.model import Delivery, PushTarget
    from pushdesk.storage.outbox import OutboxTable
    from pushdesk.storage.records import Claimed, HeldDevice, Open

READ_TIMEOUT_S: Final = 10.0
"""How long devices are waited for; who asks after that begins a new read beside one that hangs."""
PUT_OFF_S: Final = 5.0
"""After how long is tried again what is for a user whose devices could not be read."""


class Devices(NamedTuple):
    """A user's devices."""

    generation: int
    """The user's, that they belong to."""
    active: dict[str, PushTarget]
    """Those that are sent to, by subscription."""
    held: tuple[HeldDevice, ...]


class Recipients:
    """Finds the devices that what is due is for.

    Args:
        cache: Who has which devices.
        table: Tells what became of a device that a user no longer has.
    """

    def __init__(self, cache: SubscriptionCache, table: OutboxTable) -> None:
        self._cache = cache
        self._table = table
        self._looking: asyncio.Task[dict[str, Targets | BaseException]] | None = None
        self._stopping = False

    async def find(self, wanted: Sequence[Open] | Sequence[Claimed]) -> dict[str, Devices]:
        """Return the devices of the users that messages are for.

        Users whose devices cannot be read are left out, and the log tells why. There are none once it is stopped.
        """
        if self._stopping:
            return {}
        floors: dict[str, int] = {}
        for item in wanted:
            floors[item.message.user] = max(item.floor, floors.get(item.message.user, 0))
        self._looking = asyncio.create_task(self._cache.get_many(floors, timeout_s=READ_TIMEOUT_S))
        read: dict[str, Targets | BaseException] = {}
        try:
            await asyncio.wait((self._looking,))
            with suppress(asyncio.CancelledError):
                read = self._looking.result()
        finally:
            self._looking.cancel()
        found: dict[str, Devices] = {}
        failure: Exception | None = None
        for user, targets in read.items():
            if isinstance(targets, Targets):
                found[user] = _devices(targets)
            elif isinstance(targets, Exception):
                failure = targets
        if failure is not None:
            # One stands for all: they fail together, in one statement.
            write(SubscriptionsUnread(Failure.of(failure)))
        return found

    def at_hand(self, user: str) -> Devices | None:
        """Return a user's devices if they are known without a read."""
        targets = self._cache.at_hand(user)
        return None if targets is None else _devices(targets)

    def used(self, user: str) -> None:
        """Note that a user's devices were at hand, and of use."""
        self._cache.used(user)

    def stop(self) -> None:
        """Let `find` return nothing, at once and from now on."""
        self._stopping = True
        if self._looking is not None:
            self._looking.cancel()

    async def give_up(self, lost: Sequence[Delivery], now_ms: int) -> list[Settlement]:
        """Return how to settle claimed deliveries whose device is no longer one of the user's."""
        try:
            settlements = await self._table.lost(lost, now_ms)
        except DatabaseError as error:
            # They are claimed already: left alone, nobody would look at them until the next start.
            write(SubscriptionsUnread(Failure.of(error)))
            return [put_off(delivery, now_ms) for delivery in lost]
        found: list[Settlement] = []
        for settlement in settlements:
            delivery = settlement.delivery
            if delivery.outcome.is_settled:
                with bound(dispatch=Id(delivery.dispatch), device=Id(delivery.subscription)):
                    log_delivery(delivery)
                found.append(settlement)
            else:
                # Active again by now: it is looked at again.
                found.append(put_off(delivery, now_ms))
        return found


def _devices(targets: Targets) -> Devices:
    return Devices(targets.generation, {target.subscription: target for target in targets.targets}, targets.held)


def put_off(delivery: Delivery, now_ms: int) -> Settlement:
    """Have a delivery tried again when its user's devices can be read again."""
    later = structs.replace(
        delivery,
        outcome=Outcome.TRANSIENT,
        status=None,
        reason="The user's subscriptions could not be read, or were changing.",
        latency_ms=None,
        next_attempt_at=to_datetime(put_off_until(now_ms)),
        at=to_datetime(now_ms),
    )
    return Settlement(later, attempted=False)


def wait_until(delivery: Delivery, until_ms: int, reason: str, now_ms: int) -> Settlement:
    """Have a delivery wait until a moment, or until somebody makes it due before."""
    later = structs.replace(delivery, reason=reason, next_attempt_at=to_datetime(until_ms), at=to_datetime(now_ms))
    return Settlement(later, attempted=False)


def cancelled(delivery: Delivery, now_ms: int) -> Settlement:
    """Have nothing more be tried of a delivery whose user was removed, and which is no longer in the database."""
    ended = structs.replace(
        delivery,
        outcome=Outcome.CANCELLED,
        status=None,
        reason="The user was removed before this could be sent.",
        next_attempt_at=None,
        at=to_datetime(now_ms),
    )
    return Settlement(ended, attempted=False)


def put_off_until(now_ms: int) -> int:
    """Return when what was put off is due again."""
    return now_ms + round(PUT_OFF_S * 1000)
