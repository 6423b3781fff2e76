"""`Desk`: the whole contract between somebody who looks and somebody who works.

The engine satisfies it, so does `HttpDesk` over the admin API, and so does the tests' `FakeDesk`. The console holds
nothing else, which is why attaching to a remote server works: the local one is reached the same way.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

from pushdesk.model import (
    AccessToken,
    Broadcast,
    CacheChange,
    CacheEntry,
    Delivery,
    Dispatch,
    LogEntry,
    Stats,
    Subscription,
    VapidKey,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Collection, Sequence

    from pushdesk.model import (
        AcceptedTurn,
        BroadcastPlan,
        DecidedBrake,
        DeliveryRecord,
        ExportedKey,
        History,
        Invitation,
        NewAccessToken,
        Notification,
        Page,
        PageQuery,
        Restoration,
        RevokedKeys,
        Scope,
        Service,
        ServiceHealth,
        Span,
        Turn,
        User,
        Verdict,
    )


class Event(Struct, frozen=True, gc=False, tag_field="type"):
    """Something that happened, for display. Counters are kept elsewhere: events may be dropped, and then say so."""

    seq: int
    time: datetime


class Hello(Event, frozen=True, tag="hello"):
    """First on every stream: which numbering this is (`epoch`) and where it stands."""

    epoch: str
    version: str


class Gap(Event, frozen=True, tag="gap"):
    """Events were missed that are no longer held: fetch anew."""


class StatsChanged(Event, frozen=True, tag="stats"):
    """The state of the server, at most ten times a second and only when it changed."""

    stats: Stats


class SubscriptionChanged(Event, frozen=True, tag="subscription"):
    """A subscription was made, moved or changed its state."""

    subscription: Subscription


class SubscriptionRemoved(Event, frozen=True, tag="subscription_removed"):
    """A subscription is no longer known."""

    id: str
    user: str


class DispatchChanged(Event, frozen=True, tag="dispatch"):
    """A dispatch was accepted or moved on; without its deliveries."""

    dispatch: Dispatch


class DeliveryChanged(Event, frozen=True, tag="delivery"):
    """A delivery was tried or settled."""

    delivery: Delivery


class BroadcastChanged(Event, frozen=True, tag="broadcast"):
    """A broadcast was accepted or moved on; of one that is being sent, at most ten times a second."""

    broadcast: Broadcast


class KeyChanged(Event, frozen=True, tag="key"):
    """A VAPID key was made or changed its state."""

    key: VapidKey


class UserAdded(Event, frozen=True, tag="user_added"):
    """A user came into being, by subscribing or by an invitation."""

    user: str


class UserRemoved(Event, frozen=True, tag="user_removed"):
    """A user is no longer known."""

    user: str


class TokenChanged(Event, frozen=True, tag="token"):
    """An access token was made."""

    access: AccessToken


class TokenRevoked(Event, frozen=True, tag="token_revoked"):
    """An access token has ended."""

    id: str


class CacheChanged(Event, frozen=True, tag="cache"):
    """What happened in the subscription cache, look-ups too.

    Collected for a tenth of a second, so that a busy server tells of a user once and not for every push; told in the
    order in which it happened last, so that a user's last event says what is held. Of very many, the latest are told
    one by one and the others summed up before them: whoever keeps a copy lists the cache anew then.
    """

    change: CacheChange
    user: str
    """Empty where many are summed up, and when everything was cleared."""
    entry: CacheEntry | None = None
    """What is held of the user afterwards, if anything."""
    count: int = 1
    """How often it happened."""


class LogWritten(Event, frozen=True, tag="log"):
    """A line was written to the log. A hole in `entry.seq` is lines that were too many to be told: list the log."""

    entry: LogEntry


AnyEvent: TypeAlias = (
    Hello
    | Gap
    | StatsChanged
    | SubscriptionChanged
    | SubscriptionRemoved
    | DispatchChanged
    | DeliveryChanged
    | BroadcastChanged
    | KeyChanged
    | UserAdded
    | UserRemoved
    | TokenChanged
    | TokenRevoked
    | CacheChanged
    | LogWritten
)


class Position(Struct, frozen=True):
    """Where a reader of the stream stands: the last number it saw, and the numbering that it belongs to."""

    epoch: str
    seq: int


class Desk(Protocol):
    """What can be asked of a server, and what it tells by itself.

    Every method raises `PushdeskError`: `UnreachableError` when the server cannot be reached, else the error with
    which the server answered.
    """

    @property
    def left_out(self) -> int:
        """How many parts of what the server has said so far could not be read and are missing.

        Of a server of this version there are none.
        """
        ...

    async def stats(self) -> Stats:
        """Return the state of the server."""
        ...

    async def scopes(self) -> frozenset[Scope]:
        """Return what whoever asks may do."""
        ...

    async def history(self, span: Span) -> History:
        """Return how the server has been doing."""
        ...

    async def explain(self, *, user: str = "", subscription: str = "", delivery: str = "") -> Verdict:
        """Return why a user, a device or a delivery did not get what was sent, or that it did.

        Exactly one of them is named; of a user or a subscription, the latest is told.

        Raises:
            PushdeskError: `not_found` for a subscription or a delivery that is not known; `bad_field`.
        """
        ...

    async def users(self, query: PageQuery) -> Page[User]:
        """List users; sortable by `id`, `created_at`.

        The filter is a part of the id; after `^`, its beginning. So it is wherever a filter is a part of something.
        """
        ...

    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        """List subscriptions; the filter is a part of the user's id.

        Sortable by `created_at`, `user`, `state`, `service`, `failures`.
        """
        ...

    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        """List deliveries; sortable by `at`.

        The filter is an outcome, `subscription:` and an id, or a part of the user's id.
        """
        ...

    async def dispatches(self, query: PageQuery) -> Page[Dispatch]:
        """List dispatches without their deliveries; sortable by `accepted_at`.

        The filter is `state:` and a state, such as `state:scheduled`, or a part of the user's id or of the title.
        """
        ...

    async def dispatch(self, dispatch: str) -> Dispatch:
        """Return one dispatch with its deliveries; `not_found` if there is none."""
        ...

    async def cancel(self, dispatch: str) -> Dispatch:
        """End a dispatch that is scheduled, queued or being sent; what is under way ends, and is not tried again.

        Raises:
            PushdeskError: `not_found`; `already_ended` where nothing is left to be cancelled.
        """
        ...

    async def delivery(self, delivery: str) -> DeliveryRecord:
        """Return all that is known of a delivery; `not_found` if there is none."""
        ...

    async def resend(self, delivery: str) -> Dispatch:
        """Send what a delivery was of once more, to its subscription only; returns once that is durable.

        Raises:
            PushdeskError: `not_found`; `subscription_not_found` or `subscription_gone` where nobody would get it;
                `push_disabled`.
        """
        ...

    async def keys(self, query: PageQuery) -> Page[VapidKey]:
        """List VAPID keys, the newest first; sortable by `created_at`, `id`, `state`; the filter is a part of the id.

        With very many subscriptions, their counts may be of some seconds ago.
        """
        ...

    async def tokens(self, query: PageQuery) -> Page[AccessToken]:
        """List access tokens; sortable by `created_at` (without a sort: the newest first), `name`.

        The filter is a part of the name.
        """
        ...

    async def cache(self, query: PageQuery) -> Page[CacheEntry]:
        """List what the subscription cache holds; the filter is a part of the user's id.

        Sortable by `age` (without a sort: the least first), `time_left`, `user`, `generation`, `devices`, `size`.
        """
        ...

    async def log(self, query: PageQuery) -> Page[LogEntry]:
        """List the latest lines of the log, at most 1000; sortable by `seq`.

        The filter is a level, for lines of that level and above, or a part of the event's name or of a field's value
        (as JSON, if it is no text), or both: `warning timeout`.
        """
        ...

    async def notify(
        self,
        user: str,
        notification: Notification,
        *,
        wait_s: float = 0.0,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Accept a notification for a user.

        Returns once it is durable, or up to `wait_s` seconds later, as soon as it is settled.
        """
        ...

    async def broadcasts(self, query: PageQuery) -> Page[Broadcast]:
        """List broadcasts; sortable by `accepted_at`, without a sort the newest first; filter: part of the title."""
        ...

    async def plan_broadcast(
        self, notification: Notification, users: AsyncIterable[str] | None = None, *, skip_bad: bool = False
    ) -> BroadcastPlan:
        """Return what a broadcast would be; nothing is sent or kept.

        Raises:
            PushdeskError: As `broadcast`.
        """
        ...

    async def broadcast(
        self,
        notification: Notification,
        users: AsyncIterable[str] | None = None,
        *,
        skip_bad: bool = False,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Accept a broadcast; returns once it is durable.

        Args:
            notification: What is to be shown.
            users: To whom, a million at most, each once however often they are named; None for all users.
            skip_bad: Leave out what cannot be a user's id, instead of refusing everything.
            idempotency_key: A repeat with the same key returns the first dispatch.

        Raises:
            PushdeskError: `bad_field` for what cannot be users' ids, with the first 20 of them and how many there are,
                and for a list of nobody; as a notification besides.
        """
        ...

    async def pause_broadcast(self, broadcast: str) -> Broadcast:
        """Send nothing more of a broadcast until it is resumed, also after a restart; what is under way ends.

        Raises:
            PushdeskError: `not_found`; `already_ended`, as the ones below.
        """
        ...

    async def resume_broadcast(self, broadcast: str) -> Broadcast:
        """Go on with a broadcast that is paused; with others, nothing changes."""
        ...

    async def abort_broadcast(self, broadcast: str) -> Broadcast:
        """Send nothing more of a broadcast; what is under way ends, and is not tried again."""
        ...

    async def turn(self, turn: Turn, *, idempotency_key: str | None = None) -> AcceptedTurn:
        """Accept a turn of an agent: whoever it was for is notified. Returns once it is durable.

        For a sub-agent's turn there is no dispatch, and `reason` says why.

        Raises:
            PushdeskError: `bad_field` for a user or a URL that cannot be one; `push_disabled`.
        """
        ...

    async def test(self, user: str, subscription: str | None = None) -> tuple[Delivery, ...]:
        """Send the test push to a user's devices, or to one of them.

        Raises:
            PushdeskError: `subscription_not_found` if there is none; `subscription_gone` if the one is not sent to.
        """
        ...

    async def remove_subscriptions(self, ids: Sequence[str]) -> int:
        """Remove subscriptions; returns how many there were."""
        ...

    async def restore_subscriptions(self, ids: Sequence[str]) -> tuple[Restoration, ...]:
        """Make subscriptions active again that are gone or of another key; returns what came of each.

        They are kept for that for a while, see `disabled` in [retention].

        Args:
            ids: 1 to 500.
        """
        ...

    async def invite(self, user: str, expires_s: int = 86400) -> Invitation:
        """Make an invitation that lets one browser get a user's notifications; the code is returned this once.

        The user comes into being by it, if need be.

        Args:
            user: Whose notifications.
            expires_s: Seconds for which it is valid: 60 to 2592000 (30 days).

        Raises:
            PushdeskError: `bad_field` for what cannot be a user's id, or for another time.
        """
        ...

    async def remove_user(self, user: str) -> None:
        """Remove a user with everything of theirs; their tokens and pushes end at once.

        Raises:
            PushdeskError: `not_found` if nothing is known of them.
        """
        ...

    async def rotate_key(self, *, confirm: str = "") -> VapidKey:
        """Make a new current VAPID key; the old one is retiring: it goes on signing for its own subscriptions.

        Raises:
            PushdeskError: `confirm_required` unless `confirm` is the word that it names, as with the ones below.
        """
        ...

    async def retire_key(self, key: str, *, confirm: str = "") -> VapidKey:
        """End a retiring key: its subscriptions get nothing more, until their browsers come by and subscribe again.

        No word is needed if there are none.

        Raises:
            PushdeskError: `not_found`; `bad_field` for one that is not retiring; `confirm_required`.
        """
        ...

    async def roll_back_key(self, key: str, *, confirm: str = "") -> VapidKey:
        """Make a retiring or retired key current again, with its subscriptions; the current one is then retiring.

        Raises:
            PushdeskError: `not_found`; `bad_field` for one that is current or was revoked; `confirm_required`.
        """
        ...

    async def revoke_keys(self, *, confirm: str = "") -> RevokedKeys:
        """Make a new current key; all others are leaked: they are never used again, and their subscriptions are lost.

        Raises:
            PushdeskError: `confirm_required`.
        """
        ...

    async def import_key(self, text: str, *, current: bool = False, confirm: str = "") -> VapidKey:
        """Take a key that was used elsewhere: PEM, or the pair that node web-push or web-push-php made.

        It signs for the subscriptions that were made with it, and is retiring, unless it is to be the current one,
        which is what needs the word. One that is here and was retired is brought back.

        Raises:
            PushdeskError: `bad_field` for what is no key that can be used, is here already or was revoked;
                `confirm_required`.
        """
        ...

    async def export_key(self, key: str, *, confirm: str = "") -> ExportedKey:
        """Return a key with its private half.

        Raises:
            PushdeskError: `not_found`; `bad_field` for one that was revoked; `confirm_required`.
        """
        ...

    async def pause_service(self, service: Service) -> ServiceHealth:
        """Send nothing more to a push service until it is resumed, also after a restart; what is under way ends.

        What is for it waits, and expires by its TTL. Returns how it is now.
        """
        ...

    async def resume_service(self, service: Service) -> ServiceHealth:
        """Send to a push service again that was paused, if nothing else is in the way; returns how it is now."""
        ...

    async def reset_service(self, service: Service) -> ServiceHealth:
        """Forget what was wrong with a push service and try again at once: throttling, faults, keys that it refused.

        One that is paused stays so. Returns how it is now.
        """
        ...

    async def confirm_brake(self, service: Service, *, confirm: str = "") -> DecidedBrake:
        """Say that the subscriptions which a push service's brake holds have ended: they are disabled.

        Raises:
            PushdeskError: `bad_field` if the brake is not on; `confirm_required`.
        """
        ...

    async def release_brake(self, service: Service, *, confirm: str = "") -> DecidedBrake:
        """Say that the subscriptions which a push service's brake holds have not ended: they are sent to again.

        What was not sent to them meanwhile is not sent.

        Raises:
            PushdeskError: `bad_field` if the brake is not on; `confirm_required`.
        """
        ...

    async def create_token(self, name: str, scopes: Collection[Scope]) -> NewAccessToken:
        """Make an access token; the token itself is returned this once.

        Raises:
            PushdeskError: `bad_field` for a name that is not 1 to 100 printable characters, or without a scope.
        """
        ...

    async def revoke_token(self, token: str) -> AccessToken:
        """End an access token, by its id.

        Raises:
            PushdeskError: `not_found`.
        """
        ...

    async def invalidate_cache(self, user: str) -> bool:
        """Let a user's subscriptions be read again when they are next needed; returns whether any were held.

        Raises:
            PushdeskError: `bad_field` if `user` cannot be a user's id.
        """
        ...

    async def clear_cache(self) -> int:
        """Let all subscriptions be read again; returns how many users' were held."""
        ...

    def events(self, after: Position | None = None) -> AsyncGenerator[Sequence[AnyEvent], None]:
        """Follow what happens, in batches; the first event is a `Hello`. Ends with `UnreachableError` when lost."""
        ...
