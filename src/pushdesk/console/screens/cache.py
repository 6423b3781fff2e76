"""The subscription cache: what it holds, and what happens in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content

from pushdesk.console.figures import count
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.listing import Listing, nothing_found
from pushdesk.desk import CacheChanged

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pushdesk.desk import AnyEvent
    from pushdesk.model import CacheEntry

SORTS: Final = ("age", "time_left", "user", "-generation", "-devices", "-size")


class CacheScreen(PaneScreen):
    """Whose devices are held in memory."""

    NAME: ClassVar[str] = "cache"

    def __init__(self) -> None:
        super().__init__()
        self._listing: Listing[CacheEntry] = Listing(
            title="Cached users",
            name="cache",
            columns=(
                Column("user", "user", 16, grows=3, sort="user"),
                Column("devices", "devices", 9, right=True, sort="devices"),
                Column("generation", "generation", 12, right=True, sort="generation"),
                Column("age", "age", 7, right=True, sort="age"),
                Column("left", "time left", 11, right=True, sort="time_left"),
                Column("size", "bytes", 9, priority=1, right=True, sort="size"),
            ),
            key=lambda entry: entry.user,
            cells=self._cells,
            fetch=self.app.desk.cache,
            sorts=SORTS,
            filter_hint="part of a user's name; ^ and its beginning",
            empty=_empty,
        )

    def compose_body(self) -> ComposeResult:
        """Compose the table."""
        yield self._listing

    def on_mount(self) -> None:
        """Begin in the table."""
        super().on_mount()
        self.begin_in(self._listing.rows)

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Fetch again when something changed."""
        if any(isinstance(event, CacheChanged) for event in batch):
            self._listing.changed()

    def suggested_user(self) -> str:
        """Return the user under the cursor."""
        return self._listing.current.user if self._listing.current else ""

    def _cells(self, entry: CacheEntry) -> list[Content]:
        return [
            Content(plain(entry.user)),
            Content(count(entry.devices)),
            Content(count(entry.generation)),
            Content(f"{entry.age_s:.0f} s"),
            Content(f"{entry.time_left_s:.0f} s"),
            Content(count(entry.size)),
        ]


def _empty(wanted: str) -> Content:
    if wanted:
        return nothing_found("No cached user's name contains", wanted)
    return Content.assemble(("Nothing is cached.\n", "bold"), ("A user is, once something is sent to them.", QUIET))
