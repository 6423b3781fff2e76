"""The table of the console: rows of keyed items, of which only the lines that are seen are drawn.

Textual's DataTable takes half a second for a thousand rows and lays everything out again when one goes. Here a
hundred thousand cost no more than fifty. Cells are `Content`: never markup.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

from pushdesk.console.keys import bind
from pushdesk.console.widgets.columns import GAP, Column, Fitted, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from textual import events
    from textual.binding import BindingType

Item = TypeVar("Item")

HEADER: Final = 1
KEPT_STRIPS: Final = 128
"""Lines that are kept as they were drawn: two screens full. Each is dozens of objects of Textual's."""


class Rows(ScrollView, Generic[Item], can_focus=True):
    """A table of items, each known by its key.

    Args:
        columns: All columns; those that do not fit are left out by priority.
        key: Returns the key of an item, which no two have at a time.
        cells: Returns the cells of an item, one for each column.
        most: How many items are kept; the oldest, at the top, go first.
        follow: Whether the last row is followed: the view of a log.
    """

    ALLOW_SELECT = False
    # A terminal's own sixteen colours cannot be mixed: there the cursor is told by inversion.
    DEFAULT_CSS = """
    Rows {
        height: 1fr;
        background: $background;
        overflow-x: hidden;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        text-wrap: nowrap;
        text-overflow: clip;
        .rows--header { color: $foreground 65%; text-style: bold; }
        .rows--cursor { background: $block-cursor-background 30%; text-style: bold; }
        .rows--empty { color: $foreground; }
        &:ansi .rows--cursor { background: ansi_default; text-style: bold reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--header", "rows--cursor", "rows--empty"}
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up,k", "move(-1)", "Up", "rows.up", "The row above"),
        bind("down,j", "move(1)", "Down", "rows.down", "The row below"),
        bind("pageup", "page(-1)", "Page up", "rows.page_up", "A screenful up"),
        bind("pagedown", "page(1)", "Page down", "rows.page_down", "A screenful down"),
        bind("home,g", "first", "First", "rows.first", "The first row"),
        bind("end,G", "last", "Last", "rows.last", "The last row"),
        bind("enter", "choose", "Details", "rows.choose", "Show the row under the cursor in full", show=True),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)
    follow: reactive[bool] = reactive(False, repaint=False)

    class Chosen(Message):
        """A row was chosen."""

        def __init__(self, item: object) -> None:
            super().__init__()
            self.item = item

    class Moved(Message):
        """The cursor moved to another row, or the rows under it changed."""

    class TopReached(Message):
        """The first row was reached: there may be older ones."""

    class HeaderPicked(Message):
        """A column's header was clicked."""

        def __init__(self, column: Column) -> None:
            super().__init__()
            self.column = column

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        key: Callable[[Item], str],
        cells: Callable[[Item], Sequence[Content]],
        name: str,
        most: int = 100_000,
        follow: bool = False,
    ) -> None:
        super().__init__(id=name)
        self.set_reactive(Rows.follow, follow)
        self.items: list[Item] = []
        self._columns = tuple(columns)
        self._key = key
        self._cells = cells
        self._most = most
        # Numbers rise for ever, so that dropping the oldest rows leaves the others' numbers as they are.
        self._numbers: dict[str, int] = {}
        self._first = 0
        self.has_let_go = False
        """Whether the oldest items were let go since a whole list was shown."""
        self._fitted: list[Fitted] = []
        self._strips: dict[tuple[str, bool], tuple[Item, Strip]] = {}
        self._sort = ""
        self._empty: list[Content] = []
        self._had_items = False

    @property
    def current(self) -> Item | None:
        """The item under the cursor."""
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    def __contains__(self, key: str) -> bool:
        return key in self._numbers

    def find(self, key: str) -> Item | None:
        """Return the item that has this key, if there is one."""
        number = self._numbers.get(key)
        return None if number is None else self.items[number - self._first]

    def say_when_empty(self, message: Content) -> None:
        """Set what is shown in place of rows when there are none."""
        self._empty = list(message.split("\n"))
        if not self.items:
            self.refresh()

    def mark_sort(self, sort: str) -> None:
        """Mark the column that the server sorts by; `-` before the field for descending."""
        self._sort = sort
        self.refresh_line_at(0)

    def show(self, items: Sequence[Item]) -> None:
        """Show these items in place of all others, the cursor staying with its item if it is among them."""
        if list(items) == self.items:
            return
        current = self.current
        self.has_let_go = False
        self.items = list(items)
        self._number_anew()
        if self.follow:
            self.cursor = max(0, len(self.items) - 1)
        else:
            number = self._numbers.get(self._key(current)) if current is not None else None
            self.cursor = number if number is not None else min(self.cursor, max(0, len(self.items) - 1))
        self._show_items()

    def put(self, items: Iterable[Item]) -> None:
        """Put items in the place of those that have their keys; where there is none, nothing is put."""
        for item in items:
            number = self._numbers.get(self._key(item))
            if number is not None and self.items[number - self._first] != item:
                self.items[number - self._first] = item
                self.refresh_line_at(HEADER + number - self._first - self.scroll_offset.y)

    def put_last(self, items: Iterable[Item], *, without: Iterable[str] = ()) -> None:
        """Put items at the end, and take out what had their keys before, and what has one of the keys `without`.

        The cursor goes with its item; what else is seen stands still.
        """
        latest = {self._key(item): item for item in items}
        fresh = {key: item for key, item in latest.items() if self.find(key) != item}
        taken = sorted(self._numbers.pop(key) - self._first for key in {*fresh, *without} if key in self._numbers)
        if not fresh and not taken:
            return
        current, top = self.current, self.scroll_offset.y
        is_seen = top <= self.cursor < top + self.content_size.height - HEADER
        # Most of a long log is before the first that is taken out, and left as it is.
        start, out = taken[0] if taken else len(self.items), set(taken)
        self.items[start:] = [item for place, item in enumerate(self.items[start:], start) if place not in out]
        self.items += fresh.values()
        self._numbers.update((self._key(item), self._first + start + n) for n, item in enumerate(self.items[start:]))
        number = self._numbers.get(self._key(current)) if current is not None else None
        if self.follow:
            self.cursor = max(0, len(self.items) - 1)
        elif number is not None:
            self.cursor = number - self._first
        else:
            self.cursor = max(0, min(self.cursor - bisect_left(taken, self.cursor), len(self.items) - 1))
        self._trim()
        self._show_items()
        if self.follow:
            return
        if above := bisect_left(taken, top):
            self.scroll_to(y=top - above, animate=False, immediate=True, force=True)
        if is_seen:
            self._show_cursor()

    def put_before(self, items: Sequence[Item]) -> None:
        """Put older items above all others."""
        fresh = [item for item in items if self._key(item) not in self._numbers][
            -max(0, self._most - len(self.items)) :
        ]
        if not fresh or len(self.items) >= self._most:
            return
        self.items[:0] = fresh
        self._number_anew()
        self.cursor += len(fresh)
        top = self.scroll_offset.y + len(fresh)
        self._show_items()
        self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def go_to(self, key: str) -> None:
        """Move the cursor to the item with this key, if there is one."""
        if (number := self._numbers.get(key)) is not None:
            self._move_to(number - self._first)

    def width_of(self, key: str) -> int:
        """Return how wide a column is shown; 0 if it is left out."""
        return next((fitted.width for fitted in self._fitted if fitted.column.key == key), 0)

    def redraw(self) -> None:
        """Draw everything again: what the cells are made from has changed."""
        self._strips.clear()
        self.refresh()

    def action_move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        self._move_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by so many screenfuls."""
        self._move_to(self.cursor + by * max(1, self.content_size.height - HEADER - 1))

    def action_first(self) -> None:
        """Move the cursor to the first row."""
        self._move_to(0)

    def action_last(self) -> None:
        """Move the cursor to the last row."""
        self._move_to(len(self.items) - 1)

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if (item := self.current) is not None:
            self.post_message(self.Chosen(item))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dim what needs a row when there is none."""
        del parameters
        return None if action == "choose" and not self.items else True

    def on_click(self, event: events.Click) -> None:
        """Move to the row that was clicked; choose it if the cursor was there, or pick the header."""
        x, y = event.get_content_offset_capture(self)
        if y < HEADER:
            for fitted in self._fitted:
                if fitted.x <= x - 1 < fitted.x + fitted.width + GAP and fitted.column.sort:
                    self.post_message(self.HeaderPicked(fitted.column))
            return
        row = y - HEADER + self.scroll_offset.y
        if row < len(self.items):
            if row == self.cursor:
                self.action_choose()
            else:
                self._move_to(row)

    def on_resize(self) -> None:
        """Fit the columns into the new width."""
        self._lay_out()

    def notify_style_update(self) -> None:
        """Forget what was drawn in other colours."""
        self._strips.clear()
        super().notify_style_update()

    def watch_cursor(self, old: int, new: int) -> None:
        """Draw the two rows that changed."""
        for row in (old, new):
            self.refresh_line_at(HEADER + row - self.scroll_offset.y)
        self.post_message(self.Moved())

    def on_focus(self) -> None:
        """Draw the cursor."""
        self.refresh_line_at(HEADER + self.cursor - self.scroll_offset.y)

    def on_blur(self) -> None:
        """Draw the row without the cursor."""
        self.refresh_line_at(HEADER + self.cursor - self.scroll_offset.y)

    def refresh_line_at(self, y: int) -> None:
        """Draw one line of the view again."""
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Return a line of the view."""
        width = self._width
        if y < HEADER:
            return self._draw([self._heading(fitted) for fitted in self._fitted], "rows--header", width)
        row = y - HEADER + self.scroll_offset.y
        if row >= len(self.items):
            return self._draw_empty(y - HEADER, width)
        item = self.items[row]
        marked = row == self.cursor and self.has_focus
        key = self._key(item), marked
        kept = self._strips.get(key)
        if kept is not None and kept[0] is item:
            return kept[1]
        cells = self._cells(item)
        strip = self._draw(
            [_fill(cells[each.place], each) for each in self._fitted], "rows--cursor" if marked else "", width
        )
        if len(self._strips) >= KEPT_STRIPS:
            self._strips.clear()
        self._strips[key] = item, strip
        return strip

    def _heading(self, fitted: Fitted) -> Content:
        column = fitted.column
        arrow = ""
        if column.sort and column.sort == self._sort.lstrip("-"):
            arrow = " ▼" if self._sort.startswith("-") is not column.ages else " ▲"
        return _fill(Content(column.label + arrow), fitted)

    def _draw(self, cells: Sequence[Content], component: str, width: int) -> Strip:
        line = Content.assemble(" ", Content(" " * GAP).join(cells))
        return self._draw_content(line, component, width)

    def _draw_content(self, line: Content, component: str, width: int) -> Strip:
        style = self.visual_style
        if component:
            style += self.get_visual_style(component, partial=True)
            # Textual forgets about inversion here.
            style += Style(reverse=self.get_component_styles(component).text_style.reverse)
        line = line.truncate(width, pad=True)
        return Visual.to_strips(self, line, width, 1, style, pad=True)[0] if width else Strip.blank(0)

    def _draw_empty(self, y: int, width: int) -> Strip:
        line = y - max(0, (self.content_size.height - HEADER - len(self._empty)) // 3)
        if self.items or not 0 <= line < len(self._empty):
            return Strip.blank(width, self.rich_style)
        text = self._empty[line]
        return self._draw_content(text.pad_left(max(1, (width - self._empty_width) // 2)), "rows--empty", width)

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def _empty_width(self) -> int:
        return max((line.cell_length for line in self._empty), default=0)

    def _move_to(self, row: int) -> None:
        if not self.items:
            return
        last = len(self.items) - 1
        if row < 0 or (row == 0 and self.cursor == 0):
            self.post_message(self.TopReached())
        self.cursor = max(0, min(row, last))
        if self.cursor < last:
            self.follow = False
        self._show_cursor()

    def _show_cursor(self) -> None:
        height = max(1, self.content_size.height - HEADER)
        top = self.scroll_offset.y
        wanted = min(max(top, self.cursor - height + 1), self.cursor)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)

    def watch_follow(self) -> None:
        """Go to the last row when it is to be followed."""
        if self.follow and self.items:
            self.cursor = len(self.items) - 1
            self._show_cursor()

    def _lay_out(self) -> None:
        self._strips.clear()
        self._fitted = fit(self._columns, max(0, self._width - 2))
        self._show_items()

    def _show_items(self) -> None:
        self._make_room(Size(self._width, len(self.items) + HEADER))
        if bool(self.items) is not self._had_items:
            self._had_items = bool(self.items)
            self.refresh_bindings()
        if self.follow:
            self._show_cursor()
        self.refresh()
        self.post_message(self.Moved())

    def _make_room(self, size: Size) -> None:
        is_scrolled = self.show_vertical_scrollbar and size.height > self.size.height
        if is_scrolled and size.width == self.virtual_size.width:
            # A log grows ten times a second: laid out anew with every row, the whole screen would be drawn as often.
            self.set_reactive(ScrollView.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
        else:
            self.virtual_size = size

    def _number_anew(self) -> None:
        self._first = 0
        self._numbers = {self._key(item): number for number, item in enumerate(self.items)}

    def _trim(self) -> None:
        # A whole batch at a time: taking single items from the front of a long list is slow.
        if len(self.items) <= self._most + self._most // 10:
            return
        self.has_let_go = True
        surplus = len(self.items) - self._most
        for item in self.items[:surplus]:
            del self._numbers[self._key(item)]
        del self.items[:surplus]
        self._first += surplus
        self.cursor = max(0, self.cursor - surplus)


def _fill(cell: Content, fitted: Fitted) -> Content:
    cell = cell.truncate(fitted.width, ellipsis=True)
    missing = fitted.width - cell.cell_length
    return cell.pad_left(missing) if fitted.column.right else cell.pad_right(missing)
