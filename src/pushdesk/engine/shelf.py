"""A shelf of cache entries: the most recently used ones, within so many bytes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pushdesk.model import CacheEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pushdesk.storage.records import Targets

ENTRY_OVERHEAD: Final = 340
"""Bytes for what holds an entry together: the entry, its lists, its numbers and its place on a shelf."""
TARGET_OVERHEAD: Final = 105
"""Bytes of a push target besides its texts."""
HELD_OVERHEAD: Final = 65
"""Bytes of a device that a brake holds besides its texts."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A user's subscriptions as they were read. Times are the monotonic clock's, in seconds."""

    user: str
    targets: Targets
    started_at: float
    """When the read began."""
    expires_at: float
    size: int = field(init=False)
    """Bytes of memory, by estimate."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _size(self.user, self.targets))

    def shown(self, now: float) -> CacheEntry:
        """Return what may be shown of it at a moment of the monotonic clock."""
        return CacheEntry(
            user=self.user,
            generation=self.targets.generation,
            devices=len(self.targets.targets),
            age_s=now - self.started_at,
            time_left_s=max(0.0, self.expires_at - now),
            size=self.size,
        )


class Shelf:
    """Entries by user; the least recently used ones give way when there is no more room.

    Args:
        max_size: Bytes that the entries may take together.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, user: str) -> Entry | None:
        """Return a user's entry, which is the most recently used one from now on."""
        entry = self._entries.get(user)
        if entry is not None:
            self._entries.move_to_end(user)
        return entry

    def peek(self, user: str) -> Entry | None:
        """Return a user's entry without using it."""
        return self._entries.get(user)

    def all(self) -> Iterable[Entry]:
        """Return the entries, the most recently used first."""
        return reversed(self._entries.values())

    def put(self, entry: Entry) -> Sequence[Entry]:
        """Put an entry in the place of the user's present one, or as the most recently used one.

        Returns:
            Those that had to give way, be it the new one itself.
        """
        if entry.size > self._max_size:
            # All the others would give way first, for nothing.
            self.remove(entry.user)
            return [entry]
        present = self._entries.get(entry.user)
        self.size += entry.size - (0 if present is None else present.size)
        self._entries[entry.user] = entry
        evicted = []
        while self.size > self._max_size:
            _, oldest = self._entries.popitem(last=False)
            self.size -= oldest.size
            evicted.append(oldest)
        return evicted

    def remove(self, user: str) -> bool:
        """Take a user's entry away; returns whether there was one."""
        entry = self._entries.pop(user, None)
        if entry is not None:
            self.size -= entry.size
        return entry is not None

    def clear(self) -> int:
        """Take everything away; returns how many there were."""
        count = len(self._entries)
        self._entries.clear()
        self.size = 0
        return count


def _size(user: str, targets: Targets) -> int:
    size = ENTRY_OVERHEAD + sys.getsizeof(user)
    for target in targets.targets:
        parts = (target.subscription, target.user, target.key_id, target.device)
        secrets = (target.endpoint, target.p256dh, target.auth)
        size += TARGET_OVERHEAD + sum(map(sys.getsizeof, parts)) + sum(map(sys.getsizeof, secrets))
    for device in targets.held:
        size += HELD_OVERHEAD + sys.getsizeof(device.subscription) + sys.getsizeof(device.device)
    return size
