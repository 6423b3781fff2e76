"""What the console remembers between two runs: the theme, and how each server was looked at."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from pushdesk.console.themes import DARK

VERSION: Final = 2
SERVERS: Final = 20
"""Servers of which it is remembered how they were looked at; those that were looked at last."""


class View(msgspec.Struct, frozen=True):
    """How a list or a chart was looked at."""

    sort: str = ""
    filter: str = ""
    span: str = ""


class ServerState(msgspec.Struct, frozen=True):
    """How a server was looked at."""

    screen: str = ""
    focus: dict[str, str] = {}
    """The id of the widget that had the focus, by screen."""
    views: dict[str, View] = {}
    """By the id of the list or the chart."""
    simulator: str = ""
    """Where the simulator is that it sends to, if faults were set there."""


class UiState(msgspec.Struct, frozen=True):
    """The remembered state; one of another version is not read."""

    version: int = VERSION
    theme: str = ""
    """What was chosen in the console."""
    configured_theme: str = DARK.name
    """What was configured when it was: another configuration wins over the choice."""
    servers: dict[str, ServerState] = {}
    """By URL, the one that was looked at last at the end."""

    def chosen_theme(self, configured: str) -> str:
        """Return what was chosen since this was configured; empty if nothing was."""
        return self.theme if self.configured_theme == configured else ""

    def with_server(self, url: str, server: ServerState) -> UiState:
        """Return the state with what is remembered of a server."""
        others = {known: state for known, state in self.servers.items() if known != url}
        latest = dict(list(others.items())[1 - SERVERS :])
        return msgspec.structs.replace(self, servers=latest | {url: server})


def load_state(file: Path | None) -> UiState:
    """Read the state. A file that is absent, broken or of another version is as good as none: nothing depends on it."""
    if file is None:
        return UiState()
    try:
        state = msgspec.json.decode(file.read_bytes(), type=UiState)
    except (OSError, msgspec.DecodeError):
        return UiState()
    return state if state.version == VERSION else UiState()


def save_state(file: Path | None, state: UiState) -> None:
    """Write the state in one step, so that a reader sees the old or the new one whole.

    Raises:
        OSError: The file cannot be written.
    """
    if file is None:
        return
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(msgspec.json.encode(state))
        temporary.replace(file)
    except OSError:
        temporary.unlink()
        raise
