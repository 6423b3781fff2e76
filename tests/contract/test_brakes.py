"""What brakes hold, what becomes of it, and what is disabled: in the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.config import Config
from msgspec import structs
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql, sqlite

from pushdesk.model import Outcome, RestoreResult, Service, SubscriptionState
from pushdesk.storage import migrations
from pushdesk.storage.answers import REAPED_AFTER, _count_refusals
from pushdesk.storage.brakes import BrakeState, StoredBrake, count_held, let_go
from pushdesk.storage.disabled import count_live, remove_disabled, select_disabled
from pushdesk.storage.records import Disabling, HeldDevice, Hold, Targets
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.storage.subscriptions import SELECT_TARGETS
from tests.contract.storing import CLAIM, NOW, message, outcome, put, spread, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import ClauseElement, Dialect

    from pushdesk.storage.records import Raised, Settled

KEY = "0a1b2c3d"
ON = Hold(Service.MOZILLA, 1, NOW, "So many.")
AGAIN = Hold(Service.MOZILLA, 2, NOW + 1, "So many again.")
GONE, MISMATCH, ACTIVE = SubscriptionState.GONE, SubscriptionState.KEY_MISMATCH, SubscriptionState.ACTIVE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / DATABASE_NAME


@pytest.fixture
async def store(file: Path) -> AsyncIterator[Store]:
    async with Store(file) as opened:
        sql(
            file,
            "INSERT INTO vapid_keys (id, public_key, private_key, state, created_at) VALUES (?, 'k', x'00', ?, 0)",
            KEY,
            "current",
        )
        yield opened


def sql(file: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database, database:
        return database.execute(statement, values).fetchall()


async def devices(store: Store, *names: str, user: str = "ada") -> None:
    for name in names:
        await put(store, subscription(name, user, KEY))


async def answer(
    store: Store, hold: Hold | None, *, state: SubscriptionState = GONE, user: str = "ada", name: str = "m1"
) -> Settled:
    """Have a notification to all devices of a user be answered with their end, under a brake if one is given."""
    jobs = await spread(store, message(name, user))
    result = Outcome.GONE if hold is None else Outcome.HELD
    settlements = [
        replace(outcome(job, result), disabling=Disabling(job.target.subscription, job.target.version, state, hold))
        for job in jobs
    ]
    return await store.outbox.settle(settlements, CLAIM, NOW)


async def targets(store: Store, user: str = "ada") -> Targets:
    return (await store.subscriptions.targets([user]))[user]


async def decided(store: Store, hold: Hold, state: BrakeState, *, limit: int = 500) -> int:
    """Have it decided, and done to its end; returns in how many batches."""
    await store.brakes.decide(hold, state)
    batches = 0
    while await store.brakes.follow(hold.service, NOW + 5, limit):
        batches += 1
    return batches


async def test_what_is_held_is_not_sent_to_and_told_of(store: Store, file: Path) -> None:
    await devices(store, "one", "two")
    before = await targets(store)
    settled = await answer(store, ON)
    assert [found.state for found in settled.disabled] == [SubscriptionState.HELD] * 2
    assert [found.id for found in settled.done] == ["m1"]
    after = await targets(store)
    assert after.targets == ()
    assert after.held == (
        HeldDevice("id-one", Service.MOZILLA, "Firefox · Linux"),
        HeldDevice("id-two", Service.MOZILLA, "Firefox · Linux"),
    )
    assert after.generation > before.generation
    assert await store.brakes.held() == {Service.MOZILLA: 2}
    assert await store.brakes.all() == (StoredBrake(ON, BrakeState.ON),)
    assert sql(file, "SELECT DISTINCT held_as, disabled_at FROM subscriptions") == [("gone", None)]


async def test_who_has_the_devices_is_read_anew_and_not_pruned_when_they_are_held(file: Path) -> None:
    told: list[Raised] = []
    async with Store(file, lambda raised, _: told.extend(raised)) as store:
        await devices(store, "one")
        told.clear()
        await answer(store, ON)
    assert [(raised.user, raised.removed) for raised in told] == [("ada", None)]


async def test_a_late_answer_holds_nobody_who_has_subscribed_again(store: Store) -> None:
    await devices(store, "one")
    (job,) = await spread(store, message("m1"))
    await answer(store, None, name="m2")
    await put(store, subscription("one", "ada", KEY))
    disabling = Disabling(job.target.subscription, job.target.version, GONE, ON)
    settled = await store.outbox.settle([replace(outcome(job, Outcome.HELD), disabling=disabling)], CLAIM, NOW)
    assert settled.disabled == ()
    assert len((await targets(store)).targets) == 1


@pytest.mark.parametrize(
    ("decision", "state", "disabled_at"),
    [(BrakeState.CONFIRMED, MISMATCH, NOW + 5), (BrakeState.RELEASED, ACTIVE, None)],
)
async def test_a_decision_is_done_in_batches(
    store: Store, file: Path, decision: BrakeState, state: SubscriptionState, disabled_at: int | None
) -> None:
    await devices(store, *map(str, range(5)))
    await answer(store, ON, state=MISMATCH)
    before = await targets(store)
    assert await decided(store, ON, decision, limit=2) == 3
    assert sql(file, "SELECT DISTINCT state, held_as, disabled_at, version FROM subscriptions") == [
        (state, None, disabled_at, 3)
    ]
    after = await targets(store)
    assert (len(after.targets), after.held) == (5 if state is ACTIVE else 0, ())
    assert after.generation > before.generation


async def test_a_released_device_whose_key_has_ended_meanwhile_is_not_sent_to(store: Store, file: Path) -> None:
    await devices(store, "one")
    await answer(store, ON)
    sql(file, "UPDATE vapid_keys SET state = 'retired'")
    await decided(store, ON, BrakeState.RELEASED)
    assert sql(file, "SELECT state, disabled_at FROM subscriptions") == [("key_mismatch", NOW + 5)]


async def test_nothing_is_let_go_while_it_is_on_or_by_an_earlier_decision(store: Store) -> None:
    await devices(store, "one")
    await answer(store, ON)
    assert await store.brakes.follow(Service.MOZILLA, NOW, 10) == ()
    await store.brakes.decide(ON, BrakeState.RELEASED)
    await devices(store, "two", user="bob")
    await answer(store, AGAIN, user="bob", name="m2")
    # It took over what was left.
    assert await store.brakes.follow(Service.MOZILLA, NOW, 10) == ()
    assert await store.brakes.held() == {Service.MOZILLA: 2}
    assert await decided(store, AGAIN, BrakeState.CONFIRMED) == 1


@pytest.mark.parametrize(("decision", "state"), [(BrakeState.CONFIRMED, GONE), (BrakeState.RELEASED, ACTIVE)])
async def test_what_is_written_down_after_a_decision_follows_it(
    store: Store, file: Path, decision: BrakeState, state: SubscriptionState
) -> None:
    await devices(store, "one")
    await store.brakes.decide(ON, decision)
    await answer(store, ON)
    assert sql(file, "SELECT state, held_as FROM subscriptions") == [(state, None)]
    assert await store.brakes.all() == (StoredBrake(ON, decision),)


async def test_what_an_earlier_brake_held_is_held_by_the_one_that_is_on(store: Store) -> None:
    await devices(store, "one")
    await devices(store, "two", user="bob")
    await answer(store, AGAIN)
    await answer(store, ON, user="bob", name="m2")
    assert await store.brakes.all() == (StoredBrake(AGAIN, BrakeState.ON),)
    assert await store.brakes.held() == {Service.MOZILLA: 2}


async def test_refusals_in_one_batch_are_all_counted(store: Store, file: Path) -> None:
    await devices(store, "one")
    jobs = [(await spread(store, message(f"m{number}")))[0] for number in range(REAPED_AFTER)]
    refused = []
    for job in jobs:
        refusal = outcome(job, Outcome.REFUSED)
        refused.append(replace(refusal, delivery=structs.replace(refusal.delivery, status=400)))
    assert (await store.outbox.settle(refused[:1], CLAIM, NOW)).refused == ()
    (found,) = (await store.outbox.settle(refused[1:], CLAIM, NOW)).refused
    assert (found.subscription, found.service) == ("id-one", Service.MOZILLA)
    (reaped,) = await store.outbox.disable([Disabling(found.subscription, found.version, GONE)], NOW)
    assert (reaped.state, reaped.failures) == (GONE, 2)
    assert sql(file, "SELECT disabled_at FROM subscriptions") == [(NOW,)]


async def test_one_that_subscribes_again_begins_anew(store: Store, file: Path) -> None:
    await devices(store, "one")
    await answer(store, ON)
    sql(file, "UPDATE subscriptions SET refusals = 4, disabled_at = 1")
    await devices(store, "one")
    assert sql(file, "SELECT state, refusals, disabled_at, held_as FROM subscriptions") == [("active", 0, None, None)]


async def test_what_is_disabled_is_removed_the_longest_ago_first(store: Store, file: Path) -> None:
    await devices(store, "one", "two", "three", "four", "five")
    for name, at in (("one", 30), ("two", 10), ("three", 20), ("four", 40)):
        sql(file, "UPDATE subscriptions SET state = 'gone', disabled_at = ? WHERE id = ?", at, f"id-{name}")
    assert {found.id for found in await store.disabled.remove(40, 2)} == {"id-two", "id-three"}
    assert {found.id for found in await store.disabled.remove(40, 2)} == {"id-one"}
    assert await store.disabled.remove(40, 2) == ()


async def test_no_more_are_restored_than_a_user_may_have(store: Store, file: Path) -> None:
    await devices(store, "one", "two", "three")
    sql(file, "UPDATE subscriptions SET state = 'gone', disabled_at = 1 WHERE id <> 'id-three'")
    results, restored = await store.disabled.restore(["id-two", "id-one", "id-two"], 2)
    assert [(found.id, found.result) for found in results] == [
        ("id-two", RestoreResult.RESTORED),
        ("id-one", RestoreResult.TOO_MANY_DEVICES),
    ]
    assert [found.id for found in restored] == ["id-two"]
    assert sql(file, "SELECT version, disabled_at FROM subscriptions WHERE id = 'id-two'") == [(2, None)]
    assert len((await targets(store)).targets) == 2


async def test_one_that_was_made_with_a_key_that_is_not_here_is_not_restored(store: Store, file: Path) -> None:
    await put(store, subscription("one", "ada", "elsewher"))
    sql(file, "UPDATE subscriptions SET state = 'key_mismatch', disabled_at = 1")
    (found,), restored = await store.disabled.restore(["id-one"], 10)
    assert (found.result, restored) == (RestoreResult.KEY_ENDED, ())


_STATEMENTS: list[ClauseElement] = [
    count_held(),
    let_go(Service.FCM, BrakeState.CONFIRMED, NOW, 10),
    let_go(Service.FCM, BrakeState.RELEASED, NOW, 10),
    _count_refusals(["one"], 1),
    select_disabled(["one"]),
    count_live(["ada"]),
    remove_disabled(NOW, 10),
    SELECT_TARGETS.params(users=["ada"]),
]


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=["postgresql", "sqlite"])  # type: ignore[no-untyped-call]
@pytest.mark.parametrize("statement", _STATEMENTS)
def test_both_databases_would_take_the_statements(statement: ClauseElement, dialect: Dialect) -> None:
    assert "subscriptions" in str(statement.compile(dialect=dialect))


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (count_held(), "COVERING INDEX ix_subscriptions_service_held_as_id"),
        (let_go(Service.FCM, BrakeState.RELEASED, NOW, 10), "ix_subscriptions_service_held_as_id"),
        (remove_disabled(NOW, 10), "COVERING INDEX ix_subscriptions_disabled_at_id"),
        (SELECT_TARGETS.params(users=["ada"]), "ix_subscriptions_user_id"),
    ],
)
async def test_what_is_held_and_disabled_is_found_by_its_index(
    store: Store, file: Path, statement: ClauseElement, index: str
) -> None:
    await devices(store, "one")
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    plan = [str(row[3]) for row in sql(file, f"EXPLAIN QUERY PLAN {compiled}")]
    assert any(index in step for step in plan), plan


async def test_what_an_older_database_had_disabled_is_kept_from_now_on(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", migrations.__path__[0])
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(text("INSERT INTO server_state (id, generation, digest_key) VALUES (1, 0, x'00')"))
        connection.execute(text("INSERT INTO user_state (user, generation, created_at) VALUES ('ada', 0, 0)"))
        for number, state in enumerate((ACTIVE, GONE, MISMATCH)):
            connection.execute(
                text(
                    "INSERT INTO subscriptions (id, user, endpoint_digest, endpoint, p256dh, auth, token_digest, "
                    "key_id, service, browser, platform, state, version, created_at, failures) VALUES (:id, 'ada', "
                    ":digest, 'https://push.example', x'00', x'00', x'00', '', 'mozilla', '', '', :state, 1, 0, 0)"
                ),
                {"id": state, "digest": bytes([number]), "state": state},
            )
    engine.dispose()
    async with Store(file) as store:
        assert sql(file, "SELECT id FROM subscriptions WHERE disabled_at IS NULL AND refusals = 0") == [("active",)]
        kept = sql(file, "SELECT min(disabled_at) FROM subscriptions")[0][0]
        assert await store.disabled.remove(kept, 10) == ()
        assert len(await store.disabled.remove(kept + 60_000, 10)) == 2
