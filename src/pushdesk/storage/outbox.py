"""The outbox at rest: what was accepted, and what became of it.

Everything here works on batches: one statement for many dispatches or deliveries, never one for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import structs
from sqlalchemy import ColumnElement, bindparam, delete, exists, func, insert, select, tuple_, update

from pushdesk.model import (
    UNSETTLED,
    Delivery,
    DispatchKind,
    DispatchState,
    Outcome,
    Service,
    SubscriptionState,
)
from pushdesk.storage.answers import count_failures, count_successes, disable
from pushdesk.storage.attempts import keep_attempts
from pushdesk.storage.generations import THE_ROW, generation_of_user
from pushdesk.storage.key_bindings import key_has_ended
from pushdesk.storage.records import KEY_NOT_USED, Claimed, Open, Settled, Settlement
from pushdesk.storage.rows import (
    delivery_row,
    dispatch_row,
    idempotency_row,
    settle_row,
    to_delivery,
    to_dispatch,
    to_message,
)
from pushdesk.storage.schema import deliveries, dispatches, idempotency_keys, server_state, subscriptions, user_state
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Row, Select

    from pushdesk.model import Dispatch
    from pushdesk.storage.database import Database
    from pushdesk.storage.records import Message

OPEN_STATES = (DispatchState.QUEUED, DispatchState.SCHEDULED)
IDEMPOTENCY_MS = 24 * 3_600_000
"""How long an idempotency key is remembered."""


class OutboxTable:
    """The dispatches and deliveries of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, messages: Sequence[Message]) -> dict[str, tuple[str, bytes]]:
        """Store a batch of dispatches in one transaction, but for those whose idempotency key is known.

        Returns:
            For each message whose key was known: its id -> the first dispatch of that key and its body's digest.

        Raises:
            DatabaseError: None was stored.
        """
        keyed = [(message.id, message.idempotency) for message in messages if message.idempotency is not None]
        repeats: dict[str, tuple[str, bytes]] = {}
        async with self._database.write() as transaction:
            if keyed:
                oldest = max(message.accepted_at_ms for message in messages) - IDEMPOTENCY_MS
                await transaction.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < oldest))
                first: dict[tuple[str, str], tuple[str, bytes]] = {}
                names = tuple_(idempotency_keys.c.sender, idempotency_keys.c.key)
                wanted = [(key.sender, key.key) for _, key in keyed]
                for row in await transaction.execute(select(idempotency_keys).where(names.in_(wanted))):
                    first[row.sender, row.key] = (row.dispatch, row.body_digest)
                for message, key in keyed:
                    found = first.setdefault((key.sender, key.key), (message, key.body_digest))
                    if found[0] != message:
                        repeats[message] = found
            fresh = [message for message in messages if message.id not in repeats]
            if fresh:
                await transaction.execute(insert(dispatches), [dispatch_row(message) for message in fresh])
            rows = [
                idempotency_row(message, idempotency)
                for message in fresh
                if (idempotency := message.idempotency) is not None
            ]
            if rows:
                await transaction.execute(insert(idempotency_keys), rows)
        return repeats

    async def release_claims(self, keep: Collection[str] = ()) -> None:
        """Free every delivery that is claimed, but for those that are worked on: nobody else would.

        Args:
            keep: Ids of deliveries.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await transaction.execute(
                update(deliveries)
                .where(deliveries.c.claim_id.is_not(None), deliveries.c.id.not_in(keep))
                .values(claim_id=None)
            )

    async def open_dispatches(self, now_ms: int, limit: int) -> tuple[Open, ...]:
        """Return dispatches that are due and not spread over their devices yet, the longest due first.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            rows = await connection.execute(select_open(now_ms, limit))
            return tuple(Open(to_message(row), row.floor) for row in rows)

    async def spread(self, deliveries_: Sequence[Delivery], empty: Collection[str], claims: Mapping[str, str]) -> None:
        """Write one delivery for each device of some dispatches, in one transaction.

        Args:
            deliveries_: The deliveries to be written.
            empty: Ids of dispatches whose user has no device: these are done.
            claims: Delivery -> claim, for those that are claimed at once; the others can be claimed by anybody.

        Raises:
            DatabaseError: Nothing was changed; the dispatches are still open.
        """
        spread = {delivery.dispatch for delivery in deliveries_}
        async with self._database.write() as transaction:
            if deliveries_:
                rows = [delivery_row(delivery, claims.get(delivery.id)) for delivery in deliveries_]
                await transaction.execute(insert(deliveries), rows)
            for ids, state in ((spread, DispatchState.SENDING), (set(empty), DispatchState.DONE)):
                if ids:
                    await transaction.execute(update(dispatches).where(dispatches.c.id.in_(ids)).values(state=state))

    async def put_off(self, dispatches_: Collection[str], due_ms: int) -> None:
        """Have dispatches that are not spread yet be looked at later, so that they do not stand in the way of others.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await transaction.execute(
                update(dispatches)
                .where(dispatches.c.id.in_(dispatches_), dispatches.c.state.in_(OPEN_STATES))
                .values(due_at=due_ms)
            )

    async def release(self, dispatch: str, plaintext: bytes | None, now_ms: int) -> bool:
        """Make a scheduled dispatch due, with another message if one is given.

        Returns:
            Whether it was still scheduled for later: one that is due is left as it is, as it may be under way.

        Raises:
            DatabaseError: Nothing was changed.
        """
        values: dict[str, object] = {"state": DispatchState.QUEUED, "due_at": now_ms}
        if plaintext is not None:
            values["message"] = plaintext
        async with self._database.write() as transaction:
            changed = await transaction.execute(
                update(dispatches)
                .where(
                    dispatches.c.id == dispatch,
                    dispatches.c.state == DispatchState.SCHEDULED,
                    dispatches.c.due_at > now_ms,
                )
                .values(values)
                .returning(dispatches.c.id)
            )
            return changed.first() is not None

    async def release_kind(self, kind: DispatchKind, now_ms: int) -> None:
        """Make every scheduled dispatch of a kind due.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await transaction.execute(
                update(dispatches)
                .where(dispatches.c.kind == kind, dispatches.c.state == DispatchState.SCHEDULED)
                .where(dispatches.c.due_at > now_ms)
                .values(state=DispatchState.QUEUED, due_at=now_ms)
            )

    async def claim(self, claim: str, service: Service, now_ms: int, limit: int) -> tuple[Claimed, ...]:
        """Claim deliveries to one push service whose next attempt is due, the longest due first.

        Raises:
            DatabaseError: Nothing was claimed.
        """
        due = (
            select(deliveries.c.id)
            .where(deliveries.c.service == service, *_WAITING, deliveries.c.next_attempt_at <= now_ms)
            .order_by(deliveries.c.next_attempt_at)
            .limit(limit)
        )
        async with self._database.write() as transaction:
            claimed = (
                await transaction.execute(
                    update(deliveries).where(deliveries.c.id.in_(due)).values(claim_id=claim).returning(deliveries)
                )
            ).all()
            if not claimed:
                return ()
            found = await transaction.execute(
                select(dispatches).where(dispatches.c.id.in_({row.dispatch for row in claimed}))
            )
            messages = {row.id: to_message(row) for row in found}
            known = (await transaction.execute(_select_floors({row.user for row in claimed}))).all()
            floors = {row.user: row.floor for row in known}
            epoch = known[0].epoch
        return tuple(Claimed(to_delivery(row), messages[row.dispatch], floors.get(row.user, epoch)) for row in claimed)

    async def lost(self, deliveries_: Sequence[Delivery], now_ms: int) -> tuple[Settlement, ...]:
        """Return how to settle claimed deliveries whose device was not among the active ones of their user.

        A device that is active again by now is given back unchanged, to be claimed anew.

        Raises:
            DatabaseError: The subscriptions could not be read.
        """
        statement = select(
            subscriptions.c.id, subscriptions.c.user, subscriptions.c.state, key_has_ended().label("key_has_ended")
        ).where(subscriptions.c.id.in_({delivery.subscription for delivery in deliveries_}))
        async with self._database.read() as connection:
            devices = {row.id: row for row in await connection.execute(statement)}
        return tuple(
            Settlement(_lost(delivery, devices.get(delivery.subscription), now_ms), attempted=False)
            for delivery in deliveries_
        )

    async def settle(self, settlements: Sequence[Settlement], claim: str, now_ms: int) -> Settled:
        """Write what a batch of attempts came to, in one transaction.

        Deliveries that are no longer under this claim are left as they are. An attempt that is not the last one is
        kept beside its delivery, which the next one writes over.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            written = [settle_row(item, claim) for item in settlements]
            await keep_attempts(transaction, written)
            await transaction.execute(_SETTLE, written)
            accepted = {s.delivery.subscription for s in settlements if s.delivery.outcome is Outcome.ACCEPTED}
            if accepted:
                await count_successes(transaction, accepted, now_ms)
            disablings = [item.disabling for item in settlements if item.disabling is not None]
            disabled = await disable(transaction, disablings, now_ms)
            failed = {
                s.delivery.subscription
                for s in settlements
                if s.attempted
                and s.disabling is None
                and s.delivery.attempts
                and s.delivery.outcome is not Outcome.ACCEPTED
            }
            if failed:
                await count_failures(transaction, failed, now_ms)
            touched = {item.delivery.dispatch for item in settlements if item.delivery.outcome.is_settled}
            done: tuple[Dispatch, ...] = ()
            if touched:
                rows = await transaction.execute(
                    update(dispatches)
                    .where(dispatches.c.id.in_(touched), dispatches.c.state == DispatchState.SENDING, ~_has_unsettled())
                    .values(state=DispatchState.DONE)
                    .returning(dispatches)
                )
                done = tuple(to_dispatch(row) for row in rows)
        return Settled(disabled, done)

    async def next_due_ms(self) -> tuple[int | None, dict[Service, int]]:
        """Return when the next dispatch is due, and per push service the next delivery that nobody has claimed.

        Raises:
            DatabaseError: It could not be read.
        """
        # One look at the index for each, where grouping would read every waiting row.
        first_of_each = [
            select(func.min(deliveries.c.next_attempt_at))
            .where(deliveries.c.service == service, *_WAITING)
            .scalar_subquery()
            for service in Service
        ]
        statement = select(
            select(func.min(dispatches.c.due_at)).where(dispatches.c.state.in_(OPEN_STATES)).scalar_subquery(),
            *first_of_each,
        )
        async with self._database.read() as connection:
            dispatch_due_ms, *due = (await connection.execute(statement)).one()
        return dispatch_due_ms, {service: at for service, at in zip(Service, due, strict=True) if at is not None}

    async def backlog(self) -> tuple[int, dict[Service, int]]:
        """Return how many dispatches are not spread yet, and how many deliveries are unsettled, per push service.

        Raises:
            DatabaseError: It could not be read.
        """
        count = func.count()
        open_dispatches = select(count).select_from(dispatches).where(dispatches.c.state.in_(OPEN_STATES))
        unsettled = (
            select(deliveries.c.service, count)
            .where(deliveries.c.next_attempt_at.is_not(None))
            .group_by(deliveries.c.service)
        )
        async with self._database.read() as connection:
            queued = (await connection.execute(open_dispatches)).scalar_one()
            waiting = (await connection.execute(unsettled)).all()
        return queued, {Service(service): number for service, number in waiting}


_WAITING: Final = (deliveries.c.next_attempt_at.is_not(None), deliveries.c.claim_id.is_(None))
"""What nobody has claimed: the words of the partial index that finds it."""

_SETTLE: Final = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("settled_id"), deliveries.c.claim_id == bindparam("mine"))
    .values(
        outcome=bindparam("new_outcome"),
        status=bindparam("new_status"),
        reason=bindparam("new_reason"),
        attempts=bindparam("new_attempts"),
        latency_ms=bindparam("new_latency_ms"),
        next_attempt_at=bindparam("new_next_attempt_at"),
        at=bindparam("new_at"),
        headers=bindparam("new_headers"),
        claim_id=None,
    )
)


def _has_unsettled() -> ColumnElement[bool]:
    return exists().where(deliveries.c.dispatch == dispatches.c.id, deliveries.c.outcome.in_(UNSETTLED))


def select_open(now_ms: int, limit: int) -> Select[Any]:
    """Return the statement for the dispatches that are due to be spread, each with its user's generation."""
    return (
        select(dispatches, generation_of_user().label("floor"))
        .select_from(
            dispatches.join(server_state, THE_ROW).outerjoin(user_state, user_state.c.user == dispatches.c.user)
        )
        .where(dispatches.c.state.in_(OPEN_STATES), dispatches.c.due_at <= now_ms)
        .order_by(dispatches.c.due_at, dispatches.c.id)
        .limit(limit)
    )


def _select_floors(users: Collection[str]) -> Select[Any]:
    return (
        select(user_state.c.user, generation_of_user().label("floor"), server_state.c.epoch)
        .select_from(server_state.outerjoin(user_state, user_state.c.user.in_(users)))
        .where(THE_ROW)
    )


def _lost(delivery: Delivery, device: Row[*tuple[Any, ...]] | None, now_ms: int) -> Delivery:
    # A subscription that has moved to another user gets nothing that was meant for the one before.
    state, key_has_ended = None, False
    if device is not None and device.user == delivery.user:
        state, key_has_ended = device.state, device.key_has_ended
    if state == SubscriptionState.ACTIVE and not key_has_ended:
        return delivery
    outcome, reason = Outcome.CANCELLED, "The subscription was removed before this could be sent."
    if key_has_ended:
        outcome, reason = Outcome.KEY_MISMATCH, KEY_NOT_USED
    elif state == SubscriptionState.KEY_MISMATCH:
        outcome, reason = Outcome.KEY_MISMATCH, "The subscription was found to belong to another key."
    elif state == SubscriptionState.GONE:
        outcome, reason = Outcome.GONE, "The subscription was found to be gone."
    return structs.replace(
        delivery, outcome=outcome, status=None, reason=reason, at=to_datetime(now_ms), next_attempt_at=None
    )
