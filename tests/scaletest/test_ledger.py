"""The ledger counts each turn once, whatever comes."""

from __future__ import annotations

from random import Random

import pytest

from pushdesk.scaletest.crowd import CYCLE, make_crowd
from pushdesk.scaletest.ledger import Ledger, Missing
from tests.scaletest.pushing import pushed

CHANCE = Random(1)  # noqa: S311  (the same every time)
CROWD = make_crowd(3, CHANCE)


class Turns:
    """A ledger, with a clock that is set by hand."""

    def __init__(self, turns: int = 40) -> None:
        self.now = 100.0
        self.went_on: list[int] = []
        self.ledger = Ledger(CROWD, turns, chance=CHANCE, clock=lambda: self.now, arrived=self.went_on.append)

    def ask(self, number: int) -> int:
        turn = self.ledger.ask(number)
        self.ledger.accept(number)
        return turn

    def ask_and_push(self, number: int) -> None:
        self.ledger.push(number, pushed(CROWD[number], self.ask(number)))


def test_turns_that_arrive_are_counted_and_told() -> None:
    turns = Turns(turns=2)
    for _ in range(2):
        for number in (0, 1, 2):
            turns.ask_and_push(number)
    assert turns.ledger.is_complete
    assert turns.went_on == [0, 1, 2, 0, 1, 2]
    assert turns.ledger.missing() == []
    assert turns.ledger.decrypt() == (6, 0)


def test_a_push_that_comes_twice_is_a_duplicate_and_not_the_next_turn() -> None:
    turns = Turns()
    turns.ask_and_push(0)
    turns.ledger.push(0, pushed(CROWD[0], 0))
    assert (turns.ledger.arrived, turns.ledger.duplicates) == (1, 1)
    turns.ask(0)
    # Also while the next one is waited for, encrypted anew as a server does that sends again.
    turns.ledger.push(0, pushed(CROWD[0], 0))
    assert (turns.ledger.arrived, turns.ledger.duplicates) == (1, 2)
    turns.ledger.push(0, pushed(CROWD[0], 1))
    assert (turns.ledger.arrived, turns.ledger.duplicates, turns.ledger.strange) == (2, 2, [])


@pytest.mark.parametrize("late_by", range(1, CYCLE))
def test_a_late_duplicate_of_any_turn_of_a_cycle_is_told_from_the_one_that_is_waited_for(late_by: int) -> None:
    turns = Turns()
    for _ in range(20):
        turns.ask_and_push(1)
    turns.ask(1)
    turns.ledger.push(1, pushed(CROWD[1], 20 - late_by))
    assert (turns.ledger.arrived, turns.ledger.duplicates) == (20, 1)


def test_a_turn_that_was_not_asked_for_is_told() -> None:
    turns = Turns()
    turns.ask(0)
    turns.ledger.push(0, pushed(CROWD[0], 5))
    assert turns.ledger.arrived == 0
    assert turns.ledger.strange == ["turn 6 of chat-000000, which was not asked for yet"]


def test_what_cannot_be_decrypted_is_told_and_arrives_not() -> None:
    turns = Turns()
    turns.ask(0)
    turns.ledger.push(0, pushed(CROWD[1], 0))
    turns.ledger.push(0, b"nonsense")
    assert turns.ledger.arrived == 0
    assert turns.ledger.strange == ["a push for chat-000000 that cannot be decrypted or read"] * 2


def test_a_push_whose_content_is_another_than_was_sent_is_told() -> None:
    turns = Turns()
    turns.ask_and_push(0)
    turns.ask_and_push(1)
    turns.ask(0)
    honest = pushed(CROWD[0], 1)
    title = "The agent in chat-000000 has finishes"
    lying = pushed(CROWD[0], 1, title=title)
    assert len(lying) == len(honest)
    turns.ledger.push(0, lying)
    assert turns.ledger.decrypt() == (2, 1)
    assert turns.ledger.strange == ["turn 2 of chat-000000, which is not what was sent"]


def test_other_pushes_are_no_turns() -> None:
    turns = Turns()
    turns.ask(0)
    turns.ledger.push(0, pushed(CROWD[0], 0, body="It's working! You've subscribed to push notifications."))
    assert (turns.ledger.arrived, turns.ledger.tests, turns.ledger.strange) == (0, 1, [])


def test_what_is_missing_is_named() -> None:
    turns = Turns(turns=2)
    for _ in range(2):
        turns.ask_and_push(0)
    turns.ask_and_push(1)
    turns.ask(1)
    turns.ledger.ask(2)
    assert turns.ledger.missing() == [
        Missing("chat-000001", 2, was_accepted=True),
        Missing("chat-000002", 1, was_accepted=False),
    ]
    assert turns.ledger.under_way == 2


def test_a_turn_that_arrives_and_was_refused_is_not_complete() -> None:
    turns = Turns(turns=1)
    for number in (0, 1):
        turns.ask_and_push(number)
    turns.ledger.push(2, pushed(CROWD[2], turns.ledger.ask(2)))
    assert (turns.ledger.arrived, turns.ledger.missing()) == (3, [])
    assert (turns.ledger.is_complete, turns.ledger.untaken()) == (False, ["chat-000002"])
    turns.ledger.accept(2)
    assert (turns.ledger.is_complete, turns.ledger.untaken()) == (True, [])


def test_the_next_turn_waits_for_answer_and_arrival() -> None:
    turns = Turns()
    assert turns.ledger.may_go_on(0)
    turn = turns.ledger.ask(0)
    assert not turns.ledger.may_go_on(0)
    turns.ledger.push(0, pushed(CROWD[0], turn))
    # The push was faster than the answer.
    assert not turns.ledger.may_go_on(0)
    turns.ledger.accept(0)
    assert turns.ledger.may_go_on(0)


def test_what_the_server_puts_off_is_waited_for() -> None:
    turns = Turns()
    turns.ledger.ask(0)
    turns.ledger.put_off(60)
    assert turns.ledger.moved_at == turns.now + 60


def test_times_are_counted_from_the_request() -> None:
    turns = Turns()
    turn = turns.ledger.ask(0)
    turns.now += 0.25
    turns.ledger.accept(0)
    turns.now += 0.5
    turns.ledger.push(0, pushed(CROWD[0], turn))
    assert turns.ledger.to_accept.percentile(50) == pytest.approx(0.25, rel=0.01)
    assert turns.ledger.to_arrive.percentile(50) == pytest.approx(0.75, rel=0.01)
    assert turns.ledger.ticks == [0, 0, 0, 0, 0, 0, 0, 1]
