"""A user who is removed: tokens and pushes end at once, and nothing that is under way is left hanging."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from pushdesk.desk import DeliveryChanged, DispatchChanged, Hello, Position, SubscriptionRemoved
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import DispatchState, Outcome, PageQuery
from tests.engine.outbox_bench import HELLO, Watched, broken_disk, open_bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pushdesk.desk import AnyEvent
    from pushdesk.engine.engine import Engine
    from pushdesk.storage.records import RemovedHistory, RemovedUser
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log
    from tests.push_service import PushService

EVERYTHING = PageQuery()


async def now(engine: Engine) -> Position:
    """Return where the stream of events stands."""
    async with aclosing(engine.events()) as events:
        async for hello, *_ in events:
            assert isinstance(hello, Hello)
            return Position(hello.epoch, hello.seq)
    raise AssertionError


async def told(engine: Engine, after: Position, is_it: Callable[[AnyEvent], bool]) -> list[AnyEvent]:
    """Return what was told up to the event that is waited for."""
    seen: list[AnyEvent] = []
    async with asyncio.timeout(10), aclosing(engine.events(after)) as events:
        async for batch in events:
            seen += batch
            if any(map(is_it, batch)):
                return seen
    raise AssertionError


def is_settled(event: AnyEvent) -> bool:
    return isinstance(event, DeliveryChanged) and event.delivery.outcome.is_settled


async def until_at_rest(bench: OutboxBench) -> None:
    """Wait until nothing is under way, and look whether the figures say so."""
    async with asyncio.timeout(10), aclosing(bench.engine.events()) as events:
        async for _ in events:
            if bench.engine.in_flight == 0:
                break
    await bench.assert_at_rest()


async def assert_nothing_is_left(bench: OutboxBench) -> None:
    engine = bench.engine
    for listing in (engine.users, engine.subscriptions, engine.dispatches, engine.deliveries):
        assert not [item for item in (await listing(EVERYTHING)).items if "ada" in (item.id, getattr(item, "user", ""))]
    assert not (await engine.cache(PageQuery(filter="ada"))).items


async def test_everything_goes_and_is_told(bench: OutboxBench, log: Log) -> None:
    device = await bench.subscribe("ada", "one")
    await bench.subscribe("bo", "two")
    await bench.engine.notify("ada", HELLO, wait_s=10)
    before = await now(bench.engine)
    await bench.engine.remove_user("ada")
    seen = await told(bench.engine, before, lambda event: isinstance(event, SubscriptionRemoved))
    assert [(event.id, event.user) for event in seen if isinstance(event, SubscriptionRemoved)] == [(device.id, "ada")]
    await assert_nothing_is_left(bench)
    await bench.assert_at_rest()
    stats = await bench.engine.stats()
    assert (stats.users, stats.subscriptions) == (1, 1)
    (line,) = log.of("user_removed")
    assert (line["user"], line["subscriptions"]) == ("ada", 1)


async def test_who_is_not_known_is_not_found(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "one")
    for user in ("Ada", "nobody"):
        with pytest.raises(PushdeskError) as missing:
            await bench.engine.remove_user(user)
        assert missing.value.code == "not_found"
    await bench.engine.remove_user("ada")
    with pytest.raises(PushdeskError) as missing:
        await bench.engine.remove_user("ada")
    assert missing.value.code == "not_found"


async def test_tokens_and_codes_end(bench: OutboxBench) -> None:
    engine = bench.engine
    own = (await engine.subscribe("ada", bench.service.device("one").request())).token
    enrolled = await engine.redeem((await engine.invite("ada")).code)
    grant = await engine.device_grant(enrolled.token)
    code = (await engine.invite("ada")).code
    await engine.remove_user("ada")
    assert own is not None
    assert await engine.device_grant(own) is None
    assert await engine.device_grant(enrolled.token) is None
    with pytest.raises(PushdeskError, match="unknown"):
        await engine.redeem(code)
    # A request that was let in a moment before does not bring the user back.
    with pytest.raises(PushdeskError) as late:
        await engine.subscribe("ada", bench.service.device("two").request(), grant)
    assert late.value.code == "unauthorized"
    await assert_nothing_is_left(bench)


@pytest.mark.parametrize(("status", "outcome"), [(201, Outcome.ACCEPTED), (503, Outcome.CANCELLED)])
async def test_a_push_that_is_under_way_ends_and_is_not_tried_again(
    bench: OutboxBench, log: Log, status: int, outcome: Outcome
) -> None:
    await bench.subscribe("ada", "one")
    bench.service.answer("one", status)
    bench.service.pushes.clear()
    bench.service.hold = asyncio.Event()
    await bench.engine.notify("ada", HELLO)
    await bench.service.wait_for_pushes(1)
    before = await now(bench.engine)
    await bench.engine.remove_user("ada")
    await assert_nothing_is_left(bench)
    assert bench.engine.in_flight == 1
    bench.service.hold.set()
    await until_at_rest(bench)
    await bench.later(3600)
    seen = await told(bench.engine, before, is_settled)
    assert [event.delivery.outcome for event in seen if isinstance(event, DeliveryChanged)][-1:] == [outcome]
    assert len(bench.service.pushes) == 1
    assert not [line for line in log.lines if line["level"] in {"warning", "error"}]


async def test_what_waits_to_be_tried_again_is_cancelled(bench: OutboxBench) -> None:
    await bench.waiting("ada", "one")
    before = await now(bench.engine)
    await bench.engine.remove_user("ada")
    await bench.assert_at_rest()
    await bench.later(3600)
    await bench.subscribe("bo", "two")
    seen = await told(bench.engine, before, is_settled)
    ended = next(event.delivery for event in seen if isinstance(event, DeliveryChanged))
    assert (ended.outcome, ended.next_attempt_at) == (Outcome.CANCELLED, None)
    assert [push.path for push in bench.service.pushes] == ["/two"]


async def test_what_is_to_be_sent_later_is_cancelled(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "one")
    at = datetime.fromtimestamp(bench.clock.now, UTC) + timedelta(hours=1)
    dispatch = await bench.engine.notify("ada", structs.replace(HELLO, send_at=at))
    before = await now(bench.engine)
    await bench.engine.remove_user("ada")
    await bench.assert_at_rest()
    seen = await told(bench.engine, before, lambda event: isinstance(event, DispatchChanged))
    changed = next(event.dispatch for event in seen if isinstance(event, DispatchChanged))
    assert (changed.id, changed.state) == (dispatch.id, DispatchState.CANCELLED)
    # Who comes back is somebody else.
    await bench.subscribe("ada", "two")
    bench.service.pushes.clear()
    await bench.later(7200)
    await bench.engine.notify("bo", HELLO, wait_s=10)
    assert bench.service.pushes == []


async def test_what_is_being_spread_ends_well(bench: OutboxBench, log: Log) -> None:
    await bench.subscribe("ada", "one")
    await bench.engine.invalidate_cache("ada")
    spread = bench.watch("spread")
    spread.hold = asyncio.Event()
    remove_history = Watched(bench.store.users.remove_history)
    bench.monkeypatch.setattr(bench.store.users, "remove_history", remove_history)
    await bench.engine.notify("ada", HELLO)
    await spread.begun.get()
    before = await now(bench.engine)
    removing = asyncio.create_task(bench.engine.remove_user("ada"))
    await told(bench.engine, before, lambda event: isinstance(event, SubscriptionRemoved))
    # The dispatch that deliveries are being written for stays until they are.
    assert remove_history.begun.empty()
    spread.hold.set()
    await removing
    await assert_nothing_is_left(bench)
    await until_at_rest(bench)
    assert not [line for line in log.lines if line["level"] in {"warning", "error"}]


async def test_who_waits_for_the_outcome_is_told_that_there_is_none(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "one")
    bench.service.pushes.clear()
    bench.service.hold = asyncio.Event()
    waiting = asyncio.create_task(bench.engine.notify("ada", HELLO, wait_s=30))
    await bench.service.wait_for_pushes(1)
    await bench.engine.remove_user("ada")
    async with asyncio.timeout(10):
        with pytest.raises(PushdeskError) as missing:
            await waiting
    assert missing.value.code == "not_found"
    bench.service.hold.set()
    await until_at_rest(bench)


async def test_a_subscription_that_is_tried_out_meanwhile_is_not_said_to_be_there(bench: OutboxBench) -> None:
    bench.service.hold = asyncio.Event()
    subscribing = asyncio.create_task(bench.subscribe("ada", "one"))
    await bench.service.wait_for_pushes(1)
    await bench.engine.remove_user("ada")
    async with asyncio.timeout(10):
        with pytest.raises(PushdeskError) as missing:
            await subscribing
    assert missing.value.code == "subscription_not_found"
    bench.service.hold.set()
    await until_at_rest(bench)
    await assert_nothing_is_left(bench)


async def test_a_key_of_a_request_is_free_again(bench: OutboxBench) -> None:
    first = await bench.engine.notify("ada", HELLO, idempotency_key="once")
    await bench.engine.remove_user("ada")
    again = await bench.engine.notify("ada", structs.replace(HELLO, title="Another"), idempotency_key="once")
    assert again.id != first.id


async def all_removed(bench: OutboxBench) -> None:
    """Wait until nobody is half removed."""
    async with asyncio.timeout(10):
        while await bench.store.users.unfinished():
            pass


async def ids(bench: OutboxBench) -> set[str]:
    """Return the ids of all dispatches and deliveries."""
    engine = bench.engine
    return {item.id for listing in (engine.dispatches, engine.deliveries) for item in (await listing(EVERYTHING)).items}


async def test_a_start_goes_on_with_a_removal_that_a_crash_broke_off(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        await bench.waiting("ada", "one")
        await bench.engine.notify("ada", HELLO, wait_s=10)
        old = await ids(bench)
        # All that was done when the crash came.
        await bench.store.users.remove("ada")
        bench.clock.advance(1)
        await bench.subscribe("ada", "two")
        await bench.engine.notify("ada", HELLO, wait_s=10)
        kept = await ids(bench) - old
        assert kept
    service.pushes.clear()
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        await all_removed(bench)
        assert await ids(bench) == kept
        await bench.assert_at_rest()
        assert service.pushes == []


async def test_a_removal_that_cannot_be_gone_on_with_is_left_to_the_next_start(
    service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        await bench.subscribe("ada", "one")
        await bench.engine.notify("ada", HELLO, wait_s=10)
        await bench.store.users.remove("ada")
        bench.sql("CREATE TRIGGER broken BEFORE DELETE ON deliveries BEGIN SELECT RAISE(ABORT, 'broken'); END")
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        async with asyncio.timeout(10):
            while not log.of("user_removal_unfinished"):
                await bench.store.ping()
        await bench.engine.notify("bo", HELLO, wait_s=10)
        bench.sql("DROP TRIGGER broken")
    async with open_bench(service, tmp_path, monkeypatch) as bench:
        await all_removed(bench)
        await assert_nothing_is_left(bench)


async def test_a_removal_that_fails_half_way_can_be_gone_on_with(bench: OutboxBench) -> None:
    await bench.subscribe("ada", "one")
    await bench.engine.notify("ada", HELLO, wait_s=10)
    remove_history = bench.store.users.remove_history
    failures = [broken_disk()]

    async def fail_once(removed: RemovedUser) -> RemovedHistory:
        if failures:
            raise failures.pop()
        return await remove_history(removed)

    bench.monkeypatch.setattr(bench.store.users, "remove_history", fail_once)
    with pytest.raises(DatabaseError):
        await bench.engine.remove_user("ada")
    assert (await bench.engine.users(EVERYTHING)).items == ()
    assert (await bench.engine.dispatches(EVERYTHING)).items != ()
    await bench.engine.remove_user("ada")
    await assert_nothing_is_left(bench)
    await bench.assert_at_rest()
