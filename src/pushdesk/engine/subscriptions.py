"""The subscriptions that a push needs, read for many users at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.storage.records import Targets

if TYPE_CHECKING:
    from collections.abc import Collection

    from pushdesk.storage.subscriptions import Subscriptions

NOBODY = Targets(generation=0, targets=())


class TargetReader:
    """Reads push targets straight from the store: always what the database says, one statement per batch of users."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    async def get(self, users: Collection[str]) -> dict[str, Targets]:
        """Return the active subscriptions of each of these users, with the generation they belong to.

        Raises:
            DatabaseError: They could not be read.
        """
        found = await self._subscriptions.targets(users)
        return {user: found.get(user, NOBODY) for user in users}
