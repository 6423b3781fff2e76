"""Removing users: they are gone at once, and what they were sent goes after that, if need be after the next start."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.log import write
from pushdesk.log_events import UserRemovalUnfinished, UserRemoved
from pushdesk.log_fields import Failure, UserId

if TYPE_CHECKING:
    from pushdesk.engine.outbox import Outbox
    from pushdesk.engine.publisher import Publisher
    from pushdesk.storage.users import Users


class UserRemoval:
    """Removes users with everything of theirs.

    Args:
        users: The store's.
        outbox: Where what they were sent may still be worked on.
        publisher: Told of what is gone.
    """

    def __init__(self, users: Users, *, outbox: Outbox, publisher: Publisher) -> None:
        self._users = users
        self._outbox = outbox
        self._publisher = publisher
        self._is_ending = False

    async def remove(self, user: str) -> None:
        """Remove a user; tokens and pushes end at once, what they were sent goes after that.

        Raises:
            PushdeskError: `not_found` if nothing is known of them.
            DatabaseError: Some is still there; removing them again goes on with it, and so does the next start.
        """
        removed = await self._users.remove(user)
        if removed is None:
            raise PushdeskError(f"There is no user {user!r}.", code="not_found", hint="Ids are case-sensitive.")
        if removed.was_known:
            self._publisher.user_removed(user, removed.subscriptions)
            write(UserRemoved(user=UserId(user), subscriptions=len(removed.subscriptions)))
        while await self._outbox.remove(partial(self._users.remove_history, removed)):
            pass

    async def run(self) -> None:
        """Go on with what an earlier process left, until it is done or the end comes."""
        try:
            for removed in await self._users.unfinished():
                while not self._is_ending:
                    if not await self._outbox.remove(partial(self._users.remove_history, removed)):
                        break
        except DatabaseError as error:
            write(UserRemovalUnfinished(Failure.of(error)))

    def end(self) -> None:
        """Let `run` end; what it has not come to is for the next start."""
        self._is_ending = True
