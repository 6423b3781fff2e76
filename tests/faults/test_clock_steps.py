"""The wall clock is set a day forward or back: nothing is lost by that, and nothing is sent twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from pushdesk.model import DispatchState, Notification, Outcome
from tests.engine.outbox_bench import HELLO, RETRY_S, open_bench
from tests.push_service import PushService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.model import Dispatch
    from tests.engine.outbox_bench import OutboxBench

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
STEPS: Final = pytest.mark.parametrize("step_s", [DAY_S, -DAY_S], ids=["forward", "back"])


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OutboxBench]:
    async with PushService() as service, open_bench(service, tmp_path, monkeypatch) as running:
        yield running


async def waiting(bench: OutboxBench) -> Dispatch:
    """Have something that is to be tried again in a minute."""
    await bench.subscribe("ada", "phone")
    bench.service.answer("phone", 503, headers={"Retry-After": str(RETRY_S)})
    dispatch = await bench.engine.notify("ada", Notification("Hello", ttl=3 * DAY_S))
    await bench.delivery(dispatch, lambda delivery: delivery.attempts == 1)
    bench.service.answers.clear()
    bench.service.pushes.clear()
    return dispatch


async def settled_once(bench: OutboxBench, dispatch: Dispatch, outcome: Outcome = Outcome.ACCEPTED) -> None:
    """Wait until a dispatch is done, and look at what came of it, with all that there was."""
    assert (await bench.done(dispatch)).counts == {outcome: 1}
    await bench.assert_at_rest()


async def scheduled(bench: OutboxBench, ttl: int) -> Dispatch:
    """Have something that is to be sent in an hour."""
    await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    due_at = datetime.fromtimestamp(bench.clock.time() + HOUR_S, UTC)
    return await bench.engine.notify("ada", Notification("Later", ttl=ttl, send_at=due_at))


async def test_what_waits_to_be_tried_again_is_tried_when_the_clock_is_set_forward(bench: OutboxBench) -> None:
    dispatch = await waiting(bench)
    bench.clock.step(DAY_S)
    await bench.later(RETRY_S)
    await settled_once(bench, dispatch)
    assert len(bench.service.pushes) == 1


async def test_what_waits_to_be_tried_again_waits_until_a_clock_that_was_set_back_is_there(bench: OutboxBench) -> None:
    dispatch = await waiting(bench)
    bench.clock.step(-DAY_S)
    await bench.later(RETRY_S)
    assert (await bench.engine.dispatch(dispatch.id)).state is DispatchState.SENDING
    assert bench.service.pushes == []
    await bench.later(DAY_S)
    await settled_once(bench, dispatch)
    assert len(bench.service.pushes) == 1


async def test_what_is_scheduled_is_sent_when_the_clock_is_set_forward_past_it(bench: OutboxBench) -> None:
    dispatch = await scheduled(bench, ttl=2 * DAY_S)
    bench.clock.step(DAY_S)
    await bench.later(0)
    await settled_once(bench, dispatch)
    (push,) = bench.service.pushes
    assert push.headers["TTL"] == str(DAY_S + HOUR_S)


async def test_what_is_scheduled_is_sent_once_when_a_clock_that_was_set_back_gets_there(bench: OutboxBench) -> None:
    dispatch = await scheduled(bench, ttl=HOUR_S)
    bench.clock.step(-DAY_S)
    await bench.later(HOUR_S)
    assert (await bench.engine.dispatch(dispatch.id)).state is DispatchState.SCHEDULED
    await bench.later(DAY_S)
    await settled_once(bench, dispatch)
    assert len(bench.service.pushes) == 1


async def test_what_expired_meanwhile_is_told_as_expired(bench: OutboxBench) -> None:
    dispatch = await scheduled(bench, ttl=HOUR_S)
    bench.clock.step(DAY_S)
    await bench.later(0)
    await settled_once(bench, dispatch, Outcome.EXPIRED)
    assert bench.service.pushes == []


@STEPS
async def test_what_is_under_way_ends_as_it_would_have(bench: OutboxBench, step_s: int) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    bench.service.hold = asyncio.Event()
    dispatch = await bench.engine.notify("ada", HELLO)
    await bench.service.wait_for_pushes(1)
    bench.clock.step(step_s)
    # Looked at what is due, it is still somebody's: a claim does not end by a clock.
    await bench.look(wait_s=10)
    bench.service.hold.set()
    await settled_once(bench, dispatch)
    assert len(bench.service.pushes) == 1


@STEPS
async def test_a_device_that_is_left_alone_is_so_for_as_long_as_was_asked_for(bench: OutboxBench, step_s: int) -> None:
    await waiting(bench)
    bench.clock.step(step_s)
    dispatch = await bench.engine.notify("ada", HELLO)
    await bench.look(wait_s=10)
    assert bench.service.pushes == []
    await bench.later(RETRY_S)
    assert (await bench.done(dispatch)).counts == {Outcome.ACCEPTED: 1}


@pytest.mark.parametrize("step_s", [DAY_S - HOUR_S, -DAY_S], ids=["forward", "back"])
async def test_a_repeat_is_known_for_one(bench: OutboxBench, step_s: int) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.pushes.clear()
    first = await bench.engine.notify("ada", HELLO, wait_s=10, idempotency_key="k")
    bench.clock.step(step_s)
    assert (await bench.engine.notify("ada", HELLO, wait_s=10, idempotency_key="k")).id == first.id
    assert len(bench.service.pushes) == 1
