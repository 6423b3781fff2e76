"""Reads what is known of a user, a device or a delivery, and says why they did not get something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.engine.statistics import utc
from pushdesk.engine.verdict_surroundings import Surroundings
from pushdesk.engine.verdicts import of_delivery, of_device, of_user
from pushdesk.errors import PushdeskError
from pushdesk.model import Service
from pushdesk.storage.times import to_milliseconds
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pushdesk.clock import Clock
    from pushdesk.engine.outbox import Outbox
    from pushdesk.model import ServiceHealth, Verdict
    from pushdesk.storage.explaining import Explaining


class Explainer:
    """Says why somebody did not get something.

    Args:
        explaining: What is known.
        clock: The time.
        sends: Whether this server sends anything.
        health: Tells how a push service is.
        outbox: Has what is queued.
        rate: Requests that may start per second, per push service; 0 is no limit.
        keeps_disabled_s: For how long a subscription that is disabled is kept; 0 is for ever.
    """

    def __init__(
        self,
        explaining: Explaining,
        clock: Clock,
        *,
        sends: bool,
        health: Callable[[Service], ServiceHealth],
        outbox: Outbox,
        rate: int,
        keeps_disabled_s: int,
    ) -> None:
        self._explaining = explaining
        self._clock = clock
        self._sends = sends
        self._health = health
        self._outbox = outbox
        self._rate = rate
        self._keeps_disabled_s = keeps_disabled_s

    async def explain(self, *, user: str = "", subscription: str = "", delivery: str = "") -> Verdict:
        """Return the verdict on the one of them that is named.

        Raises:
            PushdeskError: `not_found` for a subscription or a delivery that is not known; `bad_field` for none of them,
                more than one, or what cannot be a user's id.
            DatabaseError: What is known could not be read.
        """
        asked = {"user": user, "subscription": subscription, "delivery": delivery}
        named = tuple(name for name, value in asked.items() if value)
        if len(named) != 1:
            raise PushdeskError(
                "Name one of user, subscription and delivery: a verdict is on one of them.",
                code="bad_field",
                fields=named or tuple(asked),
            )
        now = utc(self._clock)
        if subscription:
            return of_device(await self._explaining.device(subscription), self._around(now))
        if delivery:
            return of_delivery(await self._explaining.delivery(delivery), self._around(now))
        facts = await self._explaining.user(check_user(user), to_milliseconds(now))
        return of_user(facts, self._around(now))

    def _around(self, now: datetime) -> Surroundings:
        return Surroundings(
            now,
            sends=self._sends,
            services={service: self._health(service) for service in Service},
            queued=self._outbox.queued,
            rate=self._rate,
            keeps_disabled_s=self._keeps_disabled_s,
        )
