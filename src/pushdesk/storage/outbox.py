"""The outbox at rest: what was accepted, and what became of it.

Everything here works on batches: one statement for many dispatches or deliveries, never one for each.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update

from pushdesk.model import DispatchKind, DispatchState, Service
from pushdesk.storage.answers import disable
from pushdesk.storage.ending import cancel, expire, finish
from pushdesk.storage.generations import THE_ROW
from pushdesk.storage.key_bindings import key_has_ended
from pushdesk.storage.records import IDEMPOTENCY_MS, Claimed, Settled, Settlement, Spread
from pushdesk.storage.schema import (
    IS_OPEN,
    deliveries,
    dispatches,
    idempotency_keys,
    server_state,
    subscriptions,
)
from pushdesk.storage.settling import settle, without_device
from pushdesk.storage.spreading import accept_and_spread, claim, count_backlog, look, spread

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pushdesk.model import Delivery, Dispatch, Subscription
    from pushdesk.storage.database import Database
    from pushdesk.storage.records import Accepted, Disabling, Due, Ended, IdempotencyKey, Message, Topic
    from pushdesk.storage.transaction import Transaction

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
NO_TOPICS: Final[Mapping[str, Topic]] = MappingProxyType({})
NO_GENERATIONS: Final[Mapping[str, int]] = MappingProxyType({})
NOTHING_SPREAD: Final = Spread((), frozenset(), NOTHING, NOTHING, NO_TOPICS)
NO_WAITS: Final[Mapping[Service, str]] = MappingProxyType({})


class OutboxTable:
    """The dispatches and deliveries of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(
        self,
        messages: Sequence[Message],
        precedence: int = 0,
        new: Spread = NOTHING_SPREAD,
        known: Mapping[str, int] = NO_GENERATIONS,
        now_ms: int = 0,
    ) -> Accepted:
        """Store a batch of dispatches in one transaction, but for those whose idempotency key is known.

        Some can be spread at once, as by `spread`. What is for a user whose devices have changed since they were looked
        up is only stored: nothing is written for a device that was taken away before.

        Args:
            messages: The batch.
            precedence: The latest that was given to a dispatch.
            new: Those of them that are spread.
            known: The users of these -> the generation that their devices were looked up at.
            now_ms: The time.

        Raises:
            DatabaseError: None was stored.
        """
        body = partial(accept_and_spread, messages=messages, precedence=precedence, new=new, known=known)
        return await self._database.transact(partial(body, now_ms=now_ms))

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
            keep: Ids of deliveries; a set may change meanwhile, and counts as it is when the transaction begins.

        Returns:
            The dispatches of which nothing is left to do: what was claimed of them had ended already.

        Raises:
            DatabaseError: Nothing was changed.
        """

        async def release_claims(transaction: Transaction) -> tuple[Dispatch, ...]:
            # Copied here, where what was written down before is in it; and in one step: the event loop adds to it.
            kept = frozenset(keep)
            freed = await transaction.execute(
                update(deliveries)
                .where(deliveries.c.claim_id.is_not(None), deliveries.c.id.not_in(kept))
                .values(claim_id=None)
                .returning(deliveries.c.dispatch, deliveries.c.next_attempt_at)
            )
            return await finish(transaction, {row.dispatch for row in freed if row.next_attempt_at is None})

        return await self._database.transact(release_claims)

    async def due(self, now_ms: int, limit: int) -> Due:
        """Return what is due, and when there is more, as of one moment.

        Args:
            now_ms: The time.
            limit: The most dispatches that are returned, the longest due first.

        Raises:
            DatabaseError: It could not be read.
        """
        return await self._database.look(partial(look, now_ms=now_ms, limit=limit))

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
        new = Spread(deliveries_, frozenset(empty), claims, awaited, topics)
        return await self._database.transact(partial(spread, new=new, now_ms=now_ms))

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
        return await self._database.transact(partial(expire, now_ms=now_ms, limit=limit, waits=waits))

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
        return await self._database.transact(partial(cancel, dispatch=dispatch, sender=sender, now_ms=now_ms))

    async def put_off(self, dispatches_: Collection[str], due_ms: int) -> None:
        """Have dispatches that are not spread yet be looked at later, so that they do not stand in the way of others.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await transaction.execute(
                update(dispatches).where(dispatches.c.id.in_(dispatches_), IS_OPEN).values(due_at=due_ms)
            )

    async def release(self, dispatch: str, plaintext: bytes | None, now_ms: int) -> str | None:
        """Make a scheduled dispatch due, with another message if one is given.

        Returns:
            Whom it is for; None if it was not scheduled for later any more: one that is due is left as it is, as it may
            be under way.

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
                .returning(dispatches.c.user)
            )
            row = changed.first()
        return None if row is None else str(row.user)

    async def release_kind(self, kind: DispatchKind, now_ms: int) -> None:
        """Make every scheduled dispatch of a kind due.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await transaction.execute(
                update(dispatches)
                .where(dispatches.c.kind == kind, dispatches.c.state == DispatchState.SCHEDULED)
                .where(IS_OPEN, dispatches.c.due_at > now_ms)
                .values(state=DispatchState.QUEUED, due_at=now_ms)
            )

    async def claim(self, mine: str, service: Service, now_ms: int, limit: int) -> tuple[Claimed, ...]:
        """Claim deliveries to one push service whose next attempt is due, the longest due first.

        Raises:
            DatabaseError: Nothing was claimed.
        """
        return await self._database.transact(partial(claim, mine=mine, service=service, now_ms=now_ms, limit=limit))

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
        return await self._database.transact(
            partial(settle, settlements=settlements, claim=claim, now_ms=now_ms, again=again)
        )

    async def disable(self, disablings: Sequence[Disabling], now_ms: int) -> tuple[Subscription, ...]:
        """Disable subscriptions whose failures are counted, if they are still this version; returns those that were.

        Raises:
            DatabaseError: Nothing was changed.
        """
        return await self._database.transact(partial(disable, disablings=disablings, now_ms=now_ms, has_failed=False))

    async def backlog(self, claim: str = "") -> tuple[int, dict[Service, int]]:
        """Return how many dispatches are not spread yet, and how many deliveries are unsettled, per push service.

        Args:
            claim: What is under this claim is not settled, even if it has ended: its attempt may come to more.

        Raises:
            DatabaseError: It could not be read.
        """
        return await self._database.look(partial(count_backlog, claim=claim))
