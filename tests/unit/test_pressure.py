"""Whether there is room for more: what is refused at a mark is taken again only a tenth below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pushdesk.config import OutboxConfig
from pushdesk.engine.pressure import LOOK_S, Pressure
from pushdesk.errors import PushdeskError
from pushdesk.model import Shortage
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from tests.logs import Log

MB = 10**6


@dataclass
class World:
    """What there is, and the pressure that comes of it."""

    queue: int = 0
    free: int | None = 10**12
    looks: int = 0
    clock: FrozenClock = field(default_factory=FrozenClock)

    def pressure(self, max_queue: int = 100, min_free: int = 200 * MB) -> Pressure:
        return Pressure(OutboxConfig(max_queue, min_free), queue=lambda: self.queue, free=self.look, clock=self.clock)

    def look(self) -> int | None:
        self.looks += 1
        return self.free


def refusal(pressure: Pressure) -> tuple[str, int, int | None]:
    with pytest.raises(PushdeskError) as caught:
        pressure.admit()
    return caught.value.code, caught.value.status, caught.value.retry_after_s


def test_what_there_is_room_for_is_let_in() -> None:
    world = World(queue=99)
    world.pressure().admit()
    assert world.pressure().reasons() == {}


def test_a_full_queue_refuses_until_a_tenth_of_it_is_gone() -> None:
    world = World(queue=100)
    pressure = world.pressure()
    for queue in (100, 99, 91):
        world.queue = queue
        assert refusal(pressure) == ("queue_full", 503, 10)
    world.queue = 90
    pressure.admit()
    world.queue = 99
    pressure.admit()
    world.queue = 101
    refusal(pressure)


@pytest.mark.parametrize("most", [1, 2, 9])
def test_the_smallest_queue_is_full_and_has_room_again(most: int) -> None:
    world = World(queue=most)
    pressure = world.pressure(max_queue=most)
    refusal(pressure)
    world.queue = 0
    pressure.admit()


def test_a_disk_without_room_refuses_until_there_is_a_tenth_more() -> None:
    world = World(free=200 * MB - 1)
    pressure = world.pressure()
    assert refusal(pressure) == ("disk_full", 507, 60)
    for free in (200 * MB, 220 * MB - 1):
        world.free = free
        world.clock.advance(LOOK_S)
        refusal(pressure)
    world.free = 220 * MB
    world.clock.advance(LOOK_S)
    pressure.admit()
    world.free = 200 * MB
    world.clock.advance(LOOK_S)
    pressure.admit()


def test_the_disk_is_looked_at_once_a_second_at_most() -> None:
    world = World()
    pressure = world.pressure()
    for _ in range(5):
        pressure.admit()
    assert world.looks == 1
    world.clock.advance(LOOK_S)
    pressure.admit()
    assert world.looks == 2


@pytest.mark.parametrize(("free", "min_free"), [(0, 0), (None, 200 * MB)])
def test_a_disk_that_needs_no_room_or_cannot_be_seen_refuses_nothing(free: int | None, min_free: int) -> None:
    World(free=free).pressure(min_free=min_free).admit()


def test_a_disk_that_can_no_longer_be_seen_changes_nothing() -> None:
    world = World(free=0)
    pressure = world.pressure()
    refusal(pressure)
    world.free = None
    world.clock.advance(LOOK_S)
    refusal(pressure)


def test_both_are_told_with_what_sets_them() -> None:
    reasons = World(queue=100, free=0).pressure().reasons()
    assert set(reasons) == set(Shortage)
    assert "max_queue in [outbox] lets 100 deliveries wait" in reasons[Shortage.QUEUE]
    assert "min_free in [outbox] keeps 200 MB" in reasons[Shortage.DISK]


def test_the_log_has_one_line_for_the_beginning_and_one_for_the_end(log: Log) -> None:
    world = World(queue=100)
    pressure = world.pressure()
    for _ in range(3):
        refusal(pressure)
    world.queue = 0
    pressure.admit()
    (ended,), (began,) = log.of("accepting_ended"), log.of("accepting_began")
    assert (ended["level"], ended["shortage"]) == ("warning", "queue_full")
    assert (began["shortage"], began["refused"]) == ("queue_full", 3)
