"""Topics: which of two messages is the newer one, and that of each topic one at a time is on its way to a device.

A push service replaces a message that it holds by the next one of its topic (RFC 8030 section 5.4), whichever that is:
so an older one must never come after a newer one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.model import DispatchKind
from pushdesk.storage.records import Topic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pushdesk.storage.records import Job, Message


class Precedence:
    """Numbers messages by their topic's order: the newer one has the higher number.

    Newer is what was accepted later, whatever the clock says meanwhile. Of what is scheduled, the moment counts for
    which it is scheduled; not of a turn, which only waits for its summary.
    """

    def __init__(self) -> None:
        self.latest = 0
        """The highest that was given to something that is not for later, in microseconds since the epoch."""

    def of(self, message: Message) -> int:
        """Return the number of a message that is accepted now."""
        is_for_later = message.due_at_ms > message.accepted_at_ms and message.kind is not DispatchKind.TURN
        moment = (message.due_at_ms if is_for_later else message.accepted_at_ms) * 1000
        if is_for_later and moment > self.latest:
            return moment
        self.latest = max(moment, self.latest + 1)
        return self.latest


class Topics:
    """What is on its way to devices, of messages with a topic; and of each, the one that is to follow it.

    That is the newest: the database knows which ones have been superseded, and they are dropped.
    """

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, str], str] = {}
        self._pairs: dict[str, tuple[str, str]] = {}
        """Of what is under way: its subscription and topic."""
        self._parked: dict[tuple[str, str], Job] = {}

    def enter(self, job: Job) -> bool:
        """Return whether a delivery may start: nothing of its topic is under way to its device; it is from now on."""
        topic = job.message.topic
        if topic is None:
            return True
        pair = (job.target.subscription, topic)
        if pair in self._under_way:
            return False
        self._under_way[pair] = job.delivery.id
        self._pairs[job.delivery.id] = pair
        return True

    def park(self, job: Job) -> Job | None:
        """Keep a delivery that may not start until it may; returns the one that it takes the place of, if any."""
        pair = (job.target.subscription, job.message.topic or "")
        replaced = self._parked.get(pair)
        self._parked[pair] = job
        return replaced

    def leave(self, delivery: str) -> Job | None:
        """Note that a delivery is not under way any longer; returns the one that may start now, if there is one."""
        pair = self._pairs.pop(delivery, None)
        if pair is None:
            return None
        del self._under_way[pair]
        return self._parked.pop(pair, None)

    def drop(self, deliveries: Collection[str]) -> list[Job]:
        """Return those of some deliveries that are parked, and park them no longer."""
        found = [pair for pair, job in self._parked.items() if job.delivery.id in deliveries] if deliveries else []
        return [self._parked.pop(pair) for pair in found]

    def clear(self) -> list[Job]:
        """Return all that is parked, and park it no longer."""
        parked = list(self._parked.values())
        self._parked.clear()
        return parked


def topics_of(messages: Iterable[Message]) -> dict[str, Topic]:
    """Return the topics of messages, by dispatch, of those that have one."""
    return {message.id: Topic(message.topic, message.precedence) for message in messages if message.topic is not None}
