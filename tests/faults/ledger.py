"""Three ledgers of what was accepted, which must agree: the clients', the devices', and the database at rest.

A client writes down each 202 and fsyncs it before it goes on. A device writes down what it has received and decrypted.
The database is read when no server has it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.model import UNSETTLED, DispatchState, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

EXCUSES: Final = frozenset(Outcome) - UNSETTLED - {Outcome.ACCEPTED}
"""What the database may say of something that a device has not received: each tells why not."""
_MOMENTS: Final = count(1)
"""What orders the entries of all ledgers: they are kept by one process."""


@dataclass
class Asked:
    """What a client asked for, and what it was told."""

    title: str
    """Of which there is one for each, so that it can be found again on the device."""
    devices: frozenset[str]
    """The endpoints that it is for, as far as the client can know."""
    topic: str | None = None
    key: str | None = None
    at: int = field(default_factory=lambda: next(_MOMENTS))
    dispatch: str | None = None
    """The dispatch of the first 202."""
    accepted_at: int | None = None
    is_refused: bool = False
    """Whether the client was told for good that it is not accepted."""


class ClientLedger:
    """What clients asked for, and each 202 that they got.

    Args:
        file: Where each 202 is a line that is on the disk before anybody goes on.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.open("ab", buffering=0)
        self.asked: dict[str, Asked] = {}
        self.answers = 0
        self.contradictions: list[str] = []
        """Repeats that were told another dispatch than the first."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def ask(self, asked: Asked) -> Asked:
        """Note that something is about to be asked for."""
        self.asked[asked.title] = asked
        return asked

    def accepted(self, asked: Asked, dispatch: str) -> None:
        """Write down that it was accepted."""
        self._file.write(json.dumps({"title": asked.title, "dispatch": dispatch}).encode() + b"\n")
        os.fsync(self._file.fileno())
        self.answers += 1
        if asked.dispatch is None:
            asked.dispatch, asked.accepted_at = dispatch, next(_MOMENTS)
        elif asked.dispatch != dispatch:
            self.contradictions.append(f"{asked.title} was accepted as {asked.dispatch}, then as {dispatch}")


class Receipt(NamedTuple):
    """What a device has received and decrypted."""

    title: str
    dispatch: str
    device: str
    at: int
    kills: int
    """How many servers had been killed by then."""


class DeviceLedger:
    """What devices have received."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.undecryptable = 0

    def received(self, title: str, dispatch: str, device: str, kills: int) -> None:
        """Write down what a device has decrypted."""
        self.receipts.append(Receipt(title, dispatch, device, next(_MOMENTS), kills))


class Pair(NamedTuple):
    """A dispatch, and a device by its endpoint."""

    dispatch: str
    device: str


class Rest(NamedTuple):
    """The database at rest."""

    states: Mapping[str, str]
    """Of each dispatch."""
    outcomes: Mapping[Pair, str]
    """Of each delivery; what is kept of a broadcast is only what was not accepted."""


def at_rest(file: Path) -> Rest:
    """Read what became of everything."""
    with closing(_read_only(file)) as database:
        states = dict(database.execute("SELECT id, state FROM dispatches"))
        rows = database.execute(
            "SELECT dispatch, endpoint, outcome FROM deliveries JOIN subscriptions ON subscriptions.id = subscription"
        )
        return Rest(states, {Pair(dispatch, endpoint): outcome for dispatch, endpoint, outcome in rows})


def in_flight(file: Path) -> frozenset[Pair]:
    """Return what a server was at when it was killed: each of them may have been sent, and is sent again.

    That is what it had claimed, and of a broadcast what is in no chunk that is settled.
    """
    with closing(_read_only(file)) as database:
        rows = database.execute(
            "SELECT dispatch, endpoint FROM deliveries JOIN subscriptions ON subscriptions.id = subscription "
            "WHERE claim_id IS NOT NULL UNION "
            "SELECT broadcasts.dispatch, endpoint FROM broadcasts "
            "JOIN dispatches ON dispatches.id = broadcasts.dispatch AND dispatches.state = ? "
            "JOIN subscriptions ON subscriptions.id <= last_subscription WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE "
            "chunks.dispatch = broadcasts.dispatch AND chunks.service = subscriptions.service "
            'AND subscriptions.id > chunks."after" AND subscriptions.id <= chunks.last)',
            (DispatchState.SENDING,),
        )
        return frozenset(Pair(*row) for row in rows)


def unfinished(file: Path) -> int:
    """Return how many dispatches are not ended."""
    ended = (DispatchState.DONE, DispatchState.CANCELLED)
    with closing(_read_only(file)) as database:
        return int(database.execute("SELECT count(*) FROM dispatches WHERE state NOT IN (?, ?)", ended).fetchone()[0])


def integrity(file: Path) -> str:
    """Return what SQLite says of a file: `ok`."""
    with closing(_read_only(file)) as database:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])


@dataclass
class Comparison:
    """What comes of laying the ledgers side by side."""

    accepted: int = 0
    """Requests that were answered 202."""
    due: int = 0
    """What that comes to: each of them for each of its devices."""
    received: int = 0
    excused: Counter[str] = field(default_factory=Counter)
    """What was not received, by what the database says of it."""
    lost: list[str] = field(default_factory=list)
    duplicates: int = 0
    unexplained: list[str] = field(default_factory=list)
    """What came twice although it was not in flight at any kill in between."""
    overtaken: list[str] = field(default_factory=list)
    """What came after a newer one of its topic."""
    wrong: list[str] = field(default_factory=list)
    """All else that must not be."""

    @property
    def faults(self) -> list[str]:
        """Return all that must not be; nothing if the ledgers agree."""
        return [*self.lost, *self.unexplained, *self.overtaken, *self.wrong]


def compare(
    clients: ClientLedger,
    devices: DeviceLedger,
    rest: Rest,
    kills: list[frozenset[Pair]],
    ended: Collection[str] = (),
) -> Comparison:
    """Lay the ledgers side by side.

    Args:
        clients: What was accepted.
        devices: What was received.
        rest: The database, once everything has ended.
        kills: What was in flight at each.
        ended: Devices that have ended their subscription: nothing has to be known of them.
    """
    found = Comparison(wrong=list(clients.contradictions))
    by_pair: dict[Pair, list[Receipt]] = defaultdict(list)
    for receipt in devices.receipts:
        if receipt.title in clients.asked:
            by_pair[Pair(receipt.dispatch, receipt.device)].append(receipt)
    written: dict[str, set[str]] = defaultdict(set)
    for pair in rest.outcomes:
        written[pair.dispatch].add(pair.device)
    for asked in clients.asked.values():
        if asked.dispatch is None:
            continue
        found.accepted += 1
        state = rest.states.get(asked.dispatch)
        if state not in {DispatchState.DONE, DispatchState.CANCELLED}:
            found.lost.append(f"{asked.title} was accepted, and its dispatch is {state or 'not there'}")
        for device in (asked.devices - set(ended)) | written[asked.dispatch]:
            found.due += 1
            _account(found, asked, Pair(asked.dispatch, device), by_pair, rest)
    for receipts in by_pair.values():
        _count_duplicates(found, receipts, kills)
    found.overtaken += _overtaken(clients.asked.values(), by_pair)
    found.wrong += _sent_unasked(clients, by_pair)
    if devices.undecryptable:
        found.wrong.append(f"{devices.undecryptable} pushes could not be decrypted")
    return found


def _sent_unasked(clients: ClientLedger, by_pair: Mapping[Pair, list[Receipt]]) -> Iterator[str]:
    """Yield what was received and refused, or received as another dispatch than the one that it was accepted as."""
    for pair, (receipt, *_) in by_pair.items():
        asked = clients.asked[receipt.title]
        if asked.is_refused:
            yield f"{asked.title} was refused, and was sent all the same"
        if asked.dispatch not in {None, pair.dispatch}:
            yield f"{asked.title} was accepted as {asked.dispatch}, and was sent as {pair.dispatch}, too"


def _account(
    found: Comparison, asked: Asked, pair: Pair, by_pair: Mapping[Pair, Collection[Receipt]], rest: Rest
) -> None:
    if pair in by_pair:
        found.received += 1
        return
    outcome = rest.outcomes.get(pair)
    if outcome in EXCUSES:
        found.excused[str(outcome)] += 1
    else:
        found.lost.append(f"{asked.title} was accepted, not received, and is {outcome or 'not there'} in the database")


def _count_duplicates(found: Comparison, receipts: list[Receipt], kills: list[frozenset[Pair]]) -> None:
    for first, second in pairwise(receipts):
        found.duplicates += 1
        pair = Pair(second.dispatch, second.device)
        if not any(pair in kill for kill in kills[first.kills : second.kills]):
            when = f"after {first.kills} kills and after {second.kills}"
            found.unexplained.append(f"{second.title} came twice, {when}, and was in flight at none in between")


def _overtaken(asked: Iterable[Asked], by_pair: Mapping[Pair, list[Receipt]]) -> Iterator[str]:
    """Yield what was received after a newer one of its topic.

    Newer is what was asked for when the other had been accepted already: of all else no client knows the order.
    """
    topics: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        if one.topic is not None and one.dispatch is not None:
            topics[one.topic].append(one)
    for group in topics.values():
        received: dict[str, list[tuple[int, Asked]]] = defaultdict(list)
        for one in group:
            for device in one.devices:
                received[device] += [(r.at, one) for r in by_pair.get(Pair(one.dispatch or "", device), ())]
        for entries in received.values():
            newest = 0
            for _, one in sorted(entries, key=lambda entry: entry[0]):
                if one.accepted_at is not None and one.accepted_at < newest:
                    yield f"{one.title} came after a newer one of its topic"
                newest = max(newest, one.at)


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)
