"""What the console needs of the machine: a terminal, the time, a place for what it remembers."""

from __future__ import annotations

import asyncio
import select
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import platformdirs

from pushdesk.cli.output import tell
from pushdesk.errors import EXIT_DONE, StartUpError

if TYPE_CHECKING:
    from collections.abc import Callable
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


class LastingStream:
    """The error stream, to which Textual paints, as one that never fails.

    Textual paints in a thread that dies with the first error, after which the console would wait for it for ever: a
    terminal that is gone takes everything instead.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (it is whatever the stream has)
        """Return what else the stream has."""
        return getattr(self._stream, name)


def watch_terminal(on_gone: Callable[[], object]) -> None:
    """Call back, in another thread, once the terminal is gone: also who ignores hang-ups (`nohup`) cannot use it."""
    poll = select.poll()
    # Hang-ups are told without being asked for; input is not for us.
    poll.register(sys.__stdin__.fileno() if sys.__stdin__ else 0, 0)

    def wait() -> None:
        poll.poll()
        # The console may have ended meanwhile: its loop is closed, and there is nobody left to be told.
        with suppress(RuntimeError):
            on_gone()

    threading.Thread(target=wait, name="terminal", daemon=True).start()


async def run_app(app: PushdeskApp) -> int:
    """Run the console to its end; returns the exit code, and tells why if it ended by itself."""
    app.listen_to_signals()
    if sys.__stderr__ is not None:
        sys.__stderr__ = LastingStream(sys.__stderr__)  # type: ignore[misc,assignment]  # where Textual looks
    loop = asyncio.get_running_loop()
    watch_terminal(partial(loop.call_soon_threadsafe, app.leave, EXIT_DONE))
    code = await app.run_async()
    if app.error is not None:
        tell(str(app.error))
    return app.return_code or 0 if code is None else code
