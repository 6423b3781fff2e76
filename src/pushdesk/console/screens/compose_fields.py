"""The fields of a notification, and what is filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Select, Static, TextArea

from pushdesk.console.send_at import EXAMPLES, read_send_at
from pushdesk.console.send_at import LONGEST as LONGEST_TIME
from pushdesk.console.suggest_user import SuggestUser
from pushdesk.console.text import plain
from pushdesk.console.widgets.tick import Tick
from pushdesk.model import Action, Notification, Urgency
from pushdesk.setting_values import duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.widget import Widget
    from textual.widgets.text_area import Edit, EditResult

    from pushdesk.console.app import PushdeskApp

LONGEST_URL: Final = 2048
LONGEST_NAME: Final = 200
"""Characters of a tag or a topic."""
LONGEST_TEXT: Final = 8000
"""Characters of the text or of the buttons: more than any push can carry."""
DAY_S: Final = 86_400
_read_ttl: Final = duration(1, 28 * DAY_S)


class BoundedArea(TextArea):
    """A text of several lines, of which at most `LONGEST_TEXT` characters are taken: it is looked at with every key."""

    def edit(self, edit: Edit) -> EditResult:
        """Take what there is room for, and say so if that is not all."""
        replaced = self.get_text_range(edit.from_location, edit.to_location)
        room = max(LONGEST_TEXT - len(self.text) + len(replaced), 0)
        if len(edit.text) > room:
            edit.text = edit.text[:room]
            self.app.notify(f"Only {LONGEST_TEXT} characters are taken; the rest is left out.", severity="warning")
        return super().edit(edit)


class NotificationFields(VerticalScroll, can_focus=False):
    """Whom a notification is for, what is shown, and how it is delivered: a line for each."""

    app: PushdeskApp
    URLS: ClassVar[tuple[str, ...]] = ("icon", "image", "badge")

    def __init__(self, user: str) -> None:
        super().__init__(id="fields")
        self._suggested = user

    def compose_recipient(self) -> ComposeResult:
        """Compose the lines for whom it is."""
        yield line(
            "To user",
            Input(
                self._suggested,
                placeholder="a user's name",
                suggester=SuggestUser(self.app.desk),
                max_length=128,
                id="user",
                compact=True,
            ),
        )

    def compose(self) -> ComposeResult:
        """Compose a line for each field."""
        yield from self.compose_recipient()
        yield line("Title", Input("Hello from pushdesk", max_length=1000, id="title", compact=True))
        yield line("Body", BoundedArea("It works.", id="text", compact=True, tab_behavior="focus"))
        yield line("URL", field("url", plain(self.app.url), LONGEST_URL))
        yield line("Tag", field("tag", "replaces one with the same tag", LONGEST_NAME))
        for name in self.URLS:
            yield line(name.capitalize(), field(name, "a URL", LONGEST_URL))
        yield line(
            "Buttons",
            BoundedArea(id="buttons", compact=True, tab_behavior="focus", placeholder="title | URL, one in a line"),
        )
        yield Tick("stays until it is closed", name="stays")
        yield Tick("silent", name="silent")
        yield Tick("alerts again with the same tag", name="again")
        yield line(
            "Urgency",
            Select(
                [(urgency.value, urgency) for urgency in Urgency],
                value=Urgency.NORMAL,
                allow_blank=False,
                id="urgency",
                compact=True,
            ),
        )
        yield line("TTL", field("ttl", "24h", 12))
        yield line("Topic", field("topic", "replaces one that still waits", LONGEST_NAME))
        yield line("Send at", field("send-at", f"now; or {EXAMPLES}", LONGEST_TIME))

    def on_mount(self) -> None:
        """Keep cursors from blinking: they would repaint an idle screen."""
        for field in self.query(Input):
            field.cursor_blink = False
        for area in self.query(TextArea):
            area.cursor_blink = False

    @property
    def user(self) -> str:
        """Whom it is for."""
        return self._text("user")

    @property
    def notification(self) -> Notification:
        """What is filled in, without what `problem` is about."""
        urgency = self.query_one("#urgency", Select).value
        return Notification(
            title=self._text("title"),
            body=self.query_one("#text", TextArea).text or None,
            url=self._text("url").strip() or None,
            tag=self._text("tag") or None,
            icon=self._text("icon").strip() or None,
            image=self._text("image").strip() or None,
            badge=self._text("badge").strip() or None,
            actions=tuple(read_buttons(self._buttons)),
            require_interaction=self._is_ticked("stays"),
            silent=self._is_ticked("silent"),
            renotify=self._is_ticked("again"),
            urgency=urgency if isinstance(urgency, Urgency) else Urgency.NORMAL,
            ttl=read_ttl(self._text("ttl")) or DAY_S,
            topic=self._text("topic") or None,
            send_at=self._read_send_at()[0],
        )

    @property
    def problem(self) -> str:
        """What cannot be read as it is written, as a sentence; empty if all can."""
        if read_ttl(self._text("ttl")) is None:
            return "TTL must be a duration from 1s to 28d, with its unit."
        buttons = enumerate(self._buttons.splitlines(), 1)
        if nameless := [number for number, button in buttons if button.strip().startswith("|")]:
            return f"Buttons: line {nameless[0]} has no title before the |."
        return self._read_send_at()[1]

    def _read_send_at(self) -> tuple[datetime | None, str]:
        """Return when it is to be sent, and what is wrong with what is written."""
        try:
            return read_send_at(self._text("send-at"), self.app.now()), ""
        except ValueError as error:
            return None, str(error)

    @property
    def _buttons(self) -> str:
        return self.query_one("#buttons", TextArea).text

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value

    def _is_ticked(self, name: str) -> bool | None:
        return self.query_one(f"#{name}", Tick).value or None


def read_ttl(text: str) -> int | None:
    """Return the seconds of a duration, a day where nothing is written; None for what is none that can be."""
    try:
        return _read_ttl(text.strip()) if text.strip() else DAY_S
    except ValueError:
        return None


def read_buttons(text: str) -> Iterator[Action]:
    """Return the buttons that lines tell of: a title, perhaps a bar and a URL. Lines without a title are left out."""
    for number, line in enumerate(text.splitlines(), 1):
        title, _, url = line.rpartition("|") if "|" in line else (line, "", "")
        if title.strip():
            yield Action(str(number), title.strip(), url.strip() or None)


def field(name: str, placeholder: str, longest: int) -> Input:
    """Return a field for a line of text."""
    return Input(placeholder=placeholder, max_length=longest, id=name, compact=True)


def line(label: str, beside: Widget) -> Horizontal:
    """Return a field with its name before it."""
    return Horizontal(Static(label, classes="label"), beside, classes="line")
