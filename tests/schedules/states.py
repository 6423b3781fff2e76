"""When two states of the world are equal: the same can happen from then on, and the same would be wrong."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from pushdesk.engine.subscriptions import JOIN_AGE_S
from tests.schedules.actions import PAUSES_S
from tests.schedules.database import USERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.engine.subscriptions import _Load
    from tests.schedules.world import World

_INDEX: Final = {user: number for number, user in enumerate(USERS)}
_NOTHING: Final = 255


class _Values:
    """The generations and the moments of what there is of a user: which is the later is all that matters of them.

    Floors and needs are compared with these alone, and whatever is seen from now on is later than they are: so of
    those it matters only how many values are earlier.
    """

    def __init__(self) -> None:
        self._generations: list[int] = []
        self._moments: list[int] = []
        self._sorted: tuple[list[int], list[int]] = ([], [])

    def add(self, moment: int, *generations: int) -> None:
        self._moments.append(moment)
        self._generations += generations

    def ranks(self) -> list[int]:
        """Return what is left of the values, of which all must have been added."""
        generations, moments = self._sorted = (sorted(set(self._generations)), sorted(set(self._moments)))
        ranks = [len(self._generations), len(self._moments)]
        ranks += [bisect_left(generations, generation) for generation in self._generations]
        ranks += [bisect_left(moments, moment) for moment in self._moments]
        return ranks

    def floor(self, generation: int) -> int:
        return bisect_left(self._sorted[0], generation)

    def need(self, moment: int) -> int:
        return bisect_left(self._sorted[1], moment)


def state_of(world: World) -> bytes:
    """Return a key that equal states have in common, and no others.

    What the devices are is not in it: it follows from the moment at which they were seen, which is checked.
    """
    now, database, cache = world.now, world.database, world.cache
    values = {user: _Values() for user in USERS}
    key: list[int] = [len(world.untold)]
    for commit in world.untold:
        if commit.raised is None:
            key.append(_NOTHING)
            values[commit.user].add(commit.moment)
        else:
            key.append(commit.raised.removed is None)
            values[commit.user].add(commit.moment, commit.raised.before, commit.raised.after)

    for shelf in (cache._held, cache._nobodies):
        key.append(len(shelf))
        for entry in shelf.all():
            seen = world.seen[id(entry.targets)]
            key += (_INDEX[entry.user], len(entry.targets.targets))
            key += (entry.expires_at > now, _pauses(max(0.0, entry.expires_at - now)), _pauses(now - seen.read_at))
            values[entry.user].add(seen.moment, entry.targets.generation)

    numbers: dict[int, int] = {}
    key.append(len(world.reads))
    for read in world.reads:
        key += (read.task is cache._reader, now - read.begun_at > JOIN_AGE_S, read.seen is None)
        for user, seen in (read.seen or {}).items():
            key += (len(seen.targets.targets), _pauses(now - seen.read_at))
            values[user].add(seen.moment, seen.targets.generation)
        _add_loads(key, numbers, read.loads, world)
    _add_loads(key, numbers, cache._queue, world)

    for user, known in values.items():
        key += known.ranks()
        row = database.now(user)
        key += (row.generation is None, len(row.devices), known.need(row.moment), known.floor(row.generation or 0))
        key += (known.need(world.told[user]), known.floor(world.stored[user]))
    _add_waiters(key, numbers, tuple(values.values()), world)
    return bytes(key)


def _pauses(age_s: float) -> int:
    """Return what is left of the age of something that is held or seen: a few short pauses bring it to no threshold."""
    return int(age_s // PAUSES_S["T"])


def _add_loads(key: list[int], numbers: dict[int, int], loads: Sequence[_Load], world: World) -> None:
    key.append(len(loads))
    for load in loads:
        numbers[id(load)] = len(numbers)
        moment, born_at = world.born[load]
        key += (
            _INDEX[load.user],
            world.cache._loads.get(load.user) is load,
            world.latest[load.user] is load,
            moment > world.disturbed[load.user],
            world.now - born_at > JOIN_AGE_S,
            world.now - load.started_at > JOIN_AGE_S,
            _pauses(world.now - load.started_at),
        )


def _add_waiters(key: list[int], numbers: dict[int, int], values: Sequence[_Values], world: World) -> None:
    waiters = []
    for waiter in world.waiters:
        waiting = []
        for who, load, *rest in world.waiting(waiter):
            if rest:
                tries, floor, need = rest
                waiting += [who, numbers[load], tries, values[who].floor(floor), values[who].need(need)]
            else:
                waiting += [who, _NOTHING, load]
        waiters.append(waiting)
    waiters.sort()
    for number, waiting in enumerate(waiters):
        # One can be cancelled and the other not: a third who waits alike adds nothing.
        if number < 2 or not waiting == waiters[number - 1] == waiters[number - 2]:
            key += (len(waiting), *waiting)
