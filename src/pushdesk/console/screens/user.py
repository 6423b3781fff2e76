"""One user: who they are, their devices, and what was sent to them lately."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from msgspec import structs
from textual.content import Content
from textual.message import Message

from pushdesk.console.device_commands import give, invalidate, test
from pushdesk.console.figures import count, milliseconds, moment, plural
from pushdesk.console.following import FollowingScreen
from pushdesk.console.happenings import delivery_device
from pushdesk.console.keys import bind
from pushdesk.console.lookups import Found, cached, deliveries_of, devices_of, key_states, user_of
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.screens.removing import ask_to_remove_device, ask_to_remove_user, said_of_removing
from pushdesk.console.screens.restoring import CANNOT, ask_to_restore, disabled
from pushdesk.console.screens.subscriptions import COLUMNS, device_cells
from pushdesk.console.screens.users import reached
from pushdesk.console.status import BAD, NOT_SENT_TO, QUIET, delivery_status
from pushdesk.console.subject import SHOWN_WHY, Subject
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.facts import Facts
from pushdesk.console.widgets.paged import not_brought
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import HEADER, Rows
from pushdesk.desk import (
    CacheChanged,
    DeliveryChanged,
    KeyChanged,
    SubscriptionChanged,
    SubscriptionRemoved,
    UserAdded,
    UserRemoved,
)
from pushdesk.errors import PushdeskError
from pushdesk.model import Delivery, Subscription, SubscriptionState

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from pushdesk.console.widgets.facts import Fact
    from pushdesk.desk import AnyEvent
    from pushdesk.model import CacheEntry, KeyState, User

DEVICES_SEEN: Final = (2, 6)
"""Rows that the table of devices has room for: at least, for what it says when it is empty, and at most."""
TICK_S: Final = 1.0
"""How often the age of what is cached is shown anew."""
NO_DEVICE: Final = "No device is selected: tab goes to the devices."


class UserScreen(PaneScreen, FollowingScreen[None]):
    """A user, shown over the list of users. `w` asks about what is under the cursor, about the user if nothing is."""

    NAME: ClassVar[str] = "users"
    CHANGES: ClassVar[frozenset[str]] = frozenset(
        {"test", "remove_device", "remove_user", "invalidate", "restore", "restore_all"}
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("escape", "back", "Back", "user.back", "Back to the users", show=True),
        SHOWN_WHY,
        bind("T", "test", "Test", "subscriptions.test", "Send the test push to this device only", show=True),
        bind("d", "remove_device", "Remove", "subscriptions.remove", "Remove this device", show=True),
        bind("u", "restore", "Restore", "subscriptions.restore", "Send again to a device that was disabled", show=True),
        bind("U", "restore_all", "Restore all", "subscriptions.restore_all", "Restore all disabled devices shown here"),
        bind("D", "remove_user", "Remove user", "user.remove", "Remove the user with everything of theirs", show=True),
        bind("i", "invalidate", "Invalidate", "user.invalidate", "Drop the user from the cache", show=True),
    ]

    class Loaded(Message):
        """What is shown came from the server."""

        def __init__(
            self,
            user: User | None,
            devices: list[Subscription],
            keys: dict[str, KeyState],
            found: Found,
            entry: CacheEntry | None,
        ) -> None:
            super().__init__()
            self.user = user
            self.devices = devices
            self.keys = keys
            self.found = found
            self.entry = entry

    class Failed(Message):
        """It did not come."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, user: str) -> None:
        super().__init__()
        self._whose = user
        self._user: User | None = None
        self._was_known = False
        self._ticking: Timer | None = None
        self._is_gone = False
        """Whether the user was removed while this was shown."""
        self._has_failed = False
        """Whether it did not come when it was last fetched."""
        self._keys: dict[str, KeyState] = {}
        self._entry: CacheEntry | None = None
        self._read_at: datetime = self.app.now()
        self._facts = Facts([("", "loading…")], indent=15)
        self._devices: Rows[Subscription] = Rows(
            # They are few, and in the order in which the server has them.
            [column._replace(sort="") for column in COLUMNS],
            key=lambda one: one.id,
            cells=lambda one: device_cells(one, self._keys.get(one.key_id), self.app.now()),
            name="user-devices",
        )
        self._deliveries: Rows[Delivery] = Rows(
            (
                Column("at", "time", 12),
                Column("status", "outcome", 16),
                Column("device", "device", 18, grows=1),
                Column("latency", "latency", 7, priority=1, right=True),
                Column("attempts", "try", 3, priority=3, right=True),
                Column("reason", "reason", 12, priority=2, grows=3),
            ),
            key=lambda delivery: delivery.id,
            cells=self._delivery_cells,
            name="user-deliveries",
        )

    def compose_body(self) -> ComposeResult:
        """Compose the facts and the two tables."""
        yield Panel(self._facts, title=plain(self._whose), name="user-panel")
        yield Panel(self._devices, title="Devices", name="user-devices-panel")
        yield Panel(self._deliveries, title="Deliveries", name="user-deliveries-panel")

    def on_mount(self) -> None:
        """Begin with the devices."""
        self._panel("user-panel").entitle(plain(self._whose), "esc goes back to the users")
        self._set_room(0)
        self._ticking = self.set_interval(TICK_S, self._tick, pause=self.app.screen is not self)
        self.watch(self.app, "connection", self._say_failed, init=False)
        self._devices.focus()

    def load(self) -> None:
        """Fetch everything."""
        self.fetch_now()

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Fetch again what is about this user."""
        self.follow(batch)

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event is about this user."""
        match event:
            case DeliveryChanged(delivery=delivery):
                return delivery.user == self._whose
            case SubscriptionChanged(subscription=subscription):
                return subscription.user == self._whose
            case SubscriptionRemoved(user=user) | UserAdded(user=user) | UserRemoved(user=user):
                return user == self._whose
            case CacheChanged(user=user):
                return user in {self._whose, ""}
            case _:
                return isinstance(event, KeyChanged)

    async def fetch(self) -> None:
        """Fetch the user with their devices, deliveries and cache entry."""
        desk, name = self.app.desk, self._whose
        try:
            user, devices, keys, found, entry = await asyncio.gather(
                user_of(desk, name),
                devices_of(desk, name),
                key_states(desk),
                deliveries_of(desk, name),
                cached(desk, name),
            )
        except PushdeskError as error:
            self.post_message(self.Failed(error))
        else:
            self.post_message(self.Loaded(user, devices, keys, found, entry))

    def on_user_screen_loaded(self, message: Loaded) -> None:
        """Show what came; go back if the user is no more."""
        self._user, self._entry, self._read_at = message.user, message.entry, self.app.now()
        self._has_failed = False
        self._is_gone = message.user is None and self._was_known
        if self._is_gone:
            self._leave_if_gone()
            return
        self._was_known = self._was_known or message.user is not None
        if message.keys != self._keys:
            self._keys = message.keys
            self._devices.redraw()
        self._devices.say_when_empty(
            Content.assemble(("No browser is subscribed.\n", "bold"), ("Press e to invite one.", QUIET))
        )
        self._devices.show(message.devices)
        self._set_room(len(message.devices))
        active = sum(device.state is SubscriptionState.ACTIVE for device in message.devices)
        self._panel("user-devices-panel").entitle(
            "Devices", f"{plural(len(message.devices), 'device')}, {count(active)} active"
        )
        self._deliveries.say_when_empty(Content.styled("Nothing that was sent to them is kept.", QUIET))
        self._deliveries.show(message.found.deliveries)
        if not self._deliveries.has_focus:
            # Nobody chose a row: whoever comes is to begin with the latest.
            self._deliveries.action_first()
        shown = plural(len(message.found.deliveries), "delivery", "deliveries")
        self._panel("user-deliveries-panel").entitle(
            "Deliveries", shown if message.found.all else f"the latest {shown}"
        )
        self._say_facts()
        self.refresh_refusals()

    def on_screen_resume(self) -> None:
        """Let what is cached grow older again; go back if the user was removed while a dialog was over this."""
        if self._ticking is not None:
            self._ticking.resume()
        self._leave_if_gone()

    def on_screen_suspend(self) -> None:
        """Let the clock rest: nobody looks."""
        if self._ticking is not None:
            self._ticking.pause()

    def on_user_screen_failed(self, message: Failed) -> None:
        """Show the error; what was shown stays."""
        self._has_failed = True
        self._say_failed()
        self.app.report(message.error)

    def on_command_done(self) -> None:
        """Show what has become of it: whoever ordered something wants to see it at once."""
        self.fetch_now()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a device or a delivery in full."""
        from pushdesk.console.screens.details import SubscriptionScreen  # noqa: PLC0415 - not needed before it is asked for

        match message.item:
            case Subscription() as one:
                self.app.push_screen(SubscriptionScreen(one))
            case Delivery() as delivery:
                self.show_delivery(delivery)

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action in {"test", "remove_device", "restore"} and self._device is None:
            return NO_DEVICE
        if action == "restore" and self._device is not None and (reason := CANNOT.get(self._device.state)):
            return super().refusal(action) or reason
        if action == "restore_all" and not disabled(self._devices.items):
            return super().refusal(action) or "None of these devices is disabled."
        if action == "test" and self._device is not None and (reason := NOT_SENT_TO.get(self._device.state)):
            return reason
        if action == "invalidate" and self._held is None:
            return "Nothing of the user is cached."
        return super().refusal(action)

    def suggested_user(self) -> str:
        """Return this user."""
        return self._whose

    def subject(self) -> Subject:
        """Return the device or the delivery under the cursor, else the user."""
        if self._deliveries.has_focus and self._deliveries.current is not None:
            return Subject.of_delivery(self._deliveries.current)
        return Subject.of_subscription(self._device) if self._device is not None else Subject(self._whose)

    def copied(self) -> str:
        """Return the user's name."""
        return plain(self._whose)

    def action_back(self) -> None:
        """Go back to the users, unless it was done already: Textual closes whichever screen is on top."""
        if self.app.screen is self:
            self.dismiss(None)

    def action_test(self) -> None:
        """Send the test push to the device under the cursor."""
        if self._device is not None:
            give(self, partial(test, self.app.desk, Subject.of_subscription(self._device)))

    def action_remove_device(self) -> None:
        """Ask, and remove the device under the cursor."""
        if self._device is not None:
            ask_to_remove_device(self, self._device)

    def action_restore(self) -> None:
        """Ask, and restore the device under the cursor."""
        if self._device is not None:
            ask_to_restore(self, [self._device])

    def action_restore_all(self) -> None:
        """Ask, and restore all of the user's devices that are disabled."""
        ask_to_restore(self, disabled(self._devices.items))

    def action_remove_user(self) -> None:
        """Have the name typed, and remove the user with everything of theirs."""
        ask_to_remove_user(self, self._whose, len(self._devices.items))

    def action_invalidate(self) -> None:
        """Drop the user from the cache."""
        give(self, partial(invalidate, self.app.desk, self._whose))

    @property
    def _device(self) -> Subscription | None:
        return self._devices.current if self._devices.has_focus else None

    @property
    def _held(self) -> CacheEntry | None:
        """What the cache holds by now, for what is known."""
        if self._entry is None:
            return None
        passed = (self.app.now() - self._read_at).total_seconds()
        left = self._entry.time_left_s - passed
        return structs.replace(self._entry, age_s=self._entry.age_s + passed, time_left_s=left) if left > 0 else None

    def _leave_if_gone(self) -> None:
        if self._is_gone and self.app.screen is self:
            self.app.notify(said_of_removing(self._whose))
            self.dismiss(None)

    def _say_failed(self) -> None:
        if self._has_failed:
            for rows in (self._devices, self._deliveries):
                rows.say_when_empty(not_brought("This could not be fetched.", self.app))

    def _panel(self, name: str) -> Panel:
        return self.query_one(f"#{name}", Panel)

    def _set_room(self, devices: int) -> None:
        least, most = DEVICES_SEEN
        self._devices.styles.height = HEADER + min(max(devices, least), most)

    def _tick(self) -> None:
        # Over midnight, what is told of times gets its day.
        is_known = self._user is not None or self._entry is not None
        if is_known and self.app.is_looked_at(self):
            self._say_facts()
            self.refresh_refusals()

    def _say_facts(self) -> None:
        user, now = self._user, self.app.now()
        facts: list[Fact] = [("user", Content.styled("✗ not known here", BAD))]
        if user is not None:
            facts = [
                ("since", moment(user.created_at, now)),
                ("last delivery", reached(user, now)[0]),
                ("last failure", reached(user, now)[1]),
            ]
        self._facts.show([*facts, ("cache", self._said_of_cache())])

    def _said_of_cache(self) -> Content:
        entry = self._held
        if entry is None:
            return Content.styled("not cached: the devices are read when they are next needed", QUIET)
        return Content(
            f"generation {count(entry.generation)} · {plural(entry.devices, 'device')} · {entry.age_s:.0f} s old · "
            f"read again after {entry.time_left_s:.0f} s"
        )

    def _delivery_cells(self, delivery: Delivery) -> list[Content]:
        return [
            Content.styled(moment(delivery.at, self.app.now()), QUIET),
            delivery_status(delivery),
            Content(delivery_device(delivery)),
            Content(milliseconds(delivery.latency_ms)),
            Content(str(delivery.attempts)),
            Content.styled(plain(delivery.reason), QUIET),
        ]
