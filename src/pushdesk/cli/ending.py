"""How a command ends: the exit code of what it came to, and the signals that ask for an end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

import typer

from pushdesk.cli.output import tell
from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, PushdeskError

if TYPE_CHECKING:
    from collections.abc import Callable

ENDING_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end(command: Callable[[], int]) -> None:
    """Run a command and end with its exit code; an error for a person is one line on stderr."""
    try:
        code = command()
    except PushdeskError as error:
        tell(str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    raise typer.Exit(code)


class EndBySignal:
    """The first signal asks for an end; a second one ends the process at once."""

    def __init__(self) -> None:
        import asyncio

        self.asked = asyncio.Event()
        self.exit_code = EXIT_DONE
        self.listen()

    def listen(self) -> None:
        """Take the signals, but for those that whoever started us wants ignored (`nohup`)."""
        import asyncio

        loop = asyncio.get_running_loop()
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._received, number)

    def _received(self, number: signal.Signals) -> None:
        if self.asked.is_set():
            os._exit(128 + number)
        self.exit_code = EXIT_INTERRUPTED if number is signal.SIGINT else EXIT_DONE
        self.asked.set()


def tell_waiting(in_flight: int) -> None:
    """Tell what the end of the process waits for."""
    noun = "delivery" if in_flight == 1 else "deliveries"
    tell(f"waiting for {in_flight} {noun} under way, 15 s at most; ctrl+c ends at once")
