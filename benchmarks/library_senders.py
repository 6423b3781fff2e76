"""One sender of the comparison: `python -m benchmarks.library_senders SENDER FILE SECONDS` sends as fast as it can.

The file has the devices, the message and the VAPID key. After a second of warming up, in which connections are made, it
counts for so many seconds, and prints as JSON how many pushes were answered with 201, in which time, and the CPU that
it used with all its threads and children. See `benchmarks.libraries` for what the senders are.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec
import requests
from py_vapid import Vapid02
from pywebpush import WebPusher, webpush, webpush_async

from benchmarks.processes import family_cpu_s
from pushdesk.engine.carrier import Carrier, InProcess
from pushdesk.engine.sender_pool import SenderPool
from pushdesk.garbage import keep_what_is_there
from pushdesk.model import Urgency
from pushdesk.sender.frames import Push, Result, Settings
from pushdesk.sender.sending import open_transport
from pushdesk.webpush.device_keys import DeviceKeys as KeptKeys
from pushdesk.webpush.encryption import decode_keys
from pushdesk.webpush.origins import Origins
from pushdesk.webpush.request import headers
from pushdesk.webpush.vapid import Authorizer, SigningKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

AT_ONCE: Final = 100
WARM_UP_S: Final = 1.0
SUBSCRIBER: Final = "mailto:push@example.com"
KEY_MEMORY: Final = 4_000_000
"""What the default of the cache gives devices' keys."""


class DeviceKeys(msgspec.Struct, frozen=True):
    """As `PushSubscription.toJSON()` has them."""

    p256dh: str
    auth: str


class Device(msgspec.Struct, frozen=True):
    """A subscription as browsers write it."""

    endpoint: str
    keys: DeviceKeys


class Load(msgspec.Struct):
    """What is to be sent to whom."""

    origin: str
    devices: list[Device]
    message: str
    pem: str
    public_key: str
    private_key: str


class Counted(msgspec.Struct):
    """What came of a sender."""

    sends: int
    seconds: float
    cpu_s: float


class Counter:
    """Counts what is sent between the end of the warm-up and the end."""

    def __init__(self, seconds: float) -> None:
        self._begins = time.perf_counter() + WARM_UP_S
        self._seconds = seconds
        self._began: tuple[float, float] | None = None
        self._sends = 0
        self.counted: Counted | None = None

    def goes_on(self) -> bool:
        """Take note of a push that was answered; returns whether there is time for another."""
        if self.counted is not None:
            return False
        now = time.perf_counter()
        if self._began is None:
            if now >= self._begins:
                self._began = (now, family_cpu_s(os.getpid()))
            return True
        self._sends += 1
        if now - self._began[0] >= self._seconds:
            self.counted = Counted(self._sends, now - self._began[0], family_cpu_s(os.getpid()) - self._began[1])
            return False
        return True


async def at_once(number: int, send: Callable[[Device], Awaitable[int]], load: Load, counter: Counter) -> None:
    """Have so many pushes under way until the time is over."""
    devices: Iterator[Device] = itertools.cycle(load.devices)

    async def worker() -> None:
        while True:
            assert await send(next(devices)) == 201
            if not counter.goes_on():
                return

    await asyncio.gather(*(worker() for _ in range(number)))


async def pushdesk(load: Load, counter: Counter, processes: int) -> None:
    """Send as the engine does: a header with a token per origin, and processes that encrypt and post; 0 for none."""
    key = SigningKey.from_pem(load.pem.encode())
    authorizer = Authorizer(subscriber=SUBSCRIBER, clock=time.time)
    keys = {device.endpoint: decode_keys(device.keys.p256dh, device.keys.auth) for device in load.devices}
    message = load.message.encode()
    settings = Settings(allowed_origins=(load.origin,), key_memory=KEY_MEMORY // max(1, processes))
    origins, numbers = Origins(frozenset(settings.allowed_origins)), itertools.count()
    async with AsyncExitStack() as closing:
        carrier: Carrier
        if processes:
            carrier = await closing.enter_async_context(SenderPool(processes, settings, in_hand=AT_ONCE))
        else:
            transport = open_transport(settings, time.monotonic)
            closing.push_async_callback(transport.aclose)
            carrier = InProcess(transport, time.monotonic, KeptKeys(settings.key_memory))

        async def send(device: Device) -> int:
            p256dh, auth = keys[device.endpoint]
            origin, _ = origins.find(device.endpoint)
            authorization = authorizer.authorization_at(key, origin.name)
            fields = headers(ttl_s=86400, urgency=Urgency.HIGH, topic=None, authorization=authorization)
            push = Push(device.endpoint, p256dh, auth, message, fields)
            result = await carrier.carry(f"{next(numbers)}", push)
            assert isinstance(result, Result), result
            return result.status

        await at_once(AT_ONCE * max(1, processes), send, load, counter)


async def pywebpush_async(load: Load, counter: Counter) -> None:
    """Send with `webpush_async`, as its documents show it: a session for all, and the key read beforehand."""
    vapid = Vapid02.from_pem(load.pem.encode())
    subscriptions = {device.endpoint: msgspec.to_builtins(device) for device in load.devices}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def send(device: Device) -> int:
            answer = await webpush_async(
                subscriptions[device.endpoint],
                load.message,
                vapid_private_key=vapid,
                vapid_claims={"sub": SUBSCRIBER},
                ttl=86400,
                headers={"Urgency": "high"},
                aiohttp_session=session,
            )
            return int(answer.status)

        await at_once(AT_ONCE, send, load, counter)


async def pywebpush_token_once(load: Load, counter: Counter) -> None:
    """Send with what is below that, `WebPusher.send_async`: the token is signed once and not for each push."""
    claims = {"sub": SUBSCRIBER, "aud": load.origin, "exp": int(time.time()) + 12 * 3600}
    token = Vapid02.from_pem(load.pem.encode()).sign(claims)
    subscriptions = {device.endpoint: msgspec.to_builtins(device) for device in load.devices}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def send(device: Device) -> int:
            pusher = WebPusher(subscriptions[device.endpoint], aiohttp_session=session)
            answer = await pusher.send_async(load.message, {**token, "Urgency": "high"}, ttl=86400)
            return int(answer.status)

        await at_once(AT_ONCE, send, load, counter)


async def pywebpush_sync(load: Load, counter: Counter) -> None:
    """Send with `webpush`, one after the other, with a session for all."""
    vapid = Vapid02.from_pem(load.pem.encode())
    devices = itertools.cycle([msgspec.to_builtins(device) for device in load.devices])
    with requests.Session() as session:
        goes_on = True
        while goes_on:
            answer = webpush(
                next(devices),
                load.message,
                vapid_private_key=vapid,
                vapid_claims={"sub": SUBSCRIBER},
                ttl=86400,
                headers={"Urgency": "high"},
                requests_session=session,
            )
            assert answer.status_code == 201
            goes_on = counter.goes_on()


SENDERS: Final[dict[str, Callable[[Load, Counter], Awaitable[None]]]] = {
    "pushdesk-0": lambda load, counter: pushdesk(load, counter, 0),
    "pushdesk-1": lambda load, counter: pushdesk(load, counter, 1),
    "pushdesk-2": lambda load, counter: pushdesk(load, counter, 2),
    "pywebpush-async": pywebpush_async,
    "pywebpush-token-once": pywebpush_token_once,
    "pywebpush-sync": pywebpush_sync,
}


async def run(name: str, load: Load, seconds: float) -> Counted:
    counter = Counter(seconds)
    await SENDERS[name](load, counter)
    assert counter.counted is not None
    return counter.counted


def main() -> None:
    name, file, seconds = sys.argv[1:]
    # The garbage collector is not to look through all that the others need, again and again.
    keep_what_is_there()
    load = msgspec.json.decode(Path(file).read_bytes(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(run(name, load, float(seconds)))) + b"\n")


if __name__ == "__main__":
    main()
