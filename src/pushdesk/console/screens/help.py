"""What every key does here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from pushdesk.console.bindings import Command, commands_of
from pushdesk.console.keys import bind
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import QUIET, STRONG
from pushdesk.console.widgets.rows import Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.screen import Screen


class HelpScreen(Dialog[None]):
    """The keys of the screen that is looked at, in groups, with what they do or why they do not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("question_mark,q", "close", "Close", "help.close", "Close the help"),
    ]

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self._commands = commands_of(screen)

    def compose(self) -> ComposeResult:
        """Compose the list."""
        with VerticalScroll(classes="dialog") as frame:
            frame.border_title = Content("Keys")
            frame.border_subtitle = Content("esc closes")
            yield Static(self._text())

    def _text(self) -> Content:
        groups: dict[str, list[Command]] = {"This screen": [], "Tables": [], "Everywhere": []}
        for command in self._commands:
            if isinstance(command.node, Rows):
                groups["Tables"].append(command)
            elif isinstance(command.node, PaneScreen) and command.action not in PANE_ACTIONS:
                groups["This screen"].append(command)
            else:
                groups["Everywhere"].append(command)
        parts: list[Content] = []
        for title, commands in groups.items():
            if commands:
                parts.append(Content.styled(title, f"bold {STRONG}"))
                parts += [_line(command) for command in commands]
                parts.append(Content(""))
        parts.append(Content.styled("tab and shift+tab go from pane to pane; the mouse works everywhere", QUIET))
        return Content("\n").join(parts)


PANE_ACTIONS = frozenset({"compose", "copy", "refresh"})


def _line(command: Command) -> Content:
    keys = ", ".join(command.keys).ljust(14)
    style = QUIET if command.refusal else ""
    return Content.assemble("  ", (keys, "bold" if not command.refusal else QUIET), " ", (command.says, style))
