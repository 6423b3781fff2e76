"""What an operator does to VAPID keys: rotate, retire, roll back, revoke, import and export.

A command that has begun is done to its end, one after the other. It takes effect when it is committed: then the keyring
follows, and the cache is emptied where subscriptions are concerned. Their rows follow in the background (`KeySweep`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from pushdesk.engine.confirmation import check_confirmed
from pushdesk.engine.key_sweep import KeySweep
from pushdesk.engine.keyring import SIGNING, to_key
from pushdesk.errors import DatabaseError, PushdeskError, StartUpError
from pushdesk.log import write
from pushdesk.log_events import KeyExported, KeyImported, KeyRetired, KeysRevoked
from pushdesk.log_fields import Id
from pushdesk.model import ExportedKey, KeyState, RevokedKeys, Service
from pushdesk.storage.keys import can_be_brought_back, cannot
from pushdesk.storage.transaction import to_its_end
from pushdesk.webpush.key_formats import read_key
from pushdesk.webpush.services import NAMES
from pushdesk.webpush.vapid import SigningKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.key_census import KeyCensus
    from pushdesk.engine.keyring import Keyring
    from pushdesk.engine.publisher import Publisher
    from pushdesk.engine.subscriptions import SubscriptionCache
    from pushdesk.model import VapidKey
    from pushdesk.storage.records import StoredKey
    from pushdesk.storage.store import Store

P = ParamSpec("P")
T = TypeVar("T")

ROTATE_WORD: Final = "rotate"
RETIRE_WORD: Final = "retire"
ROLL_BACK_WORD: Final = "rollback"
REVOKE_WORD: Final = "revoke"
IMPORT_WORD: Final = "import"
EXPORT_WORD: Final = "export"


class KeyCommands:
    """Changes the keys of a store, and whatever follows them.

    Args:
        store: Where they are.
        keyring: What is signed with.
        cache: Who has which subscriptions.
        census: Counts what was made with each.
        publisher: Told of every key that has changed.
        clock: Since when a key is retiring, and how long the sweep is at work.
    """

    def __init__(
        self,
        *,
        store: Store,
        keyring: Keyring,
        cache: SubscriptionCache,
        census: KeyCensus,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._cache = cache
        self._census = census
        self._publisher = publisher
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._is_unsure = False
        """Whether a command failed that may have been committed all the same."""
        self._told: Mapping[str, VapidKey] = {}
        self._sweep = KeySweep(
            bindings=store.key_bindings,
            publisher=publisher,
            before=self._see_to_order,
            after=self._swept,
            clock=clock,
        )

    async def run(self) -> None:
        """Do what is done in the background, beginning with what an earlier process left, until the end."""
        if self._keyring.needs_sweeping:
            self._sweep.wake()
        await self._sweep.run()

    def end(self) -> None:
        """Let `run` end."""
        self._sweep.end()

    async def rotate(self, confirm: str) -> VapidKey:
        """Make a new current key; the one that was current is retiring from now on.

        Raises:
            PushdeskError: `confirm_required` without the word.
            DatabaseError: Nothing was changed.
        """
        return await self._in_turn(self._rotate, confirm)

    async def retire(self, key: str, confirm: str) -> VapidKey:
        """End a retiring key: nothing is signed with it any more, and its subscriptions get nothing.

        Raises:
            PushdeskError: `not_found`; `bad_field` for one that is not retiring; `confirm_required` without the word,
                if there are subscriptions that were made with it.
            DatabaseError: Nothing was changed.
        """
        return await self._in_turn(self._retire, key, confirm)

    async def roll_back(self, key: str, confirm: str) -> VapidKey:
        """Make a retiring or retired key current again; the one that was current is retiring from now on.

        Raises:
            PushdeskError: `not_found`; `bad_field` for one that is current or was revoked; `confirm_required` without
                the word.
            DatabaseError: Nothing was changed.
        """
        return await self._in_turn(self._roll_back, key, confirm)

    async def revoke(self, confirm: str) -> RevokedKeys:
        """Make a new current key, and end all others for good, with every subscription that was made with them.

        Raises:
            PushdeskError: `confirm_required` without the word.
            DatabaseError: Nothing was changed.
        """
        return await self._in_turn(self._revoke, confirm)

    async def take_in(self, text: str, confirm: str, *, current: bool) -> VapidKey:
        """Take a key that was used elsewhere: retiring, so that it signs for its own subscriptions, or `current`.

        One that is here and was retired is brought back.

        Raises:
            PushdeskError: `bad_field` for what is no key that can be used, is here already or was revoked;
                `confirm_required` without the word, if it is to be the current one.
            DatabaseError: Nothing was changed.
        """
        return await self._in_turn(self._take_in, text, confirm, KeyState.CURRENT if current else KeyState.RETIRING)

    async def give_out(self, key: str, confirm: str) -> ExportedKey:
        """Return a key with its private half.

        Raises:
            PushdeskError: `not_found`; `bad_field` for one that was revoked; `confirm_required` without the word.
            DatabaseError: It could not be read.
        """
        stored = await self._store.keys.find(key)
        if stored.state is KeyState.REVOKED:
            raise cannot(key, stored.state, "exported")
        check_confirmed(
            confirm, EXPORT_WORD, f"Whoever has the private half of the key {key} can send to every browser on it."
        )
        private = _read(stored)
        write(KeyExported(key=Id(key)))
        return ExportedKey(key, private.public_key, private.to_base64url(), private.to_pem().decode())

    async def _rotate(self, confirm: str) -> VapidKey:
        if confirm != ROTATE_WORD:
            check_confirmed(confirm, ROTATE_WORD, await self._said_of_rotating())
        new = self._keyring.new(SigningKey.generate())
        return await self._change(new.id, self._store.keys.make_current(new))

    async def _said_of_rotating(self) -> str:
        bound = (await self._census.counts(anew=True)).bound.get(self._keyring.current.id)
        if not bound:
            return "No subscription was made with the current key: rotating it affects nobody."
        return (
            f"Rotating the key affects {_subscriptions(bound)}: their browsers subscribe again when they next come by. "
            "Until then the old key goes on signing for them, and nobody is lost."
        )

    async def _retire(self, key: str, confirm: str) -> VapidKey:
        state = (await self._store.keys.find(key)).state
        if state is not KeyState.RETIRING:
            raise cannot(key, state, "retired")
        counts = await self._census.counts(anew=True)
        bound, users = counts.bound.get(key, {}), counts.users_left.get(key, 0)
        if bound:
            check_confirmed(
                confirm,
                RETIRE_WORD,
                f"Retiring the key {key} ends {_subscriptions(bound)}, until their browsers come by and subscribe "
                f"again. {users} {'user is' if users == 1 else 'users are'} left without any device.",
            )
        retired = await self._change(key, self._store.keys.retire(key), ends_or_revives=True)
        write(KeyRetired(key=Id(key), subscriptions=sum(bound.values())))
        return retired

    async def _roll_back(self, key: str, confirm: str) -> VapidKey:
        stored = await self._store.keys.find(key)
        if not can_be_brought_back(stored.state, KeyState.CURRENT):
            raise cannot(key, stored.state, "made current again")
        check_confirmed(
            confirm,
            ROLL_BACK_WORD,
            f"The key {key} becomes current again, and {self._keyring.current.id} is retiring: browsers that have "
            "moved on subscribe again when they next come by.",
        )
        return await self._bring_back(stored, KeyState.CURRENT)

    async def _revoke(self, confirm: str) -> RevokedKeys:
        ending = [key for key in await self._store.keys.all() if key.state is not KeyState.REVOKED]
        counts = await self._census.counts(anew=True)
        lost: Counter[Service] = Counter()
        for key in ending:
            if key.state in SIGNING:
                lost.update(counts.bound.get(key.id, {}))
        check_confirmed(
            confirm,
            REVOKE_WORD,
            "Revoking ends every key that there is. "
            + (
                f"Lost with them: {_subscriptions(lost)}. Their browsers get nothing until they subscribe again."
                if lost
                else "No subscription is lost."
            ),
        )
        new = self._keyring.new(SigningKey.generate())
        current = await self._change(new.id, self._store.keys.revoke_all(new), ends_or_revives=True)
        write(KeysRevoked(keys=len(ending), subscriptions=lost.total()))
        return RevokedKeys(current, dict(lost))

    async def _take_in(self, text: str, confirm: str, state: KeyState) -> VapidKey:
        key = read_key(text)
        known = next((stored for stored in await self._store.keys.all() if stored.id == key.id), None)
        if known is not None:
            _check_importable(known, key, state)
        if state is KeyState.CURRENT:
            check_confirmed(
                confirm,
                IMPORT_WORD,
                f"The key {key.id} becomes current, and {self._keyring.current.id} is retiring: browsers whose "
                "subscription was not made with it subscribe again when they next come by.",
            )
        new = self._keyring.new(key)
        if known is not None:
            imported = await self._bring_back(known, state)
        elif state is KeyState.CURRENT:
            imported = await self._change(key.id, self._store.keys.make_current(new))
        else:
            imported = await self._change(key.id, self._store.keys.add_retiring(new))
        write(KeyImported(key=Id(key.id), state=imported.state, subscriptions=imported.subscriptions))
        return imported

    async def _bring_back(self, key: StoredKey, state: KeyState) -> VapidKey:
        # Before it is to sign: one that cannot be read would be found out too late.
        _read(key)
        change = self._store.keys.bring_back(key.id, state, round(self._clock.time() * 1000))
        return await self._change(key.id, change, ends_or_revives=key.state is KeyState.RETIRED)

    async def _in_turn(self, command: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        async def run() -> T:
            async with self._one_at_a_time:
                await self._make_sure()
                return await command(*args, **kwargs)

        return await to_its_end(run())

    async def _change(
        self, key: str, change: Awaitable[Sequence[StoredKey]], *, ends_or_revives: bool = False
    ) -> VapidKey:
        """Have the keys changed in the store, and whatever follows them follow; returns one of them.

        Args:
            key: Its id.
            change: Does it.
            ends_or_revives: Whether subscriptions that were sent to no longer are, or the other way round.
        """
        try:
            stored = await change
            self._keyring.take(stored)
        except PushdeskError:
            # It may have been committed all the same.
            self._is_unsure = True
            self._sweep.wake()
            raise
        finally:
            if ends_or_revives:
                # Nobody else is told of an epoch.
                self._cache.clear()
            self._census.forget()
        if self._keyring.needs_sweeping:
            self._sweep.wake()
        told = await self._tell()
        return told.get(key) or next(to_key(one) for one in stored if one.id == key)

    async def _make_sure(self) -> None:
        """Follow the store anew, if nobody knows how the last change of it ended."""
        if self._is_unsure:
            await self._keyring.load()
            self._cache.clear()
            self._census.forget()
            self._is_unsure = False

    async def _see_to_order(self) -> None:
        async with self._one_at_a_time:
            await self._make_sure()

    async def _swept(self) -> None:
        self._census.forget()
        await self._tell()

    async def _tell(self) -> Mapping[str, VapidKey]:
        """Tell of the keys that have changed since this was last done; returns all that there are."""
        try:
            keys = {key.id: key for key in reversed(await self._census.keys())}
        except DatabaseError:
            # What was asked for is done, and whoever looks at the keys next is told.
            return {}
        for key in keys.values():
            if self._told.get(key.id) != key:
                self._publisher.key_changed(key)
        self._told = keys
        return keys


def _check_importable(known: StoredKey, key: SigningKey, state: KeyState) -> None:
    if known.public_key != key.public_key:
        raise PushdeskError(f"Another key has the id {key.id}.", code="bad_field", fields=("text",))
    if not can_be_brought_back(known.state, state):
        hint = "A revoked key is never used again." if known.state is KeyState.REVOKED else ""
        raise PushdeskError(
            f"The key {key.id} is here already: it is {known.state}.", code="bad_field", hint=hint, fields=("text",)
        )


def _read(stored: StoredKey) -> SigningKey:
    try:
        return SigningKey.from_pem(stored.private_key)
    except StartUpError:
        raise DatabaseError(
            f"The private half of the key {stored.id} cannot be read.", hint="Restore the database from a backup."
        ) from None


def _subscriptions(bound: Mapping[Service, int]) -> str:
    number = sum(bound.values())
    said = f"{number} {'subscription' if number == 1 else 'subscriptions'}"
    services = [f"{bound[service]} at {name}" for service, name in NAMES.items() if service in bound]
    return f"{said} ({', '.join(services)})" if len(services) > 1 else said
