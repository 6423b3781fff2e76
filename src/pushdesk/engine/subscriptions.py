"""The subscription cache: who has which devices, read once per TTL and not once per push.

What makes it safe is the generation in the database: it rises in the same transaction as every change of a user's
subscriptions. A read that is in flight while they change loses its right to be stored; whoever knows that a generation
exists asks for it as `floor`, and gets nothing older. docs/cache.md tells what must hold, and how that is proven.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import Context
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pushdesk.engine.shelf import Entry, Shelf
from pushdesk.errors import DatabaseError
from pushdesk.model import CacheChange, CacheStats, Discarded
from pushdesk.storage.records import Targets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from pushdesk.model import CacheEntry
    from pushdesk.storage.records import Raised

JOIN_AGE_S: Final = 5.0
"""A read that takes longer than this is joined by nobody: a new one is begun beside it."""
NEGATIVE_TTL_S: Final = 30.0
"""How long it is believed, at most, that a user has no devices, once a read has said so."""
NEGATIVE_SHARE: Final = 0.1
"""The part of the memory that users without devices may take: a stranger can name as many as he likes."""
JITTER: Final = 0.1
"""Entries end by up to this part of the TTL sooner, so that what was read together is not read again together."""
BATCH: Final = 500
"""The most users that one statement reads."""
TRIES: Final = 3
"""How many reads may bring less than was asked for before that is an error."""


@dataclass(eq=False, slots=True)
class _Load:
    """A read of one user's subscriptions that is under way, or queued to be the next one's part."""

    user: str
    started_at: float
    result: asyncio.Future[Targets | Exception]

    def settle(self, result: Targets | Exception) -> None:
        """Give those who wait what was read, or why it could not be."""
        if not self.result.done():
            self.result.set_result(result)


class SubscriptionCache:
    """The active subscriptions of users, as of a generation that is never older than is known to exist.

    Everything happens on one event loop. What is returned is immutable, and shared.

    Args:
        read: Reads many users in one statement; gives an entry for each of them.
        ttl_s: Seconds from the start of a read for which it is served; 0 stores nothing.
        max_size: Bytes of memory that the entries may take.
        monotonic: The clock, in seconds.
        now: The time, as a person would read it.
        uniform: Draws a number between two.
        observer: Told of every change and look-up, with the user and what is held of them; the user is empty when
            everything was dropped.
    """

    def __init__(
        self,
        read: Callable[[Collection[str]], Awaitable[Mapping[str, Targets]]],
        *,
        ttl_s: float,
        max_size: int,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        uniform: Callable[[float, float], float],
        observer: Callable[[CacheChange, str, CacheEntry | None], None],
    ) -> None:
        self._read = read
        self._ttl_s = ttl_s
        self._max_size = max_size
        self._monotonic = monotonic
        self._now = now
        self._uniform = uniform
        self._observer = observer
        self._held = Shelf(round(max_size * (1 - NEGATIVE_SHARE)))
        self._nobodies = Shelf(round(max_size * NEGATIVE_SHARE))
        # A load in here is the lease: whoever removes it takes away its right to be joined and to store.
        self._loads: dict[str, _Load] = {}
        self._queue: list[_Load] = []
        self._suspects = 0
        """How many at the head of the queue are read one by one, after reading them together brought a mistake."""
        self._reader: asyncio.Task[None] | None = None
        self._reading_since = 0.0
        self._readers: set[asyncio.Task[None]] = set()
        """With those that took too long, and were followed by another."""
        self._reads = 0
        self._counts: Counter[CacheChange] = Counter()
        self._last_discarded: Discarded | None = None

    async def get(self, user: str, floor: int = 0) -> Targets:
        """Return a user's active subscriptions, not older than generation `floor`.

        Reflects every change that was acknowledged before this was called. May be cancelled, or be given a timeout:
        the read goes on for the others who wait for it.

        Raises:
            DatabaseError: They could not be read, or only as they were before `floor`.
        """
        held = self._look_up(user, floor)
        return held if held is not None else await self._load(user, floor)

    def at_hand(self, user: str) -> Targets | None:
        """Return the same if it is held, without a read; else None. Nothing is counted: see `used`."""
        entry = self._peek(user)
        return None if entry is None or self._monotonic() >= entry.expires_at else entry.targets

    def used(self, user: str) -> None:
        """Count that what is at hand was of use."""
        self._look_up(user, 0)

    async def get_many(
        self, floors: Mapping[str, int], *, timeout_s: float | None = None
    ) -> dict[str, Targets | BaseException]:
        """Return the same for many users, or why one's could not be read: each has his own outcome.

        Args:
            floors: User -> the floor asked for.
            timeout_s: How long to wait for what is not held; what takes longer is a `TimeoutError`.
        """
        found: dict[str, Targets | BaseException] = {}
        missing: dict[str, int] = {}
        for user, floor in floors.items():
            held = self._look_up(user, floor)
            if held is None:
                missing[user] = floor
            else:
                found[user] = held
        loads = {user: asyncio.create_task(self._load(user, floor)) for user, floor in missing.items()}
        try:
            if loads:
                await asyncio.wait(loads.values(), timeout=timeout_s)
        finally:
            for user, load in loads.items():
                found[user] = _outcome(load)
        return found

    def follow(self, raised: Sequence[Raised], is_certain: bool) -> None:  # noqa: FBT001 (the store's hook)
        """Follow a transaction that raised generations, before its outcome is acknowledged to anybody.

        Args:
            raised: Whose generation was raised, and what was done.
            is_certain: Whether it is known to be committed.
        """
        for change in raised:
            if is_certain and change.removed is not None:
                self.prune(change.user, change.before, change.after, change.removed)
            else:
                self.invalidate(change.user)

    def invalidate(self, user: str) -> bool:
        """Forget a user's subscriptions, and let no read that is under way bring them back; tells if any were held."""
        self._loads.pop(user, None)
        return self._drop(user, CacheChange.INVALIDATED)

    def prune(self, user: str, before: int, after: int, removed: Collection[str]) -> None:
        """Take subscriptions out of what is held, without a read, if that is all that happened since it was read.

        Args:
            user: Whose subscriptions.
            before: The user's generation before they were removed.
            after: The generation that removing them gave.
            removed: Their ids.
        """
        self._loads.pop(user, None)
        entry = self._held.peek(user)
        if entry is None or entry.targets.generation != before:
            self._drop(user, CacheChange.INVALIDATED)
            return
        left = tuple(target for target in entry.targets.targets if target.subscription not in removed)
        held = tuple(device for device in entry.targets.held if device.subscription not in removed)
        self._put(Entry(user, Targets(after, left, held), entry.started_at, entry.expires_at))
        self._tell(CacheChange.PRUNED, user)

    def clear(self) -> int:
        """Forget everything, and let no read that is under way bring any of it back; returns how many were held."""
        self._loads.clear()
        count = self._held.clear() + self._nobodies.clear()
        self._tell(CacheChange.CLEARED, "")
        return count

    def held(self) -> Iterator[Entry]:
        """Yield what is held, as it is held, the most recently used first.

        For a reader who is done before anything else happens.
        """
        yield from self._held.all()
        yield from self._nobodies.all()

    def stats(self) -> CacheStats:
        """Return the cache in figures."""
        return CacheStats(
            ttl_s=self._ttl_s,
            entries=len(self._held),
            negative=len(self._nobodies),
            size=self._held.size + self._nobodies.size,
            max_size=self._max_size,
            loading=len(self._loads),
            reads=self._reads,
            counts=dict(self._counts),
            last_discarded=self._last_discarded,
        )

    async def aclose(self) -> None:
        """Wait for the reads that are under way, not to be cut off in their middle, but not for one that hangs."""
        if self._readers:
            await asyncio.wait(self._readers, timeout=JOIN_AGE_S)

    def _look_up(self, user: str, floor: int) -> Targets | None:
        """Return what is held if it may be served; counts and tells what was found."""
        entry = self._held.find(user) or self._nobodies.find(user)
        change = CacheChange.JOINED if user in self._loads else CacheChange.MISS
        if entry is not None:
            if self._monotonic() >= entry.expires_at:
                change = CacheChange.EXPIRED
            elif entry.targets.generation < floor:
                change = CacheChange.OUTDATED
            else:
                self._tell(CacheChange.HIT, user)
                return entry.targets
            self._forget(user)
        self._tell(change, user)
        return None

    async def _load(self, user: str, floor: int) -> Targets:
        for _ in range(TRIES):
            load = self._loads.get(user)
            if load is None or self._monotonic() - load.started_at > JOIN_AGE_S:
                load = _Load(user, self._monotonic(), asyncio.get_running_loop().create_future())
                self._loads[user] = load
                self._queue.append(load)
            self._see_to_reading()
            # Shielded: the read is the cache's, and whoever stops waiting for it takes it from nobody.
            targets = await asyncio.shield(load.result)
            if isinstance(targets, Exception):
                # A copy for each: whoever raises an exception adds a traceback to it.
                raise copy(targets) from targets
            age_s = self._monotonic() - load.started_at
            if targets.generation >= floor and age_s <= self._ttl_s + JOIN_AGE_S:
                return targets
            held = self._peek(user)
            if held is not None and held.targets is targets:
                self._drop(user, CacheChange.INVALIDATED)
        raise DatabaseError(
            "The subscriptions could not be read in time, or only as they were before a change that is known of.",
            hint="Try again; if it goes on, look at the disk and at the log.",
        )

    def _see_to_reading(self) -> None:
        """Have what is queued read, after the read that is under way unless that takes too long."""
        if self._reader is None or self._monotonic() - self._reading_since > JOIN_AGE_S:
            self._reading_since = self._monotonic()
            # In a context of its own: it reads for many, and is no part of the request that came first.
            self._reader = asyncio.create_task(self._read_queue(), name="subscription cache", context=Context())
            self._readers.add(self._reader)
            self._reader.add_done_callback(self._readers.discard)

    async def _read_queue(self) -> None:
        """Read what is queued: all users who missed while one statement ran, with the next one."""
        while self._queue and self._reader is asyncio.current_task():
            batch = self._next_batch()
            self._reading_since = self._monotonic()
            for load in batch:
                load.started_at = self._reading_since
            self._reads += 1
            try:
                found = await self._read({load.user for load in batch})
                loaded = [(load, found[load.user]) for load in batch]
            except Exception as error:  # noqa: BLE001 (whatever it was, those who wait are told, and nothing is kept)
                if len(batch) > 1 and not isinstance(error, DatabaseError):
                    # It is what was found of one of them: read by themselves, the others do not suffer from it.
                    self._queue[:0] = batch
                    self._suspects = len(batch)
                    continue
                for load in batch:
                    self._fail(load, error)
            else:
                for load, targets in loaded:
                    self._finish(load, targets)
        if self._reader is asyncio.current_task():
            self._reader = None

    def _next_batch(self) -> list[_Load]:
        size = 1 if self._suspects else BATCH
        self._suspects -= min(self._suspects, 1)
        batch, self._queue = self._queue[:size], self._queue[size:]
        return batch

    def _finish(self, load: _Load, targets: Targets) -> None:
        user = load.user
        held = self._peek(user)
        has_lease = self._loads.get(user) is load
        if has_lease:
            del self._loads[user]
        if not has_lease or (held is not None and targets.generation < held.targets.generation):
            current = None if held is None else held.targets.generation
            self._last_discarded = Discarded(self._now(), user, read=targets.generation, current=current)
            self._tell(CacheChange.DISCARDED, user)
        elif self._ttl_s > 0:
            self._put(Entry(user, targets, load.started_at, load.started_at + self._lifetime_s(targets)))
            self._tell(CacheChange.STORED, user)
        load.settle(targets)

    def _fail(self, load: _Load, error: Exception) -> None:
        if self._loads.get(load.user) is load:
            del self._loads[load.user]
        self._tell(CacheChange.FAILED, load.user)
        load.settle(error)

    def _lifetime_s(self, targets: Targets) -> float:
        ttl_s = self._ttl_s if targets.targets else min(self._ttl_s, NEGATIVE_TTL_S)
        return ttl_s * (1 - self._uniform(0.0, JITTER))

    def _put(self, entry: Entry) -> None:
        shelf, other = self._held, self._nobodies
        if not entry.targets.targets:
            shelf, other = other, shelf
        other.remove(entry.user)
        for evicted in shelf.put(entry):
            self._tell(CacheChange.EVICTED, evicted.user)

    def _peek(self, user: str) -> Entry | None:
        return self._held.peek(user) or self._nobodies.peek(user)

    def _forget(self, user: str) -> bool:
        # Both: a user is on one of the two.
        return any([self._held.remove(user), self._nobodies.remove(user)])

    def _drop(self, user: str, change: CacheChange) -> bool:
        was_held = self._forget(user)
        if was_held:
            self._tell(change, user)
        return was_held

    def _tell(self, change: CacheChange, user: str) -> None:
        self._counts[change] += 1
        held = self._peek(user)
        self._observer(change, user, None if held is None else held.shown(self._monotonic()))


def _outcome(load: asyncio.Task[Targets]) -> Targets | BaseException:
    """Return what was read, or why it could not be; who is not done is waited for no longer."""
    if load.cancel():
        return TimeoutError("The subscriptions could not be read in time.")
    return load.exception() or load.result()
