"""The lines around a screen's body: what is looked at, which screens there are, what is to be mended."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from pushdesk.console.bindings import key_of
from pushdesk.console.feed import Connection
from pushdesk.console.figures import age, count, plural
from pushdesk.console.screens import SCREENS
from pushdesk.console.service_figures import held_by
from pushdesk.console.status import BAD, BUSY, QUIET, STRONG
from pushdesk.console.text import plain

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from pushdesk.console.app import PushdeskApp
    from pushdesk.console.screens import Entry

PADDINGS = ((2, 2), (1, 1), (1, 0))
"""Cells before and after the name of a screen: the first that fit."""
GAP = "   "
CLOSE_GAP = "  "
SEPARATED = {
    Connection.LOST: Content.styled("↻ reconnecting", f"bold {BUSY}"),
    Connection.REFUSED: Content.styled("✗ no longer let in", f"bold {BAD}"),
}
"""What is said instead of how the console is connected."""


class StatusBar(Widget):
    """One line: which server, its key, storage and queue, how the console is connected, the time."""

    app: PushdeskApp

    def on_mount(self) -> None:
        """Watch what the line says."""
        for name in ("stats", "connection", "scopes", "minute"):
            self.watch(self.app, name, self._say, init=False)

    def _say(self) -> None:
        text = self._text()
        if text != self.said:
            self.said = text

    said: reactive[Content] = reactive(Content(""))

    def on_resize(self) -> None:
        """Say what fits."""
        self._say()

    def render(self) -> Content:
        """Return the line."""
        return self.said

    def _text(self) -> Content:
        app, stats, width = self.app, self.app.stats, self.content_size.width
        where = SEPARATED.get(app.connection, Content(app.mode))
        if app.read_only:
            where = Content.assemble(where, " ", ("READ-ONLY", f"bold {BUSY}"))
        name, address = Content.styled("pushdesk", f"bold {STRONG}"), Content.styled(plain(app.url), "bold")
        facts: list[Content] = []
        if stats is not None:
            key_age = age(stats.key_created_at, app.now())
            facts = [
                _fact("queue", count(stats.queue)),
                _fact("key", f"{plain(stats.key_id)[:6]} · {key_age}"),
                Content(plain(stats.storage)),
            ]
        clock = Content.styled(app.minute, QUIET)
        room = width - clock.cell_length
        # The first that fits is taken; the last is cut.
        choices = (
            [name, address, *facts, where],
            [name, address, *facts[:2], where],
            [address, *facts[:2], where],
            [name, address, *facts[:1], where],
            [name, address, where],
            [name, address],
        )
        for parts, gap in product(choices, (GAP, CLOSE_GAP)):
            if sum(part.cell_length + len(gap) for part in parts) <= room:
                break
        left = Content(gap).join(parts).truncate(max(room - len(gap), 0), ellipsis=True, pad=True)
        return Content.assemble(left, gap, clock)


def _fact(name: str, value: str) -> Content:
    return Content.assemble((f"{name} ", QUIET), value)


class ScreenTab(Static):
    """The name of a screen, with its key; a click shows it."""

    app: PushdeskApp

    def __init__(self, entry: Entry, *, active: bool) -> None:
        super().__init__(classes="-active" if active else "")
        self._entry = entry
        self.tooltip = entry.tooltip

    def fit(self, *, in_short: bool, padding: tuple[int, int]) -> None:
        """Show the name that there is room for, with so many cells before and after it."""
        name = (self._entry.short if in_short else "") or self._entry.title
        self.update(Content.assemble((self._entry.key, "bold"), f" {name}"))
        self.styles.padding = (0, padding[1], 0, padding[0])

    def on_click(self) -> None:
        """Show the screen."""
        self.app.action_show(self._entry.name)


class ScreenTabs(Horizontal):
    """The screens that there are."""

    def __init__(self, active: str) -> None:
        super().__init__()
        self._active = active

    def compose(self) -> ComposeResult:
        """Compose a tab for each."""
        for entry in SCREENS:
            yield ScreenTab(entry, active=entry.name == self._active)

    def on_resize(self, event: events.Resize) -> None:
        """Call the screens what there is room for."""
        names = sum(len(f"{entry.key} {entry.title}") for entry in SCREENS)
        fitting = (each for each in PADDINGS if names + len(SCREENS) * sum(each) <= event.size.width)
        padding = next(fitting, None)
        for tab in self.query(ScreenTab):
            tab.fit(in_short=padding is None, padding=padding or PADDINGS[-1])


class Banner(Static):
    """What the operator should mend; absent when there is nothing, or when it was hidden.

    Args:
        full: Whether the warnings are told, or only that there are some. Where lines are few, each has one; the help
            has them whole.
    """

    app: PushdeskApp

    def __init__(self, *, full: bool) -> None:
        super().__init__()
        self._full = full
        self._said: tuple[str, ...] = ()
        self.display = False

    def on_mount(self) -> None:
        """Watch the server's warnings, and whether they are to be shown."""
        self.watch(self.app, "stats", self._say)
        self.watch(self.app, "troubles", self._say)
        self.watch(self.app, "hidden_warnings", self._say)

    def _say(self) -> None:
        warnings = self.app.warnings
        shown = () if warnings == self.app.hidden_warnings else warnings
        lines = shown if self._full else _in_short(shown, self.app.troubles)
        held = held_by(self.app.stats.services) if shown and self.app.stats is not None else ""
        if held:
            lines = (f"{held} The key {key_of(self.screen, 'trouble')} leads there.", *lines)
        if lines == self._said:
            return
        self._said = lines
        self.display = bool(lines)
        self.update(Content("\n").join(Content(f"! {plain(line)}") for line in lines))


def _in_short(warnings: tuple[str, ...], troubles: tuple[str, ...]) -> tuple[str, ...]:
    """Return the console's own troubles, and how many warnings of the server there are."""
    others = len(warnings) - len(troubles)
    return (*troubles, f"{plural(others, 'warning')}: see Overview") if others else troubles


class StartingNotice(Static):
    """Stands for the body until the server has answered for the first time."""

    app: PushdeskApp

    def on_mount(self) -> None:
        """Say what is waited for."""
        embedded = self.app.mode == "embedded"
        self.update(
            Content.assemble(
                ("starting…" if embedded else "connecting…", f"bold {STRONG}"),
                "\n\n",
                "The server will be at " if embedded else "Looking for the server at ",
                (plain(self.app.url), "bold"),
                ("\n\nIt keeps trying by itself; q quits.", QUIET),
            )
        )
