"""How deliveries end without an attempt, at rest."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config
from msgspec import structs
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql, sqlite

from pushdesk.engine.topics import topics_of
from pushdesk.errors import PushdeskError
from pushdesk.model import DispatchState, Outcome, Service
from pushdesk.storage import migrations
from pushdesk.storage.ending import NEXT_EXPIRY, end_all_of, end_expired, end_older
from pushdesk.storage.records import Settlement
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import CLAIM, NOW, message, outcome, put, spread, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Dialect

    from pushdesk.model import Delivery
    from pushdesk.storage.records import Ended, Job, Message

STATEMENTS = {
    "older": end_older(["s", "t"], [("s", "news"), ("t", "news")], NOW),
    "expired": end_expired(NOW, 10, {Service.FCM: "Its push service was paused."}),
    "all of one": end_all_of("m1", NOW),
    "next expiry": NEXT_EXPIRY,
}
"""Each with the index that finds it."""
INDEXES = {
    "older": "ix_deliveries_unsettled_subscription_topic (subscription=?",
    "expired": "ix_dispatches_sending_expires_at (expires_at<?",
    "all of one": "ix_deliveries_dispatch_id (dispatch=?",
    "next expiry": "ix_dispatches_sending_expires_at",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / DATABASE_NAME


@pytest.fixture
async def store(file: Path) -> AsyncIterator[Store]:
    async with Store(file) as opened:
        await put(opened, subscription("one"))
        yield opened


def news(id_: str, precedence: int) -> Message:
    return replace(message(id_), topic="news", precedence=precedence)


async def sent(store: Store, accepted: Message) -> Job:
    (job,) = await spread(store, accepted)
    return job


async def put_beside(store: Store, accepted: Message, delivery: Delivery, *, claim: str | None = None) -> Ended:
    """Have one more message for the device of a delivery."""
    await store.outbox.accept([accepted])
    made = structs.replace(delivery, id=f"of {accepted.id}", dispatch=accepted.id)
    claims = {} if claim is None else {made.id: claim}
    return await store.outbox.spread([made], [], claims, topics=topics_of([accepted]), now_ms=NOW)


async def of(store: Store, dispatch: str) -> Delivery:
    (delivery,) = (await store.listings.dispatch(dispatch)).deliveries
    return delivery


async def test_what_waits_ends_by_a_newer_one_of_its_topic(store: Store) -> None:
    job = await sent(store, news("m1", 1))
    busy = outcome(job, Outcome.TRANSIENT, retry_at=NOW + 1)
    busy = replace(busy, delivery=structs.replace(busy.delivery, reason="Busy."))
    await store.outbox.settle([busy], CLAIM, NOW)
    ended = await put_beside(store, news("m2", 2), job.delivery)
    assert [(item.dispatch, item.outcome) for item in ended.waiting] == [("m1", Outcome.SUPERSEDED)]
    assert [dispatch.id for dispatch in ended.done] == ["m1"]
    assert (await of(store, "m1")).reason == "A newer one of its topic took its place. Last: Busy."
    (claimed,) = await store.outbox.claim(CLAIM, Service.MOZILLA, NOW + 5, 10)
    assert claimed.delivery.id == "of m2"


@pytest.mark.parametrize("precedence", [2, 1], ids=["older", "as old, with a lower id"])
async def test_one_that_comes_late_ends_at_once(store: Store, precedence: int) -> None:
    job = await sent(store, news("m2", 2))
    await store.outbox.settle([outcome(job, Outcome.ACCEPTED)], CLAIM, NOW)
    ended = await put_beside(store, news("m1", precedence), job.delivery)
    assert [item.id for item in ended.waiting] == ["of m1"]
    assert (await store.listings.dispatch("m1")).state is DispatchState.DONE
    assert (await of(store, "m2")).outcome is Outcome.ACCEPTED


async def test_other_topics_other_devices_and_no_topic_end_nothing(store: Store) -> None:
    await put(store, subscription("two"))
    jobs = await spread(store, replace(news("m1", 1), subscription=None))
    other = jobs[0].delivery
    for newer in (replace(news("m2", 2), topic="sport"), message("m3"), replace(news("m4", 4), user="bob")):
        device = other.subscription if newer.user == "ada" else "another"
        ended = await put_beside(store, newer, structs.replace(other, subscription=device))
        assert not ended.waiting
        assert not ended.claimed


@pytest.mark.parametrize("result", [Outcome.ACCEPTED, Outcome.GONE, Outcome.TRANSIENT])
async def test_what_is_under_way_ends_as_it_was_answered_and_is_not_tried_again(store: Store, result: Outcome) -> None:
    job = await sent(store, news("m1", 1))
    ended = await put_beside(store, news("m2", 2), job.delivery, claim=CLAIM)
    assert not ended.waiting
    assert ended.claimed == {job.delivery.id}
    # It is worked on: there is something left to do.
    assert (await store.listings.dispatch("m1")).state is DispatchState.SENDING
    retry_at = NOW + 1 if result is Outcome.TRANSIENT else None
    settled = await store.outbox.settle([outcome(job, result, retry_at=retry_at)], CLAIM, NOW)
    assert [dispatch.id for dispatch in settled.done] == ["m1"]
    found = await of(store, "m1")
    assert found.outcome is (Outcome.SUPERSEDED if result is Outcome.TRANSIENT else result)
    assert found.attempts == 1
    assert set(settled.ended) == ({job.delivery.id} if result is Outcome.TRANSIENT else set())
    assert len((await store.delivery_records.record(job.delivery.id)).attempts) == 1


async def test_what_was_under_way_when_the_process_died_stays_ended(store: Store) -> None:
    job = await sent(store, news("m1", 1))
    await put_beside(store, news("m2", 2), job.delivery, claim=CLAIM)
    assert [dispatch.id for dispatch in await store.outbox.release_claims()] == ["m1"]
    claimed = await store.outbox.claim("another", Service.MOZILLA, NOW + 10, 10)
    assert [item.delivery.id for item in claimed] == ["of m2"]


async def test_what_waits_ends_with_its_time_and_what_is_under_way_does_not(store: Store) -> None:
    waiting, under_way = await sent(store, message("m1")), await sent(store, message("m2"))
    await store.outbox.settle([outcome(waiting, Outcome.TRANSIENT, retry_at=NOW + 1)], CLAIM, NOW)
    expires_at = waiting.message.expires_at_ms
    assert (await store.outbox.expire(expires_at - 1, 10))[0].waiting == ()
    ended, next_ms = await store.outbox.expire(expires_at, 10)
    assert [(item.id, item.outcome) for item in ended.waiting] == [(waiting.delivery.id, Outcome.EXPIRED)]
    assert [dispatch.id for dispatch in ended.done] == ["m1"]
    assert next_ms == expires_at
    await store.outbox.settle([outcome(under_way, Outcome.ACCEPTED)], CLAIM, NOW)
    assert (await store.outbox.expire(expires_at, 10))[1] is None


async def test_what_expires_says_what_it_waited_for_last(store: Store) -> None:
    await put(store, subscription())
    (first,) = await spread(store, replace(message("m1"), expires_at_ms=NOW + 1))
    (second,) = await spread(store, replace(message("m2"), expires_at_ms=NOW + 1))
    tried = outcome(first, Outcome.TRANSIENT, retry_at=NOW)
    tried = replace(tried, delivery=structs.replace(tried.delivery, reason="Answered 503."))
    waiting = structs.replace(second.delivery, next_attempt_at=to_datetime(NOW))
    await store.outbox.settle([tried, Settlement(waiting, attempted=False)], CLAIM, NOW)
    waits = {Service.FCM: "Others.", Service.MOZILLA: "Its push service was paused."}
    ended, _ = await store.outbox.expire(NOW + 1, 10, waits)
    assert {delivery.id: delivery.reason for delivery in ended.waiting} == {
        first.delivery.id: "Its TTL was over before it could be sent. Last: Its push service was paused. "
        "Before that: Answered 503.",
        second.delivery.id: "Its TTL was over before it could be sent. Last: Its push service was paused.",
    }


async def test_expiry_goes_in_batches_the_longest_past_first(store: Store) -> None:
    for number in (3, 1, 2):
        job = await sent(store, replace(message(f"m{number}"), expires_at_ms=NOW + number))
        await store.outbox.settle([outcome(job, Outcome.TRANSIENT, retry_at=NOW)], CLAIM, NOW)
    found = []
    for _ in range(3):
        ended, _next = await store.outbox.expire(NOW + 10, 1)
        found += [dispatch.id for dispatch in ended.done]
    assert found == ["m1", "m2", "m3"]


async def test_a_cancelled_dispatch_ends_with_all_that_waits_and_what_is_under_way_is_not_tried_again(
    store: Store,
) -> None:
    await put(store, subscription("two"))
    waiting, under_way = await spread(store, message("m1"))
    await store.outbox.settle([outcome(waiting, Outcome.TRANSIENT, retry_at=NOW)], CLAIM, NOW)
    before, ended = await store.outbox.cancel("m1", None, NOW)
    assert before.state is DispatchState.SENDING
    assert [item.id for item in ended.waiting] == [waiting.delivery.id]
    assert ended.claimed == {under_way.delivery.id}
    await store.outbox.settle([outcome(under_way, Outcome.TRANSIENT, retry_at=NOW)], CLAIM, NOW)
    found = await store.listings.dispatch("m1")
    assert (found.state, found.counts) == (DispatchState.CANCELLED, {Outcome.CANCELLED: 2})
    assert await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10) == ()


@pytest.mark.parametrize(
    ("dispatch", "sender", "code"),
    [("unknown", None, "not_found"), ("m1", "another", "forbidden"), ("done", None, "already_ended")],
)
async def test_what_cannot_be_cancelled_stays_as_it_is(
    store: Store, dispatch: str, sender: str | None, code: str
) -> None:
    await store.outbox.accept([replace(message("m1"), sender="mine"), message("done", "nobody")])
    await store.outbox.spread([], ["done"], {})
    with pytest.raises(PushdeskError) as raised:
        await store.outbox.cancel(dispatch, sender, NOW)
    assert raised.value.code == code
    assert (await store.listings.dispatch("m1")).state is DispatchState.QUEUED
    before, _ = await store.outbox.cancel("m1", "mine", NOW)
    assert before.state is DispatchState.QUEUED
    assert (await store.outbox.due(NOW, 10)).opened == ()


async def test_the_latest_precedence_is_kept_and_never_goes_back(store: Store) -> None:
    await store.outbox.accept([message("m1")], 7)
    assert await store.outbox.precedence() == 0
    await store.outbox.accept([news("m2", 5)], 5)
    await store.outbox.accept([news("m3", 4)], 4)
    assert await store.outbox.precedence() == 5


async def test_what_a_commit_did_that_seemed_to_fail_is_told_when_it_is_settled_again(store: Store) -> None:
    job = await sent(store, message("m1"))
    settlement = outcome(job, Outcome.GONE)
    first = await store.outbox.settle([settlement], CLAIM, NOW)
    assert (await store.outbox.settle([settlement], CLAIM, NOW)).disabled == ()
    again = await store.outbox.settle([settlement], CLAIM, NOW, again=True)
    assert (again.disabled, again.done) == (first.disabled, first.done)
    assert len(again.disabled) == len(again.done) == 1


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=["postgresql", "sqlite"])  # type: ignore[no-untyped-call]
@pytest.mark.parametrize("name", STATEMENTS)
def test_both_databases_would_take_the_statements(dialect: Dialect, name: str) -> None:
    assert str(STATEMENTS[name].compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


@pytest.mark.parametrize("name", STATEMENTS)
async def test_what_ends_is_found_by_its_index(file: Path, name: str) -> None:
    async with Store(file):
        pass
    statement = STATEMENTS[name].compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with closing(sqlite3.connect(file)) as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert any(INDEXES[name] in step for step in plan), plan
    assert not any("TEMP B-TREE" in step or step == "SCAN deliveries" for step in plan), plan


async def test_of_what_waits_in_an_older_database_only_the_newest_of_a_topic_is_sent(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", migrations.__path__[0])
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(text("INSERT INTO server_state (id, generation, digest_key) VALUES (1, 0, x'00')"))
        for id_, due, topic in (("m1", 1, "news"), ("m2", 2, "news"), ("m3", 1, "sport"), ("m4", 1, None)):
            connection.execute(
                text(
                    "INSERT INTO dispatches (id, user, kind, title, message, urgency, topic, state, accepted_at, "
                    "due_at, expires_at) VALUES (:id, 'ada', 'notification', 'Hello', x'7b7d', 'normal', :topic, "
                    "'sending', 0, :due, 9)"
                ),
                {"id": id_, "due": due, "topic": topic},
            )
            connection.execute(
                text(
                    "INSERT INTO deliveries (id, dispatch, user, subscription, service, device, outcome, reason, "
                    "attempts, at, next_attempt_at) VALUES (:id, :id, 'ada', 's', 'fcm', 'phone', 'transient', '', 1, "
                    "0, 5)"
                ),
                {"id": id_},
            )
    engine.dispose()
    async with Store(file) as store:
        assert (await of(store, "m1")).outcome is Outcome.SUPERSEDED
        assert (await store.listings.dispatch("m1")).state is DispatchState.DONE
        claimed = await store.outbox.claim("claim", Service.FCM, 5, 10)
        assert sorted(item.delivery.id for item in claimed) == ["m2", "m3", "m4"]
        ended, _ = await store.outbox.expire(9, 10)
        assert ended.waiting == ()
