"""Goes through the schedules, the shortest first, until one shows something broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.schedules.actions import Schedule, can_overlap, is_swapped
from tests.schedules.invariants import broken, broken_at_rest
from tests.schedules.states import state_of
from tests.schedules.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A schedule, what then happened by itself until everything came to rest, and what that broke."""

    schedule: Schedule
    rest: Schedule
    broken: str

    def __str__(self) -> str:
        rest = f" · {' '.join(self.rest)}" if self.rest else ""
        return f"{' '.join(self.schedule)}{rest}"


class Explorer:
    """Every schedule up to a length, as far as schedules differ in what they come to.

    Args:
        make_world: Makes the world in which each schedule begins.
    """

    def __init__(self, make_world: Callable[[], World] = World) -> None:
        self._make_world = make_world
        self.depth = 0
        """The length up to which every schedule was tried."""
        self.schedules = 0
        """How many were run."""
        self.counterexample: Counterexample | None = None
        world = make_world()
        self._states = {state_of(world)}
        self._rested = set(self._states)
        self._found: list[tuple[Schedule, list[str]]] = [((), world.choices())]
        """A shortest schedule to each state, the shorter ones first, and what can happen then."""
        self._explored = 0
        """How many of those were gone on from."""

    @property
    def states(self) -> int:
        """How many different states the schedules led to."""
        return len(self._found)

    def explore(self, depth: int, *, give_up: Callable[[], bool] = lambda: False) -> Counterexample | None:
        """Try the schedules up to a length; returns the first that shows something broken, or None.

        Args:
            depth: The length.
            give_up: Asked before each schedule: whether to leave this length unfinished.
        """
        while self.depth < depth:
            for schedule, choices in self._found[self._explored :]:
                for action in choices:
                    if self.counterexample is not None or give_up():
                        return self.counterexample
                    if not is_swapped(schedule, action):
                        self._try(schedule, action)
                self._explored += 1
            self.depth += 1
        return self.counterexample

    def hurry(self) -> Counterexample | None:
        """Try two actions that overlap, in all the ways in which they can, at the end of every schedule so far."""
        for schedule, choices in self._found:
            for first in choices:
                rounds = self._run((*schedule, first))[1]
                pairs = (f"{first}+{'+' * between}{second}" for between in range(rounds) for second in choices)
                for pair in pairs:
                    if self.counterexample is not None:
                        return self.counterexample
                    if can_overlap(pair):
                        self.schedules += 1
                        world, _ = self._run((*schedule, pair))
                        if self._holds((*schedule, pair), (), broken(world)):
                            self._come_to_rest(world, (*schedule, pair), state_of(world))
        return self.counterexample

    def _run(self, schedule: Schedule) -> tuple[World, int]:
        """Return the world after a schedule, and how many rounds of the event loop the last action took."""
        world, rounds = self._make_world(), 0
        for action in schedule:
            rounds = world.act(action)
        return world, rounds

    def _try(self, before: Schedule, action: str) -> None:
        self.schedules += 1
        schedule = (*before, action)
        world, _ = self._run(schedule)
        if not self._holds(schedule, (), broken(world)):
            return
        state = state_of(world)
        if state not in self._states:
            self._states.add(state)
            self._found.append((schedule, world.choices()))
            self._come_to_rest(world, schedule, state)

    def _come_to_rest(self, world: World, schedule: Schedule, state: bytes) -> None:
        rest: Schedule = ()
        while state not in self._rested:
            self._rested.add(state)
            action = world.rest()
            if action is None:
                self._holds(schedule, rest, broken_at_rest(world))
                return
            rest = (*rest, action)
            world.act(action)
            if not self._holds(schedule, rest, broken(world)):
                return
            state = state_of(world)

    def _holds(self, schedule: Schedule, rest: Schedule, what: str | None) -> bool:
        if what is not None:
            self.counterexample = Counterexample(schedule, rest, what)
        return what is None
