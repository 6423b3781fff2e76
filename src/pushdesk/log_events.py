"""Everything that pushdesk logs: one class per event, its name, level and fields; docs/log.md lists them.

An event happens when its class is made and handed to `pushdesk.log.write`. What a field may hold is the rule of
`pushdesk.log_fields`. The ids of the request, dispatch and device that an event belongs to come by themselves, where
they are known (`pushdesk.log.bound`); an event has a field for one only where it tells of it from elsewhere.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from pushdesk.log_fields import Cut, Device, Failure, Id, Limit, Method, Origin, Reason, RoutePattern, UserId, Word
from pushdesk.model import (
    DispatchKind,
    InvitationFault,
    KeyState,
    LaneState,
    LogLevel,
    Outcome,
    Service,
    Shortage,
    SubscriptionState,
    SummaryFault,
)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class LogEvent(Struct, frozen=True, tag=_snake_case):
    """Something that happened, for the log. Its name is that of its class, in snake_case."""

    level: ClassVar[LogLevel]


class DebugEvent(LogEvent, frozen=True):
    """For whoever looks for something: one or more for each request and push."""

    level: ClassVar = LogLevel.DEBUG


class InfoEvent(LogEvent, frozen=True):
    """What changed, and what did not go as it was meant to outside of this server."""

    level: ClassVar = LogLevel.INFO


class WarningEvent(LogEvent, frozen=True):
    """What an operator should look at some time."""

    level: ClassVar = LogLevel.WARNING


class ErrorEvent(LogEvent, frozen=True):
    """Something in this server, or beneath it, does not work."""

    level: ClassVar = LogLevel.ERROR


class FailureEvent(ErrorEvent, frozen=True):
    """An error, with what failed."""

    failure: Failure


def name_of(kind: type[LogEvent]) -> str:
    """Return an event's name."""
    return str(kind.__struct_config__.tag)


def fields_of(event: LogEvent) -> dict[str, Any]:
    """Return an event's fields as JSON has them, less those that are None."""
    fields: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(event, enc_hook=str).items():
        # What `Failure` and `Device` say are fields of the event.
        fields.update(value if isinstance(value, dict) else {name: value})
    del fields["type"]
    return {name: value for name, value in fields.items() if value is not None}


class ServerListening(InfoEvent, frozen=True, kw_only=True):
    """Requests are answered."""

    url: Origin
    """The bind address and the real port."""
    access_url: Origin
    """Where browsers reach it."""
    version: Word


class ServerEnded(InfoEvent, frozen=True, kw_only=True):
    """The server was told to stop, and has."""

    left: int
    """Deliveries that were under way; they are tried again at the next start."""


class ServerFailed(FailureEvent, frozen=True):
    """The server ended by itself."""


class AcceptingEnded(WarningEvent, frozen=True, kw_only=True):
    """There is too little room, in the queue or on the disk: nothing more is accepted."""

    shortage: Shortage


class AcceptingBegan(InfoEvent, frozen=True, kw_only=True):
    """There is room again."""

    shortage: Shortage
    """What there was too little room for."""
    refused: int
    """Requests that were refused because of it."""


class LogLineLost(FailureEvent, frozen=True):
    """A line of the log could not be written; told once, until one can be."""


class RequestAnswered(DebugEvent, frozen=True, kw_only=True):
    """A request was answered, or its event stream ended."""

    method: Method
    route: RoutePattern | None
    """None where there is no such route."""
    status: int
    ms: float
    """From the first line of the request to the answer."""


class RequestRefused(InfoEvent, frozen=True, kw_only=True):
    """A request was answered with a 4xx, which says what was wrong with it; that it asks for a word is not told."""

    method: Method
    route: RoutePattern | None
    """None where there is no such route."""
    status: int
    code: Word


class RequestFailed(FailureEvent, frozen=True, kw_only=True):
    """A request was answered with a 5xx; those for which there was no room are told together."""

    method: Method
    route: RoutePattern | None


class RequestUnreadable(InfoEvent, frozen=True, kw_only=True):
    """What was sent is no HTTP request."""

    error: Word


class RequestTurnedAway(WarningEvent, frozen=True, kw_only=True):
    """A request was answered with a 503: push is switched off."""

    method: Method
    route: RoutePattern | None
    code: Word
    reason: Reason


class RequestsLimited(InfoEvent, frozen=True, kw_only=True):
    """Requests were answered with a 429; told every ten seconds at most, with how many there were since."""

    limit: Limit
    requests: int
    token: Id | None = None
    """The access token of the latest one."""


class ConnectionsCut(InfoEvent, frozen=True, kw_only=True):
    """Connections were refused or closed for what their clients did; told every ten seconds at most, with how many."""

    cut: Cut
    connections: int


class OpenFilesShort(WarningEvent, frozen=True, kw_only=True):
    """The system lets this process open fewer files than it would need; fewer connections are taken than are set."""

    limit: int
    """Files that it may open."""
    wanted: int
    connections: int
    """Connections that are taken."""


class ConnectionFailed(ErrorEvent, frozen=True, kw_only=True):
    """A mistake in the handling of a connection."""

    failure: Failure | None


class EventStreamFailed(FailureEvent, frozen=True):
    """An event stream was closed because of an error."""


class DispatchAccepted(DebugEvent, frozen=True, kw_only=True):
    """A dispatch is durable."""

    dispatch: Id
    kind: DispatchKind
    user: UserId


class DispatchCancelled(InfoEvent, frozen=True, kw_only=True):
    """A dispatch was cancelled: what of it was not under way is not sent."""

    dispatch: Id


class BroadcastAccepted(InfoEvent, frozen=True, kw_only=True):
    """A broadcast is durable."""

    dispatch: Id
    recipients: int


class BroadcastPaused(InfoEvent, frozen=True, kw_only=True):
    """Somebody paused a broadcast."""

    dispatch: Id


class BroadcastResumed(InfoEvent, frozen=True, kw_only=True):
    """Somebody had a broadcast go on."""

    dispatch: Id


class BroadcastReached(InfoEvent, frozen=True, kw_only=True):
    """Everybody was got to whom a broadcast is for, or its time was over; what is to be tried again may be left."""

    dispatch: Id
    recipients: int
    unreached: int


class DeliveryResent(InfoEvent, frozen=True, kw_only=True):
    """An operator had the message of a delivery sent once more: the new dispatch is durable."""

    delivery: Id
    dispatch: Id
    user: UserId


class TurnNotSummarised(WarningEvent, frozen=True, kw_only=True):
    """The summariser gave no summary of a turn; it goes out with the one that pushdesk made."""

    dispatch: Id
    fault: SummaryFault
    status: int | None
    """None where there was no answer, or a good one with nothing to be used."""


class SummaryFailed(FailureEvent, frozen=True, kw_only=True):
    """A mistake of this server's, or of its database's, kept a summary from a turn; it goes out at its deadline."""

    dispatch: Id


class DeliveryAccepted(DebugEvent, frozen=True, kw_only=True):
    """A push service took a push."""

    user: UserId
    service: Service
    status: int | None
    attempts: int
    latency_ms: float | None


class DeliveryNotAccepted(InfoEvent, frozen=True, kw_only=True):
    """A push came to something else: it was tried and not taken, or it could not be sent."""

    user: UserId
    service: Service
    outcome: Outcome
    status: int | None
    """None where there was no answer."""
    reason: Reason
    """What the push service said."""
    attempts: int
    latency_ms: float | None


class DeliveryMisconfigured(DeliveryNotAccepted, frozen=True, kw_only=True):
    """The same, where a push service objected to what this server says of itself: an operator has to mend that."""

    level: ClassVar = LogLevel.WARNING


class AttemptFailed(FailureEvent, frozen=True):
    """A mistake of this server's kept a push from being sent; it will be tried again."""


class PushRefusedAsHarmful(ErrorEvent, frozen=True, kw_only=True):
    """Every sender process ended that a push was given to, and so did those that had nothing else to do."""

    service: Service


class SenderReady(InfoEvent, frozen=True, kw_only=True):
    """A sender process takes pushes."""

    pid: int
    ms: float
    """Since it was taken on."""


class SenderEnded(WarningEvent, frozen=True, kw_only=True):
    """A sender process ended that nobody told to, or that did not answer; its pushes are sent again by another one."""

    signal: int | None
    code: int | None
    pushes: int
    """Those that it had in hand."""
    reason: Reason | None
    """The last that it said, if it was not ready yet, or what it was ended for."""


class SenderNotStarted(FailureEvent, frozen=True):
    """A sender process could not be started; it is tried again. Told once a minute."""


class SendersWithoutFiles(WarningEvent, frozen=True, kw_only=True):
    """Sender processes have as many files open as they may; pushes are put off. Told once a minute."""

    senders: int
    pushes: int
    """How many there were since that was last told."""


class SenderPoolFailed(FailureEvent, frozen=True):
    """A mistake in looking after the sender processes; they are looked after again a second later."""


class OutboxPassFailed(FailureEvent, frozen=True):
    """What is due could not be looked for or started; it is looked for again."""


class OutboxStoppedEarly(WarningEvent, frozen=True, kw_only=True):
    """The server ended while pushes were under way; they are tried again at the next start."""

    in_flight: int


class LaneChanged(InfoEvent, frozen=True, kw_only=True):
    """Whether anything is sent to a push service has changed; the reason is empty when it is open again."""

    service: Service
    state: LaneState
    reason: Reason


class LaneReset(InfoEvent, frozen=True, kw_only=True):
    """An operator has what was wrong with a push service forgotten."""

    service: Service


class KeyStopped(WarningEvent, frozen=True, kw_only=True):
    """A push service refuses what is signed with a key as our mistake: nothing more is sent there with it."""

    service: Service
    key: Id
    reason: Reason


class KeyResumed(InfoEvent, frozen=True, kw_only=True):
    """A push service is sent to again with a key that was stopped there."""

    service: Service
    key: Id


class BrakePutOn(WarningEvent, frozen=True, kw_only=True):
    """Unusually many subscriptions of a push service end: those that do are held until somebody decides."""

    service: Service
    reason: Reason


class BrakeConfirmed(WarningEvent, frozen=True, kw_only=True):
    """An operator says that the subscriptions which were held have ended: they are disabled."""

    service: Service
    subscriptions: int


class BrakeReleased(WarningEvent, frozen=True, kw_only=True):
    """An operator says that the subscriptions which were held have not ended: they are sent to again."""

    service: Service
    subscriptions: int


class BrakeUnfinished(FailureEvent, frozen=True):
    """What an operator decided of held subscriptions could not be done to its end; the next start goes on with it."""


class SubscriptionsUnread(FailureEvent, frozen=True):
    """The devices that pushes wait for could not be read; they are read again."""


class SubscriptionUntested(FailureEvent, frozen=True):
    """A new subscription could not be tried out; it is kept."""


class SettleFailed(FailureEvent, frozen=True, kw_only=True):
    """Outcomes could not be written down; they will be."""

    deliveries: int


class BroadcastFailed(FailureEvent, frozen=True, kw_only=True):
    """A step of a broadcast failed; it is tried again."""

    dispatch: Id


class BroadcastListKept(FailureEvent, frozen=True, kw_only=True):
    """The list of a broadcast that is not needed any more could not be removed; the next start does that."""

    dispatch: Id


class GroupCommitFailed(FailureEvent, frozen=True, kw_only=True):
    """A mistake in handling what belongs to one transaction; the next one goes on."""

    items: int


class StatsFailed(FailureEvent, frozen=True):
    """The state of the server could not be put together; it is tried again every second."""


class SubscriptionEvent(InfoEvent, frozen=True):
    """Something happened to a subscription."""

    subscription: Device


class SubscriptionMade(SubscriptionEvent, frozen=True):
    """A browser subscribed."""


class SubscriptionMoved(SubscriptionEvent, frozen=True):
    """A known browser subscribed for another user, with another key of this server's, or in place of another."""


class SubscriptionRevived(SubscriptionEvent, frozen=True):
    """A browser that was no longer sent to subscribed again."""


class SubscriptionRemoved(SubscriptionEvent, frozen=True):
    """A subscription is no longer known."""


class SubscriptionDisabled(SubscriptionEvent, frozen=True, kw_only=True):
    """A push service said that a subscription cannot be pushed to; it is kept and not sent to."""

    state: SubscriptionState


class SubscriptionReaped(SubscriptionEvent, frozen=True, kw_only=True):
    """Nothing was ever delivered to a subscription, and its pushes were refused again and again: it is not sent to."""

    state: SubscriptionState


class SubscriptionsRestored(InfoEvent, frozen=True, kw_only=True):
    """An operator has disabled subscriptions sent to again."""

    subscriptions: int


class DisabledRemoved(InfoEvent, frozen=True, kw_only=True):
    """Subscriptions that had been disabled for long enough were removed."""

    subscriptions: int


class DisabledUnremoved(FailureEvent, frozen=True):
    """Subscriptions that have been disabled for long enough could not be removed; it is tried again in an hour."""


class SubscriptionRefused(SubscriptionEvent, frozen=True, kw_only=True):
    """A new subscription's test push said that it cannot be pushed to; it is not kept."""

    status: int | None
    reason: Reason


class InvitationMade(InfoEvent, frozen=True, kw_only=True):
    """A browser may be let in for a user."""

    user: UserId
    valid_s: int


class InvitationRedeemed(InfoEvent, frozen=True, kw_only=True):
    """A browser showed an invitation and was let in."""

    user: UserId
    enrollment: Id


class InvitationRefused(InfoEvent, frozen=True, kw_only=True):
    """A browser showed an invitation that lets nobody in."""

    user: UserId | None
    """None where it is not known."""
    fault: InvitationFault


class UserRemoved(InfoEvent, frozen=True, kw_only=True):
    """A user was removed with everything of theirs."""

    user: UserId
    subscriptions: int


class UserRemovalUnfinished(FailureEvent, frozen=True):
    """Some of what a removed user was sent before is still there; the next start goes on with it."""


class HistoryTrimmed(InfoEvent, frozen=True, kw_only=True):
    """What was done long ago, or was too much, was removed."""

    dispatches: int
    deliveries: int


class TrimmingFailed(FailureEvent, frozen=True):
    """What is kept no longer could not be removed; it is tried again in a minute."""


class DatabaseCopied(InfoEvent, frozen=True, kw_only=True):
    """An operator made a backup."""

    bytes: int


class DatabaseVacuumed(InfoEvent, frozen=True, kw_only=True):
    """An operator had the database made smaller."""

    before: int
    """Bytes."""
    after: int


class KeyMadeCurrent(InfoEvent, frozen=True, kw_only=True):
    """Browsers subscribe with this VAPID key from now on."""

    key: Id


class AccessTokenMade(InfoEvent, frozen=True, kw_only=True):
    """An operator made an access token."""

    token: Id
    scopes: Word


class AccessTokenRevoked(InfoEvent, frozen=True, kw_only=True):
    """An operator revoked an access token."""

    token: Id


class AccessTokenUsesUnwritten(FailureEvent, frozen=True):
    """It could not be written down when access tokens were last used; it is tried again in a minute."""


class KeyRetired(InfoEvent, frozen=True, kw_only=True):
    """A VAPID key was ended: nothing is signed with it any more."""

    key: Id
    subscriptions: int
    """That were made with it and get nothing more."""


class KeysRevoked(WarningEvent, frozen=True, kw_only=True):
    """All VAPID keys but a new one were ended for good, and what was made with them is removed."""

    keys: int
    subscriptions: int
    """That were sent to, and are lost."""


class KeyImported(InfoEvent, frozen=True, kw_only=True):
    """A VAPID key that was used elsewhere signs here, or one that was retired signs again."""

    key: Id
    state: KeyState
    subscriptions: int
    """That were made with it."""


class KeyExported(WarningEvent, frozen=True, kw_only=True):
    """An operator was given a VAPID key with its private half."""

    key: Id


class KeySweepEnded(InfoEvent, frozen=True, kw_only=True):
    """All subscriptions are in line with the keys that they were made with."""

    removed: int
    disabled: int
    restored: int


class KeySweepStopped(InfoEvent, frozen=True, kw_only=True):
    """The server stops while subscriptions are brought in line with their keys; the next start goes on with it."""

    removed: int
    disabled: int
    restored: int


class KeySweepFailed(FailureEvent, frozen=True):
    """Subscriptions could not be brought in line with their keys; it is tried again every second."""


class CacheCleared(InfoEvent, frozen=True, kw_only=True):
    """An operator emptied the subscription cache."""

    entries: int
    """Users that were in it."""


class CacheInvalidated(InfoEvent, frozen=True, kw_only=True):
    """An operator dropped a user from the subscription cache."""

    user: UserId
