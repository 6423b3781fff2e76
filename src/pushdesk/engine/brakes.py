"""The brakes of all push services, on this machine's clocks: what subscriptions may end by, and what is held.

What is counted are attempts: notifications, turns and broadcasts that a push service was asked to take. Not counted,
and not held either, is the test push: it is of one device, and somebody waits for what is true of it. Nor is what ends
without a push service's word: with its key, by its browser or by its user.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.engine.brake import Brake
from pushdesk.log import write
from pushdesk.log_events import BrakePutOn
from pushdesk.log_fields import Reason
from pushdesk.model import BrakeOn, DispatchKind, Outcome, Service, ServiceHealth, SubscriptionState
from pushdesk.storage.brakes import BrakeState
from pushdesk.storage.records import Disabling, Hold
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pushdesk.clock import Clock
    from pushdesk.storage.brakes import StoredBrake
    from pushdesk.storage.records import Job, Refused, Settlement
    from pushdesk.webpush.services import Verdict

HELD_BACK: Final = "That is not believed, as unusually many subscriptions of this push service end at once."


class Brakes:
    """One brake for each push service.

    Args:
        clock: Its monotonic time is the brakes', and its wall-clock time is since when one is on.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._brakes = {service: Brake() for service in Service}
        self._holds: dict[Service, Hold] = {}
        """Of the brakes that are on."""
        self._numbers = dict.fromkeys(Service, 0)
        """Of each, how often it has been on."""
        self.held: Mapping[Service, int] = {}
        """How many subscriptions were held when they were last counted."""

    def take_up(self, stored: Iterable[StoredBrake]) -> None:
        """Take over what an earlier process left."""
        for brake in stored:
            hold = brake.hold
            self._numbers[hold.service] = hold.number
            if brake.state is BrakeState.ON:
                self._brakes[hold.service].put_on(hold.reason)
                self._holds[hold.service] = hold

    @property
    def are_on(self) -> bool:
        """Whether any is."""
        return bool(self._holds)

    def hold(self, service: Service) -> Hold | None:
        """Return what a push service's subscriptions are held by, if its brake is on."""
        return self._holds.get(service)

    def take_off(self, hold: Hold) -> None:
        """Believe a push service again, unless its brake is on anew."""
        if self._holds.get(hold.service) == hold:
            del self._holds[hold.service]
            self._brakes[hold.service].take_off()

    def judged(self, job: Job, settlement: Settlement, answered: Verdict | None) -> Settlement:
        """Count an attempt, and return what it comes to: nothing ends by it while the brake is on.

        Args:
            job: What was attempted.
            settlement: What it would come to.
            answered: What the push service answered, if it was asked.
        """
        if answered is None or job.message.kind is DispatchKind.TEST:
            return settlement
        service = job.target.service
        self._brakes[service].attempted(self._clock.monotonic())
        if settlement.disabling is None:
            return settlement
        disabling = self._ended(service, settlement.disabling)
        if disabling.hold is None:
            return settlement
        delivery = settlement.delivery
        held = structs.replace(delivery, outcome=Outcome.HELD, reason=f"{delivery.reason} {HELD_BACK}".lstrip())
        return replace(settlement, delivery=held, disabling=disabling)

    def reaped(self, refused: Iterable[Refused]) -> list[Disabling]:
        """Return how to disable subscriptions that nothing was ever delivered to: gone, or held where that is too many.

        That they were attempted is counted already.
        """
        return [
            self._ended(one.service, Disabling(one.subscription, one.version, SubscriptionState.GONE))
            for one in refused
        ]

    def told(self, services: Iterable[ServiceHealth]) -> tuple[ServiceHealth, ...]:
        """Return how push services are, with their brakes; those too of which there is only that to be said."""
        known = {health.service: health for health in services}
        for service in self._holds:
            known[service] = self.of(known.get(service, ServiceHealth(service)))
        return tuple(known[service] for service in sorted(known))

    def of(self, health: ServiceHealth) -> ServiceHealth:
        """Return how a push service is, with its brake."""
        hold = self._holds.get(health.service)
        if hold is None:
            return health
        on = BrakeOn(to_datetime(hold.since_ms), hold.reason, self.held.get(health.service, 0))
        return structs.replace(health, brake=on)

    def warnings(self) -> list[str]:
        """Return what an operator should do something about."""
        return [
            f"Push service {service}: {hold.reason} That is not believed: {counted(self.held.get(service, 0))} held, "
            "neither sent to nor disabled. See why, the keys first. If it is true, "
            f"`pushdesk services confirm {service}`; if not, `pushdesk services release {service}`."
            for service, hold in sorted(self._holds.items())
        ]

    def _ended(self, service: Service, disabling: Disabling) -> Disabling:
        """Return how to disable a subscription that has ended, by its push service's word."""
        brake = self._brakes[service]
        if not brake.ended(disabling.subscription, disabling.version, self._clock.monotonic()):
            return disabling
        if service not in self._holds:
            self._numbers[service] += 1
            since_ms = round(self._clock.time() * 1000)
            self._holds[service] = Hold(service, self._numbers[service], since_ms, brake.reason)
            write(BrakePutOn(service=service, reason=Reason(brake.reason)))
        return replace(disabling, hold=self._holds[service])


def counted(subscriptions: int) -> str:
    """Return a number of subscriptions, with its verb."""
    return "1 subscription is" if subscriptions == 1 else f"{subscriptions} subscriptions are"
