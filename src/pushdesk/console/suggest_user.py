"""Completing the name of a user while it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.suggester import Suggester

from pushdesk.console.text import plain
from pushdesk.errors import PushdeskError
from pushdesk.model import PageQuery

if TYPE_CHECKING:
    from pushdesk.desk import Desk


class SuggestUser(Suggester):
    """Completes the name of a user that the server knows."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._desk = desk

    async def get_suggestion(self, value: str) -> str | None:
        """Return the first user whose name begins so; none when the server does not answer: it is only a help."""
        try:
            page = await self._desk.users(PageQuery(limit=1, filter=f"^{value}"[:200], sort="id"))
        except PushdeskError:
            return None
        return next((plain(user.id) for user in page.items if plain(user.id) == user.id), None)
