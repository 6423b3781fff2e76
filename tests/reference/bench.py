"""A whole server, a push service and a database that are looked at from outside."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pushdesk.model import Service
from pushdesk.storage.records import NewSubscription
from pushdesk.webpush.encryption import decode_keys
from tests.clocks import FrozenClock
from tests.database_changes import change_database
from tests.reference.watching import WatchedStore
from tests.server.running import Running, Surroundings, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from pathlib import Path

    from pushdesk.desk import AnyEvent
    from tests.push_service import Device, Push
    from tests.server.running import Answer

WAIT_S: Final = 20
"""How long the API is asked to wait; what is waited for comes at once."""
UNKNOWN: Final = "/none"


@dataclass
class Bench:
    """What a test works with."""

    server: Running
    store: WatchedStore
    clock: FrozenClock
    path: Path
    """The database's file."""

    async def ask(self, method: str, user: str, action: str, body: object, **more: Any) -> Answer:
        """Ask one of a user's browser routes, as the local page does."""
        return await self.server.ask(method, f"/api/v1/users/{user}/webpush/{action}", body, **more)

    async def try_to_subscribe(self, user: str, device: Device, **fields: Any) -> Answer:
        return await self.ask("POST", user, "subscription", msgspec.to_builtins(device.request(**fields)))

    async def subscribe(self, user: str, name: str) -> Device:
        """Subscribe a new device, with the test push."""
        device = self.server.push_service.device(name)
        answer = await self.try_to_subscribe(user, device)
        assert answer.status == 201, answer.content
        return device

    async def subscribe_quietly(self, user: str, name: str) -> Device:
        """Subscribe a new device without a test push: it is said to replace one that nobody knows."""
        device = self.server.push_service.device(name)
        unknown = self.server.push_service.origin + UNKNOWN
        answer = await self.try_to_subscribe(user, device, replaces=unknown)
        assert (answer.status, answer.json["test"]) == (201, "skipped"), answer.content
        return device

    async def store_unchecked(self, user: str, name: str, device: Device, endpoint: str | None = None) -> None:
        """Store a subscription without asking the server, as one that passed its checks in another time."""
        p256dh, auth = decode_keys(device.keys.p256dh, device.keys.auth)
        new = NewSubscription(
            id=name,
            user=user,
            service=Service.OTHER,
            key_id=self.server.engine.public_key().id,
            key_is_declared=True,
            browser="Firefox",
            platform="Linux",
            token_digest=bytes(32),
            endpoint=endpoint or device.endpoint,
            p256dh=p256dh,
            auth=auth,
        )
        await self.store.subscriptions.put(new, replaces=None, max_per_user=50, now_ms=0)

    async def unsubscribe(self, user: str, device: Device) -> None:
        answer = await self.ask("DELETE", user, "subscription", {"endpoint": device.endpoint})
        assert answer.status == 204, answer.content

    async def try_to_notify(self, user: str, title: str = "Hello", *, wait_s: float = WAIT_S, **fields: Any) -> Answer:
        path = f"/api/v1/users/{user}/notifications?wait={wait_s}"
        return await self.server.admin("POST", path, {"title": title, **fields})

    async def notify(self, user: str, title: str = "Hello", **fields: Any) -> dict[str, Any]:
        """Notify a user, and return the dispatch when it is settled."""
        answer = await self.try_to_notify(user, title, **fields)
        assert answer.status == 200, answer.content
        dispatch: dict[str, Any] = answer.json["dispatch"]
        return dispatch

    async def accepted(self, user: str, title: str = "Hello", **fields: Any) -> str:
        """Notify a user, and return the dispatch's id as soon as it is accepted."""
        answer = await self.try_to_notify(user, title, wait_s=0, **fields)
        assert answer.status == 202, answer.content
        dispatch: str = answer.json["dispatch"]["id"]
        return dispatch

    async def settled(self, dispatch: str) -> dict[str, Any]:
        """Wait until nothing is left to do for a dispatch."""
        return await self._until(dispatch, lambda found: found["state"] == "done")

    async def tried(self, dispatch: str) -> dict[str, Any]:
        """Wait until each of a dispatch's deliveries has been tried, be it in vain."""
        return await self._until(dispatch, lambda found: found["deliveries"] and "waiting" not in found["counts"])

    def following(self) -> aclosing[AsyncGenerator[Sequence[AnyEvent], None]]:
        """Follow what happens: first that nothing has, then each time that something did."""
        return aclosing(self.server.engine.events())

    async def _until(self, dispatch: str, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        async with self.following() as events:
            async for _ in events:
                found: dict[str, Any] = (await self.server.admin("GET", f"/api/v1/dispatches/{dispatch}")).json
                if holds(found):
                    return found
        raise AssertionError

    async def listed(self, user: str) -> list[dict[str, Any]]:
        """Return a user's subscriptions."""
        answer = await self.server.admin("GET", "/api/v1/admin/subscriptions?limit=200")
        assert answer.status == 200, answer.content
        return [item for item in answer.json["items"] if item["user"] == user]

    async def states(self, user: str) -> list[str]:
        return sorted(item["state"] for item in await self.listed(user))

    async def cached_devices(self, user: str) -> int | None:
        """Return how many devices of a user the cache holds; None if it holds nothing of them."""
        answer = await self.server.admin("GET", f"/api/v1/admin/cache?limit=200&filter={user}")
        assert answer.status == 200, answer.content
        return next((item["devices"] for item in answer.json["items"] if item["user"] == user), None)

    async def forget(self, user: str) -> None:
        """Have the cache drop what it holds of a user."""
        answer = await self.server.admin("POST", "/api/v1/admin/cache/invalidate", {"user": user})
        assert answer.status == 200, answer.content

    async def forget_faults(self) -> None:
        """Have the push service's lane forget what it answered: by many faults it would be shut."""
        answer = await self.server.admin("POST", "/api/v1/admin/services/reset", {"service": Service.OTHER})
        assert answer.status == 200, answer.content

    def reads_of(self, user: str) -> int:
        return self.store.reads_of(user)

    @property
    def pushes(self) -> list[Push]:
        return self.server.push_service.pushes

    def pushed_to(self) -> list[str]:
        """Return where pushes have come in since this was last called."""
        paths = sorted(push.path.removeprefix("/") for push in self.pushes)
        self.pushes.clear()
        return paths

    def pushed(self, device: Device) -> list[str]:
        """Return the titles that a device was pushed, as it decrypts them."""
        mine = [push for push in self.pushes if device.endpoint.endswith(push.path)]
        return [device.decrypt(push.body)["notification"]["title"] for push in mine]

    async def sql(self, *statements: str) -> None:
        """Do something to the database behind the server's back."""
        await change_database(self.path, *statements)


@asynccontextmanager
async def bench(
    data_dir: Path, *, is_allowed: bool = True, timeout_s: float = 15.0, **options: Any
) -> AsyncIterator[Bench]:
    """Run a server with its time standing still; `options` are those of `running`."""
    clock, path = FrozenClock(), data_dir / "pushdesk.db"
    store = WatchedStore(path)
    surroundings = Surroundings(clock=clock, store=store, is_allowed=is_allowed, timeout_s=timeout_s)
    async with running(data_dir, surroundings=surroundings, **options) as server:
        yield Bench(server, store, clock, path)


async def begun(*tasks: asyncio.Task[Any]) -> None:
    """Return when each of these tasks has come to where it waits for the first time."""
    assert tasks
    await asyncio.sleep(0)
