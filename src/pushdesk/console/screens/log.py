"""The server's log, as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual.content import Content

from pushdesk.console.figures import moment
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.listing import nothing_found
from pushdesk.console.widgets.tail import Tail
from pushdesk.desk import LogWritten
from pushdesk.filters import passes
from pushdesk.model import LogEntry, LogLevel

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pushdesk.desk import AnyEvent


class LogScreen(PaneScreen):
    """What the server has written down."""

    NAME: ClassVar[str] = "log"

    def __init__(self) -> None:
        super().__init__()
        self._tail: Tail[LogEntry] = Tail(
            title="Log",
            name="log",
            columns=(
                Column("time", "time", 12),
                Column("level", "level", 8),
                Column("event", "event", 24, grows=1),
                Column("fields", "", 20, grows=4),
            ),
            key=lambda entry: str(entry.seq),
            counted=lambda entry: str(entry.seq),
            time=lambda entry: entry.time,
            cells=self._cells,
            fetch=self.app.desk.log,
            passes=passes_filter,
            filter_hint="a level, or part of what is written",
            empty=_empty,
        )

    def compose_body(self) -> ComposeResult:
        """Compose the log."""
        yield self._tail

    def on_mount(self) -> None:
        """Begin with what the server has kept."""
        super().on_mount()
        self.begin_in(self._tail.rows)

    def load(self) -> None:
        """Fetch the newest."""
        self._tail.load()

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Add what was written."""
        self._tail.take([event.entry for event in batch if isinstance(event, LogWritten)])

    def _cells(self, entry: LogEntry) -> list[Content]:
        fields = "  ".join(f"{name}={value}" for name, value in entry.fields.items())
        return [
            Content.styled(moment(entry.time, self.app.now()), QUIET),
            Content(entry.level.value),
            Content(plain(entry.event)),
            Content.styled(plain(fields), QUIET),
        ]


def passes_filter(entry: LogEntry, text: str) -> bool:
    """Return whether a line passes a filter, as `Desk.log` has it."""
    levels = list(LogLevel)
    if text.lower() in levels:
        return levels.index(entry.level) >= levels.index(LogLevel(text.lower()))
    values = (one if isinstance(one, str) else msgspec.json.encode(one).decode() for one in entry.fields.values())
    return any(passes(each, text) for each in (entry.event, *values))


def _empty(wanted: str) -> Content:
    if wanted:
        return nothing_found("Nothing matches", wanted)
    return Content.styled("Nothing was written yet.", QUIET)
