"""The server's log, as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content

from pushdesk.console.keys import bind
from pushdesk.console.log_lines import Line, NotTold, cells, in_full, json_line
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import QUIET
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.paged import nothing_found
from pushdesk.console.widgets.tail import Tail
from pushdesk.desk import LogWritten
from pushdesk.filters import LogFilter
from pushdesk.model import LogEntry, LogLevel, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.console.widgets.rows import Rows
    from pushdesk.desk import AnyEvent
    from pushdesk.model import PageQuery

LEAST: Final = (None, LogLevel.INFO, LogLevel.WARNING, LogLevel.ERROR)
"""The least levels that `l` goes through."""


class LogScreen(PaneScreen):
    """What the server has written down."""

    NAME: ClassVar[str] = "log"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("l", "level", "Level", "log.level", "Show what matters more: info, warning, error; then all", show=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._tail: Tail[Line] = Tail(
            title="Log",
            name="log",
            columns=(
                Column("time", "time", 12),
                Column("level", "level", 10),
                Column("event", "event", 40, grows=1),
            ),
            key=_key,
            cells=lambda line: cells(line, self.app.now()),
            fetch=self._fetch,
            passes=passes_filter,
            filter_hint="a level, part of what is written, or both: warning timeout",
            empty=_empty,
        )
        self._told: int | None = None
        """The number of the line that was told last."""

    def compose_body(self) -> ComposeResult:
        """Compose the log."""
        yield self._tail

    def on_mount(self) -> None:
        """Begin with what the server has kept."""
        self.begin_in(self._tail.rows)

    def load(self) -> None:
        """Fetch the newest."""
        # What was not told until now is listed.
        self._told = None
        self._tail.load()

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Add what was written."""
        self._tail.take([line for event in batch if isinstance(event, LogWritten) for line in self._heard(event.entry)])

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a line in full."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        line = message.item
        if isinstance(line, LogEntry | NotTold):
            copies = json_line(line) if isinstance(line, LogEntry) else ""
            self.app.push_screen(
                WordsScreen("Line of the log", in_full(line, self.app.now()), copies=copies, wide=True)
            )

    def action_level(self) -> None:
        """Show what is of the next level and above, of what contains the same."""
        wanted = LogFilter.of(self._tail.filter)
        place = LEAST.index(wanted.level) if wanted.level in LEAST else -1
        self._tail.set_filter(str(wanted._replace(level=LEAST[(place + 1) % len(LEAST)])))

    def action_copy(self) -> None:
        """Copy the line under the cursor as it is in the log file."""
        line = self._tail.current
        if not isinstance(line, LogEntry):
            super().action_copy()
            return
        self.app.copy_to_clipboard(json_line(line))
        self.app.notify("Copied the line as JSON")

    async def _fetch(self, query: PageQuery) -> Page[Line]:
        page = await self.app.desk.log(query)
        return Page(page.items, page.next)

    def _heard(self, entry: LogEntry) -> Iterator[Line]:
        """Return a line that was told, after what stands for those before it that were not."""
        if self._told is not None and entry.seq > self._told + 1:
            yield NotTold(self._told + 1, entry.seq - self._told - 1, entry.time)
        self._told = entry.seq
        yield entry


def passes_filter(line: Line, text: str) -> bool:
    """Return whether a line passes a filter, as `Desk.log` has it. What was not told might."""
    return isinstance(line, NotTold) or LogFilter.of(text).passes(line)


def _key(line: Line) -> str:
    return f"not told {line.first}" if isinstance(line, NotTold) else str(line.seq)


def _empty(wanted: str) -> Content:
    if wanted:
        return nothing_found("Nothing matches", wanted)
    return Content.styled("Nothing was written yet.", QUIET)
