"""What is read to explain why somebody did not get something: what there is, of one moment, and never much."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from sqlalchemy import delete, insert, update

from pushdesk.errors import PushdeskError
from pushdesk.model import DispatchKind, DispatchState, KeyState, Outcome, SubscriptionState
from pushdesk.storage.explaining import ATTEMPTS_TOLD, DEVICES_TOLD, LOOKED_THROUGH
from pushdesk.storage.records import Disabling, Settlement, StoredKey
from pushdesk.storage.schema import deliveries, dispatches
from pushdesk.storage.store import Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import CLAIM, NOW, find_gone, message, outcome, put, spread, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.storage.sendings import Sending
    from tests.contract.tracing import Trace

MOST_STATEMENTS = 11
"""Of one look, where something is superseded and there is a broadcast."""


@pytest.fixture
async def store(path: Path, trace: Trace) -> AsyncIterator[Store]:
    async with Store(path) as opened:
        await opened.keys.make_current(StoredKey("key1", "public key1", b"pem", KeyState.CURRENT, NOW))
        trace.statements.clear()
        yield opened


async def notify(store: Store, name: str, result: Outcome = Outcome.ACCEPTED, *, due: int = NOW) -> None:
    """Have something sent to all of a user's devices, and answered alike."""
    jobs = await spread(store, message(name, due=due))
    await store.outbox.settle([outcome(job, result) for job in jobs], CLAIM, NOW)


async def test_who_is_not_known_is_told_apart_from_who_has_no_device(store: Store) -> None:
    nobody = await store.explaining.user("ada", NOW)
    assert not nobody.is_known
    await store.invitations.add("ada", b"c" * 32, now_ms=NOW, expires_at_ms=NOW + 5000)
    invited = await store.explaining.user("ada", NOW)
    assert (invited.is_known, invited.devices, invited.invited_until) == (True, (), to_datetime(NOW + 5000))
    assert (await store.explaining.user("ada", NOW + 5000)).invited_until is None
    await store.invitations.redeem(b"c" * 32, enrollment="e", token_digest=b"t" * 32, now_ms=NOW)
    assert (await store.explaining.user("ada", NOW)).invited_until is None


async def test_a_user_s_devices_come_with_their_keys_and_what_was_sent_last(store: Store) -> None:
    await put(store, subscription("one"))
    await put(store, subscription("two", key="key2"))
    await put(store, subscription("other", "bob"))
    await notify(store, "m1")
    await notify(store, "m2", Outcome.REFUSED)
    facts = await store.explaining.user("ada", NOW)
    assert [(device.subscription.id, device.key) for device in facts.devices] == [
        ("id-one", KeyState.CURRENT),
        ("id-two", None),
    ]
    assert {device.label for device in facts.devices} == {"Firefox · Linux"}
    sent = [device.latest for device in facts.devices]
    assert [one.delivery.outcome for one in sent if one is not None] == [Outcome.REFUSED, Outcome.REFUSED]
    assert facts.latest is not None
    assert (facts.latest.dispatch.id, facts.latest.ttl_s) == ("m2", 60)
    assert {delivery.dispatch for delivery in facts.deliveries} == {"m2"}
    assert len(facts.deliveries) == 2
    assert (facts.lost, facts.revoked_at, facts.has_more_devices) == (None, None, False)


async def latest(store: Store) -> Sending:
    found = (await store.explaining.user("ada", NOW)).latest
    assert found is not None
    return found


async def test_what_was_due_last_is_the_latest_whenever_it_was_accepted(store: Store) -> None:
    await put(store, subscription())
    await store.outbox.accept([message("m1", due=NOW + 30_000)])
    (job,) = await spread(store, message("m2"))
    # Accepted before, and not due yet: what was sent since is told.
    assert (await latest(store)).dispatch.id == "m2"
    later = structs.replace(job.delivery, id="sent later", dispatch="m1")
    await store.outbox.spread([later], [], {})
    assert (await latest(store)).dispatch.id == "m1"
    await store.outbox.accept([message("m3", due=NOW + 60_000), message("m4", due=NOW + 50_000)])
    facts = await store.explaining.user("ada", NOW)
    assert facts.latest is not None
    assert facts.latest.dispatch.id == "m1"
    assert [delivery.id for delivery in facts.deliveries] == ["sent later"]
    assert facts.upcoming is not None
    assert (facts.upcoming.dispatch.id, facts.upcoming.due_at) == ("m4", to_datetime(NOW + 50_000))


async def test_what_is_for_later_is_the_latest_where_nothing_else_was_for_all_devices(store: Store) -> None:
    await put(store, subscription())
    await spread(store, replace(message("m1"), kind=DispatchKind.TEST, subscription="id-one"))
    assert (await latest(store)).dispatch.id == "m1"
    assert (await latest(store)).subscription == "id-one"
    await store.outbox.accept([message("m2", due=NOW + 60_000)])
    facts = await store.explaining.user("ada", NOW)
    assert facts.latest is not None
    assert (facts.latest.dispatch.id, facts.latest.dispatch.state) == ("m2", DispatchState.SCHEDULED)
    assert (facts.upcoming, facts.deliveries) == (None, ())


async def test_what_was_for_one_device_hides_nothing_that_was_for_all(store: Store) -> None:
    for name in ("one", "two"):
        await put(store, subscription(name))
    await notify(store, "m1", Outcome.REFUSED)
    for number, name in enumerate(("one", "two")):
        await spread(store, replace(message(f"m{number + 2}"), kind=DispatchKind.TEST, subscription=f"id-{name}"))
    facts = await store.explaining.user("ada", NOW)
    assert facts.latest is not None
    assert (facts.latest.dispatch.id, facts.latest.subscription) == ("m1", None)
    assert {delivery.outcome for delivery in facts.deliveries} == {Outcome.REFUSED}
    alone = [device.latest for device in facts.devices]
    assert [one.sending.subscription for one in alone if one is not None] == ["id-two", "id-one"]


async def test_what_became_of_it_for_others_is_not_told(store: Store) -> None:
    await put(store, subscription())
    (job,) = await spread(store, message("m1"))
    await store.outbox.spread([structs.replace(job.delivery, id="of bob", user="bob")], [], {})
    assert [delivery.user for delivery in (await store.explaining.user("ada", NOW)).deliveries] == ["ada"]


async def test_without_how_long_it_is_kept_it_is_told_from_its_times(store: Store) -> None:
    await put(store, subscription())
    jobs = await spread(store, replace(message(), expires_at_ms=NOW - 5000))
    async with store._database.write() as transaction:
        await transaction.execute(update(dispatches).values(ttl_s=None))
    assert (await latest(store)).ttl_s == 1
    assert (await store.delivery_records.record(jobs[0].delivery.id)).ttl_s == 1


async def test_the_answer_that_ended_a_device_is_found_behind_later_ones(store: Store) -> None:
    new = (await put(store, subscription())).subscription
    (first,) = await spread(store, message("m1"))
    (second,) = await spread(store, message("m2"))
    gone = structs.replace(outcome(first, Outcome.GONE).delivery, status=410)
    ending = Settlement(gone, Disabling(new.id, first.target.version, SubscriptionState.GONE))
    await store.outbox.settle([ending], CLAIM, NOW)
    await store.outbox.settle(await store.outbox.lost([second.delivery], NOW + 1), CLAIM, NOW + 1)
    device = await store.explaining.device(new.id)
    assert not device.is_live
    assert device.latest is not None
    assert (device.latest.delivery.id, device.latest.delivery.status) == (second.delivery.id, None)
    assert device.ending is not None
    assert (device.ending.delivery.id, device.ending.delivery.status) == (first.delivery.id, 410)


async def test_the_latest_attempts_of_a_delivery_are_told(store: Store) -> None:
    new = (await put(store, subscription())).subscription
    (job,) = await spread(store, message("m1"))
    for number in range(ATTEMPTS_TOLD + 2):
        throttled = outcome(job, Outcome.THROTTLED, retry_at=NOW + number + 1)
        await store.outbox.settle([throttled], CLAIM, NOW)
        (claimed,) = await store.outbox.claim(CLAIM, job.target.service, NOW + number + 1, 1)
        job = replace(job, delivery=claimed.delivery)
    expected = list(range(ATTEMPTS_TOLD + 2, 2, -1))
    sent = (await store.explaining.delivery(job.delivery.id)).sent
    assert [attempt.number for attempt in sent.earlier] == expected
    of_device = (await store.explaining.device(new.id)).latest
    assert of_device is not None
    assert [attempt.number for attempt in of_device.earlier] == expected


async def on_topic(store: Store, name: str, precedence: int, topic: str = "mail") -> None:
    await spread(store, replace(message(name), topic=topic, precedence=precedence))


async def test_what_is_superseded_comes_with_the_newest_of_its_topic(store: Store, trace: Trace) -> None:
    await put(store, subscription("one"))
    await put(store, subscription("two"))
    for number in (1, 2, 3):
        await on_topic(store, f"m{number}", number)
    await on_topic(store, "m4", 4, "other")
    for older in ("m1", "m2"):
        newer = (await store.explaining.delivery(f"{older}-id-one")).sent.newer
        assert newer is not None
        assert (newer.topic, newer.dispatch.id, newer.dispatch.title) == ("mail", "m3", "Title of m3")
        assert newer.outcome is Outcome.WAITING
    assert (await store.explaining.delivery("m3-id-one")).sent.newer is None
    # It comes late: the latest of each device is one that is superseded.
    await on_topic(store, "m9", 0)
    trace.statements.clear()
    devices = (await store.explaining.user("ada", NOW)).devices
    assert len(trace.statements) - 2 <= MOST_STATEMENTS
    latest_ = [device.latest for device in devices]
    assert [one.newer.dispatch.id for one in latest_ if one is not None and one.newer is not None] == ["m3", "m3"]
    async with store._database.write() as transaction:
        await transaction.execute(delete(dispatches).where(dispatches.c.id == "m3"))
    # What took its place is not kept any more.
    assert (await store.explaining.delivery("m2-id-one")).sent.newer is None


async def test_what_took_the_place_of_something_is_found_by_an_index(store: Store, path: Path, trace: Trace) -> None:
    await put(store, subscription("one"))
    await on_topic(store, "m1", 1)
    await on_topic(store, "m2", 2)
    trace.statements.clear()
    await store.explaining.delivery("m1-id-one")
    (statement,) = [one for one in trace.statements if "AS newer" in one]
    with closing(sqlite3.connect(path)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert not any(step.startswith(("SCAN", "USE TEMP")) for step in plan), plan
    assert any("ix_deliveries_subscription_topic_precedence" in step for step in plan), plan


async def test_a_device_that_is_disabled_says_since_when(store: Store) -> None:
    new = await put(store, subscription())
    assert (await store.explaining.device(new.subscription.id)).disabled_at is None
    await find_gone(store, new)
    assert (await store.explaining.device(new.subscription.id)).disabled_at == to_datetime(NOW)


async def test_a_delivery_comes_with_its_device_while_its_user_has_it(store: Store) -> None:
    await put(store, subscription("one"))
    await notify(store, "m1")
    facts = await store.explaining.delivery("m1-id-one")
    assert facts.device is not None
    assert (facts.device.subscription.id, facts.has_live_device) == ("id-one", True)
    await put(store, subscription("one", "bob"))
    facts = await store.explaining.delivery("m1-id-one")
    assert (facts.device, facts.has_live_device) == (None, False)
    lost = (await store.explaining.user("ada", NOW)).lost
    assert lost is not None
    assert lost.delivery.id == "m1-id-one"
    # What the one before was sent is nothing of whom it belongs to now.
    assert (await store.explaining.device("id-one")).latest is None


async def test_a_device_with_a_key_that_is_not_here_is_none_to_send_to(store: Store) -> None:
    await put(store, subscription(key="key2"))
    await notify(store, "m1")
    assert not (await store.explaining.delivery("m1-id-one")).has_live_device


async def test_when_keys_were_revoked_is_known_from_the_keys_that_are_left(store: Store) -> None:
    await store.keys.revoke_all(StoredKey("key2", "public key2", b"pem", KeyState.CURRENT, NOW + 1))
    await store.keys.make_current(StoredKey("key3", "public key3", b"pem", KeyState.CURRENT, NOW + 2))
    assert (await store.explaining.user("ada", NOW)).revoked_at == to_datetime(NOW + 1)


async def test_what_is_due_at_the_end_of_time_is_told(store: Store) -> None:
    last = 253_402_300_799_000
    await put(store, subscription())
    await store.outbox.accept([replace(message(due=last), expires_at_ms=last + 86_400_000)])
    assert (await latest(store)).expires_at.year == 9999


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    for ask in (store.explaining.device, store.explaining.delivery):
        with pytest.raises(PushdeskError) as raised:
            await ask("nothing")
        assert raised.value.code == "not_found"


async def test_of_many_devices_those_that_are_sent_to_are_told_first(store: Store) -> None:
    for number in range(DEVICES_TOLD + 3):
        await store.subscriptions.put(
            subscription(f"{number:03}"), replaces=None, max_per_user=LOOKED_THROUGH, now_ms=NOW
        )
    gone = [f"id-{number:03}" for number in range(3, DEVICES_TOLD + 3)]
    jobs = await spread(store, message("m1"))
    await store.outbox.settle(
        [outcome(job, Outcome.GONE) for job in jobs if job.target.subscription in gone], CLAIM, NOW
    )
    facts = await store.explaining.user("ada", NOW)
    assert len(facts.devices) == DEVICES_TOLD
    assert facts.has_more_devices
    assert [device.subscription.id for device in facts.devices[:4]] == ["id-002", "id-001", "id-000", gone[-1]]
    assert len(facts.deliveries) == DEVICES_TOLD + 3
    # One that is not told of is theirs all the same.
    assert facts.lost is None


async def test_a_device_with_a_key_that_has_ended_is_not_told_before_one_that_is_sent_to(store: Store) -> None:
    for number in range(DEVICES_TOLD + 2):
        key = "key1" if number == 0 else "key2"
        new = subscription(f"{number:03}", key=key)
        await store.subscriptions.put(new, replaces=None, max_per_user=LOOKED_THROUGH, now_ms=NOW)
    first, *others = (await store.explaining.user("ada", NOW)).devices
    assert first.subscription.id == "id-000"
    assert first.is_live
    assert not any(device.is_live for device in others)


async def test_only_the_newest_deliveries_are_looked_through(store: Store) -> None:
    await put(store, subscription("one"))
    await notify(store, "m1")
    await put(store, subscription("two"))
    test = replace(message("m2"), kind=DispatchKind.TEST, subscription="id-two")
    (job,) = await spread(store, test)
    row = {
        "dispatch": "m2",
        "user": "ada",
        "subscription": "id-two",
        "service": "mozilla",
        "device": "",
        "outcome": "accepted",
        "reason": "",
        "attempts": 1,
        "at": NOW,
    }
    rows = [row | {"id": f"n{number:04}"} for number in range(LOOKED_THROUGH - 1)]
    async with store._database.write() as transaction:
        await transaction.execute(insert(deliveries), rows)
    one = await store.explaining.device("id-one")
    two = await store.explaining.device("id-two")
    assert one.latest is None
    assert two.latest is not None
    assert two.latest.delivery.id == rows[-1]["id"]
    assert job.delivery.id < str(rows[0]["id"])


async def test_a_look_is_one_moment_a_few_statements_and_never_goes_through_a_table(
    store: Store, path: Path, trace: Trace
) -> None:
    for number in range(3):
        await put(store, subscription(f"{number}"))
    for number in range(5):
        await notify(store, f"m{number}")
    for look in (
        store.explaining.user("ada", NOW),
        store.explaining.device("id-1"),
        store.explaining.delivery("m1-id-1"),
    ):
        trace.statements.clear()
        await look
        first, *statements, last = trace.statements
        assert (first, last) == ("BEGIN DEFERRED", "ROLLBACK")
        assert len(statements) <= MOST_STATEMENTS
        assert not any(secret in statement for statement in statements for secret in ("p256dh", "auth", "message"))
        with closing(sqlite3.connect(path)) as connection:
            plans = [row[3] for one in statements for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")]
        # Of keys there are few; the rest are parts of the statements themselves.
        through = [step for step in plans if step.startswith("SCAN") and "vapid_keys" not in step]
        tables = ("subscriptions", "deliveries", "dispatches", "invitations", "user_state", "attempts")
        assert [step for step in through if step.split()[1] in tables] == []
