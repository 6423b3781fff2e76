"""Data directories with as many devices as are wanted, at a push service that is nearby, and servers on them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import signal
import sqlite3
import sys
import time
from contextlib import asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

from pushdesk.client import HttpDesk
from pushdesk.model import Service, SubscriptionState
from pushdesk.storage.schema import subscriptions, user_state
from pushdesk.storage.store import DATABASE_NAME
from pushdesk.webpush.encryption import decode_keys
from tests.crowd import insert_rows, straight_into
from tests.programs import bare_environment, serving
from tests.push_service import Device

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.programs import Server

TOKEN: Final = "benchmark-" + 32 * "0"
KEY_PAIRS: Final = 256
"""Devices have one of so many."""
END_S: Final = 60.0
"""A server that was told to end is not waited for any longer."""
CAME_MS: Final = 1_700_000_000_000
"""When the first device came; the others a millisecond later each."""


class Stock(NamedTuple):
    """A data directory whose users `user-00000` and so on have so many devices each."""

    data: Path
    origin: str
    """Of the push service."""
    users: int
    devices_each: int

    @property
    def devices(self) -> int:
        return self.users * self.devices_each

    @property
    def file_mb(self) -> float:
        """The size of the database."""
        return (self.data / DATABASE_NAME).stat().st_size / 1e6

    @property
    def env(self) -> dict[str, str]:
        """The environment of a server, and of those who use it."""
        return bare_environment(
            self.data,
            PUSHDESK_DATA_DIR=str(self.data),
            PUSHDESK_ALLOW_ENDPOINT=self.origin,
            PUSHDESK_ADMIN_TOKEN=TOKEN,
            PUSHDESK_TOKEN=TOKEN,
            PYTHONPATH=":".join(path for path in sys.path if path),
        )

    def path(self, user: int, device: int = 0) -> str:
        """Return the path at the push service of one of a user's devices."""
        return f"/{self.data.name}/{user * self.devices_each + device}"


def name_of(user: int) -> str:
    """Return a user's id."""
    return f"user-{user:05}"


async def stock(data: Path, origin: str, *, users: int, devices_each: int = 1) -> Stock:
    """Make a data directory. Two million devices take a minute or two, and 2 GB.

    Args:
        data: Where it is to be; its name is part of the devices' paths.
        origin: Of the push service.
        users: How many.
        devices_each: Of each user.
    """
    data.mkdir(mode=0o700)  # noqa: ASYNC240 (nobody else waits)
    made = Stock(data, origin, users, devices_each)
    # A server's first start makes the schema and the key that devices subscribe with.
    async with started(made):
        pass
    file = data / DATABASE_NAME
    with closing(sqlite3.connect(file)) as connection:
        ((key_id,),) = connection.execute("SELECT id FROM vapid_keys WHERE state = 'current'").fetchall()
        ((digest_key,),) = connection.execute("SELECT digest_key FROM server_state").fetchall()
    with straight_into(file) as connection:
        insert_rows(
            connection,
            user_state,
            ({"user": name_of(user), "generation": user + 1, "created_at": CAME_MS + user} for user in range(users)),
        )
        insert_rows(connection, subscriptions, _subscriptions(made, key_id, digest_key))
        connection.execute("UPDATE server_state SET generation = ?", (users,))
    return made


def _subscriptions(made: Stock, key_id: str, digest_key: bytes) -> Iterator[dict[str, object]]:
    keys = [decode_keys(made.p256dh, made.auth) for made in (Device("").keys for _ in range(KEY_PAIRS))]
    for number in range(made.devices):
        user, device = divmod(number, made.devices_each)
        endpoint = f"{made.origin}{made.path(user, device)}"
        p256dh, auth = keys[number % KEY_PAIRS]
        yield {
            "id": f"{CAME_MS + number:012x}{number:014x}",
            "user": name_of(user),
            "endpoint_digest": hmac.digest(digest_key, endpoint.encode(), hashlib.sha256),
            "endpoint": endpoint,
            "p256dh": p256dh,
            "auth": auth,
            "token_digest": bytes(32),
            "key_id": key_id,
            "service": Service.OTHER.value,
            "browser": "Firefox",
            "platform": "Linux",
            "state": SubscriptionState.ACTIVE.value,
            "version": 1,
            "created_at": CAME_MS + number,
            "failures": 0,
        }


class Started(NamedTuple):
    """A server that runs."""

    url: str
    pid: int
    start_s: float
    """From when the process was begun until it said that it was ready for requests."""


@asynccontextmanager
async def started(on: Stock) -> AsyncIterator[Started]:
    """Run `pushdesk serve` until it has been told to end, and has."""
    began_s = time.perf_counter()
    async with serving("--port", "0", env=on.env) as server:
        # By address: which of localhost's it is is not to be decided again and again.
        url = server.url.replace("localhost", "127.0.0.1")
        await ready(url)
        start_s = time.perf_counter() - began_s
        # What it says is read, or its pipe would fill up.
        said = asyncio.create_task(server.errors())
        try:
            yield Started(url, server.pid, start_s)
            await _end(server)
        finally:
            said.cancel()


async def _end(server: Server) -> None:
    code = await server.end(signal.SIGTERM, within_s=END_S)
    if code not in (0, 128 + signal.SIGTERM, -signal.SIGTERM):
        raise AssertionError(f"the server ended with {code}")


async def ready(url: str, *, within_s: float = 30.0) -> None:
    """Wait until a server says that it is ready.

    Raises:
        TimeoutError: It does not.
    """
    async with aiohttp.ClientSession() as session, asyncio.timeout(within_s):
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.005)


async def settled(url: str) -> None:
    """Wait until nothing waits, and nothing is under way."""
    async with HttpDesk(url, TOKEN) as desk:
        while True:
            stats = await desk.stats()
            if stats.queue == 0 and stats.in_flight == 0:
                return
            await asyncio.sleep(0.05)
