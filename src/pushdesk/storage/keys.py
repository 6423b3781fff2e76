"""VAPID keys at rest: their states, and how one passes into another.

What a key's end means for the subscriptions that were made with it is in `key_bindings`: at once for who reads them,
and row by row afterwards. `retiring_at` without `bound_before` says of a key that signs that its subscriptions are
still being made active again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import case, insert, null, select, update

from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState, Service
from pushdesk.storage.generations import raise_epoch
from pushdesk.storage.key_bindings import count_bound
from pushdesk.storage.records import StoredKey
from pushdesk.storage.schema import vapid_keys
from pushdesk.storage.sealing import PRIVATE_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from pushdesk.storage.database import Database
    from pushdesk.storage.sealing import Sealer
    from pushdesk.storage.transaction import Reader, Transaction

_ALL: Final = select(vapid_keys).order_by(vapid_keys.c.created_at.desc(), vapid_keys.c.id)


class Keys:
    """The VAPID keys of a database: exactly one is current once there is any.

    Whatever changes them returns all of them as they are then, so that nobody has to read them again.
    """

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def all(self) -> tuple[StoredKey, ...]:
        """Return every key, the newest first.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            return await self._read(connection)

    async def find(self, key: str) -> StoredKey:
        """Return a key by its id.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It could not be read.
        """
        for stored in await self.all():
            if stored.id == key:
                return stored
        raise _not_found(key)

    async def make_current(self, key: StoredKey) -> tuple[StoredKey, ...]:
        """Store a new key as the current one; the one that was current is retiring from its `created_at_ms` on.

        Raises:
            DatabaseError: Nothing was changed.
        """
        bound = await self._bound_to_current()
        async with self._database.write() as transaction:
            await _demote_current(transaction, bound, key.created_at_ms)
            await transaction.execute(insert(vapid_keys).values(self._row(key, KeyState.CURRENT)))
            return await self._read(transaction)

    async def add_retiring(self, key: StoredKey) -> tuple[StoredKey, ...]:
        """Store a new key that signs for its own subscriptions only, retiring from its `created_at_ms` on.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.read() as connection:
            bound = (await count_bound(connection, [key.id])).get(key.id, {})
        retiring = {"retiring_at": key.created_at_ms, "bound_before": _encode(bound)}
        async with self._database.write() as transaction:
            await transaction.execute(insert(vapid_keys).values(self._row(key, KeyState.RETIRING) | retiring))
            return await self._read(transaction)

    async def bring_back(self, key: str, state: KeyState, now_ms: int) -> tuple[StoredKey, ...]:
        """Make a retiring key current again, or a retired one current or retiring.

        What a retired one's end had disabled is to be made active again; what was not disabled yet is at once.

        Args:
            key: Its id.
            state: `CURRENT`, which makes the one that is current retiring, or `RETIRING`.
            now_ms: The time.

        Raises:
            PushdeskError: `not_found`; `bad_field` for one that is current, or was revoked.
            DatabaseError: Nothing was changed.
        """
        bound = await self._bound_to_current()
        async with self._database.write() as transaction:
            found = await _find(transaction, key)
            if not can_be_brought_back(found, state):
                raise cannot(key, found, f"made {state} again")
            if state is KeyState.CURRENT:
                await _demote_current(transaction, bound, now_ms)
            values: dict[str, object] = {"state": state, "bound_before": None}
            if found is KeyState.RETIRED:
                values["retiring_at"] = now_ms
                await raise_epoch(transaction)
            else:
                # Kept where its subscriptions are still being made active again: that goes on.
                restoring = vapid_keys.c.bound_before.is_(None)
                values["retiring_at"] = case((restoring, vapid_keys.c.retiring_at), else_=null())
            await transaction.execute(update(vapid_keys).where(vapid_keys.c.id == key).values(values))
            return await self._read(transaction)

    async def retire(self, key: str) -> tuple[StoredKey, ...]:
        """End a retiring key: nothing is signed with it any more, and its subscriptions are to be disabled.

        Raises:
            PushdeskError: `not_found`; `bad_field` for one that is not retiring.
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            found = await _find(transaction, key)
            if found is not KeyState.RETIRING:
                raise cannot(key, found, "retired")
            await raise_epoch(transaction)
            await transaction.execute(
                update(vapid_keys)
                .where(vapid_keys.c.id == key)
                .values(state=KeyState.RETIRED, retiring_at=None, bound_before=None)
            )
            return await self._read(transaction)

    async def revoke_all(self, key: StoredKey) -> tuple[StoredKey, ...]:
        """Store a new current key, and end every other one for good: their private halves are erased.

        The subscriptions that were made with them are to be removed.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await raise_epoch(transaction)
            await transaction.execute(
                update(vapid_keys)
                .where(vapid_keys.c.state != KeyState.REVOKED)
                .values(state=KeyState.REVOKED, private_key=b"", retiring_at=None, bound_before=None)
            )
            await transaction.execute(insert(vapid_keys).values(self._row(key, KeyState.CURRENT)))
            return await self._read(transaction)

    async def _read(self, connection: Reader) -> tuple[StoredKey, ...]:
        return tuple(
            StoredKey(
                row.id,
                row.public_key,
                self._sealer.unseal(PRIVATE_KEY, row.id, row.private_key),
                KeyState(row.state),
                row.created_at,
                is_restoring=row.retiring_at is not None and row.bound_before is None,
            )
            for row in (await connection.execute(_ALL)).all()
        )

    def _row(self, key: StoredKey, state: KeyState) -> dict[str, object]:
        return {
            "id": key.id,
            "public_key": key.public_key,
            "private_key": self._sealer.seal(PRIVATE_KEY, key.id, key.private_key),
            "state": state,
            "created_at": key.created_at_ms,
        }

    async def _bound_to_current(self) -> Mapping[Service, int]:
        """Count what the progress of the current key will be measured by. Not by the writer: it may be very much."""
        current = select(vapid_keys.c.id).where(vapid_keys.c.state == KeyState.CURRENT)
        async with self._database.read() as connection:
            key = await connection.scalar(current)
            return {} if key is None else (await count_bound(connection, [key])).get(key, {})


async def _demote_current(transaction: Transaction, bound: Mapping[Service, int], now_ms: int) -> None:
    # One whose subscriptions are still being made active again is not counted yet.
    restoring = vapid_keys.c.retiring_at.is_not(None)
    await transaction.execute(
        update(vapid_keys)
        .where(vapid_keys.c.state == KeyState.CURRENT)
        .values(
            state=KeyState.RETIRING, retiring_at=now_ms, bound_before=case((restoring, null()), else_=_encode(bound))
        )
    )


async def _find(transaction: Transaction, key: str) -> KeyState:
    found: Row[Any] | None = (
        await transaction.execute(select(vapid_keys.c.state).where(vapid_keys.c.id == key))
    ).one_or_none()
    if found is None:
        raise _not_found(key)
    return KeyState(found.state)


def can_be_brought_back(found: KeyState, state: KeyState) -> bool:
    """Say whether a key in the one state can be made the other again."""
    return found not in {KeyState.CURRENT, KeyState.REVOKED, state}


def _not_found(key: str) -> PushdeskError:
    return PushdeskError(
        f"There is no key {key!r}.", code="not_found", hint="pushdesk keys list shows those there are."
    )


def cannot(key: str, state: KeyState, what: str) -> PushdeskError:
    """Return the error for a key that is in another state than is needed for what is asked."""
    if state is KeyState.CURRENT and what == "made current again":
        return PushdeskError(f"Key {key} is current already.", code="bad_field", fields=("id",))
    hints = {
        KeyState.CURRENT: "Rotate first: then another one is current.",
        KeyState.REVOKED: "Its private half was erased.",
    }
    return PushdeskError(
        f"Key {key} is {state}: it cannot be {what}.", code="bad_field", hint=hints.get(state, ""), fields=("id",)
    )


def _encode(bound: Mapping[Service, int]) -> str:
    return msgspec.json.encode(bound).decode()
