"""How connections are guarded: how long a client is waited for, how many there may be, what they are cut for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from pushdesk.log import write
from pushdesk.log_events import ConnectionsCut
from pushdesk.log_fields import Cut
from pushdesk.server.tally import Tally

if TYPE_CHECKING:
    from pushdesk.server.connections import Connections


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds a client is waited for."""

    header_s: float = 10.0
    """From the opening of a connection, or the first byte of a later request, to the end of the request's header."""
    rest_s: float = 75.0
    """Between an answer and the next request. Longer than proxies keep connections."""
    answer_s: float = 30.0
    """For an answer to be read, but for what the network holds by itself."""
    left_s: float = 2.0
    """For the rest of a body that was refused, so that a client that is still sending reads why; and for the request of
    a connection that will be refused."""
    closing_s: float = 5.0
    """For what was sent last to be read, once a connection is to be closed."""


class Guarded(Protocol):
    """A connection."""

    def make_room(self) -> None:
        """Close: another needs the place."""
        ...


class Guard:
    """What all connections of a server share: their number, and what they are cut for.

    Args:
        connections: The open ones.
    """

    def __init__(self, connections: Connections[Guarded]) -> None:
        self.connections = connections
        self._cut = {cut: Tally(time.monotonic) for cut in Cut}

    @property
    def cut(self) -> dict[Cut, int]:
        """How many connections were cut for what."""
        return {cut: tally.total for cut, tally in self._cut.items()}

    def count(self, cut: Cut) -> None:
        """Count one, and tell of many in one line."""
        if connections := self._cut[cut].add():
            write(ConnectionsCut(cut=cut, connections=connections))


GUARD: Final = web.AppKey("guard", Guard)
