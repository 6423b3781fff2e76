"""What a verdict is asked about: a user, one of their devices, or a delivery."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.console.happenings import delivery_device, device_of
from pushdesk.console.keys import bind
from pushdesk.console.text import plain

if TYPE_CHECKING:
    from typing import Self

    from pushdesk.desk import Desk
    from pushdesk.model import Delivery, Subscription, Verdict

WHY: Final = bind("w", "why", "Why?", "verdict.open", "Why it was not received, or what is known if it was")
SHOWN_WHY: Final = replace(WHY, show=True)
"""The same, for a screen that has always something that can be asked about."""
NO_SUBJECT: Final = "No user, device or delivery is selected."


class Subject(NamedTuple):
    """Of whom it is asked; of a device or a delivery, if one is named."""

    user: str
    device: str = ""
    """What a person calls it; fit to be shown."""
    subscription: str = ""
    delivery: str = ""

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"{plain(self.user)}, {self.device}" if self.device else plain(self.user)

    async def ask(self, desk: Desk) -> Verdict:
        """Ask the server.

        Raises:
            PushdeskError: It does not know it, or does not answer.
        """
        if self.delivery:
            return await desk.explain(delivery=self.delivery)
        if self.subscription:
            return await desk.explain(subscription=self.subscription)
        return await desk.explain(user=self.user)

    @classmethod
    def of_subscription(cls, subscription: Subscription) -> Self:
        """Return a subscription as what is asked about."""
        return cls(subscription.user, device_of(subscription), subscription=subscription.id)

    @classmethod
    def of_delivery(cls, delivery: Delivery) -> Self:
        """Return a delivery as what is asked about."""
        return cls(delivery.user, delivery_device(delivery), delivery=delivery.id)

    @classmethod
    def of_verdict(cls, verdict: Verdict) -> Self:
        """Return the device that one of a user's verdicts is on as what is asked about."""
        return cls(verdict.user, plain(verdict.about), subscription=verdict.subscription or "")
