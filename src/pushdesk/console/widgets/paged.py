"""A table of what the server lists in pages, with the line for its filter: what lists and logs have in common."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
from textual.content import Content
from textual.message import Message

from pushdesk.console.feed import Connection
from pushdesk.console.refusals import Refuser
from pushdesk.console.status import QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.filter import FilterInput
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.console.app import PushdeskApp
    from pushdesk.console.state import View
    from pushdesk.model import Page, PageQuery

Item = TypeVar("Item")
Fetch = TypeVar("Fetch")

LOADING: Final = Content.styled("loading…", QUIET)


class Paged(Panel, Refuser, Generic[Item]):
    """A table, of which the server gives a page at a time, and its filter.

    A subclass asks for pages with `ask`, and has the keys for the filter among its bindings. It fills in `begin_anew`,
    `show_page` and `note`, and perhaps `page_failed`.

    Args:
        title: What is listed.
        name: The id of the table, under which its filter is remembered.
        rows: The table.
        fetch: Returns a page.
        filter_hint: What may be typed as a filter.
        empty: Returns what is shown when there is nothing, given the filter.
    """

    app: PushdeskApp

    class Fetched(Message, Generic[Fetch]):
        """A page came from the server; for the table itself."""

        def __init__(self, query: PageQuery, page: Page[Fetch]) -> None:
            super().__init__()
            self.query = query
            self.page = page

    class Failed(Message):
        """The server did not give the page; for the table itself."""

        def __init__(self, query: PageQuery, error: PushdeskError) -> None:
            super().__init__()
            self.query = query
            self.error = error

    def __init__(
        self,
        *,
        title: str,
        name: str,
        rows: Rows[Item],
        fetch: Callable[[PageQuery], Awaitable[Page[Item]]],
        filter_hint: str,
        empty: Callable[[str], Content],
    ) -> None:
        self.rows = rows
        self._input = FilterInput(filter_hint)
        super().__init__(self._input, rows, title=title, name=f"{name}-panel")
        self.add_class("-table")
        self._remembered_as = name
        self._fetch = fetch
        self._empty = empty
        self._filter = ""
        self._shown_filter: str | None = None
        """What the rows that are shown are filtered by; None while no page is."""
        self._asked: PageQuery | None = None
        """The page that is on its way."""
        self._has_failed = False
        """Whether the last page that was asked for did not come."""

    @property
    def current(self) -> Item | None:
        """The item under the cursor."""
        return self.rows.current

    @property
    def was_shown(self) -> bool:
        """Whether there was a page of what it is filtered by now or was last."""
        return self._shown_filter is not None

    @property
    def filter(self) -> str:
        """What is filtered by."""
        return self._filter

    def begin_anew(self) -> None:
        """Fetch the page to begin with: the filter is another."""
        raise NotImplementedError

    def show_page(self, query: PageQuery, page: Page[Item]) -> None:
        """Show a page that was asked for."""
        raise NotImplementedError

    def page_failed(self, error: PushdeskError) -> None:
        """Do what is to be done when a page could not be had."""

    def note(self) -> str:
        """Return what the title says besides what is listed and what it is filtered by."""
        raise NotImplementedError

    def take_up(self, view: View) -> None:
        """Go on as it was when it was last looked at."""
        self._filter = view.filter

    def on_mount(self) -> None:
        """Say that it is on its way: the screen has it fetched."""
        self.take_up(self.app.view(self._remembered_as))
        self.rows.say_when_empty(LOADING)
        self.watch(self.app, "connection", self._say_failed, init=False)
        self.say()

    def ask(self, query: PageQuery) -> None:
        """Fetch a page, in place of one that is on its way."""
        self._asked = query
        begin(self, partial(self._load, query), group=f"{self._remembered_as} page", exclusive=True)

    def set_filter(self, text: str) -> None:
        """Filter by this; as if it had been typed."""
        if text != self._filter:
            self._filter = text
            self.remember(filter=text)
            self.begin_anew()

    def remember(self, **changed: str) -> None:
        """Remember these fields of its `View`."""
        view = self.app.view(self._remembered_as)
        self.app.remember_view(self._remembered_as, msgspec.structs.replace(view, **changed))

    def say(self) -> None:
        """Show the title as it is now."""
        self.entitle(f"{self.called} · filter: {plain(self._filter)}" if self._filter else self.called, self.note())

    def say_anew(self) -> None:
        """Show the title as it is now, and have the screen show what can be done."""
        self.say()
        self.post_message(Rows.Moved())

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        return "There is no filter." if action == "clear_filter" and not self._filter else None

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

    def on_paged_fetched(self, message: Fetched[Item]) -> None:
        """Show the page."""
        message.stop()
        if message.query is not self._asked:
            return
        self._asked, self._has_failed = None, False
        self._shown_filter = self._filter
        self.rows.say_when_empty(self._empty(self._filter))
        self.show_page(message.query, message.page)
        self.say_anew()

    def on_paged_failed(self, message: Failed) -> None:
        """Show the error; what was listed stays, unless it was with another filter."""
        message.stop()
        if message.query is not self._asked:
            return
        self._asked, self._has_failed = None, True
        self._say_failed()
        if self._shown_filter != self._filter:
            self._shown_filter = None
            self.rows.show(())
        self.say_anew()
        self.page_failed(message.error)
        self.app.report(message.error)

    def _say_failed(self) -> None:
        if self._has_failed:
            self.rows.say_when_empty(not_brought("This could not be listed.", self.app))

    async def _load(self, query: PageQuery) -> None:
        try:
            page = await self._fetch(query)
        except PushdeskError as error:
            self.post_message(self.Failed(query, error))
        else:
            self.post_message(self.Fetched(query, page))


def not_brought(said: str, app: PushdeskApp) -> Content:
    """Return what is said in place of rows that did not come, with the key that tries again where it can."""
    again = ("\nR tries again", QUIET) if app.connection is Connection.LIVE else ""
    return Content.assemble((said, "bold"), again)


def nothing_found(what: str, wanted: str) -> Content:
    """Return what is said when a filter lets nothing through: `No user's name contains zz`."""
    return Content.assemble(f"{what} ", (plain(wanted), "bold"), "\n", ("esc shows everything again", QUIET))
