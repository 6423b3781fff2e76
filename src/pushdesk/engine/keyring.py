"""The VAPID keys (RFC 8292): one is current, older ones go on signing for subscriptions made with them."""

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
    from pushdesk.clock import Clock
    from pushdesk.storage.keys import Keys

SIGNING = frozenset({KeyState.CURRENT, KeyState.RETIRING})


class Keyring:
    """The keys in memory, as they are in the store."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._signing: dict[str, SigningKey] = {}
        self._current: VapidKey | None = None

    async def load(self) -> None:
        """Read the keys; make the first one if there is none.

        Raises:
            DatabaseError: They could not be read or written.
        """
        stored = await self._keys.all()
        self._signing = {key.id: SigningKey.from_pem(key.private_key) for key in stored if key.state in SIGNING}
        current = next((key for key in stored if key.state is KeyState.CURRENT), None)
        if current is None:
            await self.rotate()
        else:
            self._current = _shown(current)

    @property
    def current(self) -> VapidKey:
        """The key that browsers are to subscribe with."""
        if self._current is None:
            raise RuntimeError("The keyring has not been loaded.")
        return self._current

    def signing_key(self, key_id: str) -> SigningKey | None:
        """Return the key that signs for subscriptions made with it, or None if it no longer does."""
        return self._signing.get(key_id)

    async def rotate(self) -> VapidKey:
        """Make a new current key; the one that was current is retiring from now on.

        Raises:
            DatabaseError: Nothing was changed.
        """
        key = SigningKey.generate()
        stored = StoredKey(key.id, key.public_key, key.to_pem(), KeyState.CURRENT, round(self._clock.time() * 1000))
        await self._keys.make_current(stored)
        self._signing[key.id] = key
        self._current = _shown(stored)
        write(KeyMadeCurrent(key=Id(key.id)))
        return self._current


def _shown(key: StoredKey) -> VapidKey:
    return VapidKey(key.id, key.public_key, key.state, to_datetime(key.created_at_ms))
