"""A titled part of a screen: a frame where there is room for one, a line of text where there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from pushdesk.console.status import QUIET

if TYPE_CHECKING:
    from textual.widget import Widget

    from pushdesk.console.app import PushdeskApp


class Panel(Vertical):
    """A part of a screen, with its title and a note that may change."""

    app: PushdeskApp

    def __init__(self, *children: Widget, title: str, name: str) -> None:
        self._head = Static(classes="panel--head")
        super().__init__(self._head, *children, id=name, classes="panel")
        self.called = title
        """What it is called, whatever more its title says."""
        self._label = ""
        self._note = ""
        self.entitle(title)

    def entitle(self, title: str, note: str = "") -> None:
        """Show a title and a note; both are plain text."""
        if (title, note) == (self._label, self._note):
            return
        self._label, self._note = title, note
        self.border_title = Content(title)
        self.border_subtitle = Content(note)
        self._head.update(Content.assemble((title, "bold"), "  ", (note, QUIET)))
