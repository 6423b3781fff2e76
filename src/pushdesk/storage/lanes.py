"""What is kept of the lanes: which push services are paused, and what waits for a key that one of them refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from pushdesk.model import Service
from pushdesk.storage.schema import deliveries, paused_services

if TYPE_CHECKING:
    from sqlalchemy import Select, Update

    from pushdesk.storage.database import Database


class LaneTable:
    """What a database has of the lanes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def paused(self) -> dict[Service, int]:
        """Return the push services that are paused, each with since when, in milliseconds since the epoch.

        Raises:
            DatabaseError: It could not be read.
        """
        async with self._database.read() as connection:
            return {
                Service(service): paused_at
                for service, paused_at in (await connection.execute(select(paused_services))).all()
            }

    async def pause(self, service: Service, now_ms: int) -> None:
        """Keep that a push service is paused; one that is so already stays so since when it was.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            known = select(paused_services).where(paused_services.c.service == service)
            if (await transaction.execute(known)).first() is None:
                await transaction.execute(insert(paused_services).values(service=service, paused_at=now_ms))

    async def resume(self, service: Service) -> None:
        """Keep that a push service is paused no longer.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await transaction.execute(delete(paused_services).where(paused_services.c.service == service))

    async def awaited(self) -> tuple[tuple[Service, str], ...]:
        """Return the push services and keys that deliveries wait for.

        Raises:
            DatabaseError: It could not be read.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(select_awaited())).all()
        return tuple((Service(service), key) for service, key in rows)

    async def free(self, service: Service, key: str, now_ms: int, limit: int) -> int:
        """Make deliveries due that wait for a key of a push service, the oldest first.

        Returns:
            How many there were.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            return len((await transaction.execute(free_awaiting(service, key, now_ms, limit))).all())


def select_awaited() -> Select[Any]:
    """Return the statement for the keys that deliveries wait for."""
    return select(deliveries.c.service, deliveries.c.awaits_key).where(deliveries.c.awaits_key.is_not(None)).distinct()


def free_awaiting(service: Service, key: str, now_ms: int, limit: int) -> Update:
    """Return the statement that makes deliveries due that wait for a key."""
    waiting = (
        select(deliveries.c.id)
        .where(deliveries.c.service == service, deliveries.c.awaits_key == key)
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    return (
        update(deliveries)
        .where(deliveries.c.id.in_(waiting))
        .values(awaits_key=None, next_attempt_at=now_ms)
        .returning(deliveries.c.id)
    )
