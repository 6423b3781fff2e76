"""Tells what the engine has done: counters for what is counted, events for display."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk import log_events
from pushdesk.desk import (
    DeliveryChanged,
    DispatchChanged,
    KeyChanged,
    StatsChanged,
    SubscriptionChanged,
    SubscriptionRemoved,
    TokenChanged,
    TokenRevoked,
    UserAdded,
    UserRemoved,
)
from pushdesk.log import write
from pushdesk.log_fields import Device
from pushdesk.model import Dispatch, DispatchState, Outcome
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushdesk.engine.events import EventBus
    from pushdesk.engine.statistics import Statistics
    from pushdesk.model import AccessToken, Delivery, Service, Stats, Subscription, VapidKey
    from pushdesk.storage.records import Chunk, Message, Settled, Settlement, Swept


class Publisher:
    """The outbox's observer, and the registration's."""

    def __init__(self, bus: EventBus, statistics: Statistics) -> None:
        self._bus = bus
        self._statistics = statistics
        self.totals_are_stale = True
        """Whether users or subscriptions have changed since somebody counted them."""
        self.key_counts_are_stale = True
        """The same for what was made with which key."""

    def resumed(self, waiting: Mapping[Service, int]) -> None:
        """Take over how many deliveries there are in the database that are not settled."""
        self._statistics.waiting.clear()
        self._statistics.waiting.update(waiting)

    def dispatches_accepted(self, messages: Sequence[Message]) -> None:
        """Tell of dispatches that are durable."""
        for message in messages:
            self._dispatch(to_dispatch(message))

    def deliveries_made(self, deliveries: Sequence[Delivery]) -> None:
        """Count deliveries that are to be attempted, and tell of each."""
        for delivery in deliveries:
            self._statistics.waiting[delivery.service] += 1
            self._bus.publish(DeliveryChanged, delivery)

    def settled(self, settlements: Sequence[Settlement], settled: Settled) -> None:
        """Count what deliveries came to, and tell of it, of disabled subscriptions and of dispatches that are done."""
        for settlement in settlements:
            self._statistics.count(settlement)
            self._bus.publish(DeliveryChanged, settlement.delivery)
        self._followed(settled)

    def chunk_settled(self, chunk: Chunk, settled: Settled) -> None:
        """Count what became of a broadcast's recipients, and tell of those who were not accepted at once."""
        for settlement in chunk.settlements:
            self._statistics.waiting[chunk.service] += 1
            self._statistics.count(settlement)
            if settlement.delivery.outcome is not Outcome.ACCEPTED:
                self._bus.publish(DeliveryChanged, settlement.delivery)
        self.deliveries_made(chunk.under_way)
        self._followed(settled)

    def _followed(self, settled: Settled) -> None:
        for subscription in settled.disabled:
            write(log_events.SubscriptionDisabled(Device.of(subscription), state=subscription.state))
        for subscription in settled.reaped:
            write(log_events.SubscriptionReaped(Device.of(subscription), state=subscription.state))
        self.subscriptions_changed((*settled.disabled, *settled.reaped))
        for dispatch in settled.done:
            self._dispatch(dispatch)

    def subscriptions_changed(self, subscriptions: Sequence[Subscription]) -> None:
        """Tell of subscriptions that were made, moved or changed their state."""
        for subscription in subscriptions:
            self.totals_are_stale = self.key_counts_are_stale = True
            self._bus.publish(SubscriptionChanged, subscription)

    def subscriptions_removed(self, subscriptions: Sequence[Subscription]) -> None:
        """Tell of subscriptions that are no longer known."""
        for subscription in subscriptions:
            write(log_events.SubscriptionRemoved(Device.of(subscription)))
        self._removed(subscriptions)

    def subscriptions_forgotten(self, subscriptions: Sequence[Subscription]) -> None:
        """Tell of subscriptions that are not kept any longer. They may be very many: the log sums them up."""
        self._removed(subscriptions)

    def subscriptions_swept(self, swept: Swept) -> None:
        """Tell of subscriptions that followed their keys. They may be very many: the log sums them up."""
        self._removed(swept.removed)
        self.subscriptions_changed((*swept.disabled, *swept.restored))

    def user_made(self, user: str) -> None:
        """Tell of a user who came into being."""
        self.totals_are_stale = True
        self._bus.publish(UserAdded, user)

    def user_removed(self, user: str, subscriptions: Sequence[Subscription]) -> None:
        """Tell of a user who is no longer known, and before that of the subscriptions that were theirs."""
        self.totals_are_stale = True
        self.subscriptions_removed(subscriptions)
        self._bus.publish(UserRemoved, user)

    def key_changed(self, key: VapidKey) -> None:
        """Tell of a key that was made, or of which something has changed."""
        self._bus.publish(KeyChanged, key)

    def token_made(self, access: AccessToken) -> None:
        """Tell of an access token that was made."""
        self._bus.publish(TokenChanged, access)

    def token_revoked(self, token: str) -> None:
        """Tell of an access token that has ended."""
        self._bus.publish(TokenRevoked, token)

    def stats_changed(self, stats: Stats) -> None:
        """Tell of the server's state."""
        self._bus.publish(StatsChanged, stats)

    def _removed(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in subscriptions:
            self.totals_are_stale = self.key_counts_are_stale = True
            self._bus.publish(SubscriptionRemoved, subscription.id, subscription.user)

    def _dispatch(self, dispatch: Dispatch) -> None:
        self._bus.publish(DispatchChanged, dispatch)


def to_dispatch(message: Message, state: DispatchState | None = None) -> Dispatch:
    """Return what may be shown of a message, without deliveries: as it was accepted, or in the given state."""
    is_due = message.due_at_ms <= message.accepted_at_ms
    state = state or (DispatchState.QUEUED if is_due else DispatchState.SCHEDULED)
    return Dispatch(
        id=message.id,
        user=message.user or None,
        kind=message.kind,
        title=message.title,
        accepted_at=to_datetime(message.accepted_at_ms),
        state=state,
        send_at=to_datetime(message.due_at_ms) if state is DispatchState.SCHEDULED else None,
    )
