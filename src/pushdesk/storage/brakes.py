"""The brakes on mass death: what they hold, and what becomes of it when an operator has decided.

A brake is written down by the transaction that holds the first subscription because of it. A decision takes effect with
the transaction that writes it: what was answered before and is written down after it follows it, too. The rows that are
held follow in batches, so that nobody else who writes waits for long; what is to be done is told by the brake's state,
so it goes on after a restart. A brake that goes on again takes over what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import case, delete, func, insert, literal, null, select, update

from pushdesk.model import Service, SubscriptionState
from pushdesk.storage.generations import raise_generations
from pushdesk.storage.key_bindings import key_has_ended
from pushdesk.storage.records import Hold
from pushdesk.storage.rows import to_subscription
from pushdesk.storage.schema import brakes, subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Row, Select, Update

    from pushdesk.model import Subscription
    from pushdesk.storage.database import Database
    from pushdesk.storage.transaction import Transaction


class BrakeState(StrEnum):
    """Whether a brake is on, or how it was decided."""

    ON = "on"
    CONFIRMED = "confirmed"
    """What it held has ended."""
    RELEASED = "released"
    """What it held has not."""


@dataclass(frozen=True, slots=True)
class StoredBrake:
    """A push service's latest brake."""

    hold: Hold
    state: BrakeState


IS_HELD: Final = subscriptions.c.held_as.is_not(None)
"""The words of an index."""


class BrakeTable:
    """What a database has of the brakes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[StoredBrake, ...]:
        """Return the latest brake of each push service that ever had one.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            return tuple(_to_brake(row) for row in await connection.execute(select(brakes)))

    async def held(self) -> dict[Service, int]:
        """Return how many subscriptions are held, per push service.

        Raises:
            DatabaseError: They could not be counted.
        """
        async with self._database.read() as connection:
            return {Service(service): number for service, number in await connection.execute(count_held())}

    async def decide(self, hold: Hold, state: BrakeState) -> None:
        """Write down what becomes of what is held; `follow` does it.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await _put(transaction, hold, state)

    async def follow(self, service: Service, now_ms: int, limit: int) -> tuple[Subscription, ...]:
        """Do with a batch of what is held of a push service as was decided.

        Returns:
            What was changed; nothing is left when that is nothing, or the brake is on again.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            state = await transaction.scalar(select(brakes.c.state).where(brakes.c.service == service))
            if state is None or state == BrakeState.ON:
                return ()
            rows = await transaction.execute(let_go(service, BrakeState(state), now_ms, limit))
            changed = tuple(to_subscription(row) for row in rows)
            await raise_generations(transaction, {subscription.user: None for subscription in changed})
            return changed


async def put_on(transaction: Transaction, holds: Collection[Hold]) -> dict[Hold, BrakeState]:
    """Write down brakes because of which something is held, in the caller's transaction.

    Returns:
        How each is: one that was decided meanwhile stays so.
    """
    if not holds:
        return {}
    wanted = select(brakes).where(brakes.c.service.in_({hold.service for hold in holds}))
    known = {row.service: _to_brake(row) for row in await transaction.execute(wanted)}
    states: dict[Hold, BrakeState] = {}
    for hold in sorted(holds, key=lambda hold: hold.number):
        brake = known.get(hold.service)
        if brake is None or brake.hold.number < hold.number:
            await _put(transaction, hold, BrakeState.ON)
            known[hold.service] = brake = StoredBrake(hold, BrakeState.ON)
        # What an earlier one held, and nobody has written down since, is held by the one that is on.
        states[hold] = brake.state
    return states


def count_held() -> Select[Any]:
    """Return the statement for how many subscriptions are held, per push service."""
    return select(subscriptions.c.service, func.count()).where(IS_HELD).group_by(subscriptions.c.service)


def let_go(service: Service, state: BrakeState, now_ms: int, limit: int) -> Update:
    """Return the statement that does with a batch of what is held as was decided."""
    first = select(subscriptions.c.id).where(subscriptions.c.service == service, IS_HELD).limit(limit)
    if state is BrakeState.CONFIRMED:
        values: dict[str, Any] = {"state": subscriptions.c.held_as, "disabled_at": now_ms}
    else:
        # Nobody would be sent to with a key that has ended meanwhile. Typed, as PostgreSQL would take them for text.
        of_state, of_time = subscriptions.c.state.type, subscriptions.c.disabled_at.type
        ended, active = literal(SubscriptionState.KEY_MISMATCH, of_state), literal(SubscriptionState.ACTIVE, of_state)
        values = {
            "state": case((key_has_ended(), ended), else_=active),
            "disabled_at": case((key_has_ended(), literal(now_ms, of_time)), else_=null()),
        }
    return (
        update(subscriptions)
        .where(subscriptions.c.id.in_(first))
        .values(held_as=None, version=subscriptions.c.version + 1, **values)
        .returning(subscriptions)
    )


async def _put(transaction: Transaction, hold: Hold, state: BrakeState) -> None:
    await transaction.execute(delete(brakes).where(brakes.c.service == hold.service))
    await transaction.execute(
        insert(brakes).values(
            service=hold.service, number=hold.number, state=state, since=hold.since_ms, reason=hold.reason
        )
    )


def _to_brake(row: Row[Any]) -> StoredBrake:
    return StoredBrake(Hold(Service(row.service), row.number, row.since, row.reason), BrakeState(row.state))
