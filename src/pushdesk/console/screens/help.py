"""What every key does here."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from pushdesk.console.bindings import Command, commands_of
from pushdesk.console.keys import bind
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.status import BUSY, QUIET, STRONG
from pushdesk.console.text import plain

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.screen import Screen


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
            yield Static(self._text())

    def _text(self) -> Content:
        parts: list[Content] = []
        if self._warnings:
            parts.append(Content.styled("To be mended", f"bold {STRONG}"))
            parts += [Content.assemble(("! ", BUSY), plain(warning)) for warning in self._warnings]
            parts.append(Content(""))
        for group, commands in groupby(self._commands, key=lambda command: command.group):
            parts.append(Content.styled(group.value, f"bold {STRONG}"))
            parts += [_line(command) for command in commands]
            parts.append(Content(""))
        parts.append(Content.styled("tab and shift+tab go from pane to pane; the mouse works everywhere", QUIET))
        return Content("\n").join(parts)


def _line(command: Command) -> Content:
    keys = ", ".join(command.keys).ljust(14)
    style = QUIET if command.refusal else ""
    return Content.assemble("  ", (keys, "bold" if not command.refusal else QUIET), " ", (command.says, style))
