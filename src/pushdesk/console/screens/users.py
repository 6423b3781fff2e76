"""The users, and how well they are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.content import Content

from pushdesk.console.figures import count, moment
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import BUSY, QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.listing import Listing, nothing_found
from pushdesk.desk import DeliveryChanged, SubscriptionChanged, SubscriptionRemoved, UserAdded, UserRemoved
from pushdesk.model import Outcome, User

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Delivery, Stats

SORTS: Final = ("-created_at", "id")


class UsersScreen(PaneScreen):
    """Whoever can be notified."""

    NAME: ClassVar[str] = "users"

    def __init__(self) -> None:
        super().__init__()
        self._listing: Listing[User] = Listing(
            title="Users",
            name="users",
            columns=(
                Column("user", "user", 16, grows=3, sort="id"),
                Column("devices", "devices", 8, right=True),
                Column("delivery", "last delivery", 13),
                Column("failure", "last failure", 13),
                Column("created", "since", 12, priority=1, sort="created_at"),
            ),
            key=lambda user: user.id,
            cells=self._cells,
            fetch=self.app.desk.users,
            sorts=SORTS,
            filter_hint="part of a user's name; ^ and its beginning",
            empty=self._empty,
        )

    def compose_body(self) -> ComposeResult:
        """Compose the table."""
        yield self._listing

    def on_mount(self) -> None:
        """Begin in the table."""
        super().on_mount()
        self.begin_in(self._listing.rows)

    def show_stats(self, stats: Stats) -> None:
        """Keep the total."""
        self._listing.set_total(stats.users)

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Change the rows that are shown; fetch again when others come or go."""
        for event in batch:
            match event:
                case UserRemoved(user=user):
                    self._listing.drop(user)
                case UserAdded() | SubscriptionChanged() | SubscriptionRemoved():
                    self._listing.changed()
                case DeliveryChanged(delivery=delivery):
                    self._take(delivery)
                case _:
                    pass

    def suggested_user(self) -> str:
        """Return the user under the cursor."""
        return self._listing.current.id if self._listing.current else ""

    def copied(self) -> str:
        """Return the name of the user under the cursor; without one, the server's URL."""
        return plain(self._listing.current.id) if self._listing.current else super().copied()

    def _take(self, delivery: Delivery) -> None:
        known = self._listing.find(delivery.user)
        if known is None or delivery.status is None:
            return
        field = "last_delivery_at" if delivery.outcome is Outcome.ACCEPTED else "last_failure_at"
        self._listing.put(msgspec.structs.replace(known, **{field: delivery.at}))

    def _empty(self, wanted: str) -> Content:
        if wanted:
            return nothing_found("No user's name contains", wanted)
        return Content.assemble(("There are no users yet.\n", "bold"), ("Press e to invite one.", QUIET))

    def _cells(self, user: User) -> list[Content]:
        now = self.app.now()
        return [
            Content(plain(user.id)),
            Content.styled(count(user.subscriptions), "" if user.subscriptions else BUSY),
            Content(moment(user.last_delivery_at, now)),
            Content(moment(user.last_failure_at, now)),
            Content.styled(moment(user.created_at, now), QUIET),
        ]
