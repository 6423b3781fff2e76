"""The users, and how well they are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.content import Content

from pushdesk.console.figures import count, moment
from pushdesk.console.keys import bind
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import BAD, BUSY, GOOD, QUIET
from pushdesk.console.subject import SHOWN_WHY
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.listing import Listing
from pushdesk.console.widgets.paged import nothing_found
from pushdesk.desk import DeliveryChanged, SubscriptionChanged, SubscriptionRemoved, UserAdded, UserRemoved
from pushdesk.model import Outcome, User

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.console.widgets.rows import Rows
    from pushdesk.desk import AnyEvent
    from pushdesk.model import Delivery, Stats

SORTS: Final = ("-created_at", "id")
OF_ATTEMPTS: Final = frozenset(
    {
        Outcome.ACCEPTED,
        Outcome.GONE,
        Outcome.KEY_MISMATCH,
        Outcome.REFUSED,
        Outcome.OUR_CONFIGURATION,
        Outcome.THROTTLED,
        Outcome.TRANSIENT,
    }
)
"""What a push service, or its silence, makes of an attempt: the server notes it as a success or a failure."""


class UsersScreen(PaneScreen):
    """Whoever can be notified."""

    NAME: ClassVar[str] = "users"
    CHANGES: ClassVar[frozenset[str]] = frozenset({"remove"})
    BINDINGS: ClassVar[list[BindingType]] = [
        SHOWN_WHY,
        bind("d", "remove", "Remove", "users.remove", "Remove this user with everything of theirs", show=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._listing: Listing[User] = Listing(
            title="Users",
            name="users",
            columns=(
                Column("user", "user", 16, grows=3, sort="id"),
                Column("devices", "devices", 8, right=True),
                Column("delivery", "last delivery", 14, grows=1),
                Column("failure", "last failure", 14, grows=1),
                Column("created", "since", 12, priority=1, grows=1, sort="created_at"),
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

    def on_command_done(self) -> None:
        """Show what has become of it: whoever ordered something wants to see it at once."""
        self._listing.load()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show one user."""
        from pushdesk.console.screens.user import UserScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, User):
            self.app.push_screen(UserScreen(message.item.id))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action == "remove" and self._listing.current is None:
            return "No user is selected."
        return super().refusal(action)

    def suggested_user(self) -> str:
        """Return the user under the cursor."""
        return self._listing.current.id if self._listing.current else ""

    def copied(self) -> str:
        """Return the name of the user under the cursor; without one, the server's URL."""
        return plain(self._listing.current.id) if self._listing.current else super().copied()

    def action_remove(self) -> None:
        """Have the name typed, and remove the user under the cursor with everything of theirs."""
        from pushdesk.console.screens.removing import ask_to_remove_user  # noqa: PLC0415 - not needed before it is asked for

        if (user := self._listing.current) is not None:
            ask_to_remove_user(self, user.id, user.subscriptions)

    def _take(self, delivery: Delivery) -> None:
        if not delivery.attempts or delivery.outcome not in OF_ATTEMPTS:
            return
        field = "last_delivery_at" if delivery.outcome is Outcome.ACCEPTED else "last_failure_at"
        self._listing.change(delivery.user, lambda user: msgspec.structs.replace(user, **{field: delivery.at}))

    def _empty(self, wanted: str) -> Content:
        if wanted:
            return nothing_found("No user's name contains", wanted)
        return Content.assemble(("There are no users yet.\n", "bold"), ("Press e to invite one.", QUIET))

    def _cells(self, user: User) -> list[Content]:
        now = self.app.now()
        return [
            Content(plain(user.id)),
            Content.styled(count(user.subscriptions), "" if user.subscriptions else BUSY),
            *reached(user, now),
            Content.styled(moment(user.created_at, now), QUIET),
        ]


def reached(user: User, now: datetime) -> tuple[Content, Content]:
    """Return when a user was last reached, and when they were not; the later of the two is marked."""
    delivery, failure = user.last_delivery_at, user.last_failure_at
    fails = failure is not None and (delivery is None or delivery < failure)
    good, bad = moment(delivery, now), moment(failure, now)
    if fails:
        return Content(good), Content.styled(f"✗ {bad}", BAD)
    return Content(good) if delivery is None else Content.styled(f"✓ {good}", GOOD), Content.styled(bad, QUIET)
