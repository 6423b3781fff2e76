"""Of each topic, one message at a time is on its way to a device, and never an older one after a newer one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.engine.topics import Precedence
from pushdesk.model import DispatchKind, DispatchState, Notification, Outcome, Service
from pushdesk.storage.times import to_datetime
from tests.contract.storing import NOW, message
from tests.engine.cache_bench import settle, soon
from tests.engine.outbox_bench import HELLO, RETRY_S

if TYPE_CHECKING:
    from pushdesk.model import Dispatch
    from tests.engine.outbox_bench import OutboxBench
    from tests.push_service import Device


def news(title: str, **fields: Any) -> Notification:
    return Notification(title, topic="news", **fields)


async def phone(bench: OutboxBench) -> Device:
    device = bench.service.device("phone")
    await bench.engine.subscribe("ada", device.request())
    bench.service.pushes.clear()
    return device


def titles(bench: OutboxBench, device: Device) -> list[str]:
    return [device.decrypt(push.body)["notification"]["title"] for push in bench.service.pushes]


async def waiting(bench: OutboxBench, title: str) -> Dispatch:
    """Have a message that is to be tried again."""
    bench.service.answer("phone", 503)
    dispatch = await bench.engine.notify("ada", news(title))
    await bench.delivery(dispatch, lambda delivery: delivery.attempts == 1)
    bench.service.answers.clear()
    return dispatch


async def at_rest(bench: OutboxBench) -> None:
    await bench.until(lambda stats: (stats.queue, stats.in_flight) == (0, 0))
    await bench.assert_at_rest()


async def outcomes(bench: OutboxBench, *dispatches: Dispatch) -> list[dict[Outcome, int]]:
    return [(await bench.done(dispatch)).counts for dispatch in dispatches]


async def test_a_newer_one_takes_the_place_of_one_that_waits(bench: OutboxBench) -> None:
    device = await phone(bench)
    older = await waiting(bench, "older")
    newer = await bench.engine.notify("ada", news("newer"))
    assert await outcomes(bench, older, newer) == [{Outcome.SUPERSEDED: 1}, {Outcome.ACCEPTED: 1}]
    assert titles(bench, device) == ["older", "newer"]
    await at_rest(bench)


async def test_what_is_under_way_is_waited_for_by_the_newest_only(bench: OutboxBench) -> None:
    device = await phone(bench)
    bench.service.hold = asyncio.Event()
    sent = [await bench.engine.notify("ada", news("first"))]
    await soon(bench.service.wait_for_pushes(1))
    for title in ("second", "third"):
        sent.append(await bench.engine.notify("ada", news(title)))
        await bench.until(lambda stats: stats.in_flight == 2)
    elsewhere = await bench.engine.notify("ada", Notification("elsewhere", topic="sport"))
    await soon(bench.service.wait_for_pushes(2))
    await bench.until(lambda stats: stats.in_flight == 3)
    bench.service.hold.set()
    accepted, superseded = {Outcome.ACCEPTED: 1}, {Outcome.SUPERSEDED: 1}
    assert await outcomes(bench, *sent, elsewhere) == [accepted, superseded, accepted, accepted]
    assert titles(bench, device) == ["first", "elsewhere", "third"]
    await at_rest(bench)


@pytest.mark.parametrize("status", [503, 429, 410])
async def test_what_was_under_way_is_not_tried_again_after_a_newer_one(bench: OutboxBench, status: int) -> None:
    device = await phone(bench)
    bench.service.hold = asyncio.Event()
    bench.service.answer("phone", status)
    older = await bench.engine.notify("ada", news("older"))
    await soon(bench.service.wait_for_pushes(1))
    newer = await bench.engine.notify("ada", news("newer"))
    await bench.until(lambda stats: stats.in_flight == 2)
    bench.service.hold.set()
    found = await bench.done(older)
    expected = Outcome.GONE if status == 410 else Outcome.SUPERSEDED
    assert found.counts == {expected: 1}
    if expected is Outcome.SUPERSEDED:
        assert found.deliveries[0].reason.startswith("A newer one of its topic took its place. Last: ")
    bench.service.answers.clear()
    await bench.until(lambda stats: stats.in_flight == 0)
    await bench.later(RETRY_S)
    assert (await bench.done(newer)).counts == {Outcome.GONE if status == 410 else Outcome.ACCEPTED: 1}
    assert titles(bench, device)[0] == "older"
    assert set(titles(bench, device)[1:]) == (set() if status == 410 else {"newer"})
    await at_rest(bench)


async def test_what_waits_for_its_turn_is_not_sent_when_a_newer_one_comes(bench: OutboxBench) -> None:
    device = await phone(bench)
    service = Service.OTHER
    bench.engine._lanes._lanes[service]._concurrency = 1
    bench.service.hold = asyncio.Event()
    blocking = await bench.engine.notify("ada", HELLO)
    await soon(bench.service.wait_for_pushes(1))
    older = await bench.engine.notify("ada", news("older"))
    await bench.until(lambda stats: stats.in_flight == 2)
    newer = await bench.engine.notify("ada", news("newer"))
    await bench.until(lambda stats: stats.in_flight == 3)
    bench.service.hold.set()
    accepted = {Outcome.ACCEPTED: 1}
    assert await outcomes(bench, blocking, older, newer) == [accepted, {Outcome.SUPERSEDED: 1}, accepted]
    assert titles(bench, device) == ["Hello", "newer"]


async def test_behind_a_paused_service_only_the_newest_is_left(bench: OutboxBench) -> None:
    device = await phone(bench)
    await bench.engine.pause_service(Service.OTHER)
    sent = [await bench.engine.notify("ada", news(title)) for title in ("first", "second", "third")]
    superseded = {Outcome.SUPERSEDED: 1}
    assert await outcomes(bench, *sent[:2]) == [superseded, superseded]
    await bench.engine.resume_service(Service.OTHER)
    assert (await bench.done(sent[2])).counts == {Outcome.ACCEPTED: 1}
    assert titles(bench, device) == ["third"]
    await at_rest(bench)


async def test_one_that_was_scheduled_is_as_new_as_the_moment_it_is_for(bench: OutboxBench) -> None:
    device = await phone(bench)
    bench.service.answer("phone", 503, headers={"Retry-After": str(RETRY_S)})
    later = await bench.engine.notify("ada", news("scheduled", send_at=to_datetime(NOW + 30_000)))
    now = await bench.engine.notify("ada", news("now"))
    await bench.delivery(now, lambda delivery: delivery.attempts == 1)
    bench.service.answers.clear()
    assert (await bench.engine.dispatch(later.id)).state is DispatchState.SCHEDULED
    await bench.later(31)
    assert (await bench.done(now)).counts == {Outcome.SUPERSEDED: 1}
    await bench.later(RETRY_S)
    assert (await bench.done(later)).counts == {Outcome.ACCEPTED: 1}
    assert titles(bench, device)[-1] == "scheduled"


async def test_what_a_commit_superseded_that_seemed_to_fail_is_not_tried_again(bench: OutboxBench) -> None:
    device = await phone(bench)
    bench.service.hold = asyncio.Event()
    bench.service.answer("phone", 503)
    older = await bench.engine.notify("ada", news("older"))
    await soon(bench.service.wait_for_pushes(1))
    bench.watch("spread").seems_to_fail = True
    newer = await bench.engine.notify("ada", news("newer"))
    await bench.until(lambda stats: stats.in_flight == 2)
    bench.service.hold.set()
    assert (await bench.done(older)).counts == {Outcome.SUPERSEDED: 1}
    bench.service.answers.clear()
    await bench.until(lambda stats: stats.in_flight == 0)
    await bench.later(RETRY_S)
    assert (await bench.done(newer)).counts == {Outcome.ACCEPTED: 1}
    assert titles(bench, device)[0] == "older"
    assert set(titles(bench, device)[1:]) == {"newer"}
    await at_rest(bench)


async def test_one_that_cannot_be_settled_keeps_the_next_one_waiting(bench: OutboxBench) -> None:
    device = await phone(bench)
    bench.service.hold = asyncio.Event()
    older = await bench.engine.notify("ada", news("older"))
    await soon(bench.service.wait_for_pushes(1))
    newer = await bench.engine.notify("ada", news("newer"))
    await bench.until(lambda stats: stats.in_flight == 2)
    settling = bench.watch("settle")
    settling.fails = True
    bench.service.hold.set()
    await soon(settling.begun.get())
    await settle()
    assert titles(bench, device) == ["older"]
    settling.fails = False
    assert await outcomes(bench, older, newer) == [{Outcome.ACCEPTED: 1}] * 2
    assert titles(bench, device) == ["older", "newer"]


async def test_order_is_kept_when_the_clock_goes_back_and_the_server_starts_again(bench: OutboxBench) -> None:
    device = await phone(bench)
    assert (await bench.done(await bench.engine.notify("ada", news("before")))).counts == {Outcome.ACCEPTED: 1}
    bench.clock.advance(-86_400)
    bench.engine._outbox._acceptance.take_up(await bench.store.outbox.precedence())
    assert (await bench.done(await bench.engine.notify("ada", news("after")))).counts == {Outcome.ACCEPTED: 1}
    assert titles(bench, device) == ["before", "after"]


def test_precedence_rises_with_acceptance_and_goes_by_the_schedule() -> None:
    precedence = Precedence()
    first, second = (precedence.of(message()) for _ in range(2))
    assert NOW * 1000 == first < second
    scheduled = precedence.of(message(due=NOW + 1000))
    assert scheduled == (NOW + 1000) * 1000
    turn = precedence.of(replace(message(due=NOW + 1000), kind=DispatchKind.TURN))
    assert second < turn < scheduled
    assert precedence.of(replace(message(), accepted_at_ms=NOW - 86_400_000, due_at_ms=NOW - 86_400_000)) > turn
    precedence.latest = scheduled + 5
    assert precedence.of(message(due=NOW + 1000)) == scheduled + 6


async def test_what_was_disabled_by_a_commit_that_seemed_to_fail_is_told(bench: OutboxBench) -> None:
    await phone(bench)
    bench.service.answer("phone", 410)
    told: list[str] = []
    bench.monkeypatch.setattr(
        bench.engine._publisher, "subscriptions_changed", lambda changed: told.extend(each.state for each in changed)
    )
    bench.watch("settle").seems_to_fail = True
    dispatch = await bench.engine.notify("ada", HELLO, wait_s=5)
    assert (dispatch.state, dispatch.counts) == (DispatchState.DONE, {Outcome.GONE: 1})
    assert told == ["gone"]
