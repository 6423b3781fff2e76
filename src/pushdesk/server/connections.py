"""How many connections may be open, and which of them makes room for a new one. Pure: whom it tells of closes them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

C = TypeVar("C")

REFUSED_AT_ONCE: Final = 64
"""Connections beyond the cap that are open for as long as it takes to refuse them; more are closed without a word."""


class Verdict(NamedTuple, Generic[C]):
    """What becomes of a new connection, and of which one instead."""

    is_admitted: bool
    evicted: C | None = None
    """The one to be closed; it is no longer counted."""


@dataclass(slots=True)
class _Neighbours(Generic[C]):
    """The connections of one network."""

    count: int = 0
    resting: OrderedDict[C, None] = field(default_factory=OrderedDict)


class Connections(Generic[C]):
    """The open connections. One that rests, between requests or before its first, may be closed for another.

    So that idle connections lock nobody out, a new one is let in for the one that has rested longest: of its own
    network if that has as many as it may, or its even share of all; else of all. One that works makes room for nobody.

    Args:
        most: How many may be open.
        most_per_network: How many of one network, where that is limited.
        most_refused: How many beyond may be open while they are refused.
    """

    def __init__(self, *, most: int, most_per_network: int, most_refused: int = REFUSED_AT_ONCE) -> None:
        self._most = most
        self._most_per_network = most_per_network
        self._most_refused = most_refused
        self._networks: dict[C, str] = {}
        self._neighbours: dict[str, _Neighbours[C]] = {}
        self._resting: OrderedDict[C, None] = OrderedDict()
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
        evicted: C | None = None
        if is_limited and neighbours.count >= self._most_per_network:
            resting = neighbours.resting
        elif len(self._networks) >= self._most:
            share = self._most / len(self._neighbours.keys() | {network})
            resting = neighbours.resting if neighbours.count >= share else self._resting
        else:
            resting = None
        if resting is not None:
            evicted = next(iter(resting), None)
            if evicted is None:
                return Verdict(is_admitted=False)
            self.leave(evicted)
        self._networks[connection] = network
        neighbours = self._neighbours.setdefault(network, neighbours)
        neighbours.count += 1
        self.rest(connection)
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
            self._resting[connection] = None
            self._neighbours[network].resting[connection] = None

    def work(self, connection: C) -> None:
        """Note that a connection has a request to answer."""
        network = self._networks.get(connection)
        if network is not None:
            self._resting.pop(connection, None)
            self._neighbours[network].resting.pop(connection, None)

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
