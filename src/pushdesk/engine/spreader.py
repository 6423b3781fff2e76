"""Spreading: what becomes of messages on the devices of their users, as deliveries; nothing is written down here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from pushdesk.engine.pusher import TOO_LATE
from pushdesk.engine.topics import topics_of
from pushdesk.model import Delivery, Outcome, Service
from pushdesk.storage.records import IS_HELD, Job, Spread
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.in_flight import InFlight
    from pushdesk.engine.lanes import Lanes
    from pushdesk.engine.recipients import Devices
    from pushdesk.model import PushTarget
    from pushdesk.storage.records import HeldDevice, Message


class Sheet(NamedTuple):
    """What is to be written down of some messages, and started then."""

    messages: Sequence[Message]
    generations: Mapping[str, int]
    """Their users' generations, as their devices were looked up."""
    spread: Spread
    starting: Sequence[Job]
    """Those of its deliveries that there is room for: they are claimed by what is written."""
    expires_at_ms: float
    """When the first of the messages that have devices expires, in milliseconds since the epoch."""

    @property
    def empty(self) -> list[Message]:
        """The messages whose users have no device that is sent to."""
        return [message for message in self.messages if message.id in self.spread.empty]

    @property
    def left(self) -> set[Service]:
        """The push services of deliveries that are neither started nor settled: they wait in the database."""
        if len(self.starting) == len(self.spread.deliveries):
            return set()
        return {
            delivery.service
            for delivery in self.spread.deliveries
            if delivery.id not in self.spread.claims and not delivery.outcome.is_settled
        }

    def but_for(self, dispatches: Collection[str]) -> Sheet:
        """Return the same without some messages."""
        if not dispatches:
            return self
        return self._replace(
            messages=[message for message in self.messages if message.id not in dispatches],
            spread=self.spread.but_for(dispatches),
            starting=[job for job in self.starting if job.message.id not in dispatches],
        )


def make_job(delivery: str, message: Message, target: PushTarget, now_ms: int) -> Job:
    """Return what is to be done to push a message to a device, by a delivery of this id that is due now."""
    now = to_datetime(now_ms)
    made = Delivery(
        id=delivery,
        dispatch=message.id,
        user=target.user,
        subscription=target.subscription,
        service=target.service,
        outcome=Outcome.WAITING,
        next_attempt_at=now,
        at=now,
        device=target.device,
    )
    return Job(made, message, target)


class Spreader:
    """Makes deliveries.

    Args:
        lanes: Say what may be sent.
        in_flight: What is worked on takes room.
        identifiers: For deliveries.
    """

    def __init__(self, *, lanes: Lanes, in_flight: InFlight, identifiers: Identifiers) -> None:
        self._lanes = lanes
        self._in_flight = in_flight
        self._identifiers = identifiers

    def room(self, service: Service) -> int:
        """Return how many more deliveries to a push service may be started."""
        return self._lanes.room(service, self._in_flight.of(service))

    def sheet(self, messages: Sequence[Message], devices: Mapping[str, Devices], now_ms: int) -> Sheet:
        """Return a delivery for each device of messages.

        Args:
            messages: They are due.
            devices: Those of their users.
            now_ms: The time, in milliseconds since the epoch.
        """
        jobs: list[Job] = []
        held: list[Delivery] = []
        empty: list[str] = []
        for message in messages:
            mine = [
                make_job(self._identifiers.new(), message, target, now_ms)
                for target in devices[message.user].active.values()
                if message.subscription in (None, target.subscription)
            ]
            jobs += mine
            held += [
                self._held(message, device, now_ms)
                for device in devices[message.user].held
                if message.subscription in (None, device.subscription)
            ]
            if not mine:
                empty.append(message.id)
        starting, deliveries, awaited = self._sort(jobs, now_ms)
        claims = {job.delivery.id: self._in_flight.claim for job in starting}
        spread = Spread([*deliveries, *held], frozenset(empty), claims, awaited, topics_of(messages))
        generations = {message.user: devices[message.user].generation for message in messages}
        expires_at_ms = min((job.message.expires_at_ms for job in jobs), default=math.inf)
        return Sheet(messages, generations, spread, starting, expires_at_ms)

    def _sort(self, jobs: Sequence[Job], now_ms: int) -> tuple[list[Job], list[Delivery], dict[str, str]]:
        """Return the jobs that there is room for, all the deliveries, and which of them wait for which keys."""
        room = {service: self.room(service) for service in Service}
        starting: list[Job] = []
        deliveries: list[Delivery] = []
        awaited: dict[str, str] = {}
        for job in jobs:
            delivery, service = job.delivery, job.target.service
            wait = self._lanes.wait(job.target, job.message.expires_at_ms)
            if job.message.expires_at_ms <= now_ms:
                delivery = structs.replace(
                    delivery, outcome=TOO_LATE.outcome, reason=TOO_LATE.reason, next_attempt_at=None
                )
            elif wait is not None:
                delivery = wait.put_off(delivery, now_ms)
                if wait.key is not None:
                    awaited[delivery.id] = wait.key
            elif room[service] > 0:
                room[service] -= 1
                starting.append(job)
            deliveries.append(delivery)
        return starting, deliveries, awaited

    def _held(self, message: Message, device: HeldDevice, now_ms: int) -> Delivery:
        """Return the delivery to a device that a brake holds: it is settled, and says why."""
        return Delivery(
            id=self._identifiers.new(),
            dispatch=message.id,
            user=message.user,
            subscription=device.subscription,
            service=device.service,
            outcome=Outcome.HELD,
            reason=IS_HELD,
            at=to_datetime(now_ms),
            device=device.device,
        )
