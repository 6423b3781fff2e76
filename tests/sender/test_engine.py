"""An engine with sender processes: what it accepted is sent, whatever becomes of them, and nobody waits for another."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest

from pushdesk.config import Config, PushConfig
from pushdesk.engine.opening import in_hand, open_engine, sender_settings
from pushdesk.engine.sender_pool import SenderPool
from pushdesk.engine.sender_process import COMMAND, launch
from pushdesk.model import Dispatch, DispatchState, Notification, Outcome, Service
from pushdesk.webpush import services
from tests.push_service import PushService
from tests.sender.bench import FRAGILE, leave_files, ready
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from pushdesk.engine.engine import Engine
    from tests.logs import Log

ACCESS_URL: Final = "http://localhost:8484"


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with PushService() as running:
        yield running


@asynccontextmanager
async def running(
    folder: Path, *origins: str, count: int = 2, command: Sequence[str] = COMMAND, max_devices: int = 50
) -> AsyncIterator[tuple[Engine, SenderPool]]:
    """Run an engine and its processes."""
    config = Config(folder, push=PushConfig(allow_endpoint=origins, max_devices=max_devices, total_timeout_s=60))
    settings = sender_settings(config, count)
    async with (
        SenderPool(count, settings, in_hand=in_hand(config), launch=lambda: launch(command)) as pool,
        open_engine(config, access_url=ACCESS_URL, pool=pool, uniform=min) as engine,
    ):
        yield engine, pool


async def all_done(engine: Engine, accepted: Sequence[Dispatch]) -> list[Dispatch]:
    """Wait until nothing is left to do for dispatches; returns them."""
    found = []
    async with asyncio.timeout(100):
        for dispatch in accepted:
            now = await engine.dispatch(dispatch.id)
            while now.state is not DispatchState.DONE:
                await asyncio.sleep(0.05)
                now = await engine.dispatch(dispatch.id)
            found.append(now)
    return found


async def test_processes_are_killed_again_and_again_and_nothing_is_lost(tmp_path: Path, service: PushService) -> None:
    device = service.device("one")
    async with running(tmp_path, service.origin) as (engine, pool):
        await engine.subscribe("ada", device.request())
        service.pushes.clear()
        accepted: list[Dispatch] = []
        for _ in range(4):
            service.hold = asyncio.Event()
            before = len(service.pushes)
            accepted += [await engine.notify("ada", Notification(f"Number {len(accepted) + n}")) for n in range(25)]
            await service.wait_for_pushes(before + 5)
            for pid in await ready(pool):
                os.kill(pid, signal.SIGKILL)
            service.hold.set()
            service.hold = None
        done = await all_done(engine, accepted)
        assert [dispatch.counts for dispatch in done] == [{Outcome.ACCEPTED: 1}] * 100
        # What a process took with it is no attempt.
        assert {delivery.attempts for dispatch in done for delivery in dispatch.deliveries} == {1}
        arrived = {device.decrypt(push.body)["notification"]["title"] for push in service.pushes}
        assert arrived == {f"Number {number}" for number in range(100)}
        stats = await engine.stats()
        assert stats.senders.restarts >= 4
        assert any("sender processes ended in the last ten minutes" in warning for warning in stats.warnings)


async def test_a_poisoned_push_is_refused_with_its_reason_and_all_others_arrive(
    tmp_path: Path, service: PushService, log: Log
) -> None:
    async with running(tmp_path, service.origin, command=FRAGILE) as (engine, pool):
        await ready(pool, 2)
        for number in range(10):
            await engine.subscribe("ada", service.device(f"device-{number}").request())
        await engine.subscribe("ada", service.device("poison").request())
        dispatch = await engine.notify("ada", Notification("Harmful"))
        (done,) = await all_done(engine, [dispatch])
        assert done.counts == {Outcome.ACCEPTED: 10, Outcome.REFUSED: 1}
        (refused,) = (each for each in done.deliveries if each.outcome is Outcome.REFUSED)
        assert refused.reason.startswith("Every sender process that it was given to ended")
        assert refused.status is None
    (said,) = log.of("push_refused_as_harmful")
    assert (said["level"], said["device"]) == ("error", refused.subscription)


async def test_an_origin_that_stalls_with_ten_thousand_waiting_delays_no_other(
    tmp_path: Path, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By this name it has a lane of its own.
    monkeypatch.setitem(services._HOSTS, "localhost", Service.MOZILLA)
    async with PushService() as stalled:
        other = service.origin.replace("127.0.0.1", "localhost")
        async with running(tmp_path, stalled.origin, other, count=1, max_devices=200) as (engine, _):
            for number in range(100):
                await engine.subscribe("many", stalled.device(f"device-{number}").request())
            device = service.device("one")
            device.endpoint = f"{other}/one"
            await engine.subscribe("ada", device.request())
            stalled.pushes.clear()
            service.pushes.clear()
            stalled.hold = asyncio.Event()
            for _ in range(100):
                await engine.notify("many", Notification("Stalls"))
            await stalled.wait_for_pushes(100)
            flowing = [await engine.notify("ada", Notification("Flows")) for _ in range(200)]
            done = await all_done(engine, flowing)
            assert [dispatch.counts for dispatch in done] == [{Outcome.ACCEPTED: 1}] * 200
            stats = await engine.stats()
            # As many as the lane lets start: the rest waits in the outbox, not with the process.
            assert len(stalled.pushes) == stats.senders.in_hand == 100
            assert stats.senders.waiting == 0
            assert stats.queue > 9000
            assert len(service.pushes) == 200


async def test_a_broadcast_survives_its_processes(tmp_path: Path, service: PushService) -> None:
    async with running(tmp_path, service.origin, max_devices=100) as (engine, pool):
        for number in range(60):
            await engine.subscribe(f"user-{number}", service.device(f"device-{number}").request())
        service.pushes.clear()
        service.hold = asyncio.Event()
        dispatch = await engine.broadcast(Notification("To all"))
        await service.wait_for_pushes(30)
        for pid in await ready(pool, 2):
            os.kill(pid, signal.SIGKILL)
        service.hold.set()
        service.hold = None
        (done,) = await all_done(engine, [dispatch])
        assert done.counts == {Outcome.ACCEPTED: 60}
        assert {push.path for push in service.pushes} == {f"/device-{number}" for number in range(60)}


async def test_without_files_a_delivery_waits_and_is_no_failure_of_its_push_service(
    tmp_path: Path, service: PushService
) -> None:
    async with running(tmp_path, service.origin, count=1) as (engine, pool):
        (pid,) = await ready(pool)
        # So that there is no connection to be used again.
        service.answer("one", 201, headers={"Connection": "close"})
        await engine.subscribe("ada", service.device("one").request())
        leave_files(pid, 0)
        dispatch = await engine.notify("ada", Notification("Hello"))
        await until(lambda: pool.stats().without_file > 1)
        (waiting,) = (await engine.dispatch(dispatch.id)).deliveries
        assert (waiting.outcome, waiting.attempts) == (Outcome.WAITING, 0)
        assert waiting.reason.startswith("No file is left")
        leave_files(pid, 100)
        (done,) = await all_done(engine, [dispatch])
        assert [delivery.attempts for delivery in done.deliveries] == [1]
        (health,) = (await engine.stats()).services
        assert (health.sent, health.failed) == (2, 0)
