"""The VAPID keys: which there are, how far a retiring one is emptied, and what can be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from textual.content import Content
from textual.message import Message

from pushdesk.console.feed import Connection
from pushdesk.console.figures import age, count, plural
from pushdesk.console.key_figures import by_service, expected_end, in_full, progress, said_of_revoking, who_loses
from pushdesk.console.keys import bind
from pushdesk.console.screens.form import CONFIRM_REQUIRED
from pushdesk.console.screens.pane import NOT_CONNECTED, PaneScreen
from pushdesk.console.status import KEYS, QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.workers import begin
from pushdesk.desk import KeyChanged, SubscriptionChanged, SubscriptionRemoved
from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState, PageQuery, VapidKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from pushdesk.desk import AnyEvent

SHOWN: Final = 200
"""Keys that are listed; the newest."""
RELOAD_S: Final = 2.0
"""What happens is fetched at most this often: the devices of every key are counted for it."""
OF_ONE_KEY: Final = {
    "retire": ({KeyState.RETIRING}, "only one that is retiring can be retired"),
    "roll_back": ({KeyState.RETIRING, KeyState.RETIRED}, "only an older one that was not revoked can be current again"),
    "export": (set(KeyState) - {KeyState.REVOKED}, "it is never used again"),
}
"""The commands for the key under the cursor: in which states it takes them, and why not in others."""
COMMANDS: Final = frozenset({"rotate", "revoke", "import", *OF_ONE_KEY})

T = TypeVar("T")


@dataclass(frozen=True)
class Order(Generic[T]):
    """A command to the server that it may want confirmed."""

    title: str
    do: str
    give: Callable[[str], Awaitable[T]]
    """Gives it with a word that confirms it, empty at first."""
    told: Callable[[T], str]
    """Returns what is to be said of what came of it."""


class KeysScreen(PaneScreen):
    """The table of the VAPID keys."""

    NAME: ClassVar[str] = "keys"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("r", "rotate", "Rotate", "keys.rotate", "Make a new key; devices move to it as they come by", show=True),
        bind(
            "d", "retire", "Retire", "keys.retire", "End a retiring key; what is still bound to it is lost", show=True
        ),
        bind("b", "roll_back", "Roll back", "keys.roll_back", "Make an older key the current one again"),
        bind(
            "v",
            "revoke",
            "Revoke",
            "keys.revoke",
            "A key has leaked: make a new one, and end all others at once",
            show=True,
        ),
        bind("i", "import", "Import", "keys.import", "Bring in a key from another server", show=True),
        bind("x", "export", "Export", "keys.export", "Write a key with its private half to a file"),
    ]

    class KeysLoaded(Message):
        """The keys came from the server."""

        def __init__(self, keys: tuple[VapidKey, ...], *, more: bool) -> None:
            super().__init__()
            self.keys = keys
            self.more = more

    class LoadFailed(Message):
        """The keys did not come."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    class ConfirmationAsked(Message):
        """The server wants a word typed before it does something."""

        def __init__(self, order: Order[Any], wanted: PushdeskError) -> None:
            super().__init__()
            self.order = order
            self.wanted = wanted

    class OrderTaken(Message):
        """The server did something."""

        def __init__(self, told: str) -> None:
            super().__init__()
            self.told = told

    class Refused(Message):
        """The server refused something."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self._waiting: Timer | None = None
        self._stale = False
        self._rows: Rows[VapidKey] = Rows(
            (
                Column("id", "key", 8),
                Column("state", "state", 10),
                Column("age", "age", 6),
                Column("devices", "devices", 7, right=True),
                Column("moved", "moved", 12),
                Column("end", "expected end", 12, priority=2),
                Column("left", "would lose", 10, priority=1),
                Column("services", "by push service", 22, priority=3, grows=1),
            ),
            key=lambda key: key.id,
            cells=self._cells,
            name="vapid-keys",
        )

    def compose_body(self) -> ComposeResult:
        """Compose the table."""
        yield Panel(self._rows, title="VAPID keys", name="vapid-keys-panel")

    def on_mount(self) -> None:
        """Begin in the table."""
        super().on_mount()
        self._rows.focus()

    def on_screen_resume(self) -> None:
        """Catch up with what happened while another screen was shown."""
        super().on_screen_resume()
        if self._stale:
            self._load_soon()

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Fetch again when a key changes, or a device that may be bound to one."""
        if any(isinstance(event, KeyChanged | SubscriptionChanged | SubscriptionRemoved) for event in batch):
            self._load_soon()

    def load(self) -> None:
        """Fetch the keys."""
        self._stale = False
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(RELOAD_S, self._waited)
        begin(self, self._load, group="keys", exclusive=True)

    async def _load(self) -> None:
        try:
            page = await self.app.desk.keys(PageQuery(limit=SHOWN))
        except PushdeskError as error:
            self.post_message(self.LoadFailed(error))
        else:
            self.post_message(self.KeysLoaded(page.items, more=page.next is not None))

    def on_keys_screen_keys_loaded(self, message: KeysLoaded) -> None:
        """Show the keys."""
        self._rows.say_when_empty(
            Content.assemble(("There is no key.\n", "bold"), ("r makes one, i imports one", QUIET))
        )
        self._rows.show(message.keys)
        shown = plural(len(message.keys), "key")
        note = f"the newest {shown}" if message.more else shown
        self.query_one("#vapid-keys-panel", Panel).entitle("VAPID keys", f"{note} · enter shows one in full")
        self.refresh_refusals()

    def on_keys_screen_load_failed(self, message: LoadFailed) -> None:
        """Show the error; what was listed stays."""
        self._rows.say_when_empty(
            Content.assemble(("The keys could not be listed.\n", "bold"), ("R tries again", QUIET))
        )
        self.app.report(message.error)

    def on_keys_screen_confirmation_asked(self, message: ConfirmationAsked) -> None:
        """Ask for the word."""
        from pushdesk.console.screens.form import TypedScreen  # noqa: PLC0415 - not needed before it is asked for

        order = message.order

        def answered(result: object) -> None:
            if result is not None:
                self._tell(order.told(result))

        self.app.push_screen(TypedScreen(order.title, order.do, message.wanted, order.give), answered)

    def on_keys_screen_order_taken(self, message: OrderTaken) -> None:
        """Say what was done."""
        self._tell(message.told)

    def on_keys_screen_refused(self, message: Refused) -> None:
        """Show the error."""
        self.app.report(message.error)

    def on_rows_moved(self) -> None:
        """Show what can be done with the key under the cursor."""
        self.refresh_refusals()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a key in full, but for its private half, which the console never has."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, VapidKey):
            self.app.push_screen(WordsScreen("VAPID key", in_full(message.item, self.app.now())))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action in COMMANDS and self.app.connection is not Connection.LIVE:
            return NOT_CONNECTED
        if action not in OF_ONE_KEY:
            return super().refusal(action)
        key = self._rows.current
        if key is None:
            return "No key is selected."
        states, cannot = OF_ONE_KEY[action]
        return None if key.state in states else f"This key is {KEYS[key.state].word}: {cannot}."

    def copied(self) -> str:
        """Return the public key under the cursor; without one, the server's URL."""
        return self._rows.current.public_key if self._rows.current else super().copied()

    def action_rotate(self) -> None:
        """Make a new key current."""
        desk = self.app.desk
        self._give(
            Order(
                "Rotate the VAPID key?",
                "Rotate",
                lambda word: desk.rotate_key(confirm=word),
                lambda key: f"The current key is {key.id} now.",
            )
        )

    def action_retire(self) -> None:
        """End the key under the cursor."""
        if (key := self._rows.current) is None:
            return
        desk = self.app.desk
        self._give(
            Order(
                f"Retire the key {plain(key.id)}?",
                "Retire",
                lambda word: desk.retire_key(key.id, confirm=word),
                lambda retired: f"The key {retired.id} is retired.",
            )
        )

    def action_roll_back(self) -> None:
        """Make the key under the cursor the current one again."""
        if (key := self._rows.current) is None:
            return
        desk = self.app.desk
        self._give(
            Order(
                f"Roll back to the key {plain(key.id)}?",
                "Roll back",
                lambda word: desk.roll_back_key(key.id, confirm=word),
                lambda current: f"The current key is {current.id} again.",
            )
        )

    def action_revoke(self) -> None:
        """Make a new key, and end all others at once."""
        desk = self.app.desk
        self._give(
            Order("Revoke all VAPID keys?", "Revoke", lambda word: desk.revoke_keys(confirm=word), said_of_revoking)
        )

    def action_import(self) -> None:
        """Open the form for a key from elsewhere."""
        from pushdesk.console.screens.key_forms import ImportScreen  # noqa: PLC0415 - not needed before it is asked for

        def answered(key: VapidKey | None) -> None:
            if key is not None:
                bound = plural(key.subscriptions, "device is", "devices are")
                self._tell(f"Imported {key.id}: it is {KEYS[key.state].word}, {bound} bound to it.")

        self.app.push_screen(ImportScreen(), answered)

    def action_export(self) -> None:
        """Open the form for the file of the key under the cursor."""
        from pushdesk.console.screens.key_forms import ExportScreen  # noqa: PLC0415 - not needed before it is asked for

        def answered(file: Path | None) -> None:
            if file is not None:
                self.app.notify(f"Written to {file}, for your eyes only: keep it secret.")

        if (key := self._rows.current) is not None:
            self.app.push_screen(ExportScreen(key.id), answered)

    def _tell(self, what: str) -> None:
        self.app.notify(what)
        # Whoever did something wants to see it at once.
        self.load()

    def _give(self, order: Order[Any]) -> None:
        begin(self, partial(self._try, order), group="commands")

    async def _try(self, order: Order[Any]) -> None:
        try:
            result = await order.give("")
        except PushdeskError as error:
            wants_word = error.code == CONFIRM_REQUIRED
            self.post_message(self.ConfirmationAsked(order, error) if wants_word else self.Refused(error))
        else:
            self.post_message(self.OrderTaken(order.told(result)))

    def _load_soon(self) -> None:
        if self._waiting is None and self.is_shown:
            self.load()
        else:
            self._stale = True

    def _waited(self) -> None:
        self._waiting = None
        if self._stale:
            self._load_soon()

    def _cells(self, key: VapidKey) -> list[Content]:
        now = self.app.now()
        is_retiring = key.state is KeyState.RETIRING
        return [
            Content(plain(key.id)),
            KEYS[key.state].content(),
            Content.styled(age(key.created_at, now), QUIET),
            Content(count(key.subscriptions)),
            progress(key) if is_retiring else Content(""),
            Content(expected_end(key, now) if is_retiring else ""),
            who_loses(key) if is_retiring else Content(""),
            Content.styled(by_service(key), QUIET),
        ]
