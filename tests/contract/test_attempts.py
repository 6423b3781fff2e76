"""What every database must keep of the attempts of a delivery, and tell of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import Attempt, Outcome, Service, SubscriptionState, Urgency
from pushdesk.storage.records import Settlement
from pushdesk.storage.store import Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import CLAIM, NOW, message, put, spread, subscription
from tests.contract.test_store import broken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.model import Delivery
    from pushdesk.storage.records import Job

LATER = NOW + 1000


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with Store(path) as opened:
        yield opened


def sql(path: Path, statement: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        return connection.execute(statement, values).fetchall()


def kept(path: Path) -> list[tuple[str, int]]:
    return sql(path, "SELECT delivery, number FROM attempts ORDER BY delivery, number")


async def one_job(store: Store) -> Job:
    await put(store, subscription())
    (job,) = await spread(store, message())
    return job


def tried(delivery: Delivery, outcome: Outcome, status: int, **headers: str) -> Settlement:
    """Return what another attempt came to: throttled and transient ones are due again at once."""
    number = delivery.attempts + 1
    after = structs.replace(
        delivery,
        outcome=outcome,
        status=status,
        reason="" if outcome is Outcome.ACCEPTED else f"Answered {status}.",
        attempts=number,
        latency_ms=number + 0.5,
        next_attempt_at=None if outcome.is_settled else to_datetime(LATER),
        at=to_datetime(NOW + number),
    )
    return Settlement(after, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def settle_and_claim(store: Store, settlement: Settlement) -> Delivery:
    """Write an attempt down, and take its delivery up again as it is in the database."""
    await store.outbox.settle([settlement], CLAIM, NOW)
    (claimed,) = await store.outbox.claim(CLAIM, Service.MOZILLA, LATER, 10)
    return claimed.delivery


async def test_every_attempt_is_told_the_first_one_first(store: Store) -> None:
    delivery = (await one_job(store)).delivery
    delivery = await settle_and_claim(store, tried(delivery, Outcome.THROTTLED, 429, retry_after="120"))
    delivery = await settle_and_claim(store, tried(delivery, Outcome.TRANSIENT, 500))
    before = await store.delivery_records.record(delivery.id)
    await store.outbox.settle([tried(delivery, Outcome.ACCEPTED, 201, ttl="60", apns_id="1")], CLAIM, NOW)
    record = await store.delivery_records.record(delivery.id)
    expected = (
        Attempt(1, to_datetime(NOW + 1), Outcome.THROTTLED, 429, "Answered 429.", 1.5, {"retry-after": "120"}),
        Attempt(2, to_datetime(NOW + 2), Outcome.TRANSIENT, 500, "Answered 500.", 2.5),
        Attempt(3, to_datetime(NOW + 3), Outcome.ACCEPTED, 201, "", 3.5, {"ttl": "60", "apns-id": "1"}),
    )
    # While another one is due, the delivery and its last attempt say the same: it is told once.
    assert before.attempts == expected[:2]
    assert record.attempts == expected
    assert (record.delivery.attempts, record.delivery.outcome) == (3, Outcome.ACCEPTED)


async def test_a_record_tells_how_it_was_sent(store: Store, path: Path) -> None:
    await put(store, subscription())
    sent = replace(message(due=NOW + 5000), plaintext="é".encode() * 50, topic="chat 1", urgency=Urgency.HIGH)
    (job,) = await spread(store, replace(sent, expires_at_ms=NOW + 65_000))
    record = await store.delivery_records.record(job.delivery.id)
    assert (record.urgency, record.topic, record.ttl_s, record.size) == (Urgency.HIGH, "chat 1", 60, 100)
    assert record.expires_at == to_datetime(NOW + 65_000)
    assert (record.attempts, record.delivery.outcome) == ((), Outcome.WAITING)
    assert record.dispatch == structs.replace(await store.listings.dispatch("m1"), deliveries=())
    assert record.dispatch.counts == {Outcome.WAITING: 1}
    # Of one that is older than the column, what can be known; what was put off beyond its end has a TTL all the same.
    sql(path, "UPDATE dispatches SET ttl_s = NULL")
    assert (await store.delivery_records.record(job.delivery.id)).ttl_s == 60
    sql(path, "UPDATE dispatches SET due_at = expires_at + 1")
    assert (await store.delivery_records.record(job.delivery.id)).ttl_s == 1


async def test_what_was_put_off_was_asked_for_with_the_same_ttl(store: Store) -> None:
    job = await one_job(store)
    await store.outbox.accept([message("late")])
    await store.outbox.put_off(["late"], NOW + 55_000)
    await store.outbox.spread([structs.replace(job.delivery, id="of late", dispatch="late")], [], {})
    record = await store.delivery_records.record("of late")
    assert (record.ttl_s, record.expires_at) == (60, to_datetime(NOW + 60_000))


async def test_an_accepted_push_takes_no_row_of_its_own(store: Store, path: Path) -> None:
    job = await one_job(store)
    await store.outbox.settle([tried(job.delivery, Outcome.ACCEPTED, 201)], CLAIM, NOW)
    assert kept(path) == []
    assert sql(path, "SELECT headers FROM deliveries") == [(None,)]
    (only,) = (await store.delivery_records.record(job.delivery.id)).attempts
    assert (only.number, only.outcome, only.headers) == (1, Outcome.ACCEPTED, {})


async def test_what_ended_without_an_attempt_has_none(store: Store) -> None:
    delivery = (await one_job(store)).delivery
    delivery = await settle_and_claim(store, tried(delivery, Outcome.THROTTLED, 503, retry_after="1"))
    await store.subscriptions.remove_ids([delivery.subscription])
    (lost,) = await store.outbox.lost([delivery], NOW)
    await store.outbox.settle([lost], CLAIM, NOW)
    record = await store.delivery_records.record(delivery.id)
    assert (record.delivery.outcome, record.delivery.attempts) == (Outcome.CANCELLED, 1)
    assert [(attempt.number, attempt.outcome) for attempt in record.attempts] == [(1, Outcome.THROTTLED)]


async def test_what_is_put_off_is_no_attempt(store: Store, path: Path) -> None:
    delivery = (await one_job(store)).delivery
    delivery = await settle_and_claim(store, tried(delivery, Outcome.THROTTLED, 429))
    put_off = structs.replace(delivery, outcome=Outcome.TRANSIENT, status=None, reason="Later.", latency_ms=None)
    await store.outbox.settle([Settlement(put_off, attempted=False)], CLAIM, NOW)
    assert kept(path) == [(delivery.id, 1)]
    (attempt,) = (await store.delivery_records.record(delivery.id)).attempts
    assert (attempt.outcome, attempt.status) == (Outcome.THROTTLED, 429)


async def test_an_attempt_under_another_claim_leaves_nothing(store: Store, path: Path) -> None:
    job = await one_job(store)
    await store.outbox.settle([tried(job.delivery, Outcome.THROTTLED, 429)], "another", NOW)
    assert kept(path) == []
    assert (await store.delivery_records.record(job.delivery.id)).attempts == ()


async def test_one_that_was_removed_meanwhile_does_not_keep_the_others_from_being_written(
    store: Store, path: Path
) -> None:
    for name in ("one", "two"):
        await put(store, subscription(name))
    removed, left = await spread(store, message())
    sql(path, "DELETE FROM deliveries WHERE id = ?", removed.delivery.id)
    both = [tried(job.delivery, Outcome.THROTTLED, 429) for job in (removed, left)]
    await store.outbox.settle(both, CLAIM, NOW)
    assert kept(path) == [(left.delivery.id, 1)]


async def test_an_attempt_is_kept_once_after_a_commit_that_seemed_to_fail(store: Store, path: Path) -> None:
    delivery = (await one_job(store)).delivery
    settlement = tried(delivery, Outcome.THROTTLED, 429)
    # It is due again, and claimed, when it is written down once more.
    await settle_and_claim(store, settlement)
    await store.outbox.settle([settlement], CLAIM, NOW)
    assert kept(path) == [(delivery.id, 1)]


async def test_an_attempt_that_cannot_be_kept_settles_nothing(store: Store, path: Path) -> None:
    delivery = (await one_job(store)).delivery
    settlement = tried(delivery, Outcome.THROTTLED, 429)
    with broken(path, "attempts"), pytest.raises(DatabaseError):
        await store.outbox.settle([settlement], CLAIM, NOW)
    assert (await store.delivery_records.record(delivery.id)).delivery.outcome is Outcome.WAITING
    # It is still under the claim, and can be written down when the database is well again.
    await store.outbox.settle([settlement], CLAIM, NOW)
    assert kept(path) == [(delivery.id, 1)]


async def test_attempts_go_with_their_delivery(store: Store, path: Path) -> None:
    for user in ("ada", "bo"):
        await put(store, subscription(user, user))
        (job,) = await spread(store, message(f"to {user}", user))
        await store.outbox.settle([tried(job.delivery, Outcome.THROTTLED, 429)], CLAIM, NOW)
    removed = await store.users.remove("ada")
    assert removed is not None
    while (batch := await store.users.remove_history(removed)).deliveries or batch.dispatches:
        pass
    assert kept(path) == [("to bo-id-bo", 1)]
    sql(path, "DELETE FROM dispatches")
    assert kept(path) == []


async def test_a_delivery_that_is_not_known_is_not_found(store: Store) -> None:
    for question in (store.delivery_records.record, store.delivery_records.sendable):
        with pytest.raises(PushdeskError) as missing:
            await question("unknown")
        assert missing.value.code == "not_found"


@pytest.mark.parametrize("state", [state for state in SubscriptionState if state is not SubscriptionState.ACTIVE])
async def test_what_is_not_sent_to_is_not_sent_to_again(store: Store, path: Path, state: SubscriptionState) -> None:
    job = await one_job(store)
    sent = await store.delivery_records.sendable(job.delivery.id)
    assert (sent.delivery.id, sent.message, sent.ttl_s) == (job.delivery.id, job.message, 60)
    sql(path, "UPDATE subscriptions SET state = ?", state)
    with pytest.raises(PushdeskError) as refused:
        await store.delivery_records.sendable(job.delivery.id)
    assert refused.value.code == "subscription_gone"


async def test_what_is_settled_twice_at_once_is_what_it_came_to_first(store: Store) -> None:
    job = await one_job(store)
    first, second = (
        tried(job.delivery, outcome, status) for outcome, status in ((Outcome.ACCEPTED, 201), (Outcome.GONE, 410))
    )
    await store.outbox.settle([first, second], CLAIM, NOW)
    assert (await store.delivery_records.record(job.delivery.id)).delivery == first.delivery


@pytest.mark.parametrize("title", ["", "plain", 'a\0b"\\\n', "é \u2028 \U0001f600 \x7f"])
async def test_a_dispatch_that_is_done_is_told_as_it_was_accepted(store: Store, title: str) -> None:
    await put(store, subscription())
    accepted = replace(message(), title=title)
    (job,) = await spread(store, accepted)
    (done,) = (await store.outbox.settle([tried(job.delivery, Outcome.ACCEPTED, 201)], CLAIM, NOW)).done
    record = await store.delivery_records.record(job.delivery.id)
    assert (done.title, done) == (title, structs.replace(record.dispatch, counts=done.counts))
