"""What every key does here."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from pushdesk.console.bindings import Command, commands_of
from pushdesk.console.keys import bind
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.status import BUSY, QUIET, STRONG
from pushdesk.console.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.screen import Screen

KEYS: Final = 12
"""Columns for the keys of a command."""
INDENT: Final = 2 + KEYS + 1
LEAST: Final = 10
"""Columns for what a command does, however few there are."""


class HelpScreen(Dialog[None]):
    """The keys of the screen that is looked at, in groups, with what they do or why they do not.

    Before them the server's warnings, which may have been hidden or cut.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("question_mark,q", "close", "Close", "help.close", "Close the help"),
    ]

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self._commands = commands_of(screen)
        self._warnings = self.app.warnings

    def compose(self) -> ComposeResult:
        """Compose the list."""
        with VerticalScroll(classes="dialog") as frame:
            frame.border_title = Content("Keys")
            frame.border_subtitle = Content("esc closes")
            # As wide with a scrollbar as without one.
            frame.styles.scrollbar_gutter = "stable"
            yield Static(id="keys")

    def on_mount(self) -> None:
        """Fill in the list once it is known how wide it is, and whenever that changes."""
        self.call_after_refresh(self._fill)

    def on_resize(self) -> None:
        """Break the lines anew."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        room = self.query_one(VerticalScroll).scrollable_content_region.width
        self.query_one("#keys", Static).update(self._text(max(room - INDENT, LEAST)))

    def _text(self, room: int) -> Content:
        parts: list[Content] = []
        if self._warnings:
            parts.append(Content.styled("To be mended", f"bold {STRONG}"))
            parts += [Content.assemble(("! ", BUSY), plain(warning)) for warning in self._warnings]
            parts.append(Content(""))
        for heading, commands in groupby(self._commands, key=lambda command: command.heading):
            parts.append(Content.styled(heading, f"bold {STRONG}"))
            parts += [line for command in commands for line in _lines(command, room)]
            parts.append(Content(""))
        parts.append(Content.styled("tab and shift+tab go from pane to pane; the mouse works everywhere.", QUIET))
        parts.append(Content.styled("f1 shows the keys of a form, too.", QUIET))
        return Content("\n").join(parts)


def _lines(command: Command, room: int) -> Iterator[Content]:
    """Return what a command does, broken so that it stays beside its keys."""
    first, *others = wrap(plain(command.says), room) or [""]
    style, key_style = (QUIET, QUIET) if command.refusal else ("", "bold")
    yield Content.assemble("  ", (", ".join(command.keys).ljust(KEYS), key_style), " ", (first, style))
    for line in others:
        yield Content.assemble(" " * INDENT, (line, style))
