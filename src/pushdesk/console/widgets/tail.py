"""A log that grows at its end: it can be followed, held still, filtered, and read back into the past."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

import msgspec
from textual.message import Message

from pushdesk.console.figures import count
from pushdesk.console.keys import bind
from pushdesk.console.refusals import Refuser
from pushdesk.console.text import plain
from pushdesk.console.widgets.filter import FilterInput
from pushdesk.console.widgets.listing import LOADING, NOT_LISTED
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError
from pushdesk.model import PageQuery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from textual.binding import BindingType
    from textual.content import Content

    from pushdesk.console.app import PushdeskApp
    from pushdesk.console.widgets.columns import Column
    from pushdesk.model import Page

Item = TypeVar("Item")
Fetch = TypeVar("Fetch")

PAGE: Final = 200
KEPT: Final = 20_000
"""Lines that are kept: some 20 MB of deliveries."""
MOST_COUNTED: Final = 100_000
LET_GO: Final = f"The latest {count(KEPT)} lines are kept. Press R to list from the newest, and go up from there."


class Tail(Panel, Refuser, Generic[Item]):
    """A table whose newest line is at the bottom.

    The server filters what is fetched; `passes` is the same rule for what comes by itself through `take`.

    Args:
        title: What is listed.
        name: The id of the table, under which its filter is remembered.
        columns: Of the table.
        key: Returns what tells a line apart: one with a known key takes the other's place.
        counted: Returns what is counted as one while the log is held still; several lines may be of one.
        time: Returns when a line was written: of two with one key the later is shown.
        cells: Returns the cells of a line.
        fetch: Returns a page, the newest first.
        passes: Returns whether a line passes a filter.
        filter_hint: What may be typed as a filter.
        empty: Returns what is shown when there is nothing, given the filter.
    """

    app: PushdeskApp
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "pause", "Pause", "tail.pause", "Hold the log still, or let it go on", show=True),
        bind("f", "follow", "Follow", "tail.follow", "Keep the newest line in sight", show=True),
        bind("slash", "filter", "Filter", "tail.filter", "Show what contains…", show=True, display="/"),
        bind("escape", "clear_filter", "Clear filter", "tail.clear", "Show everything again"),
    ]

    class Fetched(Message, Generic[Fetch]):
        """A page came from the server; for the log itself."""

        def __init__(self, query: PageQuery, page: Page[Fetch]) -> None:
            super().__init__()
            self.query = query
            self.page = page

    class Failed(Message):
        """The server did not give the page; for the log itself."""

        def __init__(self, query: PageQuery, error: PushdeskError) -> None:
            super().__init__()
            self.query = query
            self.error = error

    def __init__(
        self,
        *,
        title: str,
        name: str,
        columns: Sequence[Column],
        key: Callable[[Item], str],
        counted: Callable[[Item], str],
        time: Callable[[Item], datetime],
        cells: Callable[[Item], Sequence[Content]],
        fetch: Callable[[PageQuery], Awaitable[Page[Item]]],
        passes: Callable[[Item, str], bool],
        filter_hint: str,
        empty: Callable[[str], Content],
    ) -> None:
        self.rows: Rows[Item] = Rows(columns, key=key, cells=cells, name=name, most=KEPT, follow=True)
        self._input = FilterInput(filter_hint)
        super().__init__(self._input, self.rows, title=title, name=f"{name}-panel")
        self.add_class("-table")
        self._title = title
        self._remembered_as = name
        self._key = key
        self._counted = counted
        self._time = time
        self._fetch = fetch
        self._passes = passes
        self._empty = empty
        self._filter = ""
        self._shown_filter: str | None = None
        """What the lines that are shown are filtered by; None before there are any."""
        self._older: str | None = None
        self._is_paused = False
        self._is_stale = False
        self._held: list[Item] = []
        self._known: set[str] = set()
        self._new: set[str] = set()
        self._asked: PageQuery | None = None
        self._since: list[Item] = []

    @property
    def current(self) -> Item | None:
        """The line under the cursor."""
        return self.rows.current

    @property
    def filter(self) -> str:
        """What is filtered by."""
        return self._filter

    def on_mount(self) -> None:
        """Take up the filter that was last used."""
        self._filter = self.app.view(self._remembered_as).filter
        self.rows.say_when_empty(LOADING)
        self._entitle()

    def load(self) -> None:
        """Fetch the newest page; while the log is held still, once it goes on, unless another filter is shown."""
        if self._is_paused and self._shown_filter == self._filter:
            self._is_stale = True
            return
        self._is_stale = False
        self._ask(PageQuery(limit=PAGE, filter=self._filter))

    def take(self, items: Iterable[Item]) -> None:
        """Add lines that were written, or count them while the log is held."""
        fresh = [item for item in items if self._passes(item, self._filter)] if self._filter else list(items)
        if not fresh:
            return
        if self._asked is not None:
            self._since += fresh
        if self._is_paused:
            self._held = [*self._held, *fresh][-KEPT:]
            if len(self._new) < MOST_COUNTED:
                self._new.update({self._counted(item) for item in fresh} - self._known)
        else:
            self.rows.put(fresh)
        self._entitle()

    def set_filter(self, text: str) -> None:
        """Filter by this; as if it had been typed."""
        if text == self._filter:
            return
        # A cursor is one of its filter only.
        self._filter, self._older = text, None
        view = self.app.view(self._remembered_as)
        self.app.remember_view(self._remembered_as, msgspec.structs.replace(view, filter=text))
        self.rows.follow = True
        self.load()
        self._entitle()

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action == "clear_filter" and not self._filter:
            return "There is no filter."
        if action == "follow" and self.rows.follow and not self._is_paused:
            return "The newest line is followed already."
        return None

    def action_pause(self) -> None:
        """Hold the log still, or let it go on."""
        self._is_paused = not self._is_paused
        if not self._is_paused:
            self.rows.put(self._held)
            self._held = []
            if self._is_stale:
                self.load()
        self._begin_to_count()
        self._say()

    def action_follow(self) -> None:
        """Go to the newest line and stay there."""
        if self._is_paused:
            self.action_pause()
        self.rows.follow = True
        self._say()

    def action_filter(self) -> None:
        """Open the filter."""
        self._input.open(self._filter)

    def action_clear_filter(self) -> None:
        """Show everything again."""
        self._input.action_give_up()

    def on_filter_input_set(self, message: FilterInput.Set) -> None:
        """Filter."""
        message.stop()
        self.rows.focus()
        self.set_filter(message.text)

    def on_rows_top_reached(self, message: Rows.TopReached) -> None:
        """Fetch what is older."""
        message.stop()
        if self.rows.has_let_go:
            # The next older page is older than what was let go: it would leave a hole that nobody sees.
            self.app.notify(LET_GO)
        elif self._older is not None and self._asked is None:
            self._ask(PageQuery(cursor=self._older, limit=PAGE, filter=self._filter))

    def on_rows_moved(self) -> None:
        """Say whether the newest is in sight."""
        self._entitle()

    def on_tail_fetched(self, message: Fetched[Item]) -> None:
        """Show the page: the newest in place of all, an older one above."""
        message.stop()
        if message.query is not self._asked:
            return
        self._asked = None
        self._older = message.page.next
        oldest_first = message.page.items[::-1]
        if message.query.cursor is None:
            self._shown_filter = self._filter
            self._held.clear()
            self.rows.say_when_empty(self._empty(self._filter))
            self.rows.show(self._with_newer(oldest_first))
            self._begin_to_count()
        else:
            self.rows.put_before(oldest_first)
        self._say()

    def on_tail_failed(self, message: Failed) -> None:
        """Show the error; what was listed stays, unless it was with another filter."""
        message.stop()
        if message.query is self._asked:
            self._asked = None
            self.rows.say_when_empty(NOT_LISTED)
            if self._shown_filter != self._filter:
                self.rows.show(())
        self.app.report(message.error)

    def _ask(self, query: PageQuery) -> None:
        # What happens until the page is there may be newer than what is on it.
        self._asked, self._since = query, []
        begin(self, partial(self._load, query), group=f"{self._remembered_as} page", exclusive=True)

    async def _load(self, query: PageQuery) -> None:
        try:
            page = await self._fetch(query)
        except PushdeskError as error:
            self.post_message(self.Failed(query, error))
        else:
            self.post_message(self.Fetched(query, page))

    def _with_newer(self, page: Iterable[Item]) -> list[Item]:
        lines = {self._key(item): item for item in page}
        for item in self._since:
            known = lines.get(self._key(item))
            if known is None or self._time(known) <= self._time(item):
                lines[self._key(item)] = item
        return list(lines.values())

    def _begin_to_count(self) -> None:
        self._known = {self._counted(item) for item in self.rows.items} if self._is_paused else set()
        self._new = set()

    def _say(self) -> None:
        self._entitle()
        self.post_message(Rows.Moved())

    def _entitle(self) -> None:
        title = f"{self._title} · filter: {plain(self._filter)}" if self._filter else self._title
        if self._is_paused:
            note = f"paused, {count(len(self._new))}{'+' if len(self._new) >= MOST_COUNTED else ''} new"
        elif self.rows.follow:
            note = "following"
        else:
            note = "f follows the newest"
        self.entitle(title, note)
