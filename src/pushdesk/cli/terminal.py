"""What the console needs of the machine: a terminal, the time, a place for what it remembers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import platformdirs

from pushdesk.cli.output import tell
from pushdesk.errors import StartUpError

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.console.app import PushdeskApp


def require_terminal(*, hint: str) -> None:
    """Refuse to open a console where nobody could see it.

    Raises:
        StartUpError: Input, output or the error stream, to which Textual paints, is no terminal.
    """
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise StartUpError("The console needs a terminal.", hint=hint)


def local_time() -> datetime:
    """Return the time in the zone of whoever looks."""
    return datetime.now(UTC).astimezone()


def console_state_file() -> Path | None:
    """Return the file in which the console remembers; None if there can be none, since nothing depends on it."""
    folder = platformdirs.user_state_path("pushdesk", appauthor=False)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / "console.json"


async def run_app(app: PushdeskApp) -> int:
    """Run the console to its end; returns the exit code, and tells why if it ended by itself."""
    app.listen_to_signals()
    code = await app.run_async()
    if app.error is not None:
        tell(str(app.error))
    return app.return_code or 0 if code is None else code
