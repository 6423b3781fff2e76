"""The outbox at rest: what was accepted, and what became of it.

Everything here works on batches: one statement for many dispatches or deliveries, never one for each.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, insert, or_, select, tuple_, update

from pushdesk.model import DispatchKind, DispatchState, Service
from pushdesk.storage.answers import disable
from pushdesk.storage.ending import cancel, expire, finish, supersede
from pushdesk.storage.generations import THE_ROW, generation_of_user
from pushdesk.storage.key_bindings import key_has_ended
from pushdesk.storage.records import IDEMPOTENCY_MS, Claimed, Open, Settled, Settlement
from pushdesk.storage.rows import broadcast_row, delivery_row, dispatch_row, idempotency_row, to_delivery, to_message
from pushdesk.storage.schema import (
    broadcasts,
    deliveries,
    dispatches,
    idempotency_keys,
    server_state,
    subscriptions,
    user_state,
)
from pushdesk.storage.settling import settle, without_device

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Select

    from pushdesk.model import Delivery, Dispatch, Subscription
    from pushdesk.storage.database import Database
    from pushdesk.storage.records import Disabling, Ended, IdempotencyKey, Message, Topic

OPEN_STATES = (DispatchState.QUEUED, DispatchState.SCHEDULED)
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
NO_TOPICS: Final[Mapping[str, Topic]] = MappingProxyType({})
NO_WAITS: Final[Mapping[Service, str]] = MappingProxyType({})


class OutboxTable:
    """The dispatches and deliveries of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, messages: Sequence[Message], precedence: int = 0) -> dict[str, tuple[str, bytes]]:
        """Store a batch of dispatches in one transaction, but for those whose idempotency key is known.

        Args:
            messages: The batch.
            precedence: The latest that was given to a dispatch.

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
                first: dict[tuple[str, str], tuple[str, bytes]] = {}
                names = tuple_(idempotency_keys.c.sender, idempotency_keys.c.key)
                wanted = [(key.sender, key.key) for _, key in keyed]
                # All others that are as old are removed by and by.
                await transaction.execute(
                    delete(idempotency_keys).where(names.in_(wanted), idempotency_keys.c.created_at < oldest)
                )
                for row in await transaction.execute(select(idempotency_keys).where(names.in_(wanted))):
                    first[row.sender, row.key] = (row.dispatch, row.body_digest)
                for message, key in keyed:
                    found = first.setdefault((key.sender, key.key), (message, key.body_digest))
                    if found[0] != message:
                        repeats[message] = found
            fresh = [message for message in messages if message.id not in repeats]
            if fresh:
                await transaction.execute(insert(dispatches), [dispatch_row(message) for message in fresh])
            made = [broadcast_row(item, item.broadcast) for item in fresh if item.broadcast is not None]
            if made:
                await transaction.execute(insert(broadcasts), made)
            rows = [
                idempotency_row(message, idempotency)
                for message in fresh
                if (idempotency := message.idempotency) is not None
            ]
            if rows:
                await transaction.execute(insert(idempotency_keys), rows)
            if any(message.topic is not None for message in fresh):
                await transaction.execute(
                    update(server_state)
                    .where(THE_ROW, server_state.c.precedence < precedence)
                    .values(precedence=precedence)
                )
        return repeats

    async def remembered(self, key: IdempotencyKey, now_ms: int) -> tuple[str, bytes] | None:
        """Return the first dispatch of an idempotency key and its body's digest, if the key is known.

        Raises:
            DatabaseError: It could not be read.
        """
        mine = (idempotency_keys.c.sender == key.sender, idempotency_keys.c.key == key.key)
        known = select(idempotency_keys).where(*mine, idempotency_keys.c.created_at >= now_ms - IDEMPOTENCY_MS)
        async with self._database.read() as connection:
            row = (await connection.execute(known)).one_or_none()
        return None if row is None else (row.dispatch, row.body_digest)

    async def precedence(self) -> int:
        """Return the latest precedence that was given to a dispatch.

        Raises:
            DatabaseError: It could not be read.
        """
        async with self._database.read() as connection:
            return int((await connection.execute(select(server_state.c.precedence).where(THE_ROW))).scalar_one())

    async def release_claims(self, keep: Collection[str] = ()) -> tuple[Dispatch, ...]:
        """Free every delivery that is claimed, but for those that are worked on: nobody else would.

        Args:
            keep: Ids of deliveries.

        Returns:
            The dispatches of which nothing is left to do: what was claimed of them had ended already.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            freed = await transaction.execute(
                update(deliveries)
                .where(deliveries.c.claim_id.is_not(None), deliveries.c.id.not_in(keep))
                .values(claim_id=None)
                .returning(deliveries.c.dispatch, deliveries.c.next_attempt_at)
            )
            return await finish(transaction, {row.dispatch for row in freed if row.next_attempt_at is None})

    async def open_dispatches(self, now_ms: int, limit: int) -> tuple[Open, ...]:
        """Return dispatches that are due and not spread over their devices yet, the longest due first.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            rows = await connection.execute(select_open(now_ms, limit))
            return tuple(Open(to_message(row), row.floor) for row in rows)

    async def spread(
        self,
        deliveries_: Sequence[Delivery],
        empty: Collection[str],
        claims: Mapping[str, str],
        awaited: Mapping[str, str] = NOTHING,
        topics: Mapping[str, Topic] = NO_TOPICS,
        now_ms: int = 0,
    ) -> Ended:
        """Write one delivery for each device of some dispatches, in one transaction.

        Of each topic, only the newest is then still to be sent to a device: be that one of these, or one that was there
        before.

        Args:
            deliveries_: The deliveries to be written.
            empty: Ids of dispatches whose user has no device: these are done.
            claims: Delivery -> claim, for those that are claimed at once; the others can be claimed when they are due.
            awaited: Delivery -> key, for those that wait for one that their push service refuses.
            topics: Of those dispatches that have one, by their ids.
            now_ms: The time.

        Returns:
            What of all that is superseded, these among it; and which of the dispatches are done by it, or because all
            their deliveries were settled already.

        Raises:
            DatabaseError: Nothing was changed; the dispatches are still open.
        """
        spread = {delivery.dispatch for delivery in deliveries_}
        async with self._database.write() as transaction:
            if deliveries_:
                rows = [
                    delivery_row(
                        delivery, claims.get(delivery.id), awaited.get(delivery.id), topics.get(delivery.dispatch)
                    )
                    for delivery in deliveries_
                ]
                await transaction.execute(insert(deliveries), rows)
            for ids, state in ((spread, DispatchState.SENDING), (set(empty), DispatchState.DONE)):
                if ids:
                    await transaction.execute(update(dispatches).where(dispatches.c.id.in_(ids)).values(state=state))
            pairs = {
                (delivery.subscription, topics[delivery.dispatch].name)
                for delivery in deliveries_
                if delivery.dispatch in topics
            }
            ended = await supersede(transaction, pairs, now_ms)
            settled = {delivery.dispatch for delivery in deliveries_ if delivery.outcome.is_settled}
            return replace(ended, done=(*ended.done, *await finish(transaction, settled - set(empty))))

    async def expire(
        self, now_ms: int, limit: int, waits: Mapping[Service, str] = NO_WAITS
    ) -> tuple[Ended, int | None]:
        """End deliveries that nobody works on and whose time is over, the longest past first.

        Args:
            now_ms: The time.
            limit: The most that ends.
            waits: What all that is for these push services has been waiting for last, in a sentence.

        Returns:
            What ended; and when the time of the next dispatch that is being sent is over: that is past where there is
            more, or where somebody works on it.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            return await expire(transaction, now_ms, limit, waits)

    async def cancel(self, dispatch: str, sender: str | None, now_ms: int) -> tuple[Dispatch, Ended]:
        """End all that may still be sent of a dispatch, and the dispatch itself.

        Args:
            dispatch: Its id.
            sender: The only one whose dispatches may be cancelled; None for all.
            now_ms: The time.

        Returns:
            The dispatch as it was, and what ended. What somebody works on is not tried again.

        Raises:
            PushdeskError: `not_found`; `forbidden` for another one's; `already_ended` where nothing is left to do.
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            return await cancel(transaction, dispatch, sender, now_ms)

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
                    update(deliveries)
                    .where(deliveries.c.id.in_(due))
                    .values(claim_id=claim, awaits_key=None)
                    .returning(deliveries)
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
        return tuple(
            # Of a broadcast's deliveries, each is a message for its own user.
            Claimed(to_delivery(row), replace(messages[row.dispatch], user=row.user), floors.get(row.user, epoch))
            for row in claimed
        )

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
            Settlement(without_device(delivery, devices.get(delivery.subscription), now_ms), attempted=False)
            for delivery in deliveries_
        )

    async def settle(
        self, settlements: Sequence[Settlement], claim: str, now_ms: int, *, again: bool = False
    ) -> Settled:
        """Write what a batch of attempts came to, in one transaction.

        Deliveries that are no longer under this claim are left as they are. An attempt that is not the last one is
        kept beside its delivery, which the next one writes over. What has ended meanwhile is not tried again.

        Args:
            settlements: The batch.
            claim: The claim.
            now_ms: The time.
            again: Whether this was tried before, and it is not known whether it was done.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            return await settle(transaction, settlements, claim, now_ms, again=again)

    async def disable(self, disablings: Sequence[Disabling], now_ms: int) -> tuple[Subscription, ...]:
        """Disable subscriptions whose failures are counted, if they are still this version; returns those that were.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            return await disable(transaction, disablings, now_ms, has_failed=False)

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
            select(func.min(dispatches.c.due_at)).where(*_IS_TO_BE_SPREAD).scalar_subquery(),
            *first_of_each,
        )
        async with self._database.read() as connection:
            dispatch_due_ms, *due = (await connection.execute(statement)).one()
        return dispatch_due_ms, {service: at for service, at in zip(Service, due, strict=True) if at is not None}

    async def backlog(self, claim: str = "") -> tuple[int, dict[Service, int]]:
        """Return how many dispatches are not spread yet, and how many deliveries are unsettled, per push service.

        Args:
            claim: What is under this claim is not settled, even if it has ended: its attempt may come to more.

        Raises:
            DatabaseError: It could not be read.
        """
        count = func.count()
        open_dispatches = select(count).select_from(dispatches).where(dispatches.c.state.in_(OPEN_STATES))
        unsettled = (
            select(deliveries.c.service, count)
            .where(or_(deliveries.c.next_attempt_at.is_not(None), deliveries.c.claim_id == claim))
            .group_by(deliveries.c.service)
        )
        async with self._database.read() as connection:
            queued = (await connection.execute(open_dispatches)).scalar_one()
            waiting = (await connection.execute(unsettled)).all()
        return queued, {Service(service): number for service, number in waiting}


_IS_TO_BE_SPREAD: Final = (dispatches.c.state.in_(OPEN_STATES), dispatches.c.kind != DispatchKind.BROADCAST)
"""Broadcasts are not: see `pushdesk.storage.broadcasts`."""
_WAITING: Final = (deliveries.c.next_attempt_at.is_not(None), deliveries.c.claim_id.is_(None))
"""What nobody has claimed: the words of the partial index that finds it."""


def select_open(now_ms: int, limit: int) -> Select[Any]:
    """Return the statement for the dispatches that are due to be spread, each with its user's generation."""
    return (
        select(dispatches, generation_of_user().label("floor"))
        .select_from(
            dispatches.join(server_state, THE_ROW).outerjoin(user_state, user_state.c.user == dispatches.c.user)
        )
        .where(*_IS_TO_BE_SPREAD, dispatches.c.due_at <= now_ms)
        .order_by(dispatches.c.due_at, dispatches.c.id)
        .limit(limit)
    )


def _select_floors(users: Collection[str]) -> Select[Any]:
    return (
        select(user_state.c.user, generation_of_user().label("floor"), server_state.c.epoch)
        .select_from(server_state.outerjoin(user_state, user_state.c.user.in_(users)))
        .where(THE_ROW)
    )
