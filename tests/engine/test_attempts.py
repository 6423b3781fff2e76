"""A delivery's attempts, from the answers of a simulated push service to what the engine tells of them."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import pytest

from pushdesk.config import Config, PushConfig
from pushdesk.engine.engine import Engine
from pushdesk.errors import PushdeskError
from pushdesk.model import Notification, Outcome
from pushdesk.simulator.answers import PreparedAnswer
from pushdesk.simulator.service import Simulator
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.transport import HttpTransport
from tests.clocks import FrozenClock
from tests.engine.outbox_bench import ACCESS_URL, HELLO
from tests.push_service import Device
from tests.simulator.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pushdesk.model import Delivery, Dispatch
    from tests.engine.outbox_bench import OutboxBench

WAIT_S = 10.0


class World(NamedTuple):
    """A push service with one browser, and engines that can be started on the same data directory."""

    simulator: Simulator
    browser: Device
    clock: FrozenClock
    start: Callable[[], AbstractAsyncContextManager[Engine]]

    def throttle(self, times: int, **headers: str) -> None:
        """Have the next pushes be answered with a 429."""
        self.simulator.answers.add(
            PreparedAnswer(429, {name.replace("_", "-"): value for name, value in headers.items()}, count=times)
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = FrozenClock()

    async with (
        Simulator(clock=clock.time) as simulator,
        aiohttp.ClientSession() as session,
        Wire(session, simulator.url) as wire,
    ):
        origins = frozenset({simulator.origin})
        config = Config(data_dir=tmp_path, push=PushConfig(allow_endpoint=tuple(origins)))

        @asynccontextmanager
        async def start() -> AsyncIterator[Engine]:
            transport = HttpTransport(allowed_origins=origins, clock=clock.monotonic)
            async with (
                Store(tmp_path / DATABASE_NAME) as store,
                Engine(
                    config, access_url=ACCESS_URL, store=store, transport=transport, clock=clock, uniform=min
                ) as engine,
            ):
                yield engine
            await transport.aclose()

        await wire.hello()
        yield World(simulator, Device(await wire.register(None)), clock, start)


async def settled(engine: Engine, dispatch: Dispatch, attempts: int) -> Delivery:
    """Wait until the only delivery of a dispatch has had so many attempts."""
    async with aclosing(engine.events()) as events:
        async for _ in events:
            deliveries = (await engine.dispatch(dispatch.id)).deliveries
            if deliveries and deliveries[0].attempts == attempts:
                return deliveries[0]
    raise AssertionError


async def later(engine: Engine, clock: FrozenClock, seconds: float) -> None:
    """Let time pass, and the engine look at what is due by then."""
    clock.advance(seconds)
    # Whose devices must be read first waits for that.
    await engine.invalidate_cache("nobody")
    await engine.notify("nobody", HELLO)


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_push_that_is_throttled_twice_has_three_attempts(world: World, *, restarts: bool) -> None:
    async with world.start() as engine:
        await engine.subscribe("ada", world.browser.request())
        world.throttle(1, Retry_After="60")
        world.throttle(1, Retry_After="120")
        dispatch = await engine.notify("ada", HELLO)
        delivery = await settled(engine, dispatch, 1)
        assert [attempt.number for attempt in (await engine.delivery(delivery.id)).attempts] == [1]
        await later(engine, world.clock, 60)
        await settled(engine, dispatch, 2)
        if not restarts:
            await later(engine, world.clock, 120)
            await settled(engine, dispatch, 3)
    async with world.start() as engine:
        if restarts:
            await later(engine, world.clock, 120)
            await settled(engine, dispatch, 3)
        record = await engine.delivery(delivery.id)
    assert [(attempt.number, attempt.outcome, attempt.status) for attempt in record.attempts] == [
        (1, Outcome.THROTTLED, 429),
        (2, Outcome.THROTTLED, 429),
        (3, Outcome.ACCEPTED, 201),
    ]
    # The simulator keeps it for what was left: a day less the three minutes.
    assert [attempt.headers for attempt in record.attempts] == [
        {"retry-after": "60"},
        {"retry-after": "120"},
        {"ttl": str(86400 - 180)},
    ]
    times = [attempt.at for attempt in record.attempts]
    assert [(time - times[0]).total_seconds() for time in times] == [0, 60, 180]
    assert record.delivery.outcome is Outcome.ACCEPTED
    assert (record.dispatch.id, record.dispatch.counts) == (dispatch.id, {Outcome.ACCEPTED: 1})
    assert (record.ttl_s, record.urgency, record.topic) == (86400, "normal", None)
    assert (record.expires_at - record.dispatch.accepted_at).total_seconds() == 86400


async def test_a_record_counts_the_bytes_that_are_encrypted(world: World) -> None:
    async with world.start() as engine:
        await engine.subscribe("ada", world.browser.request())
        dispatch = await engine.notify("ada", Notification("Grüße"), wait_s=WAIT_S)
        record = await engine.delivery(dispatch.deliveries[0].id)
    pushed = world.simulator.registry.pushes[-1]
    # What encryption adds is always the same (RFC 8188, RFC 8291): 86 bytes of header, a delimiter and a tag of 16.
    assert record.size == pushed.size - 103


async def test_no_answer_has_no_headers(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "one")
    # More than a header may have is no HTTP.
    bench.service.raw["/one"] = (b"HTTP/1.1 429 No\r\nRetry-After: " + b"9" * 10_000 + b"\r\n\r\n", b"")
    dispatch = await bench.engine.notify("ada", HELLO)
    delivery = await bench.delivery(dispatch, lambda delivery: delivery.attempts == 1)
    (attempt,) = (await bench.engine.delivery(delivery.id)).attempts
    assert (attempt.outcome, attempt.status, attempt.headers) == (Outcome.TRANSIENT, None, {})
    assert attempt.reason == "The push service's answer was not HTTP."


async def test_an_attempt_that_could_not_be_written_down_is_kept_once_it_can_be(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "one")
    bench.service.answer("one", 503, headers={"Retry-After": "60"})
    settle = bench.watch("settle")
    # The first is written, and only seems not to be.
    settle.seems_to_fail = True
    dispatch = await bench.engine.notify("ada", HELLO)
    delivery = await bench.delivery(dispatch, lambda delivery: delivery.attempts == 1)
    bench.service.answers.clear()
    await bench.later(60)
    await bench.done(dispatch)
    record = await bench.engine.delivery(delivery.id)
    assert [(attempt.number, attempt.status, attempt.headers) for attempt in record.attempts] == [
        (1, 503, {"retry-after": "60"}),
        (2, 201, {}),
    ]
    assert settle.begun.qsize() == 3


async def test_what_a_header_repeats_of_endpoint_and_keys_is_kept_nowhere(bench: OutboxBench) -> None:
    name = "tok-Zm9vYmFyc2VjcmV0"
    device = bench.service.device(name)
    await bench.engine.subscribe("ada", device.request())
    said = f"{name}, {device.keys.auth}: in {device.keys.p256dh} {device.endpoint} 60 s \x1b[1m"
    bench.service.raw[f"/{name}"] = (
        f"HTTP/1.1 429 No\r\nRetry-After: {said}\r\nTTL: {'é' * 1000}\r\nLocation: {device.endpoint}\r\n"
        f"Content-Length: 0\r\n\r\n".encode(),
        b"",
    )
    dispatch = await bench.engine.notify("ada", HELLO)
    delivery = await bench.delivery(dispatch, lambda delivery: delivery.attempts == 1)
    (attempt,) = (await bench.engine.delivery(delivery.id)).attempts
    assert attempt.headers == {"retry-after": "…, …: in … … 60 s", "ttl": "…"}
    stored = str(bench.sql("SELECT headers FROM attempts") + bench.sql("SELECT headers, reason FROM deliveries"))
    assert not any(secret in stored for secret in (name, device.keys.auth, device.keys.p256dh))


async def test_a_delivery_that_is_not_known_is_not_found(bench: OutboxBench) -> None:
    with pytest.raises(PushdeskError) as missing:
        await bench.engine.delivery("unknown")
    assert missing.value.code == "not_found"
