"""A subscription cache on the bench: its clock, its reads, which end as a test says, and what it tells."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from pushdesk.engine.statistics import utc
from pushdesk.engine.subscriptions import SubscriptionCache
from pushdesk.model import CacheChange, CacheEntry, PushTarget, Service
from pushdesk.storage.records import Targets
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

T = TypeVar("T")

TTL_S: Final = 180.0
LONG_S: Final = 10.0
"""For what must happen, so that a test that fails does not hang."""


def target(name: str, user: str = "ada") -> PushTarget:
    return PushTarget(
        subscription=name,
        version=1,
        user=user,
        service=Service.MOZILLA,
        key_id="0a1b2c3d",
        device="Firefox · Linux",
        endpoint=f"https://push.example/{name}",
        p256dh=b"p" * 65,
        auth=b"a" * 16,
    )


def devices(generation: int, *names: str) -> Targets:
    return Targets(generation, tuple(map(target, names)))


ONE: Final = devices(1, "phone")
NOBODY: Final = Targets(1, ())


@dataclass(eq=False)
class Read:
    """A statement that is under way, and ends as a test says."""

    users: frozenset[str]
    answer: asyncio.Future[Mapping[str, Targets]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def give(self, targets: Targets = ONE) -> None:
        """Return the same for each user."""
        self.answer.set_result(dict.fromkeys(self.users, targets))

    def fail(self, error: Exception) -> None:
        self.answer.set_exception(error)


class Bench:
    """A cache, the clock it looks at, the reads it makes and what it tells.

    With `answer`, reads end by themselves: it is what every user has.
    """

    def __init__(
        self,
        *,
        ttl_s: float = TTL_S,
        max_size: int = 1_000_000,
        jitter: Callable[[float, float], float] = min,
        answer: Targets | None = None,
    ) -> None:
        self.clock = FrozenClock()
        self.told: list[tuple[CacheChange, str, CacheEntry | None]] = []
        self.read_users: list[frozenset[str]] = []
        self._answer = answer
        self.begun: asyncio.Queue[Read] = asyncio.Queue()
        self.cache = SubscriptionCache(
            self._read,
            ttl_s=ttl_s,
            max_size=max_size,
            monotonic=self.clock.monotonic,
            now=partial(utc, self.clock),
            uniform=jitter,
            observer=lambda *change: self.told.append(change),
        )

    def entries(self) -> tuple[CacheEntry, ...]:
        """What is held, the most recently used first."""
        return tuple(entry.shown(self.clock.monotonic()) for entry in self.cache.held())

    def ask(self, user: str = "ada", floor: int = 0) -> asyncio.Task[Targets]:
        """Let somebody ask for a user's devices."""
        return asyncio.create_task(self.cache.get(user, floor))

    async def read(self) -> Read:
        """Wait for the next read to begin."""
        return await soon(self.begun.get())

    async def hold(self, user: str = "ada", targets: Targets = ONE) -> None:
        """Have this in the cache, and forget what was told of that."""
        waiter = self.ask(user)
        (await self.read()).give(targets)
        await soon(waiter)
        self.told.clear()

    @property
    def changes(self) -> list[tuple[CacheChange, str, int | None]]:
        """What was told, with the generation that is held."""
        return [(change, user, None if entry is None else entry.generation) for change, user, entry in self.told]

    async def _read(self, users: Collection[str]) -> Mapping[str, Targets]:
        self.read_users.append(frozenset(users))
        if self._answer is not None:
            return dict.fromkeys(users, self._answer)
        read = Read(frozenset(users))
        self.begun.put_nowait(read)
        return await read.answer


async def soon(awaitable: Awaitable[T]) -> T:
    """Wait for what is to happen at once."""
    async with asyncio.timeout(LONG_S):
        return await awaitable


async def answers(*waiters: asyncio.Task[Targets]) -> list[Targets]:
    """Return what each was given."""
    return [await soon(waiter) for waiter in waiters]


async def settle() -> None:
    """Let everything happen that can: nothing here takes more turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)
