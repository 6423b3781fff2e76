"""A list that the server filters, sorts and cuts into pages, kept up with what happens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from pushdesk.console.figures import count
from pushdesk.console.keys import bind
from pushdesk.console.widgets.paged import Item, Paged
from pushdesk.console.widgets.rows import Rows
from pushdesk.model import PageQuery, PartialPage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.binding import BindingType
    from textual.content import Content

    from pushdesk.console.state import View
    from pushdesk.console.widgets.columns import Column
    from pushdesk.errors import PushdeskError
    from pushdesk.model import Page

PAGE: Final = 100
RELOAD_S: Final = 0.5
"""A list that has changed is fetched again at most this often."""


class Listing(Paged[Item]):
    """A table with a page of items, the line for its filter, and the keys for both.

    Its screen hands it what happens: `put` for an item that is another now, `drop` for one that is gone, `changed` when
    others may have come. While nobody looks, nothing is fetched.

    Args:
        title: What is listed.
        name: The id of the table, under which its sort and its filter are remembered.
        columns: Of the table; those with `sort` can be sorted by.
        key: Returns what tells an item apart.
        cells: Returns the cells of an item.
        fetch: Returns a page.
        sorts: What `s` goes through; the first is the sort to begin with.
        filter_hint: What may be typed as a filter.
        empty: Returns what is shown when there are no items, given the filter.
        reload_s: How often it is fetched again at most.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("slash", "filter", "Filter", "listing.filter", "Show what contains…", show=True, display="/"),
        bind("s", "sort", "Sort", "listing.sort", "Sort by the next column", show=True),
        bind("S", "reverse", "Reverse", "listing.reverse", "Reverse the order"),
        bind("right_square_bracket", "next_page", "Next page", "listing.next", "The next page", display="]"),
        bind(
            "left_square_bracket", "previous_page", "Previous page", "listing.previous", "The page before", display="["
        ),
        bind("escape", "clear_filter", "Clear filter", "listing.clear", "Show everything again"),
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
        sorts: Sequence[str],
        filter_hint: str,
        empty: Callable[[str], Content],
        reload_s: float = RELOAD_S,
    ) -> None:
        rows = Rows(columns, key=key, cells=cells, name=name)
        super().__init__(title=title, name=name, rows=rows, fetch=fetch, filter_hint=filter_hint, empty=empty)
        self._key = key
        self._sorts = tuple(sorts)
        self._reload_s = reload_s
        self._sort = self._sorts[0]
        self._cursors: list[str | None] = [None]
        """Of the page that is shown and of those before it."""
        self._next: str | None = None
        self._total: int | None = None
        self._remark = ""
        self._left_out = 0
        self._since: dict[str, Callable[[Item], Item | None]] = {}
        """What happened to an item since the page was asked for, by its key: returns what became of it, if anything."""
        self._is_waiting = False
        self._is_stale = False

    def take_up(self, view: View) -> None:
        """Take up the order and the filter that were last used."""
        super().take_up(view)
        if view.sort.removeprefix("-") in {sort.removeprefix("-") for sort in self._sorts}:
            self._sort = view.sort
        self.rows.mark_sort(self._sort)

    def load(self) -> None:
        """Fetch the page that is shown."""
        self._turn_to(self._cursors[-1])

    def _turn_to(self, cursor: str | None) -> None:
        self._is_stale = False
        # What happens until the page is there may be newer than what is on it.
        self._since = {}
        self.ask(PageQuery(cursor=cursor, limit=PAGE, filter=self._filter, sort=self._sort))

    def changed(self) -> None:
        """Fetch the page again, soon, if somebody looks; else when somebody does."""
        self._is_stale = True
        if not self._is_waiting:
            self._is_waiting = True
            self.set_timer(self._reload_s, self._waited)

    def catch_up(self) -> None:
        """Fetch what changed while nobody looked."""
        if self._is_stale and not self._is_waiting:
            self.load()

    def put(self, item: Item) -> None:
        """Take in an item as it is now; one that is not on the page may belong there."""
        if self._asked is not None:
            self._since[self._key(item)] = lambda _: item
        if self._key(item) in self.rows:
            self.rows.put([item])
        else:
            self.changed()

    def change(self, key: str, change: Callable[[Item], Item]) -> None:
        """Change an item of which only a part is known to be another now, if it is on the page."""
        if self._asked is not None:
            earlier = self._since.get(key)
            self._since[key] = change if earlier is None else partial(_both, earlier, change)
        if (known := self.rows.find(key)) is not None:
            self.rows.put([change(known)])

    def drop(self, key: str) -> None:
        """Take out an item that is gone."""
        if self._asked is not None:
            self._since[key] = _gone
        self.changed()

    def find(self, key: str) -> Item | None:
        """Return the item on the page that has this key."""
        return self.rows.find(key)

    def set_total(self, total: int | None, note: str = "") -> None:
        """Set how many there are without a filter, if that is known, and what else is to be said of them."""
        self._total, self._remark = total, note
        self.say()

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action in {"next_page", "previous_page"} and self._asked is not None:
            return "A page is on its way."
        reasons = {
            "next_page": None if self._next else "This is the last page.",
            "previous_page": None if len(self._cursors) > 1 else "This is the first page.",
        }
        return reasons.get(action) or super().refusal(action)

    def action_sort(self) -> None:
        """Sort by the next column."""
        fields = [sort.removeprefix("-") for sort in self._sorts]
        self._sort_by(self._sorts[(fields.index(self._sort.removeprefix("-")) + 1) % len(self._sorts)])

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._sort_by(self._sort[1:] if self._sort.startswith("-") else f"-{self._sort}")

    def action_next_page(self) -> None:
        """Go to the next page."""
        self._turn_to(self._next)

    def action_previous_page(self) -> None:
        """Go back a page."""
        self._turn_to(self._cursors[-2])

    def on_rows_header_picked(self, message: Rows.HeaderPicked) -> None:
        """Sort by a column; by the same once more, the other way round."""
        message.stop()
        field = message.column.sort
        if field == self._sort.removeprefix("-"):
            self.action_reverse()
        else:
            self._sort_by(next((sort for sort in self._sorts if sort.removeprefix("-") == field), field))

    def begin_anew(self) -> None:
        """Fetch the first page."""
        # A cursor is one of its sort and filter only.
        self._cursors, self._next = [None], None
        self.rows.action_first()
        self.load()

    def show_page(self, query: PageQuery, page: Page[Item]) -> None:
        """Show a page, with what has happened since it was asked for; the one before, if it was emptied."""
        known = [*self._cursors, self._next]
        cursors = known[: known.index(query.cursor) + 1]
        left_out = page.left_out if isinstance(page, PartialPage) else 0
        if len(cursors) > 1 and not page.items and not left_out:
            self._turn_to(cursors[-2])
            return
        self._cursors, self._next, self._left_out = cursors, page.next, left_out
        now = (self._since.get(self._key(item), _as_it_is)(item) for item in page.items)
        self.rows.show([item for item in now if item is not None])

    def page_failed(self, error: PushdeskError) -> None:
        """Go back to the first page, if the server no longer knows this one, or another server answers."""
        if error.code == "bad_field" and len(self._cursors) > 1:
            self.begin_anew()

    def _waited(self) -> None:
        self._is_waiting = False
        if self._is_stale and self.app.is_looked_at(self):
            self.load()

    def _sort_by(self, sort: str) -> None:
        self._sort = sort
        self.rows.mark_sort(sort)
        self.remember(sort=sort)
        self.begin_anew()

    def note(self) -> str:
        """Return which of the items are on the page."""
        if not self.was_shown:
            return ""
        first, shown = (len(self._cursors) - 1) * PAGE, len(self.rows.items)
        note = f"{count(first + 1)} to {count(first + shown)}" if shown else "none"
        total = self._total if not self._filter else None
        if total is None and not self._next:
            total = first + shown + self._left_out
        if shown and total is not None:
            note += f" of {count(total)}"
        if self._left_out:
            note += f" · {count(self._left_out)} cannot be read"
        if self._next or first:
            note += " · [ ] turn pages"
        return f"{note} · {self._remark}" if self._remark and not self._filter else note


def _as_it_is(item: Item) -> Item | None:
    return item


def _gone(_: Item) -> Item | None:
    return None


def _both(first: Callable[[Item], Item | None], then: Callable[[Item], Item], item: Item) -> Item | None:
    changed = first(item)
    return None if changed is None else then(changed)
