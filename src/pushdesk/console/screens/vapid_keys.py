"""The table of the VAPID keys: which there are, how far a retiring one is emptied, and what can be done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content

from pushdesk.console.figures import age, count, plural
from pushdesk.console.key_figures import by_service, expected_end, in_full, progress, said_of_revoking, who_loses
from pushdesk.console.keys import bind
from pushdesk.console.screens.orders import Order, OrderedListing
from pushdesk.console.status import KEYS, QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.paged import nothing_found
from pushdesk.model import KeyState, VapidKey

if TYPE_CHECKING:
    from pathlib import Path

    from textual.binding import BindingType

    from pushdesk.console.widgets.rows import Rows

RELOAD_S: Final = 2.0
"""What happens is fetched at most this often: the devices of every key are counted for it."""
SORTS: Final = ("-created_at", "id", "state")
OF_ONE_KEY: Final = {
    "retire": ({KeyState.RETIRING}, "only one that is retiring can be retired"),
    "roll_back": ({KeyState.RETIRING, KeyState.RETIRED}, "only an older one that was not revoked can be current again"),
    "export": (set(KeyState) - {KeyState.REVOKED}, "it is never used again"),
}
"""The commands for the key under the cursor: in which states it takes them, and why not in others."""


class VapidKeys(OrderedListing[VapidKey]):
    """The VAPID keys."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"rotate", "revoke", "import", *OF_ONE_KEY})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("r", "rotate", "Rotate", "keys.rotate", "Make a new key; devices move to it as they come by", show=True),
        bind(
            "d", "retire", "Retire", "keys.retire", "End a retiring key; what is still bound to it is lost", show=True
        ),
        bind("b", "roll_back", "Roll back", "keys.roll_back", "Make an older key the current one again", show=True),
        bind(
            "v",
            "revoke",
            "Revoke",
            "keys.revoke",
            "A key has leaked: make a new one, and end all others at once",
            show=True,
        ),
        bind("i", "import", "Import", "keys.import", "Bring in a key from another server", show=True),
        bind("x", "export", "Export", "keys.export", "Write a key with its private half to a file", show=True),
    ]

    def __init__(self) -> None:
        super().__init__(
            title="VAPID keys",
            name="vapid-keys",
            columns=(
                Column("id", "key", 8, sort="id"),
                Column("state", "state", 10, sort="state"),
                Column("age", "age", 6, sort="created_at", ages=True),
                Column("devices", "devices", 7, right=True),
                Column("moved", "moved", 12),
                Column("end", "expected end", 12, priority=2),
                Column("left", "would lose", 10, priority=1),
                Column("services", "by push service", 22, priority=3, grows=1),
            ),
            key=lambda key: key.id,
            cells=self._cells,
            fetch=self.app.desk.keys,
            sorts=SORTS,
            filter_hint="part of a key's id; ^ and its beginning",
            empty=_empty,
            reload_s=RELOAD_S,
        )

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a key in full, but for its private half, which the console never has."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        message.stop()
        if isinstance(message.item, VapidKey):
            key = message.item
            self.app.push_screen(WordsScreen("VAPID key", in_full(key, self.app.now()), copies=key.public_key))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        reason = super().refusal(action)
        if reason or action not in OF_ONE_KEY:
            return reason
        key = self.current
        if key is None:
            return "No key is selected."
        states, cannot = OF_ONE_KEY[action]
        return None if key.state in states else f"This key is {KEYS[key.state].word}: {cannot}."

    def action_rotate(self) -> None:
        """Make a new key current."""
        desk = self.app.desk
        self.give(
            Order(
                "Rotate the VAPID key?",
                "Rotate",
                lambda word: desk.rotate_key(confirm=word),
                lambda key: f"The current key is {key.id} now.",
            )
        )

    def action_retire(self) -> None:
        """End the key under the cursor: ask, also where the server would not."""
        from pushdesk.console.screens.confirm import DO, ConfirmScreen  # noqa: PLC0415 - not needed before it is asked for

        if (key := self.current) is None:
            return
        desk = self.app.desk
        order = Order(
            f"Retire the key {plain(key.id)}?",
            "Retire",
            lambda word: desk.retire_key(key.id, confirm=word),
            lambda retired: f"The key {retired.id} is retired.",
        )
        if key.subscriptions:
            self.give(order)
            return

        # The server wants no word for a key without devices, and would retire it at once.
        def answered(answer: str | None) -> None:
            if answer == DO:
                self.give(order)

        text = Content("No device is bound to it. Nothing is signed with it any more, until b makes it current again.")
        self.app.push_screen(ConfirmScreen(title=order.title, text=text, do=order.do), answered)

    def action_roll_back(self) -> None:
        """Make the key under the cursor the current one again."""
        if (key := self.current) is None:
            return
        desk = self.app.desk
        self.give(
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
        self.give(
            Order("Revoke all VAPID keys?", "Revoke", lambda word: desk.revoke_keys(confirm=word), said_of_revoking)
        )

    def action_import(self) -> None:
        """Open the form for a key from elsewhere."""
        from pushdesk.console.screens.key_forms import ImportScreen  # noqa: PLC0415 - not needed before it is asked for

        def answered(key: VapidKey | None) -> None:
            if key is not None:
                bound = plural(key.subscriptions, "device is", "devices are")
                self.tell(f"Imported {key.id}: it is {KEYS[key.state].word}, {bound} bound to it.")

        self.app.push_screen(ImportScreen(), answered)

    def action_export(self) -> None:
        """Open the form for the file of the key under the cursor."""
        from pushdesk.console.screens.key_forms import ExportScreen  # noqa: PLC0415 - not needed before it is asked for

        def answered(file: Path | None) -> None:
            if file is not None:
                self.app.notify(f"Written to {file}, for your eyes only: keep it secret.")

        if (key := self.current) is not None:
            self.app.push_screen(ExportScreen(key.id), answered)

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


def _empty(wanted: str) -> Content:
    if wanted:
        return nothing_found("No key's id contains", wanted)
    return Content.assemble(("There is no key.\n", "bold"), ("r makes one, i imports one", QUIET))
