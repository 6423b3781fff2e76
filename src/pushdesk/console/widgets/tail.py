"""A log that grows at its end: it can be followed, held still, filtered, and read back into the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from pushdesk.console.figures import count
from pushdesk.console.keys import bind
from pushdesk.console.widgets.paged import Item, Paged
from pushdesk.console.widgets.rows import Rows
from pushdesk.model import PageQuery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from textual.binding import BindingType
    from textual.content import Content

    from pushdesk.console.widgets.columns import Column
    from pushdesk.model import Page

PAGE: Final = 200
KEPT: Final = 20_000
"""Lines that are kept: some 20 MB of deliveries."""
LET_GO: Final = f"The latest {count(KEPT)} lines are kept. Press R to list from the newest, and go up from there."


class Tail(Paged[Item]):
    """A table whose newest line is at the bottom.

    The server filters what is fetched; `passes` is the same rule for what comes by itself through `take`.

    Args:
        title: What is listed.
        name: The id of the table, under which its filter is remembered.
        columns: Of the table.
        key: Returns what tells a line apart: of two with one key the later is shown, at the end.
        cells: Returns the cells of a line.
        fetch: Returns a page, the newest first.
        passes: Returns whether a line passes a filter.
        filter_hint: What may be typed as a filter.
        empty: Returns what is shown when there is nothing, given the filter.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "pause", "Pause", "tail.pause", "Hold the log still, or let it go on", show=True),
        bind("f", "follow", "Follow", "tail.follow", "Keep the newest line in sight", show=True),
        bind("slash", "filter", "Filter", "tail.filter", "Show what contains…", show=True, display="/"),
        bind("escape", "clear_filter", "Clear filter", "tail.clear", "Show everything again"),
    ]

    def __init__(
        self,
        *,
        title: str,
        name: str,
        columns: Sequence[Column],
        key: Callable[[Item], str],
        cells: Callable[[Item], Sequence[Content]],
        fetch: Callable[[PageQuery], Awaitable[Page[Item]]],
        passes: Callable[[Item, str], bool],
        filter_hint: str,
        empty: Callable[[str], Content],
    ) -> None:
        rows = Rows(columns, key=key, cells=cells, name=name, most=KEPT, follow=True)
        super().__init__(title=title, name=name, rows=rows, fetch=fetch, filter_hint=filter_hint, empty=empty)
        self._key = key
        self._passes = passes
        self._older: str | None = None
        self._is_paused = False
        self._is_stale = False
        self._held: dict[str, Item | None] = {}
        """What was written while it is held still, by its key; None for a line that no longer passes the filter."""
        self._since: list[Item] = []
        """What was written since a page was asked for."""

    def begin_anew(self) -> None:
        """Fetch the newest page, and follow what comes."""
        # A cursor is one of its filter only.
        self._older = None
        self.rows.follow = True
        self.load()
        self.say()

    def load(self) -> None:
        """Fetch the newest page; while the log is held still, once it goes on, unless another filter is shown."""
        self._is_stale = self._is_paused and self._shown_filter == self._filter
        if not self._is_stale:
            self._ask_for(None)

    def take(self, items: Iterable[Item]) -> None:
        """Add lines that were written, or count them while the log is held."""
        items = list(items)
        if self._asked is not None:
            self._since += items
        if self._is_paused:
            self._hold(items)
        else:
            lines: dict[str, Item | None] = {}
            self._take_into(lines, items)
            self._put(lines)
        self.say()

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action == "follow" and self.rows.follow and not self._is_paused:
            return "The newest line is followed already."
        return super().refusal(action)

    def action_pause(self) -> None:
        """Hold the log still, or let it go on."""
        self._is_paused = not self._is_paused
        if not self._is_paused:
            self._put(self._held)
            self._held = {}
            if self._is_stale:
                self.load()
        self.say_anew()

    def action_follow(self) -> None:
        """Go to the newest line and stay there."""
        if self._is_paused:
            self.action_pause()
        self.rows.follow = True
        self.say_anew()

    def on_rows_top_reached(self, message: Rows.TopReached) -> None:
        """Fetch what is older."""
        message.stop()
        if self.rows.has_let_go:
            # The next older page is older than what was let go: it would leave a hole that nobody sees.
            self.app.notify(LET_GO)
        elif self._older is not None and self._asked is None:
            self._ask_for(self._older)

    def on_rows_moved(self) -> None:
        """Say whether the newest is in sight."""
        self.say()

    def show_page(self, query: PageQuery, page: Page[Item]) -> None:
        """Show a page: the newest in place of all, an older one above."""
        self._older = page.next
        oldest_first = page.items[::-1]
        if query.cursor is not None:
            self.rows.put_before(oldest_first)
            return
        self._held = {}
        lines: dict[str, Item | None] = {self._key(item): item for item in oldest_first}
        self._take_into(lines, self._since)
        self.rows.show([item for item in lines.values() if item is not None])

    def note(self) -> str:
        """Return whether it is held still, and what came since then, or whether the newest is in sight."""
        if self._is_paused:
            new = sum(item is not None and key not in self.rows for key, item in self._held.items())
            return f"paused, {count(new)}{'+' if len(self._held) == KEPT else ''} new"
        return "following" if self.rows.follow else "f follows the newest"

    def _ask_for(self, cursor: str | None) -> None:
        # What happens until the page is there may be newer than what is on it.
        self._since = []
        self.ask(PageQuery(cursor=cursor, limit=PAGE, filter=self._filter))

    def _hold(self, items: Iterable[Item]) -> None:
        self._take_into(self._held, items)
        if len(self._held) > KEPT:
            self._held = dict(list(self._held.items())[-KEPT:])
            # Once it goes on, what was let go would be a hole that nobody sees.
            self._is_stale = True

    def _take_into(self, lines: dict[str, Item | None], news: Iterable[Item]) -> None:
        """Change lines, by their keys: put those that are new or others now at the end.

        None stands for one that is shown and no longer passes the filter.
        """
        for item in news:
            key = self._key(item)
            lines.pop(key, None)
            if not self._filter or self._passes(item, self._filter):
                lines[key] = item
            elif key in self.rows:
                lines[key] = None

    def _put(self, lines: Mapping[str, Item | None]) -> None:
        self.rows.put_last(
            [item for item in lines.values() if item is not None],
            without=[key for key, item in lines.items() if item is None],
        )
