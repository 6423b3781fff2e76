"""How many connections may be open, and which of them makes room for a new one. Pure: whom it tells of closes them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C")

REFUSED_AT_ONCE: Final = 64
"""Connections beyond the cap that are open for as long as it takes to refuse them; more are closed without a word."""
TIME_TO_SPEAK_S: Final = 1.0
"""Seconds in which a new connection is not closed for another if there is another to close."""


class Verdict(NamedTuple, Generic[C]):
    """What becomes of a new connection, and of which one instead."""

    is_admitted: bool
    evicted: C | None = None
    """The one to be closed; it is no longer counted."""


@dataclass(slots=True)
class _Resting(Generic[C]):
    """Connections that have nothing to do, the longest resting first."""

    silent: OrderedDict[C, float] = field(default_factory=OrderedDict)
    """Those that never asked for anything, with the time at which they were opened."""
    between: OrderedDict[C, None] = field(default_factory=OrderedDict)
    """Those between two requests."""

    def first_to_go(self, now: float) -> C | None:
        """Return the one that makes room for another.

        Whoever keeps a connection for the next request loses one that is about to be made if it is closed now; a silent
        one has nothing to lose, once it has had its time to speak.
        """
        silent = next(iter(self.silent.items()), None)
        if silent is not None and (not self.between or now - silent[1] >= TIME_TO_SPEAK_S):
            return silent[0]
        return next(iter(self.between), None)

    def discard(self, connection: C) -> None:
        """Forget one, known or not."""
        self.silent.pop(connection, None)
        self.between.pop(connection, None)

    def __contains__(self, connection: C) -> bool:
        return connection in self.silent or connection in self.between


@dataclass(slots=True)
class _Neighbours(Generic[C]):
    """The connections of one network."""

    count: int = 0
    resting: _Resting[C] = field(default_factory=_Resting)


class Connections(Generic[C]):
    """The open connections. One that rests, between requests or before its first, may be closed for another.

    So that idle connections lock nobody out, a new one is let in for one that rests: of its own network if that has as
    many as it may, or its even share of all; else of all. The longest resting goes first, and those that never asked
    for anything before those that did. One that works makes room for nobody.

    Args:
        most: How many may be open.
        most_per_network: How many of one network, where that is limited.
        now: A clock in seconds that never jumps.
        most_refused: How many beyond may be open while they are refused.
    """

    def __init__(
        self, *, most: int, most_per_network: int, now: Callable[[], float], most_refused: int = REFUSED_AT_ONCE
    ) -> None:
        self._most = most
        self._most_per_network = most_per_network
        self._now = now
        self._most_refused = most_refused
        self._networks: dict[C, str] = {}
        self._neighbours: dict[str, _Neighbours[C]] = {}
        self._resting: _Resting[C] = _Resting()
        self._refused: set[C] = set()

    def __len__(self) -> int:
        return len(self._networks)

    def admit(self, connection: C, network: str, *, is_limited: bool = True) -> Verdict[C]:
        """Let a new connection in, which rests then, or refuse it.

        Args:
            connection: The connection.
            network: Where it comes from.
            is_limited: Whether the limit per network is for it: not so for this machine, and for proxies.
        """
        neighbours = self._neighbours.get(network) or _Neighbours()
        evicted = resting = None
        if is_limited and neighbours.count >= self._most_per_network:
            resting = neighbours.resting
        elif len(self._networks) >= self._most:
            share = self._most / len(self._neighbours.keys() | {network})
            resting = neighbours.resting if neighbours.count >= share else self._resting
        if resting is not None:
            evicted = resting.first_to_go(self._now())
            if evicted is None:
                return Verdict(is_admitted=False)
            self.leave(evicted)
        self._networks[connection] = network
        neighbours = self._neighbours.setdefault(network, neighbours)
        neighbours.count += 1
        neighbours.resting.silent[connection] = self._resting.silent[connection] = self._now()
        return Verdict(is_admitted=True, evicted=evicted)

    def refuse(self, connection: C) -> bool:
        """Note one that is not let in; returns whether there is time to tell it so."""
        if len(self._refused) >= self._most_refused:
            return False
        self._refused.add(connection)
        return True

    def rest(self, connection: C) -> None:
        """Note that a connection waits for a request from now on, unless it does already."""
        network = self._networks.get(connection)
        if network is not None and connection not in self._resting:
            self._resting.between[connection] = self._neighbours[network].resting.between[connection] = None

    def work(self, connection: C) -> None:
        """Note that a connection has a request to answer."""
        network = self._networks.get(connection)
        if network is not None:
            self._resting.discard(connection)
            self._neighbours[network].resting.discard(connection)

    def leave(self, connection: C) -> None:
        """Forget a connection, known or not."""
        self._refused.discard(connection)
        self.work(connection)
        network = self._networks.pop(connection, None)
        if network is not None:
            neighbours = self._neighbours[network]
            neighbours.count -= 1
            if not neighbours.count:
                del self._neighbours[network]
