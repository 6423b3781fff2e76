"""Reads what is known of a user, a device or a delivery, and says why they did not get something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.engine.statistics import utc
from pushdesk.engine.verdicts import of_delivery, of_device, of_user
from pushdesk.errors import PushdeskError
from pushdesk.storage.times import to_milliseconds
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from pushdesk.clock import Clock
    from pushdesk.model import Verdict
    from pushdesk.storage.explaining import Explaining


class Explainer:
    """Says why somebody did not get something.

    Args:
        explaining: What is known.
        sends: Whether this server sends anything.
        clock: The time.
    """

    def __init__(self, explaining: Explaining, clock: Clock, *, sends: bool) -> None:
        self._explaining = explaining
        self._clock = clock
        self._sends = sends

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
            return of_device(await self._explaining.device(subscription), sends=self._sends, now=now)
        if delivery:
            return of_delivery(await self._explaining.delivery(delivery), sends=self._sends, now=now)
        facts = await self._explaining.user(check_user(user), to_milliseconds(now))
        return of_user(facts, sends=self._sends, now=now)
