"""`pushdesk serve`: the server without a console."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Final

from pushdesk.cli.hosting import explain, host, prepare, read_config
from pushdesk.cli.output import say, tell
from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED
from pushdesk.log import start_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.cli.hosting import Prepared
    from pushdesk.model import Stats

ENDING_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_serve(flags: Mapping[str, object], environ: Mapping[str, str]) -> int:
    """Serve until a signal; returns the exit code.

    Raises:
        PushdeskError: The server cannot start, or ended by itself.
    """
    config = read_config(flags, environ)
    prepared = prepare(config, environ)
    start_log(config.log.file or config.data_dir / "pushdesk.log", level=config.log.level, on_terminal=True)
    try:
        return asyncio.run(_serve(prepared))
    except Exception as error:  # noqa: BLE001 - whatever ends a server is logged, and said in a line
        raise explain(error) from None
    finally:
        prepared.lock.release()


async def _serve(prepared: Prepared) -> int:
    ending = EndBySignal()
    await host(
        prepared,
        stop=ending.asked,
        on_ready=lambda stats: _say_ready(prepared, stats),
        on_waiting=tell_waiting,
    )
    return ending.exit_code


class EndBySignal:
    """The first signal asks for an end; a second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.exit_code = EXIT_DONE
        self.listen()

    def listen(self) -> None:
        """Take the signals, but for those that whoever started us wants ignored (`nohup`)."""
        loop = asyncio.get_running_loop()
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._received, number)

    def _received(self, number: signal.Signals) -> None:
        if self.asked.is_set():
            os._exit(128 + number)
        self.exit_code = EXIT_INTERRUPTED if number is signal.SIGINT else EXIT_DONE
        self.asked.set()


def _say_ready(prepared: Prepared, stats: Stats) -> None:
    for warning in stats.warnings:
        tell(f"warning: {warning}")
    say(f"pushdesk: listening on {prepared.url}")


def tell_waiting(in_flight: int) -> None:
    """Tell what the end of the process waits for."""
    noun = "delivery" if in_flight == 1 else "deliveries"
    tell(f"waiting for {in_flight} {noun} under way, 15 s at most; ctrl+c ends at once")
