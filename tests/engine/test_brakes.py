"""Where unusually many devices end at once, they are held: end to end, with a push service that is really there."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pushdesk.desk import SubscriptionChanged
from pushdesk.errors import PushdeskError
from pushdesk.model import (
    DecidedBrake,
    Outcome,
    PageQuery,
    PushTest,
    RestoreResult,
    Service,
    ServiceHealth,
    SubscriptionState,
    VerdictCode,
)
from tests.engine.cache_bench import soon
from tests.engine.outbox_bench import HELLO, OutboxBench, open_bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.engine.engine import Engine
    from pushdesk.model import Stats, Subscription
    from tests.engine.conftest import OpenEngine
    from tests.logs import Log
    from tests.push_service import PushService

FEW = 3
"""So many devices may end in these tests."""
NAMES = tuple(f"device-{number}" for number in range(2 * FEW))
ACTIVE, GONE, HELD = SubscriptionState.ACTIVE, SubscriptionState.GONE, SubscriptionState.HELD
ENDED = {Outcome.GONE: FEW, Outcome.HELD: FEW}
DECISIONS = [("confirm", GONE), ("release", ACTIVE)]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushdesk.engine.brake.FEWEST", FEW)
    monkeypatch.setattr("pushdesk.engine.brake.SHARE", 0.0)


async def die(bench: OutboxBench, user: str = "ada") -> None:
    """Have all devices of a user be gone by their push service's word, which is too many."""
    for name in NAMES:
        await bench.subscribe(user, f"{name}-of-{user}")
        bench.service.answer(f"{name}-of-{user}", 410)
    bench.clock.advance(1)
    assert (await bench.engine.notify(user, HELLO, wait_s=10)).counts == ENDED
    bench.service.pushes.clear()


async def decide(engine: Engine, decision: str, *, word: str | None = None) -> DecidedBrake:
    act = engine.confirm_brake if decision == "confirm" else engine.release_brake
    return await act(Service.OTHER, confirm=decision if word is None else word)


async def subscriptions(engine: Engine) -> tuple[Subscription, ...]:
    return (await engine.subscriptions(PageQuery())).items


async def states(engine: Engine) -> dict[SubscriptionState, int]:
    return dict(Counter(one.state for one in await subscriptions(engine)))


async def one(engine: Engine, state: SubscriptionState) -> Subscription:
    return next(found for found in await subscriptions(engine) if found.state is state)


def health(stats: Stats) -> ServiceHealth:
    return next(found for found in stats.services if found.service is Service.OTHER)


def warned(stats: Stats) -> list[str]:
    return [warning for warning in stats.warnings if "not believed" in warning]


async def test_too_many_that_end_at_once_are_held_and_everybody_is_told(bench: OutboxBench, log: Log) -> None:
    await die(bench)
    assert await states(bench.engine) == {GONE: FEW, HELD: FEW}
    stats = await bench.engine.stats()
    brake = health(stats).brake
    assert brake is not None
    assert (brake.held, brake.since) == (FEW, stats.time)
    assert brake.reason == "4 subscriptions ended within 10 minutes, by 4 attempts."
    (warning,) = warned(stats)
    assert "3 subscriptions are held" in warning
    assert "`pushdesk services release other`" in warning
    (line,) = log.of("brake_put_on")
    assert (line["service"], line["level"]) == ("other", "warning")
    assert stats.subscriptions == 0
    await bench.assert_at_rest()


async def test_what_is_for_a_held_device_is_not_sent_and_its_dispatch_says_so(bench: OutboxBench) -> None:
    await die(bench)
    bench.service.answers.clear()
    reads = bench.watch("lost")
    dispatch = await bench.engine.notify("ada", HELLO, wait_s=10)
    assert dispatch.counts == {Outcome.HELD: FEW}
    assert all("nothing is sent to it" in delivery.reason for delivery in dispatch.deliveries)
    another = await bench.subscribe("ada", "another")
    dispatch = await bench.engine.notify("ada", HELLO, wait_s=10)
    assert dispatch.counts == {Outcome.ACCEPTED: 1, Outcome.HELD: FEW}
    # Nor is it forgotten when the cache loses a device without a read.
    await bench.engine.remove_subscriptions([another.id])
    assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == {Outcome.HELD: FEW}
    assert {push.path for push in bench.service.pushes} == {"/another"}
    assert reads.begun.empty()
    await bench.assert_at_rest()


async def test_a_verdict_tells_that_a_device_is_held_and_that_it_was_released_since(bench: OutboxBench) -> None:
    await die(bench)
    held = await one(bench.engine, HELD)
    verdict = await bench.engine.explain(subscription=held.id)
    assert (verdict.code, verdict.since) == (VerdictCode.HELD, held.last_failure_at)
    assert "not believed" in " ".join(fact.text for fact in verdict.evidence)
    assert (await bench.engine.explain(user="ada")).code is VerdictCode.HELD
    await decide(bench.engine, "release")
    verdict = await bench.engine.explain(subscription=held.id)
    assert (verdict.code, verdict.remedy) == (VerdictCode.HELD, "send_again")


@pytest.mark.parametrize(("decision", "state"), DECISIONS)
async def test_an_operator_decides_what_becomes_of_them(
    bench: OutboxBench, log: Log, decision: str, state: SubscriptionState
) -> None:
    await die(bench)
    held = {found.id for found in await subscriptions(bench.engine) if found.state is HELD}
    before = await bench.engine.stats()
    decided = await decide(bench.engine, decision)
    assert (decided.service.brake, decided.subscriptions) == (None, FEW)
    assert {found.id for found in await subscriptions(bench.engine) if found.state is state} >= held
    assert HELD not in await states(bench.engine)
    stats = await bench.engine.stats()
    assert health(before).brake is not None
    assert (health(stats).brake, warned(stats)) == (None, [])
    (line,) = log.of(f"brake_{decision}{'d' if decision == 'release' else 'ed'}")
    assert line["subscriptions"] == FEW
    # Nothing that they missed is sent.
    assert bench.service.pushes == []
    bench.service.answers.clear()
    expected = {Outcome.ACCEPTED: FEW} if state is ACTIVE else {}
    assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == expected
    with pytest.raises(PushdeskError) as refused:
        await decide(bench.engine, decision)
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("service",))


@pytest.mark.parametrize("decision", ["confirm", "release"])
@pytest.mark.parametrize("word", ["", "yes"])
async def test_a_decision_needs_its_word(bench: OutboxBench, decision: str, word: str) -> None:
    await die(bench)
    with pytest.raises(PushdeskError) as refused:
        await decide(bench.engine, decision, word=word)
    assert refused.value.code == "confirm_required"
    assert "3 subscriptions" in refused.value.detail
    assert f'"{decision}"' in refused.value.hint
    assert await states(bench.engine) == {GONE: FEW, HELD: FEW}


async def test_after_a_decision_it_is_counted_anew(bench: OutboxBench) -> None:
    await die(bench)
    await decide(bench.engine, "release")
    assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == {Outcome.GONE: FEW}
    await bench.subscribe("bob", "laptop")
    bench.service.answer("laptop", 410)
    assert (await bench.engine.notify("bob", HELLO, wait_s=10)).counts == {Outcome.HELD: 1}
    brake = health(await bench.engine.stats()).brake
    assert brake is not None
    assert brake.held == 1


@pytest.mark.parametrize(("decision", "state"), DECISIONS)
async def test_what_was_answered_before_a_decision_and_is_written_down_after_it_follows_it(
    bench: OutboxBench, decision: str, state: SubscriptionState
) -> None:
    await die(bench)
    await bench.subscribe("bob", "late")
    bench.service.answer("late", 410)
    settle = bench.watch("settle")
    settle.hold = asyncio.Event()
    notifying = asyncio.create_task(bench.engine.notify("bob", HELLO, wait_s=60))
    await soon(settle.begun.get())
    await decide(bench.engine, decision)
    settle.hold.set()
    assert (await soon(notifying)).counts == {Outcome.HELD: 1}
    (late,) = [found for found in await subscriptions(bench.engine) if found.user == "bob"]
    assert late.state is state
    assert health(await bench.engine.stats()).brake is None


@pytest.mark.parametrize(("decision", "state"), DECISIONS)
async def test_a_brake_is_on_after_a_restart_and_a_decision_is_done_to_its_end(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decision: str, state: SubscriptionState
) -> None:
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        await die(bench)
        before = health(await bench.engine.stats()).brake
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        assert health(await bench.engine.stats()).brake == before
        # The next one that ends is held at once.
        await bench.subscribe("bob", "late")
        service.answer("late", 410)
        assert (await bench.engine.notify("bob", HELLO, wait_s=10)).counts == {Outcome.HELD: 1}
        # Stopped after what was decided is written down, and before it is done.
        monkeypatch.setattr("pushdesk.engine.brake_commands.BATCH", 2)
        bench.engine._brake_commands._ending.set()
        assert (await decide(bench.engine, decision)).subscriptions == 0
        assert (await states(bench.engine))[HELD] == FEW + 1
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        assert health_or_none(await bench.engine.stats()) is None
        async with asyncio.timeout(10):
            async for _ in bench.engine.events():
                if HELD not in await states(bench.engine):
                    break
        assert (await states(bench.engine))[state] >= FEW + 1


def health_or_none(stats: Stats) -> ServiceHealth | None:
    return next((found for found in stats.services if found.brake is not None), None)


async def test_other_push_services_are_believed(bench: OutboxBench) -> None:
    await die(bench)
    await bench.subscribe("bob", "laptop")
    bench.sql("UPDATE subscriptions SET service = 'mozilla' WHERE \"user\" = 'bob'")
    await bench.engine.invalidate_cache("bob")
    bench.service.answer("laptop", 410)
    assert (await bench.engine.notify("bob", HELLO, wait_s=10)).counts == {Outcome.GONE: 1}


async def test_a_test_push_is_neither_counted_nor_held(bench: OutboxBench) -> None:
    for name in NAMES:
        await bench.subscribe("ada", name)
        bench.service.answer(name, 410)
    for found in await subscriptions(bench.engine):
        (delivery,) = await bench.engine.test("ada", found.id)
        assert delivery.outcome is Outcome.GONE
    assert await states(bench.engine) == {GONE: len(NAMES)}
    assert health(await bench.engine.stats()).brake is None


async def test_while_it_is_on_whoever_subscribes_is_told_the_truth(bench: OutboxBench) -> None:
    await die(bench)
    bench.service.answer("dead", 410)
    with pytest.raises(PushdeskError) as refused:
        await bench.subscribe("bob", "dead")
    assert refused.value.code == "subscription_gone"
    (delivery, *_) = await bench.engine.test("ada", (await one(bench.engine, HELD)).id)
    assert delivery.outcome is Outcome.HELD


async def test_a_browser_that_subscribes_again_is_no_longer_held(bench: OutboxBench) -> None:
    devices = {name: bench.service.device(name) for name in NAMES}
    for name, device in devices.items():
        await bench.engine.subscribe("ada", device.request())
        bench.service.answer(name, 410)
    await bench.engine.notify("ada", HELLO, wait_s=10)
    bench.service.answers.clear()
    revived = [await bench.engine.subscribe("ada", device.request()) for device in devices.values()]
    assert {found.test for found in revived} == {PushTest.ACCEPTED}
    assert await states(bench.engine) == {ACTIVE: len(NAMES)}
    assert (await decide(bench.engine, "confirm")).subscriptions == 0
    assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == {Outcome.ACCEPTED: len(NAMES)}


async def test_what_waits_for_a_device_that_is_held_meanwhile_is_held(bench: OutboxBench) -> None:
    waiting = await bench.waiting("ada", "phone")
    bench.sql("UPDATE subscriptions SET state = 'held', held_as = 'gone', version = version + 1")
    await bench.later(61)
    assert (await bench.done(waiting)).counts == {Outcome.HELD: 1}
    assert bench.service.pushes == []
    await bench.assert_at_rest()


async def refused_again_and_again(bench: OutboxBench, times: int, *, status: int = 400) -> Subscription:
    """Have a device to which nothing was ever delivered be refused so many pushes."""
    bench.service.answer("phone", status)
    found = await bench.subscribe("ada", "phone")
    for _ in range(times - 1):
        await bench.engine.notify("ada", HELLO, wait_s=10)
    return next(one for one in await subscriptions(bench.engine) if one.id == found.id)


async def test_what_nothing_was_ever_delivered_to_is_disabled_after_five_refusals(bench: OutboxBench, log: Log) -> None:
    assert (await refused_again_and_again(bench, 4)).state is ACTIVE
    await bench.engine.notify("ada", HELLO, wait_s=10)
    (reaped,) = await subscriptions(bench.engine)
    assert (reaped.state, reaped.failures) == (GONE, 5)
    (line,) = log.of("subscription_reaped")
    assert line["device"] == reaped.id
    verdict = await bench.engine.explain(subscription=reaped.id)
    assert verdict.code is VerdictCode.GONE
    assert "nothing was ever delivered" in verdict.says
    assert any("5 pushes or more were refused" in fact.text for fact in verdict.evidence)
    assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == {}


async def test_what_something_was_delivered_to_once_is_not_reaped(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "phone")
    bench.service.answer("phone", 400)
    for _ in range(6):
        await bench.engine.notify("ada", HELLO, wait_s=10)
    assert await states(bench.engine) == {ACTIVE: 1}


@pytest.mark.parametrize("status", [413, 302])
async def test_what_is_no_refusal_of_the_device_does_not_reap_it(bench: OutboxBench, status: int) -> None:
    assert (await refused_again_and_again(bench, 6, status=status)).state is ACTIVE


async def test_a_mistake_of_this_servers_does_not_reap_a_device(bench: OutboxBench) -> None:
    assert (await refused_again_and_again(bench, 4)).state is ACTIVE
    bench.sql("UPDATE subscriptions SET service = 'apple'")
    await bench.engine.invalidate_cache("ada")
    bench.service.answer("phone", 403, body='{"reason": "BadJwtToken"}')
    assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == {Outcome.OUR_CONFIGURATION: 1}
    assert await states(bench.engine) == {ACTIVE: 1}


async def test_the_brake_holds_what_is_reaped_too_often(bench: OutboxBench) -> None:
    for name in NAMES:
        bench.service.answer(name, 400)
        await bench.subscribe("ada", name)
    for _ in range(4):
        await bench.engine.notify("ada", HELLO, wait_s=10)
    assert await states(bench.engine) == {GONE: FEW, HELD: FEW}


async def test_a_disabled_device_is_restored_and_sent_to(bench: OutboxBench, log: Log) -> None:
    await die(bench)
    await decide(bench.engine, "confirm")
    ids = [found.id for found in await subscriptions(bench.engine)]
    bench.service.answers.clear()
    # What the cache has of them is from before.
    assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == {}
    events = bench.engine.events()
    await anext(events)
    results = await bench.engine.restore_subscriptions(ids)
    assert [(found.id, found.result) for found in results] == [(id_, RestoreResult.RESTORED) for id_ in ids]
    assert {found.failures for found in await subscriptions(bench.engine)} == {0}
    (line,) = log.of("subscriptions_restored")
    assert line["subscriptions"] == len(ids)
    told: set[str] = set()
    async with asyncio.timeout(10):
        while told < set(ids):
            for event in await anext(events):
                if isinstance(event, SubscriptionChanged) and event.subscription.state is ACTIVE:
                    told.add(event.subscription.id)
    await events.aclose()
    assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == {Outcome.ACCEPTED: len(ids)}


async def test_what_cannot_be_restored_is_refused_with_its_reason(start: OpenEngine, service: PushService) -> None:
    async with start() as engine:
        for name in ("one", "two", "three"):
            await engine.subscribe("ada", service.device(name).request())
            service.answer(name, 410)
        await engine.notify("ada", HELLO, wait_s=10)
        disabled = [found.id for found in await subscriptions(engine)]
        # As many as a user may have in these tests, but for one.
        for name in ("four", "five"):
            await engine.subscribe("ada", service.device(name).request())
        results = await engine.restore_subscriptions([*disabled[:2], "nobody's", disabled[0]])
        assert [found.result for found in results] == [
            RestoreResult.RESTORED,
            RestoreResult.TOO_MANY_DEVICES,
            RestoreResult.NOT_FOUND,
        ]
        assert [bool(found.reason) for found in results] == [False, True, True]
        old = (await engine.stats()).key_id
        await engine.rotate_key(confirm="rotate")
        await engine.retire_key(old, confirm="retire")
        (ended,) = await engine.restore_subscriptions([disabled[2]])
        assert ended.result is RestoreResult.KEY_ENDED


async def test_a_held_device_is_released_and_not_restored(bench: OutboxBench) -> None:
    await die(bench)
    (found,) = await bench.engine.restore_subscriptions([(await one(bench.engine, HELD)).id])
    assert found.result is RestoreResult.HELD
    assert await states(bench.engine) == {GONE: FEW, HELD: FEW}


@pytest.fixture
async def at_once(bench: OutboxBench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OutboxBench]:
    """Have what has been disabled for long enough be looked for again and again."""
    monkeypatch.setattr("pushdesk.engine.disabled.LOOK_S", 0.01)
    bench.engine._disabled.end()
    await bench.engine._tasks[-1]
    bench.engine._disabled._ending.clear()
    looking = asyncio.create_task(bench.engine._disabled.run())
    yield bench
    bench.engine._disabled.end()
    await looking


async def test_what_is_disabled_is_removed_after_thirty_days_and_what_is_held_is_not(
    at_once: OutboxBench, log: Log
) -> None:
    bench = at_once
    await die(bench)
    bench.clock.advance(30 * 86400 - 1)
    assert {found.result for found in await bench.engine.restore_subscriptions(["x"])} == {RestoreResult.NOT_FOUND}
    assert await states(bench.engine) == {GONE: FEW, HELD: FEW}
    bench.clock.advance(2)
    async with asyncio.timeout(10):
        async for _ in bench.engine.events():
            if GONE not in await states(bench.engine):
                break
    assert await states(bench.engine) == {HELD: FEW}
    async with asyncio.timeout(10):
        async for _ in bench.engine.events():
            if log.of("disabled_removed"):
                break
    assert sum(line["subscriptions"] for line in log.of("disabled_removed")) == FEW
