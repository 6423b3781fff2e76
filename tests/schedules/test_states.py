"""That it is enough to go on from one of the schedules that lead to a state."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from tests.schedules.actions import ACTIONS, Schedule, parsed
from tests.schedules.explorer import Explorer
from tests.schedules.states import state_of
from tests.schedules.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH = 4


def _after(schedule: Schedule) -> World:
    world = World()
    for action in schedule:
        world.act(action)
    return world


def _of_length(length: int) -> Iterator[Schedule]:
    if not length:
        yield ()
        return
    for schedule in _of_length(length - 1):
        for action in _after(schedule).choices():
            yield (*schedule, action)


def _next_states(schedule: Schedule) -> set[bytes]:
    return {state_of(_after((*schedule, action))) for action in _after(schedule).choices()}


def test_no_state_is_lost_by_what_is_not_tried_and_equal_states_have_equal_futures() -> None:
    firsts: dict[bytes, Schedule] = {}
    for number, schedule in enumerate(schedule for length in range(DEPTH + 1) for schedule in _of_length(length)):
        state = state_of(_after(schedule))
        first = firsts.setdefault(state, schedule)
        if first != schedule and number % 15 == 0:
            # Of three who wait alike, one can be cancelled: then they are as they were before the third came.
            assert _next_states(schedule) <= _next_states(first) | {state}
    explorer = Explorer()
    explorer.explore(DEPTH)
    assert explorer.states == len(firsts)


def test_every_action_can_happen() -> None:
    assert {parsed(action)[0] for schedule in _of_length(3) for action in schedule} == set(ACTIONS)


def test_a_schedule_comes_to_the_same_each_time() -> None:
    for schedule in islice(_of_length(DEPTH), 0, None, 100):
        assert state_of(_after(schedule)) == state_of(_after(schedule))
