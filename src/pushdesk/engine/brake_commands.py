"""What an operator decides of the subscriptions that a brake holds: they have ended, or they have not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pushdesk.engine.confirmation import check_confirmed
from pushdesk.engine.rest import wait_at_most
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.log import write
from pushdesk.log_events import BrakeConfirmed, BrakeReleased, BrakeUnfinished
from pushdesk.log_fields import Failure
from pushdesk.model import DecidedBrake
from pushdesk.storage.brakes import BrakeState
from pushdesk.storage.transaction import to_its_end
from pushdesk.webpush.services import NAMES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.clock import Clock
    from pushdesk.engine.brakes import Brakes
    from pushdesk.engine.publisher import Publisher
    from pushdesk.model import Service, ServiceHealth
    from pushdesk.storage.brakes import BrakeTable

CONFIRM_WORD: Final = "confirm"
RELEASE_WORD: Final = "release"
BATCH: Final = 500
"""The most subscriptions that one transaction changes."""


class BrakeCommands:
    """Takes brakes off. What they held follows in batches, if need be after the next start.

    After each batch it rests for as long as that took, so that others have the writer for half of the time at least.

    Args:
        table: What is held.
        brakes: Take effect at once.
        health: Tells how a push service is.
        publisher: Told of the subscriptions.
        clock: Since when they are disabled, and how long a batch takes.
        wait: Waits so many seconds, or until an event that comes before.
    """

    def __init__(
        self,
        table: BrakeTable,
        *,
        brakes: Brakes,
        health: Callable[[Service], ServiceHealth],
        publisher: Publisher,
        clock: Clock,
        wait: Callable[[float, asyncio.Event], Awaitable[None]] = wait_at_most,
    ) -> None:
        self._table = table
        self._brakes = brakes
        self._health = health
        self._publisher = publisher
        self._clock = clock
        self._wait = wait
        self._one_at_a_time = asyncio.Lock()
        self._ending = asyncio.Event()

    async def load(self) -> None:
        """Put on the brakes that were on.

        Raises:
            DatabaseError: They could not be read.
        """
        self._brakes.take_up(await self._table.all())
        self._brakes.held = await self._table.held()

    async def run(self) -> None:
        """Go on with what an earlier process left, until it is done or the end comes."""
        try:
            for brake in await self._table.all():
                if brake.state is not BrakeState.ON:
                    await self._follow(brake.hold.service)
        except DatabaseError as error:
            write(BrakeUnfinished(Failure.of(error)))

    def end(self) -> None:
        """Let `run` end; what it has not come to is for the next start."""
        self._ending.set()

    async def confirm(self, service: Service, confirm: str) -> DecidedBrake:
        """Disable what is held of a push service, as what it would be, and believe it again.

        Raises:
            PushdeskError: `bad_field` if its brake is not on; `confirm_required` without the word.
            DatabaseError: Nothing was decided, or not all is done: the next start goes on with it.
        """
        return await to_its_end(self._decide(service, BrakeState.CONFIRMED, confirm))

    async def release(self, service: Service, confirm: str) -> DecidedBrake:
        """Make what is held of a push service active again, and believe it again; what was missed is not sent again.

        Raises:
            PushdeskError: `bad_field` if its brake is not on; `confirm_required` without the word.
            DatabaseError: Nothing was decided, or not all is done: the next start goes on with it.
        """
        return await to_its_end(self._decide(service, BrakeState.RELEASED, confirm))

    async def _decide(self, service: Service, state: BrakeState, confirm: str) -> DecidedBrake:
        is_confirming = state is BrakeState.CONFIRMED
        async with self._one_at_a_time:
            hold = self._brakes.hold(service)
            if hold is None:
                raise PushdeskError(f"Nothing is held of {NAMES[service]}.", code="bad_field", fields=("service",))
            held = (await self._table.held()).get(service, 0)
            subscriptions = "1 subscription" if held == 1 else f"{held} subscriptions"
            check_confirmed(
                confirm,
                CONFIRM_WORD if is_confirming else RELEASE_WORD,
                f"Confirming that they have ended disables {subscriptions} of {NAMES[service]}, until their browsers "
                "subscribe again or they are restored."
                if is_confirming
                else f"Releasing makes {subscriptions} of {NAMES[service]} active again. What was not sent to them "
                "meanwhile is not sent.",
            )
            await self._table.decide(hold, state)
            self._brakes.take_off(hold)
            changed = await self._follow(service)
            kind = BrakeConfirmed if is_confirming else BrakeReleased
            write(kind(service=service, subscriptions=changed))
        return DecidedBrake(self._health(service), changed)

    async def _follow(self, service: Service) -> int:
        changed = 0
        while not self._ending.is_set():
            began = self._clock.monotonic()
            batch = await self._table.follow(service, round(self._clock.time() * 1000), BATCH)
            if not batch:
                break
            changed += len(batch)
            self._publisher.subscriptions_changed(batch)
            await self._wait(self._clock.monotonic() - began, self._ending)
        return changed
