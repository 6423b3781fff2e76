"""What must hold after every action, and what when everything has come to rest."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final

from pushdesk.engine.subscriptions import JOIN_AGE_S, NEGATIVE_TTL_S
from pushdesk.model import CacheChange
from pushdesk.storage.records import Targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.schedules.happenings import Read, Seen, Waiter
    from tests.schedules.world import World

INVARIANTS: Final = {
    "I1": "Whoever asks after a change was acknowledged gets it, or a later one; with a floor never less than that",
    "I2": "What is held is what the database held, and not from before a change that was acknowledged",
    "I3": "A user is not read twice at once, unless the first read takes too long or has lost its right to be stored",
    "I4": "What is held is within the bounds, each user once; the books are of loads that are under way",
    "I5": f"Nothing is served that was read more than TTL + {JOIN_AGE_S:.0f} s ago, or held for longer than its TTL",
    "I6": "Who is cancelled, or fails, fails nobody else; an error is for those who waited for the read that failed",
    "I7": "What is stored of a user never goes back to an earlier generation",
    "I8": "What is returned cannot be changed",
    "I9": "What was read undisturbed is held, and so is what could be pruned",
    "I10": f"A read that takes longer than {JOIN_AGE_S:.0f} s holds up nobody who asks later",
    "I11": "All who were missed while a statement ran are read by the next; two run only when the first takes too long",
    "I12": "Everybody who waits is answered, and no task is left",
}
"""I1 to I8 make it safe; I9 to I12 make it a cache."""


def broken(world: World) -> str | None:
    """Return what the last action broke, or None."""
    return next(_broken(world), None)


def broken_at_rest(world: World) -> str | None:
    """Return what is broken now that nothing is under way, or None."""
    cache = world.cache
    if world.waiters:
        return "I12: somebody waits forever"
    if cache._readers or cache._reader is not None or not all(task.done() for task in world.loop.tasks):
        return "I12: a task is left"
    if cache._loads or cache._queue:
        return "I4: a load is left"
    return None


def _broken(world: World) -> Iterator[str]:
    errors: set[int] = set()
    for waiter in world.ended:
        yield from _answer(world, waiter, errors)
    yield from _entries(world)
    yield from _loads(world)
    yield from _kept(world)
    yield from _queue(world)
    if world.loop.failures:
        yield f"I12: {world.loop.failures[0]['message']}"


def _answer(world: World, waiter: Waiter, errors: set[int]) -> Iterator[str]:
    task = waiter.task
    if task.cancelled():
        yield "I6: somebody is cancelled by another's end"
        return
    error = task.exception()
    answers = error or task.result()
    for user, needed in waiter.needs.items():
        answer = answers[user] if isinstance(answers, dict) else answers
        if isinstance(answer, Targets):
            yield from _targets(world, waiter, answer, user, needed)
            continue
        if world.failed[user] <= waiter.moment:
            yield f"I6: no read failed, and {user}'s answer is a {type(answer).__name__}"
        if id(answer) in errors:
            yield "I8: two are given the same exception"
        errors.add(id(answer))


def _targets(world: World, waiter: Waiter, answer: Targets, user: str, needed: int) -> Iterator[str]:
    seen = world.seen.get(id(answer))
    if seen is None or seen.user != user:
        yield f"I1: {user}'s answer was never read"
        return
    if seen.moment < needed:
        yield f"I1: {user}'s answer is from before what was acknowledged, or claimed"
    if not _was_so(world, seen):
        yield f"I1: {user}'s answer was never so"
    age_s = waiter.found_at.get(user, waiter.asked_at) - seen.read_at
    if age_s > world.ttl_s + JOIN_AGE_S:
        yield f"I5: {user}'s answer was read {age_s:.0f} s ago"
    if type(answer.targets) is not tuple:
        yield f"I8: {user}'s answer can be changed"


def _was_so(world: World, seen: Seen) -> bool:
    row = world.database.at(seen.user, seen.moment)
    return seen.targets.targets == row.devices and row.generation in (None, seen.targets.generation)


def _entries(world: World) -> Iterator[str]:
    cache = world.cache
    for shelf in (cache._held, cache._nobodies):
        size = 0
        for entry in shelf.all():
            size += entry.size
            seen = world.seen[id(entry.targets)]
            ttl_s = world.ttl_s if entry.targets.targets or seen.is_pruned else NEGATIVE_TTL_S
            if entry.expires_at - seen.read_at > ttl_s or not world.ttl_s:
                yield f"I5: {entry.user} will be served for too long"
            if entry.targets.generation < world.stored[entry.user]:
                yield f"I7: {entry.user} was held in a later generation before"
            if entry.expires_at > world.now:
                if seen.user != entry.user or not _was_so(world, seen):
                    yield f"I2: what is held of {entry.user} was never so"
                if seen.moment < world.told[entry.user]:
                    yield f"I2: what is held of {entry.user} is from before what was acknowledged"
        if size != shelf.size or size > shelf._max_size:
            yield "I4: the sizes do not add up, or to too much"
    if any(cache._nobodies.peek(entry.user) for entry in cache._held.all()):
        yield "I4: somebody is held twice"


def _loads(world: World) -> Iterator[str]:
    loads = world.loads()
    for load in world.cache._loads.values():
        if load not in loads:
            yield f"I4: the books have a load of {load.user} that is not under way"
    undisturbed = [load for load in loads if world.born[load][0] > world.disturbed[load.user]]
    for one, other in combinations(undisturbed, 2):
        if one.user == other.user and abs(world.born[one][1] - world.born[other][1]) <= JOIN_AGE_S:
            yield f"I3: {one.user} is being read twice"


def _kept(world: World) -> Iterator[str]:
    loads = world.returned.loads if world.returned is not None and world.ttl_s else ()
    for load in loads:
        user = load.user
        if world.born[load][0] > world.disturbed[user] and world.latest[user] is load and world.held(user) is None:
            # Whoever finds that it is too old drops it; what is put in after it may take its room.
            is_last = load is loads[-1] and world.pruned is None
            reasons = {CacheChange.INVALIDATED} if is_last else {CacheChange.INVALIDATED, CacheChange.EVICTED}
            if not any((reason, user) in world.events for reason in reasons):
                yield f"I9: {user} was read undisturbed and is not held"
    if world.pruned is not None and world.pruned.raised is not None:
        held = world.held(world.pruned.user)
        if held is None or held.targets.generation != world.pruned.raised.after:
            yield f"I9: {world.pruned.user} could be pruned and was not"


def _queue(world: World) -> Iterator[str]:
    queue = world.cache._queue
    for earlier, later in pairwise(world.reads):
        if later.begun_at - earlier.begun_at <= JOIN_AGE_S:
            yield "I11: two statements run at once"
    current = next((read for read in world.reads if read.task is world.cache._reader), None)
    if queue and current is None:
        yield "I12: nobody reads what is queued"
    elif current is not None and any(world.born[load][0] < current.moment for load in queue):
        yield "I11: somebody was missed before, and is not read with the others"
    reads = {id(load): read for read in world.reads for load in read.loads}
    if current is not None:
        reads |= {id(load): current for load in queue}
    for waiter in world.waiters:
        yield from _waiting(world, waiter, reads)


def _waiting(world: World, waiter: Waiter, reads: Mapping[int, Read]) -> Iterator[str]:
    for _, load, *is_waiting in world.waiting(waiter):
        if is_waiting:
            if load not in reads:
                yield "I12: somebody waits for a load that nobody reads"
            elif waiter.moment == world.moment and world.now - reads[load].begun_at > JOIN_AGE_S:
                yield "I10: who asks now waits for a read that takes too long"
