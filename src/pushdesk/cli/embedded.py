"""The embedded server: engine and HTTP server on an event loop of their own, in a second thread of the console."""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
from typing import TYPE_CHECKING, Final

from pushdesk.cli.ending import tell_waiting
from pushdesk.cli.hosting import explain, host, open_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.cli.hosting import Prepared
    from pushdesk.errors import PushdeskError
    from pushdesk.log_ring import LogRing
    from pushdesk.model import Scope, Stats


TURNS_S: Final = 0.0005
"""For how long the console, while it paints, keeps a server waiting that has something to do: Python's own 5 ms would
come with each request and each answer."""


class EmbeddedServer:
    """A server in a thread; its methods are called on the console's event loop.

    Args:
        prepared: What the server needs before it runs.
        session_scope: What the console's token allows.

    Attributes:
        token: The console's token, which lives as long as the process.
        on_failure: Called on the console's loop with the reason if the server ends by itself once it has started.
    """

    def __init__(self, prepared: Prepared, *, session_scope: Scope) -> None:
        self.on_failure: Callable[[PushdeskError], None] = _ignore
        self.token = secrets.token_urlsafe(32)
        self._prepared = prepared
        self._session_scope = session_scope
        self._thread = threading.Thread(target=self._run, name="server")
        self._console = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._console.create_future()
        self._ended = asyncio.Event()
        self._lock = threading.Lock()
        self._end_asked = False
        self._ask_end: Callable[[], None] = _do_nothing

    async def start(self) -> None:
        """Start the thread and wait until requests are answered.

        Raises:
            PushdeskError: The server cannot start.
        """
        sys.setswitchinterval(TURNS_S)
        self._thread.start()
        # Shielded: a console that is left meanwhile takes nothing from the thread.
        await asyncio.shield(self._ready)

    async def end(self) -> None:
        """Let what is in flight end, and wait for the thread."""
        if not self._thread.ident:
            return
        with self._lock:
            self._end_asked = True
            self._ask_end()
        await self._ended.wait()
        self._thread.join()

    def _run(self) -> None:
        error: PushdeskError | None = None
        try:
            log_ring = open_log(self._prepared.config, on_terminal=False)
            asyncio.run(self._host(log_ring))
        except BaseException as caught:  # noqa: BLE001 - whatever ends the server ends the console, which says so
            error = explain(caught)
        finally:
            # In any case: `end` waits for it.
            self._console.call_soon_threadsafe(self._has_ended, error)

    async def _host(self, log_ring: LogRing) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask_end() -> None:
            loop.call_soon_threadsafe(stop.set)

        def tell_ready(_: Stats) -> None:
            self._console.call_soon_threadsafe(self._is_ready)

        with self._lock:
            self._ask_end = ask_end
            if self._end_asked:
                stop.set()
        try:
            await host(
                self._prepared,
                stop=stop,
                on_ready=tell_ready,
                on_waiting=tell_waiting,
                log_ring=log_ring,
                session_token=self.token,
                session_scope=self._session_scope,
            )
        finally:
            with self._lock:
                self._ask_end = _do_nothing

    def _is_ready(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _has_ended(self, error: PushdeskError | None) -> None:
        if error is not None and not self._ready.done():
            self._ready.set_exception(error)
        elif error is not None:
            self.on_failure(error)
        self._ended.set()


def _do_nothing() -> None:
    """Stand for a loop that does not run yet, or no longer."""


def _ignore(error: PushdeskError) -> None:
    """Stand for a console that is not there yet."""
