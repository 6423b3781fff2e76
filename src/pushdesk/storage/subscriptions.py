"""Subscriptions: who has which, and what may be pushed to.

Every change of a user's subscriptions raises the user's generation in the same transaction: see `generations`.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, insert, or_, select, text, update

from pushdesk.errors import PushdeskError
from pushdesk.model import PushTarget, Subscription, SubscriptionState
from pushdesk.storage.generations import THE_ROW, generation_of_user, raise_generations, taken_away
from pushdesk.storage.key_bindings import ENDED, is_live, is_live_or_held, key_has_ended
from pushdesk.storage.prepared import Prepared
from pushdesk.storage.records import HeldDevice, NewSubscription, Stored, Targets, Withdrawn
from pushdesk.storage.rows import to_held, to_subscription, to_target
from pushdesk.storage.schema import (
    IS_NOT_ACTIVE,
    dispatches,
    enrollments,
    invitations,
    server_state,
    subscriptions,
    user_state,
    vapid_keys,
)
from pushdesk.storage.sealing import AUTH, ENDPOINT
from pushdesk.storage.users import make_user

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Row

    from pushdesk.model import DeviceGrant
    from pushdesk.storage.database import Database
    from pushdesk.storage.sealing import Sealer
    from pushdesk.storage.transaction import Reader, Transaction

FIRST_VERSION = 1


class Subscriptions:
    """The subscriptions of a database."""

    def __init__(self, database: Database, digest_key: bytes, sealer: Sealer) -> None:
        self._database = database
        self._digest_key = digest_key
        self._sealer = sealer

    async def put(
        self,
        new: NewSubscription,
        *,
        replaces: str | None,
        max_per_user: int,
        now_ms: int,
        grant: DeviceGrant | None = None,
    ) -> Stored:
        """Store a subscription: a new one, or the one with this endpoint and these keys, moved and revived if need be.

        An invited browser has one subscription: the one that it had before goes, whether or not it is named. The one
        that is moved to another user belongs to an invited browser only if it is one that moves it.

        Args:
            new: What to store. When the endpoint is known, only owner, key and state are taken from it.
            replaces: An endpoint of the same user that is removed by the same transaction.
            max_per_user: How many active subscriptions a user may have.
            now_ms: The time, for `created_at`.
            grant: What let the browser in, if it was a device token.

        Raises:
            PushdeskError: `endpoint_taken` when the endpoint is known with other keys; `key_mismatch` when nothing is
                signed any more with the key that it was made with; `forbidden` over the cap; `unauthorized` when the
                grant is no longer valid.
            DatabaseError: Nothing was changed.
        """
        return await self._database.transact(
            partial(self._put, new=new, replaces=replaces, max_per_user=max_per_user, now_ms=now_ms, grant=grant)
        )

    async def remove(self, user: str, endpoint: str) -> Subscription:
        """Remove a user's subscription.

        Raises:
            PushdeskError: `subscription_not_found` when the user has none with this endpoint.
            DatabaseError: Nothing was changed.
        """
        mine = and_(subscriptions.c.endpoint_digest == self.digest(endpoint), subscriptions.c.user == user)
        async with self._database.write() as transaction:
            removed = await self._delete(transaction, mine)
            if not removed:
                raise not_found(user)
            await raise_generations(transaction, taken_away(removed))
        return removed[0]

    async def remove_ids(self, ids: Collection[str]) -> tuple[Subscription, ...]:
        """Remove subscriptions by id, with the enrollments that they belong to: an invited browser is out by that.

        Those that are not there are passed over.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            invited = and_(subscriptions.c.id.in_(ids), subscriptions.c.enrollment.is_not(None))
            await transaction.execute(
                delete(enrollments).where(enrollments.c.id.in_(select(subscriptions.c.enrollment).where(invited)))
            )
            removed = await self._delete(transaction, subscriptions.c.id.in_(ids))
            await raise_generations(transaction, taken_away(removed))
        return removed

    async def withdraw(self, stored: Stored) -> Withdrawn | None:
        """Take back what `put` created and a push disabled, with its test push, and the user if there was none before.

        One to which anything else has happened since stays: whoever subscribed with it again was told that it is there.

        Returns:
            None if it was not taken back.

        Raises:
            DatabaseError: Nothing was changed.
        """
        user, id_ = stored.subscription.user, stored.subscription.id
        disabled = and_(
            subscriptions.c.id == id_,
            subscriptions.c.state != SubscriptionState.ACTIVE,
            subscriptions.c.version == FIRST_VERSION + 1,
        )
        async with self._database.write() as transaction:
            removed = await self._delete(transaction, disabled)
            if not removed:
                return None
            await raise_generations(transaction, taken_away(removed))
            await transaction.execute(
                delete(dispatches).where(dispatches.c.user == user, dispatches.c.subscription == id_)
            )
            if not stored.made_user:
                return Withdrawn(with_user=False)
            used = [~exists().where(table.c.user == user) for table in (subscriptions, invitations, enrollments)]
            gone = await transaction.execute(
                delete(user_state).where(user_state.c.user == user, *used).returning(user_state.c.user)
            )
            return Withdrawn(with_user=gone.first() is not None)

    async def find(self, user: str, endpoint: str) -> Subscription:
        """Return a user's subscription.

        Raises:
            PushdeskError: `subscription_not_found`.
            DatabaseError: It could not be read.
        """
        async with self._database.read() as connection:
            row = await self._by_endpoint(connection, endpoint)
        if row is None or row.user != user:
            raise not_found(user)
        return to_subscription(row)

    async def token_digest(self, subscription: str) -> tuple[str, bytes] | None:
        """Return the owner of a subscription and the SHA-256 of its device token, or None if it is not there.

        Raises:
            DatabaseError: It could not be read.
        """
        statement = select(subscriptions.c.user, subscriptions.c.token_digest).where(subscriptions.c.id == subscription)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else (row.user, row.token_digest)

    async def targets(self, users: Collection[str]) -> dict[str, Targets]:
        """Return the active and held subscriptions of each of these users, also of those who are not known: none.

        One statement, so that all of it is from one moment. Each user is a bound parameter, of which SQLite takes
        32766: batches of up to 500 are meant.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            rows = await connection.execute(SELECT_TARGETS, {"users": users})
        found: dict[str, tuple[int, list[PushTarget], list[HeldDevice]]] = {}
        for row in rows:
            # The one row without an owner is there when none of them is known.
            if row.owner is not None:
                _, targets, held = found.setdefault(row.owner, (row.owner_generation, [], []))
                if row.held_as is not None:
                    held.append(to_held(row))
                elif row.id is not None:
                    targets.append(to_target(row, self._sealer))
        nobody = Targets(rows[0].last_generation, ())
        known = {
            user: Targets(generation, tuple(targets), tuple(held))
            for user, (generation, targets, held) in found.items()
        }
        return {user: known.get(user, nobody) for user in users}

    async def totals(self) -> tuple[int, int]:
        """Return how many users and how many active subscriptions there are.

        Raises:
            DatabaseError: They could not be read.
        """
        # All but the few that are not sent to: the database counts an index as a whole several times as fast as it
        # tests each entry.
        numbers = (
            select(func.count()).select_from(user_state),
            select(func.count()).select_from(subscriptions),
            select(func.count()).select_from(subscriptions).where(text(IS_NOT_ACTIVE)),
            select(func.count()).where(subscriptions.c.state == SubscriptionState.ACTIVE, key_has_ended()),
        )
        statement = select(*(number.scalar_subquery() for number in numbers))
        async with self._database.read() as connection:
            users, devices, inactive, unsigned = (await connection.execute(statement)).one()
        return users, devices - inactive - unsigned

    def digest(self, endpoint: str) -> bytes:
        """Return the HMAC-SHA256 by which an endpoint is known without being shown."""
        return hmac.digest(self._digest_key, endpoint.encode(), hashlib.sha256)

    async def _put(
        self,
        transaction: Transaction,
        new: NewSubscription,
        replaces: str | None,
        max_per_user: int,
        now_ms: int,
        grant: DeviceGrant | None,
    ) -> Stored:
        if grant is not None:
            await self._check_still_valid(transaction, grant)
        known = await self._by_endpoint(transaction, new.endpoint)
        if known is not None and not self._same_keys(known, new):
            raise PushdeskError(
                "This endpoint is known with other keys.",
                code="endpoint_taken",
                hint="Unsubscribe in the browser and subscribe again: that gives a new endpoint.",
            )
        await _check_key(transaction, new.key_id if known is None or new.key_is_declared else known.key_id)
        changes: dict[str, frozenset[str] | None] = {new.user: None}
        made_user = await make_user(transaction, new.user, now_ms)
        enrollment = grant.enrollment if grant is not None else None
        removed = await self._make_way(transaction, new, replaces, enrollment)
        created = known is None
        revived = False
        if known is None:
            await self._check_cap(transaction, new.user, max_per_user)
            await transaction.execute(_INSERT, self._row(new, enrollment, now_ms))
        else:
            revived = known.state != SubscriptionState.ACTIVE
            key_id = new.key_id if new.key_is_declared else known.key_id
            if enrollment is None and known.user == new.user:
                enrollment = known.enrollment
            after = (new.user, key_id, enrollment)
            if not revived and not removed and (known.user, known.key_id, known.enrollment) == after:
                return Stored(
                    to_subscription(known),
                    created=False,
                    revived=False,
                    removed=(),
                    changed=False,
                    made_user=False,
                )
            if known.user != new.user or revived:
                await self._check_cap(transaction, new.user, max_per_user)
            if known.user != new.user:
                changes[known.user] = frozenset({known.id})
            await transaction.execute(
                update(subscriptions)
                .where(subscriptions.c.id == known.id)
                .values(
                    user=new.user,
                    key_id=key_id,
                    enrollment=enrollment,
                    # An invited browser's own token is the only one for its subscription.
                    token_digest=known.token_digest if enrollment == known.enrollment else new.token_digest,
                    state=SubscriptionState.ACTIVE,
                    version=subscriptions.c.version + 1,
                    failures=0,
                    refusals=0,
                    disabled_at=None,
                    held_as=None,
                )
            )
        await raise_generations(transaction, changes)
        row = await self._by_endpoint(transaction, new.endpoint)
        assert row is not None  # noqa: S101 (written four statements ago, in this transaction)
        return Stored(to_subscription(row), created, revived, removed, changed=True, made_user=made_user)

    async def _by_endpoint(self, connection: Reader, endpoint: str) -> Row[Any] | None:
        return (await connection.execute(_SELECT_BY_ENDPOINT, {"digest": self.digest(endpoint)})).one_or_none()

    async def _check_still_valid(self, transaction: Transaction, grant: DeviceGrant) -> None:
        """Refuse what was let in a moment ago, by a token that ended meanwhile: it would bring back who was removed."""
        table, identity = subscriptions, grant.subscription
        if grant.enrollment is not None:
            table, identity = enrollments, grant.enrollment
        still_valid = select(table.c.id).where(table.c.id == identity, table.c.user == grant.user)
        if await transaction.scalar(still_valid) is None:
            raise PushdeskError(
                "The token is no longer valid.", code="unauthorized", hint="Its subscription or its user was removed."
            )

    async def _make_way(
        self, transaction: Transaction, new: NewSubscription, replaces: str | None, enrollment: str | None
    ) -> tuple[Subscription, ...]:
        """Remove what a subscription takes the place of."""
        replaced = []
        if replaces is not None:
            replaced.append(subscriptions.c.endpoint_digest == self.digest(replaces))
        if enrollment is not None:
            replaced.append(subscriptions.c.enrollment == enrollment)
        if not replaced:
            return ()
        others = subscriptions.c.endpoint_digest != self.digest(new.endpoint)
        return await self._delete(transaction, and_(or_(*replaced), subscriptions.c.user == new.user, others))

    async def _check_cap(self, transaction: Transaction, user: str, max_per_user: int) -> None:
        count = await transaction.scalar(_COUNT_LIVE, {"of_user": user})
        if count >= max_per_user:
            raise PushdeskError(
                f"The user already has {count} subscriptions, the most that are allowed.",
                code="forbidden",
                hint="Remove one that is no longer used, or raise max_devices in [push].",
            )

    async def _delete(self, transaction: Transaction, which: ColumnElement[bool]) -> tuple[Subscription, ...]:
        rows = (await transaction.execute(delete(subscriptions).where(which).returning(subscriptions))).all()
        return tuple(to_subscription(row) for row in rows)

    def _same_keys(self, known: Row[Any], new: NewSubscription) -> bool:
        auth = self._sealer.unseal(AUTH, known.id, known.auth)
        return hmac.compare_digest(known.p256dh, new.p256dh) and hmac.compare_digest(auth, new.auth)

    def _row(self, new: NewSubscription, enrollment: str | None, now_ms: int) -> dict[str, object]:
        return {
            "id": new.id,
            "user": new.user,
            "endpoint_digest": self.digest(new.endpoint),
            "endpoint": self._sealer.seal_text(ENDPOINT, new.id, new.endpoint),
            "p256dh": new.p256dh,
            "auth": self._sealer.seal(AUTH, new.id, new.auth),
            "token_digest": new.token_digest,
            "key_id": new.key_id,
            "service": new.service,
            "browser": new.browser,
            "platform": new.platform,
            "state": SubscriptionState.ACTIVE,
            "version": FIRST_VERSION,
            "created_at": now_ms,
            "failures": 0,
            "enrollment": enrollment,
        }


SELECT_TARGETS: Final = (
    select(
        server_state.c.generation.label("last_generation"),
        user_state.c.user.label("owner"),
        generation_of_user().label("owner_generation"),
        subscriptions,
    )
    .select_from(
        server_state.outerjoin(user_state, user_state.c.user.in_(bindparam("users", expanding=True))).outerjoin(
            subscriptions, and_(subscriptions.c.user == user_state.c.user, is_live_or_held())
        )
    )
    .where(THE_ROW)
    .order_by(user_state.c.user, subscriptions.c.id)
)
"""The last generation, and what is known of `users`: one row per subscription."""


_SELECT_BY_ENDPOINT: Final = Prepared(
    select(subscriptions).where(subscriptions.c.endpoint_digest == bindparam("digest"))
)
_COUNT_LIVE: Final = Prepared(
    select(func.count()).select_from(subscriptions).where(subscriptions.c.user == bindparam("of_user"), is_live())
)
_SELECT_ENDED: Final = Prepared(
    select(vapid_keys.c.state).where(vapid_keys.c.id == bindparam("key"), vapid_keys.c.state.in_(ENDED))
)
_NEW: Final = (
    "id",
    "user",
    "endpoint_digest",
    "endpoint",
    "p256dh",
    "auth",
    "token_digest",
    "key_id",
    "service",
    "browser",
    "platform",
    "state",
    "version",
    "created_at",
    "failures",
    "enrollment",
)
"""What a new subscription is given; the rest has its default."""
_INSERT: Final = Prepared(insert(subscriptions), _NEW)


async def _check_key(transaction: Transaction, key: str) -> None:
    """Refuse a subscription whose key has ended, be it since somebody last looked: nobody would send to it."""
    state = await transaction.scalar(_SELECT_ENDED, {"key": key})
    if state is not None:
        raise PushdeskError(
            f"The subscription was made with the key {key}, which is {state}.",
            code="key_mismatch",
            hint="Unsubscribe in the browser and subscribe again, with the key of /api/v1/vapid.",
        )


def not_found(user: str) -> PushdeskError:
    """Return the error for a user who has no such subscription."""
    return PushdeskError(
        f"{user!r} has no such subscription.",
        code="subscription_not_found",
        hint="Open the page in the browser and enable notifications.",
    )
