"""What is under way in the world of a schedule, or has come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from pushdesk.engine.subscriptions import _Load
    from pushdesk.storage.records import Raised, Targets


@dataclass(frozen=True, slots=True)
class Seen:
    """Subscriptions as a statement saw them, or as they are after a prune."""

    user: str
    targets: Targets
    moment: int
    """The last moment of which it is known that they were so."""
    read_at: float
    is_pruned: bool = False


@dataclass(eq=False, slots=True)
class Read:
    """A statement that is under way."""

    users: Sequence[str]
    task: asyncio.Task[Any] | None
    loads: Sequence[_Load]
    moment: int
    begun_at: float
    answer: asyncio.Future[Mapping[str, Targets]]
    seen: dict[str, Seen] | None = None


@dataclass(eq=False, slots=True)
class Waiter:
    """One who asked the cache."""

    needs: dict[str, int]
    """By user, the moment that the answer has to reflect."""
    task: asyncio.Task[Any]
    asked_at: float
    moment: int
    parts: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    """By user, the task that waits for that one's load."""
    found_at: dict[str, float] = field(default_factory=dict)
    """By user, when that task ended: who asks for many is answered when the last of them has."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of which the cache was not told yet."""

    raised: Raised | None
    user: str
    moment: int
