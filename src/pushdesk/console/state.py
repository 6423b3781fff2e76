"""What the console remembers between two runs: screen, sort orders, theme."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

VERSION: Final = 1


class UiState(msgspec.Struct, frozen=True):
    """The remembered state; one of another version is not read."""

    version: int = VERSION
    screen: str = ""
    theme: str = ""
    sorts: dict[str, str] = {}


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
