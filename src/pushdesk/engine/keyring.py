"""The VAPID keys in memory (RFC 8292): one is current, retiring ones go on signing for what was made with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.log import write
from pushdesk.log_events import KeyMadeCurrent
from pushdesk.log_fields import Id
from pushdesk.model import KeyState, VapidKey
from pushdesk.storage.records import StoredKey
from pushdesk.storage.times import to_datetime
from pushdesk.webpush.vapid import SigningKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.clock import Clock
    from pushdesk.storage.keys import Keys

SIGNING = frozenset({KeyState.CURRENT, KeyState.RETIRING})


class Keyring:
    """The keys in memory, as they are in the store; `KeyCommands` changes both."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._signing: dict[str, SigningKey] = {}
        self._ended: frozenset[str] = frozenset()
        self._current: VapidKey | None = None
        self.needs_sweeping = False
        """Whether there may be subscriptions that are not in line with their keys."""

    async def load(self) -> None:
        """Read the keys; make the first one if there is none.

        Raises:
            DatabaseError: They could not be read or written.
        """
        stored = await self._keys.all()
        is_first = not any(key.state is KeyState.CURRENT for key in stored)
        if is_first:
            stored = await self._keys.make_current(self.new(SigningKey.generate()))
        self.take(stored)
        if is_first:
            write(KeyMadeCurrent(key=Id(self.current.id)))

    def take(self, stored: Sequence[StoredKey]) -> None:
        """Sign from now on with the keys that sign of these: those that are stored.

        Raises:
            StartUpError: One of them cannot be read; nothing was changed.
        """
        signing = {
            key.id: self._signing.get(key.id) or SigningKey.from_pem(key.private_key)
            for key in stored
            if key.state in SIGNING
        }
        (current,) = (key for key in stored if key.state is KeyState.CURRENT)
        is_new = self._current is not None and self._current.id != current.id
        self._signing = signing
        self._ended = frozenset(key.id for key in stored if key.state not in SIGNING)
        self._current = to_key(current)
        self.needs_sweeping = bool(self._ended) or any(key.is_restoring for key in stored)
        if is_new:
            write(KeyMadeCurrent(key=Id(current.id)))

    @property
    def current(self) -> VapidKey:
        """The key that browsers are to subscribe with."""
        if self._current is None:
            raise RuntimeError("The keyring has not been loaded.")
        return self._current

    def signing_key(self, key_id: str) -> SigningKey | None:
        """Return the key that signs for subscriptions made with it, or None if it no longer does."""
        return self._signing.get(key_id)

    def has_ended(self, key_id: str) -> bool:
        """Return whether this was a key that signed, and does not any more."""
        return key_id in self._ended

    def new(self, key: SigningKey) -> StoredKey:
        """Return a key as it is to be stored, made now."""
        return StoredKey(key.id, key.public_key, key.to_pem(), KeyState.CURRENT, round(self._clock.time() * 1000))


def to_key(stored: StoredKey) -> VapidKey:
    """Return what may be shown of a key, without what was made with it."""
    return VapidKey(stored.id, stored.public_key, stored.state, to_datetime(stored.created_at_ms))
