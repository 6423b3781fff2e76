"""What is read to explain why somebody did not get something: all of one moment, and little of however much there is.

Everything is found by an index: a user's subscriptions, invitations, dispatches and deliveries, the newest first. Of
deliveries only the user's newest are looked through, so that a device that was sent to long ago and not since is told
by its subscription alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, exists, func, or_, select, union_all

from pushdesk.errors import PushdeskError
from pushdesk.model import DispatchState, KeyState, Outcome, SubscriptionState
from pushdesk.storage.answers import REAPED_AFTER
from pushdesk.storage.explaining_broadcasts import Reach, read_reach
from pushdesk.storage.retention import not_kept
from pushdesk.storage.rows import device_label, to_attempt, to_delivery, to_dispatch, to_subscription, ttl_s_of
from pushdesk.storage.schema import attempts, deliveries, dispatches, invitations, subscriptions, user_state, vapid_keys
from pushdesk.storage.sendings import Sending, moment
from pushdesk.storage.times import to_datetime, to_datetime_or_none

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, CompoundSelect, Exists, Row, Select

    from pushdesk.model import Attempt, Delivery, Dispatch, Subscription
    from pushdesk.storage.database import Database
    from pushdesk.storage.transaction import Snapshot

DEVICES_TOLD: Final = 50
"""How many devices of a user are told of, those that are sent to first, then the newest."""
LOOKED_THROUGH: Final = 1000
"""How many of a user's newest subscriptions, of their newest dispatches and deliveries, are looked through."""
DELIVERIES_TOLD: Final = 1000
"""How many deliveries of a dispatch are told of: as many as a user can have devices."""
ATTEMPTS_TOLD: Final = 5
"""How many attempts of a delivery are told of."""


@dataclass(frozen=True, slots=True)
class Newer:
    """What took the place of a delivery: the newest of its topic to the same device."""

    topic: str
    dispatch: Dispatch
    """Without its deliveries."""
    outcome: Outcome
    """What became of it on that device."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery, and what it is of."""

    delivery: Delivery
    sending: Sending
    earlier: tuple[Attempt, ...] = ()
    """Its attempts after which another one was due, the latest of them first; at most `ATTEMPTS_TOLD`."""
    newer: Newer | None = None
    """Of what is superseded, if it is still kept."""


@dataclass(frozen=True, slots=True)
class Device:
    """A subscription, and what was last sent to it."""

    subscription: Subscription
    label: str
    """What a person would call it."""
    key: KeyState | None
    """What has become of the key that it was made with; None where that is not in the database."""
    latest: Sent | None = None
    """Its latest delivery, if it is among the newest of its user."""
    ending: Sent | None = None
    """The latest that was answered with its end: gone, or another key."""
    was_reaped: bool = False
    """Whether it is disabled because nothing was ever delivered to it, and its pushes were refused."""
    disabled_at: datetime | None = None
    """Since when it is disabled, if it is: it is kept for a while, and can be restored."""
    reach: Reach | None = None
    """How the newest broadcast that is for its user stands to it, if there is one."""

    @property
    def key_signs(self) -> bool:
        """Whether its key is one that is signed with."""
        return self.key in _SIGNING

    @property
    def is_live(self) -> bool:
        """Whether it is sent to."""
        return self.key_signs and self.subscription.state is SubscriptionState.ACTIVE


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What is known of a user, as far as it tells why they did not get something."""

    user: str
    is_known: bool
    devices: tuple[Device, ...] = ()
    """Those that are sent to first, then the newest; at most `DEVICES_TOLD`."""
    has_more_devices: bool = False
    latest: Sending | None = None
    """What was sent to them last, or is about to be; what is for one device, or for later, if there is nothing else."""
    upcoming: Sending | None = None
    """What is scheduled for them next, besides that."""
    deliveries: tuple[Delivery, ...] = ()
    """What became of that, the oldest first; at most `DELIVERIES_TOLD`."""
    lost: Sent | None = None
    """Their latest delivery to a device that is not theirs any more."""
    invited_until: datetime | None = None
    """When the last of the invitations ends that nobody has used, if there is one."""
    revoked_at: datetime | None = None
    """When all keys were last revoked, if ever: devices that had subscribed with them were removed."""


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """What is known of a delivery and of whom it was for."""

    sent: Sent
    device: Device | None
    """None if the user does not have it any more."""
    has_live_device: bool
    """Whether the user has any device that is sent to."""


class Explaining:
    """Reads what is known of users, devices and deliveries of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user(self, user: str, now_ms: int) -> UserFacts:
        """Return what is known of a user; of one who is not known, what they were sent all the same.

        Raises:
            DatabaseError: It could not be read.
        """
        async with self._database.snapshot() as snapshot:
            around = (await snapshot.execute(_select_around(user, now_ms))).one()
            rows = (await snapshot.execute(_select_devices_of(user))).all()
            told = rows[:DEVICES_TOLD]
            found = (await snapshot.execute(_select_latest(user, [row.id for row in told]))).all()
            sendings = await _read_sendings(
                snapshot,
                or_(
                    dispatches.c.id.in_({row.dispatch for row in found}),
                    dispatches.c.id.in_(_select_last_and_next(user, now_ms)),
                ),
            )
            latest, upcoming = _last_and_next(sendings.values(), to_datetime(now_ms))
            spread: Sequence[Row[Any]] = ()
            if latest is not None:
                spread = (await snapshot.execute(_select_spread(user, latest.dispatch.id))).all()
            sent = await _read_sent(snapshot, found, sendings)
            reach = await read_reach(snapshot, user, [row.id for row in told])
        return UserFacts(
            user,
            is_known=around.known is not None,
            devices=tuple(_to_device(row, sent, reach.get(row.id)) for row in told),
            has_more_devices=len(rows) > len(told),
            latest=latest,
            upcoming=upcoming,
            deliveries=tuple(to_delivery(row) for row in spread),
            lost=next((one for row, one in zip(found, sent, strict=True) if row.is_lost), None),
            invited_until=to_datetime_or_none(around.invited_until),
            revoked_at=to_datetime_or_none(around.revoked_at),
        )

    async def device(self, subscription: str) -> Device:
        """Return what is known of a device.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It could not be read.
        """
        async with self._database.snapshot() as snapshot:
            device = await _read_device(snapshot, subscription)
        if device is None:
            raise PushdeskError(
                "There is no such subscription.",
                code="not_found",
                hint="Ask for its user: what they were sent is told.",
            )
        return device

    async def delivery(self, delivery: str) -> DeliveryFacts:
        """Return what is known of a delivery, and of the device that it was for.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It could not be read.
        """
        async with self._database.snapshot() as snapshot:
            row = (await snapshot.execute(select(deliveries).where(deliveries.c.id == delivery))).one_or_none()
            if row is None:
                raise not_kept("delivery")
            found = to_delivery(row)
            sendings = await _read_sendings(snapshot, dispatches.c.id == found.dispatch)
            (sent,) = await _read_sent(snapshot, [row], sendings)
            device = await _read_device(snapshot, found.subscription)
            has_live_device = bool(await snapshot.scalar(select(_has_live_device(found.user))))
        is_theirs = device is not None and device.subscription.user == found.user
        return DeliveryFacts(sent, device if is_theirs else None, has_live_device)


_SHOWN: Final = [
    column
    for column in subscriptions.c
    if column
    not in {subscriptions.c.endpoint, subscriptions.c.p256dh, subscriptions.c.auth, subscriptions.c.token_digest}
]
"""Of a subscription: without its secrets."""
_ENDINGS: Final = (Outcome.GONE, Outcome.KEY_MISMATCH)
_SIGNING: Final = (KeyState.CURRENT, KeyState.RETIRING)


async def _read_device(snapshot: Snapshot, subscription: str) -> Device | None:
    row = (await snapshot.execute(_select_devices(subscriptions.c.id == subscription))).one_or_none()
    if row is None:
        return None
    found = (await snapshot.execute(_select_latest(row.user, [row.id]))).all()
    sendings = await _read_sendings(snapshot, dispatches.c.id.in_({one.dispatch for one in found}))
    reach = await read_reach(snapshot, row.user, [row.id])
    return _to_device(row, await _read_sent(snapshot, found, sendings), reach.get(row.id))


async def _read_sendings(snapshot: Snapshot, which: ColumnElement[bool]) -> dict[str, Sending]:
    # Without the messages: nobody who looks needs them.
    columns = [column for column in dispatches.c if column is not dispatches.c.message]
    rows = await snapshot.execute(select(*columns).where(which))
    return {row.id: _to_sending(row) for row in rows}


async def _read_sent(snapshot: Snapshot, rows: Sequence[Row[Any]], sendings: Mapping[str, Sending]) -> list[Sent]:
    """Return deliveries with what they are of, what was tried, and what took their place."""
    earlier = await _read_earlier(snapshot, [row.id for row in rows])
    superseded = [row.id for row in rows if row.outcome == Outcome.SUPERSEDED]
    newer = await _read_newer(snapshot, superseded) if superseded else {}
    return [Sent(to_delivery(row), sendings[row.dispatch], earlier[row.id], newer.get(row.id)) for row in rows]


async def _read_newer(snapshot: Snapshot, superseded: Collection[str]) -> dict[str, Newer]:
    rows = await snapshot.execute(_select_newer(superseded))
    return {row.older: Newer(row.topic, to_dispatch(row), Outcome(row.outcome)) for row in rows}


async def _read_earlier(snapshot: Snapshot, ids: Sequence[str]) -> dict[str, tuple[Attempt, ...]]:
    statement = (
        select(attempts)
        .join(deliveries, deliveries.c.id == attempts.c.delivery)
        .where(attempts.c.delivery.in_(ids), attempts.c.number > deliveries.c.attempts - ATTEMPTS_TOLD)
        .order_by(attempts.c.delivery, attempts.c.number.desc())
    )
    found: dict[str, tuple[Attempt, ...]] = dict.fromkeys(ids, ())
    for row in await snapshot.execute(statement):
        found[row.delivery] += (to_attempt(row, row.number),)
    return found


def _select_around(user: str, now_ms: int) -> Select[Any]:
    """Return the statement for whether a user is known, how long they are invited, and when keys were revoked."""
    open_ = and_(invitations.c.user == user, invitations.c.used_at.is_(None), invitations.c.expires_at > now_ms)
    # Revoking makes a key and ends all others for good: of those that are not revoked, it is the oldest.
    first = select(func.min(vapid_keys.c.created_at)).where(vapid_keys.c.state != KeyState.REVOKED)
    ever = exists().where(vapid_keys.c.state == KeyState.REVOKED)
    return select(
        select(user_state.c.created_at).where(user_state.c.user == user).scalar_subquery().label("known"),
        select(func.max(invitations.c.expires_at)).where(open_).scalar_subquery().label("invited_until"),
        first.where(ever).scalar_subquery().label("revoked_at"),
    )


def _select_devices(which: ColumnElement[bool]) -> Select[Any]:
    key = select(vapid_keys.c.state).where(vapid_keys.c.id == subscriptions.c.key_id).scalar_subquery()
    return select(*_SHOWN, key.label("key_state")).where(which)


def _select_devices_of(user: str) -> Select[Any]:
    newest = _ids_of(user).order_by(subscriptions.c.id.desc()).limit(LOOKED_THROUGH)
    return (
        _select_devices(subscriptions.c.id.in_(newest))
        .order_by(_is_live().desc(), subscriptions.c.id.desc())
        .limit(DEVICES_TOLD + 1)
    )


def _ids_of(user: str) -> Select[tuple[str]]:
    return select(subscriptions.c.id).where(subscriptions.c.user == user)


def _is_live() -> ColumnElement[bool]:
    """Return the condition that `Device.is_live` is the same of."""
    signing = select(vapid_keys.c.id).where(vapid_keys.c.state.in_(_SIGNING))
    return and_(subscriptions.c.state == SubscriptionState.ACTIVE, subscriptions.c.key_id.in_(signing))


def _select_last_and_next(user: str, now_ms: int) -> CompoundSelect[tuple[str]]:
    """Return the statement for the ids of what may be told as sent to a user last; see `_last_and_next`."""
    newest = (
        select(dispatches.c.id, dispatches.c.due_at, dispatches.c.state, dispatches.c.subscription)
        .where(dispatches.c.user == user)
        .order_by(dispatches.c.id.desc())
        .limit(LOOKED_THROUGH)
        .cte("newest")
    )
    is_later = and_(newest.c.state == DispatchState.SCHEDULED, newest.c.due_at > now_ms)
    is_for_all = newest.c.subscription.is_(None)
    last_first = select(newest.c.id).order_by(newest.c.due_at.desc(), newest.c.id.desc()).limit(1)
    next_first = select(newest.c.id).order_by(newest.c.due_at, newest.c.id).limit(1)
    wanted = (last_first.where(~is_later, is_for_all), last_first.where(~is_later), next_first.where(is_later))
    return union_all(*(select(one.subquery().c.id) for one in wanted))


def _last_and_next(found: Iterable[Sending], now: datetime) -> tuple[Sending | None, Sending | None]:
    """Return what is told as sent to a user last, and what is scheduled for them next, besides.

    What is for one device says nothing of the others, and what is for later hides nothing that was due before: such is
    the last only where there is nothing else.
    """
    in_order = sorted(found, key=lambda sending: (sending.due_at, sending.dispatch.id))
    due = [sending for sending in in_order if not sending.is_later(now)]
    upcoming = next((sending for sending in in_order if sending.is_later(now)), None)
    for_all = [sending for sending in due if sending.subscription is None]
    if for_all:
        return for_all[-1], upcoming
    if upcoming is not None:
        return upcoming, None
    return (due[-1] if due else None), None


def _select_latest(user: str, devices: Collection[str]) -> Select[Any]:
    """Return the statement for a user's latest delivery of all, and for the latest and the ending ones of devices.

    So is their latest to a device that is not theirs any more.
    """
    newest = (
        select(deliveries.c.id, deliveries.c.subscription, deliveries.c.outcome, deliveries.c.status)
        .where(deliveries.c.user == user)
        .order_by(deliveries.c.id.desc())
        .limit(LOOKED_THROUGH)
        .cte("newest")
    )
    last = select(func.max(newest.c.id).label("id"))
    of_devices = last.where(newest.c.subscription.in_(devices)).group_by(newest.c.subscription)
    ending = of_devices.where(newest.c.outcome.in_(_ENDINGS), newest.c.status.is_not(None))
    lost = last.where(newest.c.subscription.not_in(_ids_of(user)))
    wanted = union_all(last, of_devices, ending, lost).subquery()
    is_lost = deliveries.c.subscription.not_in(_ids_of(user)).label("is_lost")
    return select(deliveries, is_lost).where(deliveries.c.id.in_(select(wanted.c.id))).order_by(deliveries.c.id.desc())


def _select_spread(user: str, dispatch: str) -> Select[Any]:
    mine = and_(deliveries.c.dispatch == dispatch, deliveries.c.user == user)
    return select(deliveries).where(mine).order_by(deliveries.c.id).limit(DELIVERIES_TOLD)


def _select_newer(superseded: Collection[str]) -> Select[Any]:
    """Return the statement for the newest of the topic of each of some deliveries, to the same device."""
    older, newer = deliveries.alias("older"), deliveries.alias("newer")
    newest = (
        select(newer.c.id)
        .where(
            newer.c.subscription == older.c.subscription,
            newer.c.topic == older.c.topic,
            # The words of the index.
            newer.c.topic.is_not(None),
            newer.c.precedence >= older.c.precedence,
            or_(newer.c.precedence > older.c.precedence, newer.c.dispatch > older.c.dispatch),
        )
        .order_by(newer.c.precedence.desc(), newer.c.dispatch.desc())
        .limit(1)
        .correlate(older)
        .scalar_subquery()
    )
    columns = [column for column in dispatches.c if column is not dispatches.c.message]
    return (
        select(*columns, older.c.id.label("older"), deliveries.c.outcome)
        .select_from(
            older.join(deliveries, deliveries.c.id == newest).join(dispatches, dispatches.c.id == deliveries.c.dispatch)
        )
        .where(older.c.id.in_(superseded))
    )


def _has_live_device(user: str) -> Exists:
    return exists().where(subscriptions.c.user == user, _is_live())


def _to_sending(row: Row[Any]) -> Sending:
    return Sending(to_dispatch(row), moment(row.due_at), moment(row.expires_at), ttl_s_of(row), row.subscription)


def _to_device(row: Row[Any], sent: Sequence[Sent], reach: Reach | None) -> Device:
    """Make a device of its row, with those of the deliveries that are its own; the newest are first."""
    subscription = to_subscription(row)
    mine = [one for one in sent if one.delivery.subscription == subscription.id]
    return Device(
        subscription,
        device_label(row.browser, row.platform, subscription.fingerprint),
        None if row.key_state is None else KeyState(row.key_state),
        latest=next(iter(mine), None),
        ending=next(
            (one for one in mine if one.delivery.outcome in _ENDINGS and one.delivery.status is not None), None
        ),
        was_reaped=subscription.state is SubscriptionState.GONE and row.refusals >= REAPED_AFTER,
        disabled_at=to_datetime_or_none(row.disabled_at),
        reach=reach,
    )
