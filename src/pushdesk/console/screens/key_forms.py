"""Bringing a VAPID key in, and taking one out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.text import Text
from textual.widgets import Input, Select, Static, TextArea

from pushdesk.console.key_files import check_new, read_key, write_new
from pushdesk.console.screens.form import FormScreen
from pushdesk.console.text import plain
from pushdesk.model import VapidKey

if TYPE_CHECKING:
    from textual.app import ComposeResult

ROLES: Final = (
    ("retiring, for the devices that have it", "retiring"),
    ("current, for new devices too", "current"),
)


class SecretArea(TextArea):
    """A field for several lines, of which only the length is shown."""

    def get_line(self, line_index: int) -> Text:
        """Return a line, each character as a dot."""
        return Text("•" * len(self.document.get_line(line_index)), end="", no_wrap=True)


class ImportScreen(FormScreen[VapidKey]):
    """Takes a key, pasted or from a file."""

    def __init__(self) -> None:
        super().__init__(title="Import a VAPID key", do="Import")

    def compose_fields(self) -> ComposeResult:
        """Compose the two ways to give a key, and what it is to be."""
        yield Static("Paste it: PEM, or a pair as web-push has it. It is not shown.", classes="help")
        yield SecretArea(id="pasted", compact=True, tab_behavior="focus")
        yield Static("or name its file on this machine", classes="label")
        yield Input(placeholder="~/vapid.pem", max_length=4096, id="file", compact=True)
        yield Static("It becomes", classes="label")
        yield Select(ROLES, value="retiring", allow_blank=False, id="role", compact=True)

    def on_mount(self) -> None:
        """Begin where a key is pasted."""
        self.query_one("#pasted", SecretArea).focus()

    def missing(self) -> str:
        """Return that there is no key, or more than one."""
        if bool(self._pasted) is bool(self._file):
            return "Paste the key, or name its file: not both." if self._file else "Paste the key, or name its file."
        return ""

    async def perform(self, confirm: str = "") -> VapidKey:
        """Hand the key to the server."""
        current = self.query_one("#role", Select).value == "current"
        text = self._pasted or await asyncio.to_thread(read_key, self._file)
        return await self.app.desk.import_key(text, current=current, confirm=confirm)

    @property
    def _pasted(self) -> str:
        text = self.query_one("#pasted", SecretArea).text
        return text if text.strip() else ""

    @property
    def _file(self) -> str:
        return self.query_one("#file", Input).value.strip()


class ExportScreen(FormScreen[Path]):
    """Writes a key with its private half to a new file; returns where."""

    def __init__(self, key: str) -> None:
        super().__init__(title=f"Export the key {plain(key)}", do="Export")
        self._key = key

    def compose_fields(self) -> ComposeResult:
        """Compose the field for the file."""
        yield Static(
            "The private key is written, not shown: whoever has it can send to every browser that is bound to it.",
            classes="help",
        )
        yield Static("New file on this machine", classes="label")
        yield Input(f"vapid-{plain(self._key)}.pem", max_length=4096, id="file", compact=True)

    def on_mount(self) -> None:
        """Begin with the file."""
        self.query_one("#file", Input).focus()

    def missing(self) -> str:
        """Return that there is no name for the file."""
        return "" if self._file else "Name the file."

    async def perform(self, confirm: str = "") -> Path:
        """Fetch the key, and write it: only if the file can be made, so that it does not travel for nothing."""
        file = self._file
        await asyncio.to_thread(check_new, file)
        exported = await self.app.desk.export_key(self._key, confirm=confirm)
        return await asyncio.to_thread(write_new, file, exported.pem)

    @property
    def _file(self) -> str:
        return self.query_one("#file", Input).value.strip()
