"""Broadcasts at rest: whom each is for, how far it has come, and what came of it.

A broadcast has no delivery for whoever it is accepted for at once: those are a number of the chunk that they are in.
What came to anything else is a delivery, and goes on like any other's. A chunk is written once it is settled, so that
what a crash interrupts is what lies between those that are there: nothing is written when one is begun.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, and_, insert, or_, select, update

from pushdesk.errors import PushdeskError
from pushdesk.model import UNSETTLED, DispatchKind, DispatchState, Outcome, Page, Service
from pushdesk.storage.answers import count_successes, is_success_due
from pushdesk.storage.broadcast_counts import end_reaching, read_stored
from pushdesk.storage.broadcast_users import is_listed
from pushdesk.storage.ending import finish, supersede
from pushdesk.storage.key_bindings import is_live
from pushdesk.storage.overtaking import overtake
from pushdesk.storage.pages import Listing, Sort, Wanted, having, read_page
from pushdesk.storage.records import IS_PAUSED, Ended, Recipients, Settled, Stretch
from pushdesk.storage.retention import ENDED, not_kept
from pushdesk.storage.rows import attempted_row, delivery_row, planned_column, to_delivery, to_message, to_target
from pushdesk.storage.schema import broadcasts, chunks, deliveries, dispatches, subscriptions, user_state
from pushdesk.storage.settling import disabled_before, note_answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, Update

    from pushdesk.model import Delivery, Dispatch, PageQuery
    from pushdesk.storage.database import Database
    from pushdesk.storage.records import Chunk, Message, Plan, StoredBroadcast, Topic
    from pushdesk.storage.sealing import Sealer
    from pushdesk.storage.transaction import Snapshot, Transaction

_BROADCASTS: Final = Listing(
    broadcasts.c.dispatch, {"accepted_at": Sort(broadcasts.c.dispatch)}, default="-accepted_at"
)


class BroadcastTable:
    """The broadcasts of a database."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def page(self, query: PageQuery) -> Page[StoredBroadcast]:
        """List broadcasts; the filter is a part of the title (`filters`).

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        wanted = having(dispatches.c.title, query.filter)
        if wanted.test is not None:
            is_broadcast = dispatches.c.kind == DispatchKind.BROADCAST
            found = select(dispatches.c.id).where(is_broadcast, wanted.test)
            wanted = Wanted(broadcasts.c.dispatch.in_(found))
        async with self._database.snapshot() as snapshot:
            page = await read_page(snapshot, _BROADCASTS, wanted, query, select(broadcasts.c.dispatch), _its_id)
            stored = await read_stored(snapshot, page.items)
        return Page(tuple(stored[id_] for id_ in page.items), page.next)

    async def find(self, dispatch: str) -> StoredBroadcast:
        """Return a broadcast.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It could not be read.
        """
        async with self._database.snapshot() as snapshot:
            stored = await read_stored(snapshot, [dispatch])
        if dispatch not in stored:
            raise not_kept("broadcast")
        return stored[dispatch]

    async def going_on(self) -> tuple[StoredBroadcast, ...]:
        """Return the broadcasts of which something is left to do, in the order in which they were accepted.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.snapshot() as snapshot:
            ids = [row.dispatch for row in await snapshot.execute(select_going_on())]
            stored = await read_stored(snapshot, ids)
        return tuple(stored[id_] for id_ in ids)

    async def unsettled(self, dispatch: str) -> tuple[Delivery, ...]:
        """Return the deliveries of a broadcast that are not settled.

        Raises:
            DatabaseError: They could not be read.
        """
        mine = and_(deliveries.c.dispatch == dispatch, deliveries.c.outcome.in_(UNSETTLED))
        async with self._database.read() as connection:
            return tuple(to_delivery(row) for row in await connection.execute(select(deliveries).where(mine)))

    async def begin(self, dispatch: str, plan: Plan, now_ms: int) -> tuple[Message, bool] | None:
        """Begin to send a broadcast, or go on with it; returns what is sent, and whether it had not begun before.

        Args:
            dispatch: Its id.
            plan: Whom it is for, if it had not begun.
            now_ms: The time.

        Returns:
            None if it has ended.

        Raises:
            DatabaseError: It was not begun.
        """
        mine = dispatches.c.id == dispatch
        async with self._database.write() as transaction:
            row = (await transaction.execute(select(dispatches).where(mine))).one_or_none()
            if row is None or row.state in ENDED:
                return None
            is_new = row.state != DispatchState.SENDING
            if is_new:
                await transaction.execute(update(dispatches).where(mine).values(state=DispatchState.SENDING))
                await transaction.execute(
                    update(broadcasts)
                    .where(broadcasts.c.dispatch == dispatch)
                    .values(started_at=now_ms, planned=planned_column(plan), last_subscription=plan.last_subscription)
                )
            return to_message(row), is_new

    async def settled(self, dispatch: str) -> dict[Service, list[Stretch]]:
        """Return what of a broadcast is settled, per push service, in order.

        Raises:
            DatabaseError: It could not be read.
        """
        rows = select(chunks).where(chunks.c.dispatch == dispatch).order_by(chunks.c.service, chunks.c.after)
        found: dict[Service, list[Stretch]] = {}
        async with self._database.read() as connection:
            for row in await connection.execute(rows):
                found.setdefault(Service(row.service), []).append(Stretch(row.after, row.last))
        return found

    async def recipients(
        self, service: Service, stretch: Stretch, limit: int, listed: str | None, now_ms: int
    ) -> Recipients:
        """Return the first of a stretch of the subscriptions that are sent to, as they are now.

        Args:
            service: Their push service.
            stretch: The stretch.
            limit: The most that are returned.
            listed: The list that their users are on; None for all users.
            now_ms: The time.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(select_recipients(service, stretch, limit, listed, now_ms))).all()
        unmarked = frozenset(row.id for row in rows if row.is_unmarked)
        return Recipients(tuple(to_target(row, self._sealer) for row in rows), unmarked)

    async def mark(self, ids: Sequence[str], now_ms: int) -> None:
        """Note that some subscriptions were pushed to.

        Raises:
            DatabaseError: It was not.
        """
        async with self._database.write() as transaction:
            await count_successes(transaction, ids, now_ms)

    async def overtake(
        self, dispatch: str, topic: Topic, ids: Sequence[str], now_ms: int
    ) -> tuple[Ended, frozenset[str]]:
        """End what may still be sent to some subscriptions and is older than a broadcast of its topic.

        Returns:
            What ended; and those of the subscriptions to which something newer was sent, or is to be.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            return await overtake(transaction, dispatch, topic, ids, now_ms)

    async def settle(self, chunk: Chunk, now_ms: int, *, again: bool = False) -> tuple[Settled, Ended]:
        """Write what came of a chunk, in one transaction.

        Args:
            chunk: The chunk.
            now_ms: The time.
            again: Whether this was tried before, and it is not known whether it was done.

        Returns:
            What that changed; and what of it is superseded by what came meanwhile. Of users who were removed while
            they were sent to, nothing is written but that they were got to.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            if again and await transaction.scalar(_select_chunk(chunk)) is not None:
                removed = await _removed(transaction, chunk)
                return Settled(await disabled_before(transaction, chunk.settlements), ()), Ended(removed=removed)
            told = [item for item in chunk.settlements if item.delivery.outcome is not Outcome.ACCEPTED]
            await transaction.execute(
                insert(chunks).values(
                    dispatch=chunk.dispatch,
                    service=chunk.service,
                    after=chunk.stretch.after,
                    last=chunk.stretch.last,
                    recipients=chunk.recipients,
                    accepted=len(chunk.settlements) - len(told),
                    superseded=chunk.superseded,
                )
            )
            removed = await _removed(transaction, chunk)
            gone = {delivery.id for delivery in removed}
            rows = [attempted_row(item, None, chunk.topic) for item in told if item.delivery.id not in gone]
            if rows:
                await transaction.execute(insert(deliveries), rows)
            under_way = [delivery for delivery in chunk.under_way if delivery.id not in gone]
            rows = [delivery_row(delivery, chunk.claim, None, chunk.topic) for delivery in under_way]
            if rows:
                await transaction.execute(insert(deliveries), rows)
            # Of those who were accepted nothing else is to be noted here: see `mark`.
            disabled, refused = await note_answers(transaction, told, now_ms)
            ended = Ended()
            if chunk.topic is not None:
                unsettled = [item.delivery for item in told if not item.delivery.outcome.is_settled]
                pairs = {(item.subscription, chunk.topic.name) for item in (*unsettled, *chunk.under_way)}
                ended = await supersede(transaction, pairs, now_ms)
            return Settled(disabled, (), refused), replace(ended, removed=removed)

    async def end(self, dispatch: str, now_ms: int, *, is_complete: bool) -> tuple[Dispatch, ...]:
        """Note that nobody is got to any more, be it that everybody was or that its time is over.

        Returns:
            The dispatch, if nothing is left to do for it.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await end_reaching(transaction, dispatch, now_ms, is_complete=is_complete)
            return await finish(transaction, {dispatch})

    async def pause(self, dispatch: str, sender: str | None, now_ms: int) -> None:
        """Keep that a broadcast is paused; one that is so already stays so since when it was.

        Args:
            dispatch: Its id.
            sender: The only one whose broadcasts may be paused; None for all.
            now_ms: The time.

        Raises:
            PushdeskError: `not_found`; `forbidden` for another one's; `already_ended`.
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await _check_going_on(transaction, dispatch, sender)
            mine = and_(broadcasts.c.dispatch == dispatch, broadcasts.c.paused_at.is_(None))
            await transaction.execute(update(broadcasts).where(mine).values(paused_at=now_ms))

    async def resume(self, dispatch: str, sender: str | None) -> None:
        """Keep that a broadcast is paused no longer; see `pause`."""
        async with self._database.write() as transaction:
            await _check_going_on(transaction, dispatch, sender)
            mine = broadcasts.c.dispatch == dispatch
            await transaction.execute(update(broadcasts).where(mine).values(paused_at=None))

    async def check(self, dispatch: str, sender: str | None) -> None:
        """Do nothing, if a broadcast goes on and may be changed.

        Raises:
            PushdeskError: `not_found`; `forbidden` for another one's; `already_ended`.
            DatabaseError: It could not be read.
        """
        async with self._database.snapshot() as snapshot:
            await _check_going_on(snapshot, dispatch, sender)

    async def free(self, dispatch: str, after: str, now_ms: int, limit: int) -> str | None:
        """Make a batch of deliveries due that waited while their broadcast was paused.

        Args:
            dispatch: Its id.
            after: The last of the batch before; at first, nothing.
            now_ms: The time.
            limit: The most that are made due.

        Returns:
            The last of this batch; None if there is no more.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            freed = sorted((await transaction.execute(free_paused(dispatch, after, now_ms, limit))).scalars())
        return freed[-1] if len(freed) == limit else None


async def _check_going_on(snapshot: Snapshot, dispatch: str, sender: str | None) -> None:
    mine = and_(dispatches.c.id == dispatch, dispatches.c.kind == DispatchKind.BROADCAST)
    row = (await snapshot.execute(select(dispatches.c.sender, dispatches.c.state).where(mine))).one_or_none()
    if row is None:
        raise not_kept("broadcast")
    if sender is not None and row.sender != sender:
        raise PushdeskError(
            "This broadcast was asked for with another token.",
            code="forbidden",
            hint="Use that one, or one that has the scope admin.",
        )
    if row.state in ENDED:
        raise PushdeskError(f"This broadcast is {row.state} already.", code="already_ended")


def select_going_on() -> Select[Any]:
    """Return the statement for the broadcasts of which something is left to do."""
    is_sent = and_(dispatches.c.kind == DispatchKind.BROADCAST, dispatches.c.state == DispatchState.SENDING)
    reaching = select(broadcasts.c.dispatch).where(broadcasts.c.reached_at.is_(None))
    return (
        select(broadcasts.c.dispatch)
        .where(
            or_(broadcasts.c.dispatch.in_(reaching), broadcasts.c.dispatch.in_(select(dispatches.c.id).where(is_sent)))
        )
        .order_by(broadcasts.c.dispatch)
    )


def select_recipients(service: Service, stretch: Stretch, limit: int, listed: str | None, now_ms: int) -> Select[Any]:
    """Return the statement for the first of a stretch of the subscriptions that are sent to."""
    is_unmarked = or_(subscriptions.c.failures != 0, is_success_due(now_ms))
    statement = (
        select(subscriptions, is_unmarked.label("is_unmarked"))
        .where(
            subscriptions.c.service == service,
            subscriptions.c.id > stretch.after,
            subscriptions.c.id <= stretch.last,
            is_live(),
        )
        .order_by(subscriptions.c.id)
        .limit(limit)
    )
    return statement if listed is None else statement.where(is_listed(listed))


def free_paused(dispatch: str, after: str, now_ms: int, limit: int) -> Update:
    """Return the statement that makes a batch of deliveries due that waited while their broadcast was paused."""
    waiting = (
        select(deliveries.c.id)
        .where(
            deliveries.c.dispatch == dispatch,
            deliveries.c.id > after,
            deliveries.c.reason == IS_PAUSED,
            deliveries.c.next_attempt_at.is_not(None),
            deliveries.c.claim_id.is_(None),
        )
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    return (
        update(deliveries).where(deliveries.c.id.in_(waiting)).values(next_attempt_at=now_ms).returning(deliveries.c.id)
    )


async def _removed(transaction: Transaction, chunk: Chunk) -> tuple[Delivery, ...]:
    """Return those of a chunk's deliveries whose users are gone, in the caller's transaction."""
    told = [item.delivery for item in chunk.settlements if item.delivery.outcome is not Outcome.ACCEPTED]
    found = (*told, *chunk.under_way)
    if not found:
        return ()
    there = user_state.c.user.in_({delivery.user for delivery in found})
    users = set((await transaction.execute(select(user_state.c.user).where(there))).scalars())
    return tuple(delivery for delivery in found if delivery.user not in users)


def _select_chunk(chunk: Chunk) -> Select[Any]:
    return select(chunks.c.last).where(
        chunks.c.dispatch == chunk.dispatch, chunks.c.service == chunk.service, chunks.c.after == chunk.stretch.after
    )


def _its_id(row: Row[Any]) -> str:
    return str(row.dispatch)
