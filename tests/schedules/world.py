"""The real cache in a world where everything that happens is an action of a schedule."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pushdesk.engine.subscriptions import NEGATIVE_SHARE, SubscriptionCache
from pushdesk.errors import DatabaseError
from tests.schedules.actions import PAUSES_S, numbered, parsed
from tests.schedules.database import ALICE, BOB, USERS, Database, device, size_of
from tests.schedules.happenings import Commit, Read, Seen, Waiter
from tests.schedules.loop import SteppedLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pushdesk.engine.shelf import Entry
    from pushdesk.engine.subscriptions import _Load
    from pushdesk.model import CacheChange, CacheEntry
    from pushdesk.storage.records import Targets

TTL_S: Final = 180.0
MAX_DEVICES: Final = 3
MAX_UNTOLD: Final = 3
MAX_SIZE: Final = round((size_of() + size_of(device(1), device(2), device(3))) / (1 - NEGATIVE_SHARE)) + 1
"""Room for both users with three devices together, and for one user without."""


class World:
    """A cache, the database, those who ask, and time.

    Args:
        cache: The class of the cache.
        database: The class of the database.
        ttl_s: The cache's setting.
    """

    def __init__(
        self,
        cache: type[SubscriptionCache] = SubscriptionCache,
        database: type[Database] = Database,
        ttl_s: float = TTL_S,
    ) -> None:
        self.loop = SteppedLoop()
        self.ttl_s = ttl_s
        self.now = 0.0
        self.moment = 1
        """Counts the actions."""
        self.database = database()
        self.reads: list[Read] = []
        """Those that are under way, the oldest first."""
        self.returned: Read | None = None
        """The one that the last action let return."""
        self.waiters: list[Waiter] = []
        self.ended: list[Waiter] = []
        """Those who were answered by the last action."""
        self.untold: list[Commit] = []
        self.pruned: Commit | None = None
        """What the last action told of, if it could be pruned from what was held."""
        self.told = dict.fromkeys(USERS, 0)
        """By user, the moment that whoever asks now relies on."""
        self.disturbed = dict.fromkeys(USERS, 0)
        """By user, the last moment at which loads lost their right to be stored."""
        self.failed = dict.fromkeys(USERS, 0)
        """By user, the last moment at which a read failed."""
        self.stored = dict.fromkeys(USERS, 0)
        """By user, the latest generation that was ever held."""
        self.born: dict[_Load, tuple[int, float]] = {}
        """The moment and the time at which a load was first there."""
        self.latest: dict[str, _Load] = {}
        """By user, the youngest load."""
        self.seen: dict[int, Seen] = {}
        """By the identity of the targets."""
        self.events: set[tuple[CacheChange, str]] = set()
        """What the cache told of the last action."""
        self._looked_at = 0
        self.cache = cache(
            self._read,
            ttl_s=ttl_s,
            max_size=MAX_SIZE,
            monotonic=lambda: self.now,
            now=lambda: datetime.fromtimestamp(self.now, UTC),
            uniform=lambda low, _high: low,
            observer=self._observe,
        )

    def choices(self) -> list[str]:
        """Return what can happen now: of those who wait alike, only one is cancelled."""
        actions = ["G", "Gf", "Gm"]
        for number, read in enumerate(self.reads):
            if read.seen is None:
                # To fail after it saw something would come to the same.
                actions += [numbered("R", number), numbered("E", number)]
            else:
                actions.append(numbered("L", number))
        if len(self.untold) < MAX_UNTOLD:
            devices = len(self.database.now(ALICE).devices)
            actions += ["C"] * (devices < MAX_DEVICES) + ["P"] * (devices > 0)
        actions += [numbered("K", number) for number in range(len(self.untold))]
        actions += ["U", "B", "A", *PAUSES_S]
        alike: dict[object, int] = {}
        for number, waiter in enumerate(self.waiters):
            alike.setdefault(self.waiting(waiter), number)
        return actions + [numbered("X", number) for number in alike.values()]

    def act(self, action: str) -> int:
        """Let something happen, or two things at a time, and all that follows.

        Of two things, as in `L++U`, the second does not wait for what follows from the first: each `+` but one is a
        round of the event loop between them.

        Returns:
            How many rounds there were, at the end.
        """
        self.returned = self.pruned = None
        self.events.clear()
        self.ended.clear()
        first, pluses, second = action.partition("+")
        step = self._step(first)
        if pluses:
            name = second.lstrip("+")
            following = self._step(name)
            self._take(step, len(second) - len(name))
            step = following
        return self._take(step)

    def _take(self, step: Callable[[], None], rounds: int = sys.maxsize) -> int:
        self.moment += 1
        step()
        rounds = self.loop.run(rounds)
        self._look_around()
        return rounds

    def _step(self, action: str) -> Callable[[], None]:
        """Return what lets something happen, to what is there now."""
        name, number = parsed(action)
        if name in PAUSES_S:
            return partial(self._pass, PAUSES_S[name])
        if name in _ACTS:
            return partial(_ACTS[name], self)
        things: dict[str, Sequence[Any]] = {"K": self.untold, "X": self.waiters}
        return partial(_ACTS_ON_ONE[name], self, things.get(name, self.reads)[number])

    def rest(self) -> str | None:
        """Return what has to happen next for everything to come to rest, or None when it has."""
        if self.reads:
            return "R" if self.reads[0].seen is None else "L"
        return "K" if self.untold else None

    def held(self, user: str) -> Entry | None:
        """Return what the cache holds of a user."""
        return self.cache._peek(user)

    def loads(self) -> list[_Load]:
        """Return the loads that are being read, then those that are queued."""
        return [load for read in self.reads for load in read.loads] + self.cache._queue

    def waiting(self, waiter: Waiter) -> tuple[tuple[int, ...], ...]:
        """Return how somebody waits, for each user: who, the load, the tries before it, the floor, and the need.

        Where nobody waits any more, as it is only the others who are waited for: who, and whether the answer is right.
        """
        return tuple(self._waiting(waiter, user, part) for user, part in waiter.parts.items())

    def _waiting(self, waiter: Waiter, user: str, part: asyncio.Task[Any]) -> tuple[int, ...]:
        who = USERS.index(user)
        if not part.done():
            inside = _inside(part)
            return (who, id(inside["load"]), inside["_"], inside["floor"], waiter.needs[user])
        if part.cancelled() or part.exception() is not None:
            return (who, self.failed[user] > waiter.moment)
        return (who, self.seen[id(part.result())].moment >= waiter.needs[user])

    def _ask(self) -> None:
        task = self.loop.create_task(self.cache.get(ALICE))
        self.waiters.append(Waiter({ALICE: self.told[ALICE]}, task, self.now, self.moment, {ALICE: task}))

    def _claim(self) -> None:
        task = self.loop.create_task(self.cache.get(ALICE, self.database.floor(ALICE)))
        self.waiters.append(Waiter({ALICE: self._claimed(ALICE)}, task, self.now, self.moment, {ALICE: task}))

    def _claim_many(self) -> None:
        task = self.loop.create_task(self.cache.get_many({user: self.database.floor(user) for user in USERS}))
        self.waiters.append(Waiter({user: self._claimed(user) for user in USERS}, task, self.now, self.moment))

    def _claimed(self, user: str) -> int:
        knows = self.database.now(user).moment if self.database.floor(user) else 0
        return max(self.told[user], knows)

    async def _read(self, users: Collection[str]) -> Mapping[str, Targets]:
        # Which loads these users are for, only the reader's own variables tell.
        loads = sys._getframe(1).f_locals["batch"]
        answer = self.loop.create_future()
        read = Read(sorted(users), asyncio.current_task(), loads, self.moment, self.now, answer)
        self.reads.append(read)
        try:
            return await read.answer
        finally:
            self.reads.remove(read)

    def _see(self, read: Read) -> None:
        read.seen = {user: Seen(user, self.database.targets(user), self.moment, self.now) for user in read.users}

    def _return(self, read: Read) -> None:
        assert read.seen is not None
        found = {}
        for user, seen in read.seen.items():
            found[user] = self.database.returned(user, seen.targets)
            self.seen[id(found[user])] = Seen(user, found[user], seen.moment, seen.read_at)
        self.returned = read
        read.answer.set_result(found)

    def _fail(self, read: Read) -> None:
        self.failed.update(dict.fromkeys(read.users, self.moment))
        read.answer.set_exception(DatabaseError("The disk is gone."))

    def _tell(self, commit: Commit, *, is_certain: bool = True) -> None:
        user, raised = commit.user, commit.raised
        before = self.held(user)
        if raised is not None:
            if is_certain and raised.removed is not None and before is not None and before.targets.targets:
                self.pruned = commit if before.targets.generation == raised.before else None
            self.cache.follow((raised,), is_certain)
        after = self.held(user)
        if before is not None and after is not None and after.targets is not before.targets:
            read_at = self.seen[id(before.targets)].read_at
            self.seen[id(after.targets)] = Seen(user, after.targets, commit.moment, read_at, is_pruned=True)
        self._rely(user, commit.moment)

    def _rely(self, user: str, moment: int) -> None:
        self.told[user] = max(self.told[user], moment)
        self.disturbed[user] = self.moment

    def _subscribe(self) -> None:
        self.untold.append(Commit(self.database.subscribe(ALICE, self.moment), ALICE, self.moment))

    def _disable(self) -> None:
        self.untold.append(Commit(self.database.disable(ALICE, self.moment), ALICE, self.moment))

    def _tell_of(self, commit: Commit) -> None:
        self.untold.remove(commit)
        self._tell(commit)

    def _tell_of_unknown(self) -> None:
        unknown = self.database.roll_back(ALICE, self.moment)
        self._tell(Commit(unknown, ALICE, self.moment), is_certain=False)

    def _change_bob(self) -> None:
        is_known = self.database.now(BOB).generation is not None
        change = self.database.withdraw if is_known else self.database.subscribe
        self._tell(Commit(change(BOB, self.moment), BOB, self.moment))

    def _clear(self) -> None:
        self.cache.clear()
        for user in USERS:
            self._rely(user, self.moment)

    def _cancel(self, waiter: Waiter) -> None:
        if not waiter.task.done():
            self.waiters.remove(waiter)
            waiter.task.cancel()

    def _pass(self, pause_s: float) -> None:
        self.now += pause_s

    def _look_around(self) -> None:
        for task in self.loop.tasks[self._looked_at :]:
            coroutine: Any = task.get_coro()
            if coroutine.__name__ == "_load" and not task.done():
                # Two who ask for many at the same time are not told apart, and not tried.
                asking = next(waiter for waiter in reversed(self.waiters) if len(waiter.needs) > 1)
                asking.parts[coroutine.cr_frame.f_locals["user"]] = task
        self._looked_at = len(self.loop.tasks)
        for load in self.loads():
            if load not in self.born:
                self.born[load] = (self.moment, self.now)
                self.latest[load.user] = load
        for waiter in self.waiters:
            for user, part in waiter.parts.items():
                if part.done():
                    waiter.found_at.setdefault(user, self.now)
            if waiter.task.done():
                self.ended.append(waiter)
        if self.ended:
            self.waiters = [waiter for waiter in self.waiters if not waiter.task.done()]

    def _observe(self, change: CacheChange, user: str, entry: CacheEntry | None) -> None:
        self.events.add((change, user))
        if entry is not None and entry.generation > self.stored[user]:
            self.stored[user] = entry.generation


_ACTS: Final[dict[str, Callable[[World], None]]] = {
    "G": World._ask,
    "Gf": World._claim,
    "Gm": World._claim_many,
    "C": World._subscribe,
    "P": World._disable,
    "U": World._tell_of_unknown,
    "B": World._change_bob,
    "A": World._clear,
}
_ACTS_ON_ONE: Final[dict[str, Callable[[World, Any], None]]] = {
    "R": World._see,
    "L": World._return,
    "E": World._fail,
    "K": World._tell_of,
    "X": World._cancel,
}


def _inside(task: asyncio.Task[Any]) -> dict[str, Any]:
    """Return the variables of `_load`: what a coroutine knows while it waits is state as much as any attribute."""
    coroutine: Any = task.get_coro()
    while coroutine.__name__ != "_load":
        coroutine = coroutine.cr_await
    inside: dict[str, Any] = coroutine.cr_frame.f_locals
    return inside
