"""The comparison of the three ledgers finds what it is there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.model import DispatchState, Outcome
from tests.faults.ledger import Asked, ClientLedger, DeviceLedger, Pair, Rest, compare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.ledger import Comparison

PHONE = "https://push.example/phone"
DONE = {"d1": DispatchState.DONE, "d2": DispatchState.DONE}


class Ledgers:
    """Two ledgers, with one request that was accepted for one device."""

    def __init__(self, file: Path) -> None:
        self.clients = ClientLedger(file)
        self.devices = DeviceLedger()
        self.first = self.ask("one", "d1")

    def ask(self, title: str, dispatch: str) -> Asked:
        asked = self.clients.ask(Asked(title, frozenset({PHONE}), topic="weather"))
        self.clients.accepted(asked, dispatch)
        return asked

    def compare(self, *outcomes: Outcome, kills: tuple[frozenset[Pair], ...] = ()) -> Comparison:
        """Compare with a database in which the first dispatch has these outcomes."""
        rest = Rest(DONE, {Pair("d1", PHONE): outcome for outcome in outcomes})
        return compare(self.clients, self.devices, rest, list(kills))


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[Ledgers]:
    made = Ledgers(tmp_path / "accepted")
    yield made
    made.clients.close()


def test_what_was_received_is_not_lost(ledgers: Ledgers) -> None:
    ledgers.devices.received("one", "d1", PHONE, 0)
    found = ledgers.compare(Outcome.ACCEPTED)
    assert (found.faults, found.accepted, found.due, found.received) == ([], 1, 1, 1)


@pytest.mark.parametrize("outcome", [Outcome.EXPIRED, Outcome.GONE, Outcome.SUPERSEDED, Outcome.REFUSED])
def test_what_is_told_of_is_not_lost(ledgers: Ledgers, outcome: Outcome) -> None:
    found = ledgers.compare(outcome)
    assert (found.faults, dict(found.excused)) == ([], {outcome: 1})


@pytest.mark.parametrize("outcomes", [(), (Outcome.ACCEPTED,), (Outcome.WAITING,), (Outcome.TRANSIENT,)])
def test_what_was_neither_received_nor_told_of_is_lost(ledgers: Ledgers, outcomes: tuple[Outcome, ...]) -> None:
    assert len(ledgers.compare(*outcomes).lost) == 1


def test_what_the_database_does_not_know_or_has_not_ended_is_lost(ledgers: Ledgers) -> None:
    ledgers.devices.received("one", "d1", PHONE, 0)
    for states in ({}, {"d1": DispatchState.SENDING}):
        assert len(compare(ledgers.clients, ledgers.devices, Rest(states, {}), []).lost) == 1


def test_what_came_twice_has_to_have_been_in_flight_at_a_kill_in_between(ledgers: Ledgers) -> None:
    ledgers.devices.received("one", "d1", PHONE, 1)
    ledgers.devices.received("one", "d1", PHONE, 2)
    flying, nothing = frozenset({Pair("d1", PHONE)}), frozenset[Pair]()
    found = ledgers.compare(kills=(nothing, flying))
    assert (found.duplicates, found.faults) == (1, [])
    for kills in ((flying, nothing), (nothing, nothing)):
        assert len(ledgers.compare(kills=kills).unexplained) == 1


def test_an_older_one_of_a_topic_does_not_come_after_a_newer_one(ledgers: Ledgers) -> None:
    ledgers.ask("two", "d2")
    ledgers.devices.received("two", "d2", PHONE, 0)
    assert ledgers.compare(Outcome.SUPERSEDED).faults == []
    ledgers.devices.received("one", "d1", PHONE, 0)
    assert len(ledgers.compare(Outcome.ACCEPTED).overtaken) == 1


def test_nothing_is_sent_that_was_refused_nor_as_two_dispatches(ledgers: Ledgers) -> None:
    for dispatch in ("d1", "d2"):
        ledgers.devices.received("one", dispatch, PHONE, 0)
    assert len(ledgers.compare().wrong) == 1
    ledgers.clients.accepted(ledgers.first, "d2")
    assert len(ledgers.compare().wrong) == 2
    refused = ledgers.clients.ask(Asked("three", frozenset({PHONE})))
    refused.is_refused = True
    ledgers.devices.received("three", "d3", PHONE, 0)
    assert len(ledgers.compare().wrong) == 3


def test_what_cannot_be_decrypted_is_told(ledgers: Ledgers) -> None:
    ledgers.devices.received("one", "d1", PHONE, 0)
    ledgers.devices.undecryptable = 1
    assert len(ledgers.compare().wrong) == 1
